import Logging
import NIOPosix
import PlatformClient
import Synchronization
import UploadCore
import UploadStore

/// Runs the uploads of one mount: one scheduler, one client, one registry of all that was begun.
public final class UploadEngine: Sendable {
    private struct Registry: Sendable {
        /// By their numbers.
        var uploads: [Upload] = []
        var lastNumber = 0
        /// Those that are over and that no file leads to any more.
        var dismissed = DismissedUploads()
        /// What waits for the oldest of them to have been remembered for long enough.
        var forgetting: Task<Void, Never>?
        /// What those came to that are forgotten.
        var forgotten = ForgottenUploads()
        /// Assets of sessions that an earlier process left open, to be deleted when it is known that there is a mount.
        var abandoned: [(assetID: String, session: String)] = []

        /// Where the upload of that number stands, or would.
        func place(of number: Int) -> Int {
            var (low, high) = (0, uploads.count)
            while low < high {
                let middle = (low + high) / 2
                if uploads[middle].number < number { low = middle + 1 } else { high = middle }
            }
            return low
        }

        func holds(_ upload: Upload) -> Bool {
            let place = place(of: upload.number)
            return place < uploads.count && uploads[place] === upload
        }

        /// Takes an upload out; false when it is not there.
        mutating func remove(_ upload: Upload) -> Bool {
            guard holds(upload) else { return false }
            uploads.remove(at: place(of: upload.number))
            return true
        }
    }

    /// What the engine does the same way for every upload.
    public let configuration: EngineConfiguration
    let services: EngineServices
    /// Where each upload that is remembered is found by its names.
    public var index: UploadIndex { services.index }
    private let registry: Mutex<Registry>

    /// An engine over `client`; `threads` read the spool; what survives a crash is in `journal`.
    public init(
        configuration: EngineConfiguration, client: any UploadPlatform, threads: NIOThreadPool, clock: EngineClock,
        logger: Logger, journal: Journal? = nil
    ) {
        self.configuration = configuration
        let policy = configuration.upload.retryPolicy
        // One event is likely to cut all reports of an upload at once, which is no outage yet.
        var callLimits = policy.limits
        callLimits.lostConnections += configuration.upload.reportsAtOnce
        let gate = CallGate(
            policy: RetryPolicy(limits: callLimits), clock: clock, keyRenewal: configuration.keyRenewal)
        services = EngineServices(
            configuration: configuration, client: client,
            scheduler: PutScheduler(places: configuration.uploadConcurrency, policy: policy, clock: clock),
            gate: gate, keyCheck: KeyCheck { () async throws(UploadFailure) in try await client.checkKey() },
            cleaner: AbandonedAssetCleaner(client: client, clock: clock, gate: gate, logger: logger),
            assets: AssetPoller(policy: policy, client: client, clock: clock, gate: gate, logger: logger),
            inFlight: InFlightUploads(), backlog: BacklogSignal(clock: clock), space: SpaceQueue(clock: clock),
            totals: TransferTotals(),
            assetTypes: AssetTypeMemory(),
            threads: threads, clock: clock, logger: logger, journal: journal)
        // Numbers are never given twice, since the journal knows uploads by them.
        registry = Mutex(Registry(lastNumber: Int(journal?.contents.lastUploadNumber ?? 0)))
    }

    /// Begins the upload of a version of which nothing is written yet.
    public func begin(_ identity: UploadIdentity, spool: SpoolFile) -> Upload {
        let upload = registry.withLock { registry in
            registry.lastNumber += 1
            let upload = Upload(number: registry.lastNumber, spool: spool, identity: identity, services: services)
            registry.uploads.append(upload)
            return upload
        }
        upload.enterIndex()
        return upload
    }

    /// Takes in an upload that another process began.
    func add(_ upload: Upload) {
        registry.withLock { $0.uploads.insert(upload, at: $0.place(of: upload.number)) }
        upload.enterIndex()
    }

    /// Has an asset deleted that was reserved for an upload which another process began, at ``resume()``.
    func deleteAfterResuming(assetID: String, unlessCompleted session: String) {
        registry.withLock { $0.abandoned.append((assetID, session)) }
    }

    func takeAssetsToDelete() -> [(assetID: String, session: String)] {
        registry.withLock { registry in
            defer { registry.abandoned = [] }
            return registry.abandoned
        }
    }

    /// Every upload that is remembered, oldest first.
    public var uploads: [Upload] { registry.withLock { $0.uploads } }

    /// The upload of that number, while it is remembered.
    public func upload(numbered number: Int) -> Upload? {
        registry.withLock { registry in
            let place = registry.place(of: number)
            return place < registry.uploads.count && registry.uploads[place].number == number
                ? registry.uploads[place] : nil
        }
    }

    /// Every upload that is remembered, and what those came to that are not, at one moment.
    public var census: (uploads: [Upload], forgotten: ForgottenUploads) {
        registry.withLock { ($0.uploads, $0.forgotten) }
    }

    /// So many of the uploads that are remembered, those of smaller numbers than `first` left out, oldest first.
    public func uploads(from first: Int, atMost count: Int) -> ArraySlice<Upload> {
        registry.withLock { $0.uploads[$0.place(of: first)...].prefix(count) }
    }

    /// Forgets an upload that was begun and not used after all.
    public func forget(_ upload: Upload) {
        if let assetID = upload.inspect({ $0.assetID }) { services.assets.unwatch(assetID) }
        registry.withLock { registry in
            registry.dismissed.remove(upload)
            _ = registry.remove(upload)
        }
        index.remove(upload.number)
    }

    /// How many uploads are remembered at most that are over and that no file leads to.
    public static let rememberedDismissals = DismissedUploads.limit
    /// How long each of them is remembered.
    public static let dismissalLifetime = DismissedUploads.lifetime

    /// The upload is over, no file leads to it, and its bytes are gone: it is remembered for a while, for whoever asks what
    /// became of it, unless too many others follow. What of it is still under way is ended first.
    public func dismiss(_ upload: Upload) {
        let now = now
        registry.withLock { registry in
            // Whoever forgot it has counted it.
            if registry.holds(upload) { registry.dismissed.add(upload, at: now) }
        }
        forgetDismissed()
    }

    private func forgetDismissed() {
        let now = now
        for due in registry.withLock({ $0.dismissed.due(at: now) }) where due.upload.isAtRest {
            let old = due.upload
            let isAwaited = old.awaitsAsset
            if !due.isTooMany, isAwaited || due.isProlonged {
                registry.withLock { $0.dismissed.prolong(old, at: now, isProlonged: isAwaited) }
                continue
            }
            let (state, asset, assetID) = old.inspect { ($0.state, $0.asset, $0.assetID) }
            registry.withLock { registry in
                registry.dismissed.remove(old)
                // Somebody else may have forgotten it as well.
                guard registry.remove(old) else { return }
                registry.forgotten.add(state, asset)
            }
            index.remove(old.number)
            if let assetID { services.assets.unwatch(assetID) }
        }
        registry.withLock { registry in
            guard registry.forgetting == nil, let end = registry.dismissed.nextEnd else { return }
            // One that is not at rest when its time is over is looked at again.
            let deadline = max(end, now + Self.pause)
            registry.forgetting = Task { [weak self, clock = services.clock] in
                do { try await clock.sleep(deadline) } catch { return }
                self?.timeIsOver()
            }
        }
    }

    private func timeIsOver() {
        registry.withLock { $0.forgetting = nil }
        forgetDismissed()
    }

    private static let pause: Duration = .seconds(60)

    /// Calls `handler` once: when any upload's backlog may have shrunk, or when `wait` is over. It must not block.
    public func whenBacklogChanges(within wait: Duration, _ handler: @escaping @Sendable () -> Void) {
        services.backlog.next(orAt: services.clock.now() + wait, handler)
    }

    /// Writes that wait for space in the spool.
    public var spaceQueue: SpaceQueue { services.space }

    /// How many calls are left before the platform asks to wait, where it tells.
    public var rateLimit: RateLimit? { services.client.rateLimits.tightest(at: services.clock.wallTime()) }

    /// What went through the mount so far.
    public var totals: TransferTotals { services.totals }

    /// The moment, on the engine's clock.
    public var now: Instant { services.clock.now() }

    /// Returns when every committed upload has ended, or the task is cancelled.
    public func untilIdle() async {
        // One that was committed a moment ago may not have said so yet.
        for upload in uploads { upload.tellInFlight() }
        await services.inFlight.untilIdle()
    }

    /// Ends what is under way: every call, PUT and timer of the uploads, and the tidying up. Uploads stand still
    /// afterwards, whoever waits for them. The client is the caller's to shut down.
    public func stop() async {
        for upload in uploads { upload.stop() }
        registry.withLock { $0.forgetting }?.cancel()
        await services.assets.stop()
        services.gate.close()
        services.keyCheck.cancel()
        services.cleaner.cancel()
        await services.cleaner.finish()
    }

    /// Waits until abandoned sessions are tidied up.
    public func finishCleaning() async {
        await services.cleaner.finish()
    }
}
