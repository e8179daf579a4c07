import Foundation
import Synchronization

/// A program that writes into a file one step at a time, so that a test can do something in between.
package final class StepwiseWriter: Sendable {
    private let tool: RunningTool
    private let pipe: FileHandle
    private let steps = Mutex(0)

    private init(tool: RunningTool, pipe: FileHandle) {
        self.tool = tool
        self.pipe = pipe
    }

    /// Starts one that makes `target` and is to write what is in `source`, which it has open to read.
    package static func start(_ source: String, _ target: String, in scratch: Scratch) async throws -> StepwiseWriter {
        let pipe = scratch.appending("steps-\(UUID().uuidString)")
        guard mkfifo(pipe, 0o600) == 0 else { throw SystemFailure(call: "mkfifo", path: pipe, code: errno) }
        // To read as well: so that opening it does not wait for the other side.
        guard let handle = FileHandle(forUpdatingAtPath: pipe) else {
            throw SystemFailure(call: "open", path: pipe, code: errno)
        }
        let tool = try await TestSupport.start(Tool.python("stepwise_writer.py", [pipe, source, target]))
        return StepwiseWriter(tool: tool, pipe: handle)
    }

    /// Writes the next bytes of its source; returns "ok" or the name of the error, for example `ENOSPC`.
    package func write(_ count: Int) async throws -> String { try await perform("write \(count)") }

    /// Has what it wrote put on disk.
    package func fsync() async throws -> String { try await perform("fsync") }

    /// Closes the file.
    package func close() async throws -> String { try await perform("close") }

    /// Begins to close, and does not wait for how it goes: ``result()`` tells.
    package func beginClose() throws { try begin("close") }

    /// How the step that was begun last went.
    package func result() async throws -> String {
        let number = steps.withLock { $0 }
        return try await eventually("step \(number) is done", timeout: .seconds(60)) {
            let lines = self.tool.outputSoFar.split(separator: "\n", omittingEmptySubsequences: false)
            // The last one is only whole once the next has begun.
            return lines.count > number ? String(lines[number - 1]) : nil
        }
    }

    private func begin(_ step: String) throws {
        steps.withLock { $0 += 1 }
        try pipe.write(contentsOf: Data("\(step)\n".utf8))
    }

    private func perform(_ step: String) async throws -> String {
        try begin(step)
        return try await result()
    }

    /// Sends it a signal.
    package func signal(_ number: Int32) { tool.signal(number) }
}
