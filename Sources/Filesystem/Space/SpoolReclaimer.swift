import FileTree
import Formats
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// Gives spool files back: those of retired versions when nothing needs them any more, those of interrupted ones after
/// the time for which they are kept.
package final class SpoolReclaimer: Sendable {
    private let keepFor: Duration
    private let engine: UploadEngine
    private let logger: Logger
    /// What is kept, by the upload's number.
    private let kept = Mutex<[Int: Kept]>([:])

    private struct Kept: Sendable {
        var upload: Upload
        /// When it was interrupted.
        var since: ContinuousClock.Instant
        /// What waits until it has been kept for long enough.
        var timer: Task<Void, Never>
    }

    init(keepFor: Duration, engine: UploadEngine, logger: Logger) {
        self.keepFor = keepFor
        self.engine = engine
        self.logger = logger
    }

    deinit {
        for timer in kept.withLock({ $0.values.map(\.timer) }) { timer.cancel() }
    }

    /// The version has no file any more: its bytes go when its upload is decided, or they are not needed for that, unless it
    /// was interrupted.
    func retire(_ upload: Upload) {
        upload.whenWithdrawn { [weak self, spool = upload.spool] in self?.remove(spool) }
        upload.whenEnded { [weak self] state in
            switch state {
            case .interrupted: self?.keep(upload)
            case .completed, .failed, .cancelled, .open, .staged, .finishing: self?.remove(upload)
            }
        }
    }

    /// How many interrupted versions are kept at most: whoever ends writers again and again is not to fill the memory.
    package static let keptLimit = 1000

    /// The writer did not finish: what it wrote is kept for a while, unless too many others follow.
    ///
    /// Not what was promised to be on disk: that stays until somebody removes it.
    /// - Parameter since: when it was last written, if that was before now.
    func keep(_ upload: Upload, since: Timestamp? = nil) {
        guard !upload.isDurable else { return }
        let moment = ContinuousClock.now - (since.map { Self.age(of: $0) } ?? .zero)
        let (isTooMany, earlier) = kept.withLock { kept in
            // Set here: with no time left it would look for what it is about before that is there.
            let timer = Task { [weak self, end = moment + keepFor] in
                guard (try? await Task.sleep(until: end, clock: .continuous)) != nil else { return }
                self?.timeIsOver(upload, since: moment)
            }
            let earlier = kept.updateValue(Kept(upload: upload, since: moment, timer: timer), forKey: upload.number)
            return (kept.count > Self.keptLimit, earlier)
        }
        earlier?.timer.cancel()
        if isTooMany { _ = removeOldest(because: "there were too many") }
    }

    private func timeIsOver(_ upload: Upload, since: ContinuousClock.Instant) {
        let isKept = kept.withLock { kept in
            // Another interruption since has a timer of its own.
            guard kept[upload.number]?.since == since else { return false }
            kept[upload.number] = nil
            return true
        }
        if isKept { remove(upload) }
    }

    /// Its bytes are somebody else's business again.
    func release(_ upload: Upload) {
        kept.withLock { $0.removeValue(forKey: upload.number) }?.timer.cancel()
    }

    /// Lets the one that was interrupted longest ago go before its time; false when there is none. What was promised to be on
    /// the disk stays.
    func removeOldest(because reason: String) -> Bool {
        let oldest = kept.withLock { kept -> Kept? in
            let candidates = kept.values.filter { !$0.upload.isDurable }
            guard let oldest = candidates.min(by: { $0.since < $1.since }) else { return nil }
            return kept.removeValue(forKey: oldest.upload.number)
        }
        guard let oldest else { return false }
        oldest.timer.cancel()
        remove(oldest.upload)
        logger.warning(
            "the bytes of an interrupted file were dropped before their time",
            metadata: ["filename": "\(oldest.upload.identity.filename)", "reason": "\(reason)"])
        return true
    }

    private static func age(of moment: Timestamp) -> Duration {
        let now = FileTime.now()
        let wallTime = Timestamp(millisecondsSince1970: now.seconds * 1000 + now.nanoseconds / 1_000_000)
        return max(.zero, wallTime.duration(since: moment))
    }

    /// What another version took the place of: its bytes go as soon as its upload, where it has one, does not need them.
    func retire(_ version: FileVersion) {
        if let upload = version.upload { retire(upload) } else { remove(version.spool) }
    }

    /// A version that was begun and not used after all.
    func drop(_ version: FileVersion) {
        if let upload = version.upload { drop(upload) }
        remove(version.spool)
    }

    /// An upload that was begun and not used after all.
    func drop(_ upload: Upload) {
        upload.forgetInJournal()
        engine.forget(upload)
    }

    /// The upload is over and no file leads to it: nothing is left but its document, for a while.
    func dismiss(_ upload: Upload) {
        upload.forgetInJournal()
        engine.dismiss(upload)
    }

    /// The same, and its bytes go.
    func remove(_ upload: Upload) {
        dismiss(upload)
        remove(upload.spool)
    }

    /// Takes a spool file away with its bytes.
    func remove(_ spool: SpoolFile?) {
        do throws(SpoolError) {
            try spool?.discard()
        } catch {
            logger.warning("a spool file could not be removed", metadata: ["reason": "\(error)"])
        }
    }
}
