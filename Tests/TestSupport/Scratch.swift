import Foundation

/// A temporary folder of one test.
package final class Scratch: Sendable {
    /// The folder's absolute path, with symbolic links resolved.
    package let path: String

    private init(path: String) {
        self.path = path
    }

    /// Makes a new folder that every user may enter, so that tests can also run as an ordinary user.
    package static func make() throws -> Scratch {
        let base = ProcessInfo.processInfo.environment["TWELVEFS_TEST_RUN_DIR"] ?? NSTemporaryDirectory()
        // As the kernel and twelvefs show it: `TMPDIR` may end in a slash.
        let folder = URL(fileURLWithPath: base).path
        var template = Array("\(folder)/twelvefs-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemFailure(call: "mkdtemp", path: base, code: errno) }
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        chmod(path, 0o755)
        return Scratch(path: path)
    }

    /// Removes the folder with everything in it, unless `TWELVEFS_TEST_KEEP` asks to keep it for a look.
    package func remove() {
        guard ProcessInfo.processInfo.environment["TWELVEFS_TEST_KEEP"] == nil else {
            print("kept: \(path)")
            return
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of something in the folder.
    package func appending(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a folder in it and returns its path.
    package func folder(_ name: String, mode: mode_t = 0o755) throws -> String {
        let folder = appending(name)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        chmod(folder, mode)
        return folder
    }

    /// Writes a text file in it and returns its path.
    package func file(_ name: String, _ text: String) throws -> String {
        let file = appending(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}

/// Runs `body` with a temporary folder that is gone afterwards, however `body` ends, together with every tool that was started meanwhile.
package func withScratch<Value>(_ body: (Scratch) async throws -> Value) async throws -> Value {
    let scratch = try Scratch.make()
    let tools = RunningTools()
    defer {
        tools.killAll()
        scratch.remove()
    }
    return try await RunningTools.$current.withValue(tools) { try await body(scratch) }
}

/// A system call failed.
package struct SystemFailure: Error, CustomStringConvertible {
    /// The call's name.
    package let call: String
    /// What it was about.
    package let path: String
    /// Its `errno`.
    package let code: Int32

    package var description: String { "\(call) \(path): \(String(cString: strerror(code)))" }

    package init(call: String, path: String, code: Int32) {
        self.call = call
        self.path = path
        self.code = code
    }
}
