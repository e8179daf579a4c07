import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// Gives spool files back: those of retired versions when nothing needs them any more, those of interrupted ones after
/// the time for which they are kept.
final class InterruptedKeeper: Sendable {
    private let keepFor: Duration
    private let engine: UploadEngine
    private let logger: Logger
    private let timers = Mutex<[Int: Task<Void, Never>]>([:])

    init(keepFor: Duration, engine: UploadEngine, logger: Logger) {
        self.keepFor = keepFor
        self.engine = engine
        self.logger = logger
    }

    deinit {
        for timer in timers.withLock({ $0.values }) { timer.cancel() }
    }

    /// The version has no file any more: its bytes go when its upload is decided, unless that was interrupted.
    func retire(_ upload: Upload) {
        upload.whenEnded { [weak self] state in
            switch state {
            case .interrupted: self?.keep(upload)
            case .completed, .failed, .cancelled, .open, .staged, .finishing: self?.remove(upload)
            }
        }
    }

    /// The writer did not finish: what it wrote is kept for a while.
    func keep(_ upload: Upload) {
        let timer = Task { [weak self, keepFor] in
            guard (try? await Task.sleep(for: keepFor, clock: .continuous)) != nil else { return }
            self?.remove(upload)
            self?.timers.withLock { $0[upload.number] = nil }
        }
        timers.withLock { $0[upload.number] = timer }
    }

    private func remove(_ upload: Upload) {
        do throws(SpoolError) {
            try upload.spool.remove()
        } catch {
            logger.warning("a spool file could not be removed", metadata: ["reason": "\(error)"])
        }
    }
}
