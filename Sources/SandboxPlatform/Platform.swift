import NIOCore
import NIOPosix
import Synchronization

/// What all requests share: settings, sessions, parts, journal and faults.
final class Platform: Sendable {
    let clock: any SandboxClock
    let settings: Mutex<SandboxSettings>
    let sessions: SessionStore
    let directory: SandboxStateDirectory
    let signer: URLSigner
    let journal: RequestJournal
    let faults: FaultTable
    let throttle: Throttle
    let disk: NIOThreadPool
    let ids = ObjectIDSource()
    let limiter = RateLimiter()
    let unenforced: Set<Constraint>

    init(_ configuration: SandboxConfiguration, directory: SandboxStateDirectory, disk: NIOThreadPool) throws {
        clock = configuration.clock
        unenforced = configuration.unenforced
        settings = Mutex(configuration.settings)
        sessions = SessionStore(try directory.load(logger: configuration.logger))
        self.directory = directory
        signer = URLSigner(secret: try directory.secret())
        // A temporary directory is gone before anybody could read it again.
        if configuration.stateDirectory != nil {
            let (file, entries) = try JournalFile.open(in: directory.path)
            journal = RequestJournal(keptIn: file, after: entries)
        } else {
            journal = RequestJournal()
        }
        faults = FaultTable(configuration.faults)
        throttle = Throttle(clock: configuration.clock)
        throttle.limit(to: configuration.bandwidth)
        self.disk = disk
    }

    var currentSettings: SandboxSettings { settings.withLock { $0 } }

    /// The time of day as the platform sees it.
    var now: WallTime { clock.now.advanced(by: currentSettings.clockSkew) }

    /// Throws, and changes nothing, for a setting that is not known.
    func configure(_ changes: SandboxJSON) throws(Refusal) {
        let failure = settings.withLock { settings -> Refusal? in
            do throws(Refusal) {
                try settings.apply(changes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        throttle.limit(to: currentSettings.bandwidth)
    }

    func configure(_ change: (inout SandboxSettings) -> Void) {
        settings.withLock { change(&$0) }
        throttle.limit(to: currentSettings.bandwidth)
    }

    /// How long ago the last report was on what a request is about; nil when there was none, or it is about nothing.
    func timeSinceCompletion(of route: Route) -> Duration? {
        let record =
            route.uploadID.flatMap { sessions.record($0) } ?? route.assetID.flatMap { sessions.record(ofAsset: $0) }
        return record?.completedAt.map { .milliseconds(Int64((now.seconds - $0.seconds) * 1000)) }
    }

    func content(of record: SandboxUpload) -> AssetContent {
        AssetContent(record, directory: directory.directory(of: record.uploadID), disk: disk)
    }

    /// `processing`, `ready` or `failed`, as the asset's status field has it.
    func assetStatus(of record: SandboxUpload, at now: WallTime) -> String {
        switch record.status(at: now) {
        case .active: "processing"
        case .failed, .expired: "failed"
        case .completed:
            if let processedAt = record.processedAt, now < processedAt {
                "processing"
            } else {
                record.assetFailure == nil ? "ready" : "failed"
            }
        }
    }

    /// All assets, oldest first. Digests that are not known yet are computed, which reads the assets' parts.
    func assets(withDigests: Bool = true) async throws -> [SandboxAsset] {
        var assets: [SandboxAsset] = []
        for record in sessions.all {
            var digest = record.sha256
            if digest == nil, withDigests, record.isComplete, !record.deleted {
                digest = try await computeDigest(of: record)
            }
            let now = now
            assets.append(
                SandboxAsset(
                    assetID: record.assetID, uploadID: record.uploadID, filename: record.filename, type: record.type,
                    size: record.totalSize, sha256: digest, status: assetStatus(of: record, at: now),
                    sessionStatus: record.status(at: now).rawValue, complete: record.isComplete,
                    deleted: record.deleted, options: record.options))
        }
        return assets
    }

    private func computeDigest(of record: SandboxUpload) async throws -> String {
        let digest = try await content(of: record).sha256()
        let (_, snapshot) = try sessions.change(record.uploadID, orThrow: .notFound("upload session")) {
            record throws(Refusal) in record.sha256 = digest
        }
        try await directory.write(snapshot)
        return digest
    }

    /// Lets a session be `failed` or `expired` from now on; one that is complete stays so.
    func end(_ uploadID: String, as status: String) async throws {
        let now = now
        let (_, snapshot) = try sessions.change(uploadID, orThrow: .notFound("upload session")) {
            record throws(Refusal) in
            guard record.storedStatus == .active else { return }
            if status == "failed" {
                record.storedStatus = .failed
            } else {
                record.expiresAt = min(record.expiresAt, now)
            }
            record.updatedAt = now
        }
        try await directory.write(snapshot)
    }

    /// Changes an asset. Throws when there is none.
    func change(asset assetID: String, _ body: (inout SandboxUpload) -> Void) async throws {
        guard let record = sessions.record(ofAsset: assetID) else { throw Refusal.notFound("asset") }
        let (_, snapshot) = try sessions.change(record.uploadID, orThrow: .notFound("asset")) {
            record throws(Refusal) in body(&record)
        }
        try await directory.write(snapshot)
    }
}
