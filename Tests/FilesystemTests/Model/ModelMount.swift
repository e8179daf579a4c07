import Dispatch
import FileTree
import Filesystem
import Formats
import Foundation
import FuseLowLevel
import GRDB
import Logging
import NIOPosix
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// What distinguishes one run of the model test from another, besides its operations.
struct ModelSettings: Sendable, CustomStringConvertible {
    var closeMode = CloseMode.upload
    /// Of the spool, in KiB; nil for as much as there is.
    var spoolLimit: Int64?

    var description: String { "\(closeMode.rawValue) \(spoolLimit ?? 0)" }

    init() {}

    /// From what `description` gives.
    init(_ text: String) {
        let words = text.split(separator: " ")
        closeMode = words.first.flatMap { CloseMode(rawValue: String($0)) } ?? .upload
        spoolLimit = words.dropFirst().first.flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
    }

    /// What a file that is to be uploaded may have, in bytes.
    static let maxFileSize: Int64 = 40_000
}

/// The file system as a process has it: its engine, its spool, its journal, without FUSE and without a network.
///
/// The calls are those that FUSE would make, and block.
final class ModelMount: Sendable {
    let filesystem: FilesystemService
    let engine: UploadEngine
    let spool: SpoolDirectory
    let journal: UploadStore.Journal
    let writers = ModelWriters()
    let stateDirectory: String
    private let line: PlatformLine

    /// Tells what it has to tell where `TWELVEFS_TEST_LOG` is set.
    static let logger = Logger(label: "model") { label in
        guard ProcessInfo.processInfo.environment["TWELVEFS_TEST_LOG"] != nil else { return SwiftLogNoOpLogHandler() }
        return StreamLogHandler.standardError(label: label)
    }

    /// Starts on a state directory, as `twelvefs mount` does.
    init(
        _ stateDirectory: String, _ settings: ModelSettings, platform: ScriptedPlatform, threads: NIOThreadPool
    ) throws {
        self.stateDirectory = stateDirectory
        line = PlatformLine(to: platform)
        journal = try UploadStore.Journal(stateDirectory: stateDirectory, bootID: "boot")
        let limit = settings.spoolLimit.map { ByteCount.kibibytes($0) }
        spool = try SpoolDirectory(
            stateDirectory: stateDirectory, limit: limit, diskReserve: ByteCount(0), descriptorLimit: 16)
        try spool.setAsideOrphans(except: journal.contents.spoolNames)
        var configuration = EngineConfiguration()
        configuration.upload.sizeLimit = ModelSettings.maxFileSize
        configuration.upload.spaceLimit = limit?.bytes
        configuration.upload.writtenBeforeSession = 4096
        configuration.upload.stallTimeout = .seconds(10_000_000)
        engine = UploadEngine(
            configuration: configuration, client: line, threads: threads, clock: .fast, logger: Self.logger,
            journal: journal)
        var mount = FilesystemConfiguration(uid: 0, gid: 0, mountPoint: "/mnt")
        mount.maxFileSize = ModelSettings.maxFileSize
        mount.names = NamePolicy(otherFiles: .keep)
        mount.closeMode = settings.closeMode
        mount.keepInterrupted = settings.spoolLimit == nil ? .milliseconds(1) : .seconds(86_400)
        filesystem = FilesystemService(
            configuration: mount, engine: engine, spool: spool, writers: writers, logger: Self.logger, journal: journal)
        filesystem.recover()
        filesystem.resume()
    }

    // MARK: The end

    /// Leaves in `next` what a process finds that is started after this one was killed now: the transactions that the
    /// journal has made, and the spool at the same moment. Nothing of this one matters any more.
    func crash(leaving next: String) throws {
        line.cut()
        let spool = "\(stateDirectory)/spool"
        var before: [String: SparseCopy.Look] = [:]
        repeat {
            // Threads that are late: what is copied has to be of one moment, as a kill leaves it.
            try? FileManager.default.removeItem(atPath: "\(next)/spool")
            for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
                try? FileManager.default.removeItem(atPath: "\(next)/\(name)")
            }
            before = SparseCopy.looks(at: spool)
            let journal = try DatabaseQueue(path: "\(stateDirectory)/journal.sqlite")
            try journal.backup(to: try DatabaseQueue(path: "\(next)/journal.sqlite"))
            try leaveSpool(in: next)
        } while SparseCopy.looks(at: spool) != before
        stop()
    }

    /// Ends as an unmount does, and leaves everything in `next`.
    func unmount(leaving next: String) throws {
        filesystem.putLeftoversOnDisk()
        filesystem.answerWaitingCloses(UploadFailure(.stalled, message: "the mount ended"))
        stop()
        journal.close()
        for name in ["journal.sqlite", "journal.sqlite-wal"]
        where FileManager.default.fileExists(atPath: "\(stateDirectory)/\(name)") {
            try FileManager.default.copyItem(atPath: "\(stateDirectory)/\(name)", toPath: "\(next)/\(name)")
        }
        try leaveSpool(in: next)
    }

    /// Copied, not moved: threads of this process that are late may still remove what was theirs.
    private func leaveSpool(in next: String) throws {
        try FileManager.default.createDirectory(
            atPath: "\(next)/spool", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for name in try FileManager.default.contentsOfDirectory(atPath: "\(stateDirectory)/spool") {
            try SparseCopy.copy("\(stateDirectory)/spool/\(name)", to: "\(next)/spool/\(name)")
        }
    }

    func stop() { _ = Blocking.wait { await self.engine.stop() } }

    // MARK: Names

    func lookup(_ path: [String]) throws(FuseErrno) -> NodeID {
        var node = NodeID.root
        for name in path { node = try filesystem.namespace.lookup(Array(name.utf8), in: node).node }
        return node
    }

    func size(_ node: NodeID) throws(FuseErrno) -> Int64 { try filesystem.namespace.attributes(of: node).size }

    func makeDirectory(_ name: String, in parent: NodeID) throws(FuseErrno) {
        _ = try filesystem.namespace.makeDirectory(
            Array(name.utf8), in: parent, permissions: 0o755, context: Self.caller(1))
    }

    func removeDirectory(_ name: String, in parent: NodeID) throws(FuseErrno) {
        try filesystem.namespace.removeDirectory(Array(name.utf8), in: parent)
    }

    func unlink(_ name: String, in parent: NodeID) throws(FuseErrno) {
        try filesystem.namespace.removeFile(Array(name.utf8), in: parent)
    }

    func rename(_ name: String, in parent: NodeID, to newName: String, in newParent: NodeID, flags: FileRenameFlags)
        -> ModelAnswer
    {
        let answer = ModelAnswer()
        filesystem.committer.rename(
            Array(name.utf8), in: parent, to: Array(newName.utf8), in: newParent, flags: flags, pid: 1, answer.wait)
        return answer
    }

    // MARK: Files

    static func caller(_ pid: Int32) -> FuseRequestContext { FuseRequestContext(pid: pid, uid: 0, gid: 0, umask: 0) }

    func create(_ name: String, in parent: NodeID, by pid: Int32) throws(FuseErrno) -> (node: NodeID, handle: UInt64) {
        let (node, file) = try filesystem.namespace.createFile(
            Array(name.utf8), in: parent, permissions: 0o644, context: Self.caller(pid))
        let open = try filesystem.content.openHandle(file, node: node, canWrite: true, context: Self.caller(pid))
        writers.opened(node.rawValue, by: pid)
        return (node, open.handle)
    }

    func open(_ node: NodeID, write: Bool, truncate: Bool, by pid: Int32) throws(FuseErrno) -> UInt64 {
        let flags = FileOpenFlags(rawValue: (write ? O_RDWR : O_RDONLY) | (truncate ? O_TRUNC : 0))
        let handle = try filesystem.open(node, flags: flags, context: Self.caller(pid)).handle
        if write { writers.opened(node.rawValue, by: pid) }
        return handle
    }

    func write(_ bytes: [UInt8], to handle: UInt64, at offset: Int64, by pid: Int32) throws(FuseErrno) -> Int {
        let outcome = bytes.withUnsafeBytes { bytes -> Result<Int, FuseErrno> in
            do throws(FuseErrno) {
                return .success(
                    try filesystem.content.write(bytes, handle: handle, at: offset, context: Self.caller(pid)))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        do throws(FuseErrno) {
            return try filesystem.content.read(handle, at: offset, count: count)
        } catch {
            guard error == .ioError,
                let remote = filesystem.content.remoteRead(handle, at: offset, count: count)
            else { throw error }
            let outcome = Blocking.wait { () async -> Result<[UInt8], FuseErrno> in
                do throws(FuseErrno) {
                    return .success(try await self.filesystem.content.bytes(of: remote))
                } catch {
                    return .failure(error)
                }
            }
            return try (outcome ?? .failure(.timedOut)).get()
        }
    }

    func truncate(_ node: NodeID, to size: Int64, handle: UInt64?, by pid: Int32) throws(FuseErrno) {
        var changes = FileAttributeChanges()
        changes.size = size
        _ = try filesystem.setAttributes(of: node, changes, handle: handle, context: Self.caller(pid))
    }

    func allocate(
        _ handle: UInt64, _ mode: FileAllocationMode, at offset: Int64, count: Int64, by pid: Int32
    ) throws(FuseErrno) {
        try filesystem.content.allocate(
            handle, mode: mode, offset: offset, length: count, context: Self.caller(pid))
    }

    func synchronize(_ handle: UInt64) -> ModelAnswer {
        let answer = ModelAnswer()
        do throws(FuseErrno) {
            let open = try filesystem.content.handles.get(handle)
            filesystem.durability.synchronize(open) { answer.give($0) }
        } catch {
            answer.give(.failure(error))
        }
        return answer
    }

    /// A FLUSH, and what it is answered with.
    func flush(_ handle: UInt64, by pid: Int32) -> ModelAnswer {
        let answer = ModelAnswer()
        filesystem.committer.close(handle, context: Self.caller(pid), answer.wait)
        return answer
    }

    func release(_ handle: UInt64) { filesystem.committer.release(handle) }

    /// Returns when every upload that was committed is decided, and the journal knows it.
    func becomeIdle() throws {
        guard Blocking.wait(limit: 30, { await self.engine.untilIdle() }) != nil else {
            throw ModelFailure("uploads do not end: \(engine.uploads.map { $0.status().state })")
        }
        try journal.waitUntilWritten(durably: false)
    }
}
