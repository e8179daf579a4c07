import FoundationEssentials
import Glibc
import Logging
import NIOPosix
import Synchronization

/// Where the stand-in keeps its state, so that it goes on after a restart, or a crash, where it was:
///
///     secret                              signs the URLs
///     journal.jsonl                       every request: see `JournalFile`
///     sessions/<upload_id>/session.json   what was asked for, what was reported
///     sessions/<upload_id>/spent          serials of URLs that were used, one a line
///     sessions/<upload_id>/part-<n>.json  which file holds chunk n, with its ETag
///     sessions/<upload_id>/part-<n>.<serial>
///
/// Descriptions are replaced as a whole, and before what they describe is answered. Faults and settings that were
/// changed while it ran are those of the process: another one has what it is started with. Nothing is synced: this
/// survives the process's end, not the machine's.
final class SandboxStateDirectory: Sendable {
    let path: String
    private let isTemporary: Bool
    private let disk: NIOThreadPool
    /// One thread, so that descriptions are written in the order in which they are handed over.
    private let scribe = NIOThreadPool(numberOfThreads: 1)
    /// The latest change of each session that was written.
    private let written = Mutex<[String: UInt64]>([:])

    /// Throws when the directory cannot be made.
    init(path: String?, disk: NIOThreadPool) throws {
        if let path {
            self.path = path
            isTemporary = false
        } else {
            let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
            var template = Array("\(base)/twelvefs-sandbox.XXXXXX".utf8CString)
            let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } != nil }
            guard made else { throw FileFailure(call: "mkdtemp", path: base, code: errno) }
            self.path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            isTemporary = true
        }
        self.disk = disk
        do {
            try FileManager.default.createDirectory(
                atPath: self.path + "/sessions", withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw SandboxFailure(description: "\(self.path) cannot be used as the state directory.")
        }
        scribe.start()
    }

    /// Removes the directory when it is a temporary one.
    func close() async {
        try? await scribe.shutdownGracefully()
        if isTemporary { try? FileManager.default.removeItem(atPath: path) }
    }

    func directory(of uploadID: String) -> String { "\(path)/sessions/\(uploadID)" }

    /// The secret that signs URLs: the same after a restart, so that URLs given out before still work.
    func secret() throws -> [UInt8] {
        if let bytes = try? PosixFile.contents(of: path + "/secret"), bytes.count == 32 { return bytes }
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        try PosixFile.replace(path + "/secret", with: bytes)
        return bytes
    }

    /// What an earlier run left. A session whose description cannot be read is left alone and not offered.
    func load(logger: Logger) throws -> [SandboxUpload] {
        try FileManager.default.contentsOfDirectory(atPath: path + "/sessions").compactMap { name in
            do {
                return try loadRecord(in: directory(of: name))
            } catch {
                logger.warning("session cannot be read", metadata: ["upload_id": "\(name)", "error": "\(error)"])
                return nil
            }
        }
    }

    private func loadRecord(in directory: String) throws -> SandboxUpload {
        let decoder = JSONDecoder()
        let session = try PosixFile.contents(of: directory + "/session.json")
        var record = try decoder.decode(SandboxUpload.self, from: Data(session))
        if let spent = try? PosixFile.contents(of: directory + "/spent") {
            record.spentSerials = Set(spent.split(separator: 10).map { String(decoding: $0, as: UTF8.self) })
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
            guard name.hasPrefix("part-"), name.hasSuffix(".json"), let index = Int(name.dropFirst(5).dropLast(5))
            else { continue }
            let part = try PosixFile.contents(of: "\(directory)/\(name)")
            record.parts[index] = try decoder.decode(StoredPart.self, from: Data(part))
        }
        return record
    }

    /// Makes the session's directory and writes its first description.
    func create(_ snapshot: SessionStore.Snapshot) async throws {
        let directory = directory(of: snapshot.record.uploadID)
        try await disk.runIfActive {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        try await write(snapshot)
    }

    /// Writes the session's description, unless a newer one has been written already.
    func write(_ snapshot: SessionStore.Snapshot) async throws {
        let record = snapshot.record
        let file = directory(of: record.uploadID) + "/session.json"
        try await scribe.runIfActive { [self] in
            let isNewer = written.withLock { written in
                guard written[record.uploadID, default: 0] < snapshot.change else { return false }
                written[record.uploadID] = snapshot.change
                return true
            }
            if isNewer { try PosixFile.replace(file, with: Array(JSONEncoder().encode(record))) }
        }
    }

    /// Notes that a URL was used.
    func spend(serial: String, of uploadID: String) async throws {
        let file = directory(of: uploadID) + "/spent"
        try await disk.runIfActive { try PosixFile.append(Array((serial + "\n").utf8), to: file) }
    }

    /// Writes which file holds a chunk; the file that held it before goes.
    /// - Parameter current: what holds it when the description is written, which may be later than this call.
    func describe(
        chunk: Int, of uploadID: String, removing old: StoredPart?, _ current: @escaping @Sendable () -> StoredPart?
    ) async throws {
        let directory = directory(of: uploadID)
        try await scribe.runIfActive {
            if let part = current() {
                try PosixFile.replace("\(directory)/part-\(chunk).json", with: Array(JSONEncoder().encode(part)))
            }
            if let old { PosixFile.remove("\(directory)/\(old.file)") }
        }
    }

    /// Removes a session's parts; its description stays.
    func removeParts(_ record: SandboxUpload) async throws {
        let directory = directory(of: record.uploadID)
        try await disk.runIfActive {
            for (index, part) in record.parts {
                PosixFile.remove("\(directory)/part-\(index).json")
                PosixFile.remove("\(directory)/\(part.file)")
            }
        }
    }
}
