import Foundation
import ProcessInspection

/// A tree of files like `/proc`, to put into it what no kernel would show on demand.
final class FakeProc: Sendable {
    let root: String

    init() throws {
        root = NSTemporaryDirectory() + "proc-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    }

    /// To be called at the end of the test: an object lives only until its last use, which may be before the tree's.
    func remove() {
        // Never chmod what is found here: the links lead out of the tree, to real files and devices.
        try? FileManager.default.removeItem(atPath: root)
    }

    var table: ProcessTable { ProcessTable(root: root) }

    func table(_ fileStatus: @escaping FileStatus.Call) -> ProcessTable {
        ProcessTable(root: root, fileStatus: fileStatus)
    }

    func write(_ path: String, _ bytes: [UInt8]) throws {
        let url = URL(fileURLWithPath: "\(root)/\(path)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func write(_ path: String, _ text: String) throws {
        try write(path, Array(text.utf8))
    }

    /// A process with everything that is read of one; the first thread of its own unless told otherwise.
    func add(
        _ pid: Int32, command: String = "cp", group: Int32? = nil, parent: Int32 = 1, flags: UInt32 = 0x40_0000,
        exitCode: Int32 = 0, descriptors: Int = 64, program: Int = 68, user: UInt32 = 4711, more: String = ""
    ) throws {
        try write("\(pid)/stat", Self.stat(pid, command, parent, flags, exitCode))
        try write(
            "\(pid)/status",
            """
            Name:\t\(command)
            Umask:\t0022
            State:\tS (sleeping)
            Tgid:\t\(group ?? pid)
            Pid:\t\(pid)
            PPid:\t\(parent)
            Uid:\t\(user)\t\(user)\t\(user)\t\(user)
            FDSize:\t\(descriptors)
            VmExe:\t      \(program) kB
            SigPnd:\t0000000000000000
            ShdPnd:\t0000000000000000
            SigBlk:\t0000000000000000
            SigIgn:\t0000000000000000
            SigCgt:\t0000000000000000

            """ + more)
        try write("\(pid)/comm", command + "\n")
        try FileManager.default.createDirectory(atPath: "\(root)/\(pid)/fd", withIntermediateDirectories: true)
    }

    /// A descriptor of a process: the text of its link, and its `fdinfo`.
    func add(
        _ number: Int32, of pid: Int32, link: String, flags: Int32 = 0o100000, mountID: Int32 = 40, inode: UInt64? = 7,
        position: Int64 = 0
    ) throws {
        try FileManager.default.createDirectory(atPath: "\(root)/\(pid)/fd", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: "\(root)/\(pid)/fd/\(number)", withDestinationPath: link)
        try write(
            "\(pid)/fdinfo/\(number)",
            "pos:\t\(position)\nflags:\t0\(String(flags, radix: 8))\nmnt_id:\t\(mountID)\n"
                + (inode.map { "ino:\t\($0)\n" } ?? ""))
    }

    /// `self/mountinfo` with one line for each mount.
    func setMounts(_ mounts: [(id: Int32, device: String, path: String, fileSystem: String)]) throws {
        let lines = mounts.map { "\($0.id) 1 \($0.device) / \($0.path) rw shared:1 - \($0.fileSystem) none rw\n" }
        try write("self/mountinfo", lines.joined())
    }

    /// A snapshot of no processes: all are later ones.
    var empty: ProcessSnapshot { ProcessTable(root: root + "/nowhere").snapshot() }

    static func stat(
        _ pid: Int32, _ command: String, _ parent: Int32 = 1, _ flags: UInt32 = 0x40_0000, _ exitCode: Int32 = 0
    ) -> String {
        let upTo22 = "S \(parent) \(pid) \(pid) 0 -1 \(flags) 0 0 0 0 1 2 0 0 20 0 1 0 123456"
        return "\(pid) (\(command)) \(upTo22) " + Array(repeating: "0", count: 29).joined(separator: " ")
            + " \(exitCode)\n"
    }
}

/// Holds up whoever comes before it is opened.
final class ChildGate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func wait() {
        semaphore.wait()
        semaphore.signal()
    }

    func open() {
        semaphore.signal()
    }
}

/// A condition did not come true in time.
struct NeverCameTrue: Error, CustomStringConvertible {
    let description: String
}

/// Looks again and again until `body` gives a value; for what another process does at its own pace.
func awaited<Value>(_ what: String, _ body: () throws -> Value?) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if let value = try body() { return value }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw NeverCameTrue(description: what)
}

func awaitTrue(_ what: String, _ condition: () throws -> Bool) async throws {
    _ = try await awaited(what) { try condition() ? true : nil }
}
