import NIOCore
import NIOPosix
import Synchronization

/// A stand-in for the platform's multipart uploads and for its object store.
///
/// It is strict where the real one is strict, records every request, and can be told to fail.
///
///     let sandbox = try await Sandbox.start()
///     … requests to sandbox.baseURL …
///     await sandbox.stop()
public final class Sandbox: Sendable {
    /// The API's base URL: `http://127.0.0.1:PORT/v1.3`.
    public let baseURL: String
    /// Scheme, host and port of the API; the store is below `/_store`, unless it has a port of its own.
    public let origin: String
    /// Scheme, host and port of the control calls, which are below `/_sandbox`.
    public let controlOrigin: String
    /// The port that it listens on.
    public let port: Int
    /// The store's port; the same where it has none of its own.
    public let storePort: Int

    private let platform: Platform
    private let connections: Connections
    private let listeners: [Listener]
    private let group: MultiThreadedEventLoopGroup
    private let isStopped = Mutex(false)

    /// Starts listening. Throws when the address is taken or others could reach it, or the state directory or the certificate cannot be used.
    public static func start(_ configuration: SandboxConfiguration = SandboxConfiguration()) async throws -> Sandbox {
        try configuration.checkHost()
        let disk = NIOThreadPool(numberOfThreads: configuration.diskThreads)
        disk.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoopThreads)
        var directory: SandboxStateDirectory?
        do {
            let opened = try SandboxStateDirectory(path: configuration.stateDirectory, disk: disk)
            directory = opened
            let platform = try Platform(configuration, directory: opened, disk: disk)
            let ports = try await Ports.open(configuration, platform, group)
            return Sandbox(configuration, platform, ports, group)
        } catch {
            await directory?.close()
            try? await disk.shutdownGracefully()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ configuration: SandboxConfiguration, _ platform: Platform, _ ports: Ports,
        _ group: MultiThreadedEventLoopGroup
    ) {
        self.platform = platform
        self.group = group
        connections = ports.connections
        listeners = ports.listeners
        port = ports.main
        storePort = ports.store ?? ports.main
        origin = configuration.scheme + "://" + configuration.authority(port: ports.main)
        controlOrigin = ports.control.map { "http://127.0.0.1:\($0)" } ?? origin
        baseURL = origin + "/v1.3"
    }

    /// Ends all connections and removes what was temporary. Requests that are under way get no answer.
    public func stop() async {
        let isFirst = isStopped.withLock { stopped in
            defer { stopped = true }
            return !stopped
        }
        guard isFirst else { return }
        for listener in listeners { listener.cancel() }
        platform.faults.clear()
        connections.closeAll()
        for listener in listeners { await listener.ended() }
        try? await platform.disk.shutdownGracefully()
        await platform.directory.close()
        try? await group.shutdownGracefully()
    }
}

/// Why the stand-in cannot start.
public struct SandboxFailure: Error, CustomStringConvertible {
    /// For people.
    public let description: String
}

extension Sandbox {
    /// Every request so far, in the order of arrival.
    public func journal() -> [JournalEntry] { platform.journal.entries }

    /// The requests of one kind.
    public func journal(of kind: RequestKind) -> [JournalEntry] { platform.journal.entries.filter { $0.kind == kind } }

    /// Empties the journal.
    public func clearJournal() { platform.journal.clear() }

    /// The most PUTs that were under way at once since the journal was emptied.
    public var peakConcurrentPuts: Int { peakConcurrent(.put) }

    /// The most requests of a kind that were under way at once since the journal was emptied.
    public func peakConcurrent(_ kind: RequestKind) -> Int { platform.journal.peaks[kind] ?? 0 }

    /// Returns once the journal is as the condition says; it is looked at after each request's start and end.
    /// Throws `CancellationError` when the task is cancelled first.
    public func waitForJournal(until condition: @Sendable ([JournalEntry]) -> Bool) async throws {
        try await platform.journal.wait(until: condition)
    }

    /// All assets, oldest first, with the SHA-256 of the complete ones.
    public func assets() async throws -> [SandboxAsset] { try await platform.assets() }

    /// The complete assets that were not deleted.
    public func completeAssets() async throws -> [SandboxAsset] {
        try await platform.assets().filter { $0.complete && !$0.deleted }
    }

    /// An asset's bytes; nil when it is not complete or was deleted.
    public func content(ofAsset assetID: String) async throws -> ByteBuffer? {
        guard let record = platform.sessions.record(ofAsset: assetID), record.isComplete, !record.deleted else {
            return nil
        }
        let content = platform.content(of: record)
        var bytes = ByteBuffer()
        while Int64(bytes.readableBytes) < content.size {
            var piece = try await content.read(at: Int64(bytes.readableBytes), upTo: content.size)
            bytes.writeBuffer(&piece)
        }
        return bytes
    }

    /// Faults to come, after those that are still to come.
    public func add(_ faults: InjectedFault...) { platform.faults.add(faults) }

    /// No more faults; requests that hang go on.
    public func clearFaults() { platform.faults.clear() }

    /// Changes settings while it runs.
    public func configure(_ change: (inout SandboxSettings) -> Void) { platform.configure(change) }

    /// Ends a session: `failed` or `expired`. Nothing happens when it is over, or there is no such session.
    public func endSession(_ uploadID: String, as status: String) async throws {
        try await platform.end(uploadID, as: status)
    }

    /// Lets an asset be deleted with `force` only, as one that something refers to.
    public func refer(toAsset assetID: String) async throws {
        try await platform.change(asset: assetID) { $0.isReferredTo = true }
    }

    /// Closes every connection, as a restart of the platform does.
    public func dropConnections() { connections.closeAll() }
}
