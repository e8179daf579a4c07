import Foundation
import Synchronization

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The stand-in of the platform, as a process of its own.
package final class SandboxProcess: Sendable {
    /// The key it takes.
    package static let key = "sandbox-key"

    private struct State {
        var tool: RunningTool?
        var addresses: Addresses?
    }

    /// What it says when it listens.
    private struct Addresses {
        /// The base URL of the API.
        var api: String
        /// The base URL of the control calls.
        var control: String

        /// Nil until as many lines are whole as it says them.
        init?(_ output: String, hasControlPort: Bool) {
            let lines = output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            guard lines.count >= (hasControlPort ? 2 : 1), let api = lines[0].split(separator: " ").last,
                let components = URLComponents(string: String(api)), let port = components.port
            else { return nil }
            self.api = String(api)
            self.port = port
            let control = hasControlPort ? lines[1].split(separator: " ").last : nil
            self.control = control.map(String.init) ?? "\(api.dropLast("/v1.3".count))/_sandbox"
        }

        var port: Int
    }

    private let state: Mutex<State>
    private let options: [String]
    private let stateDirectory: String

    private init(options: [String], stateDirectory: String) {
        self.options = options
        self.stateDirectory = stateDirectory
        state = Mutex(State(tool: nil, addresses: nil))
    }

    /// Starts one on a free port of the loopback interface, with its parts on disk below `folder`.
    package static func start(_ options: [String] = [], folder: String) async throws -> SandboxProcess {
        let sandbox = SandboxProcess(options: options, stateDirectory: folder)
        try await sandbox.startAgain()
        return sandbox
    }

    /// Starts it again after ``stop()`` or ``kill()``, on the port it had.
    package func startAgain() async throws {
        let port = state.withLock { $0.addresses?.port } ?? 0
        var tool = Tool(
            BuildProducts.sandbox,
            ["--port", "\(port)", "--state-dir", stateDirectory, "--api-key", Self.key] + options)
        tool.workingDirectory = "/"
        let running = try await TestSupport.start(tool)
        state.withLock { $0.tool = running }
        let hasControlPort = options.contains("--tls-cert") || options.contains("--control-port")
        let addresses: Addresses = try await eventually("the sandbox listens") {
            guard running.isRunning else { throw ToolFailed(outcome: try await running.finished()) }
            return Addresses(running.outputSoFar, hasControlPort: hasControlPort)
        }
        state.withLock { $0.addresses = addresses }
    }

    /// The base URL for clients of the platform's API.
    package var apiURL: String { state.withLock { $0.addresses?.api ?? "" } }

    /// The base URL of the control calls.
    package var controlURL: String { state.withLock { $0.addresses?.control ?? "" } }

    /// Ends it as a service manager does, and waits for its end.
    @discardableResult
    package func stop() async throws -> Outcome? {
        guard let tool = state.withLock({ $0.tool.take() }) else { return nil }
        tool.signal(SIGTERM)
        return try await tool.finished()
    }

    /// Ends it at once.
    package func kill() async {
        guard let tool = state.withLock({ $0.tool.take() }) else { return }
        tool.killGroup()
        _ = try? await tool.finished()
    }

    // MARK: - What it saw and what it is told

    /// Everything that was asked of it.
    package func journal() async throws -> SandboxJournal { try await control("GET", "journal") }

    /// All assets, also those that are not complete.
    package func assets() async throws -> [StoredAsset] {
        struct Answer: Decodable { let assets: [StoredAsset] }
        let answer: Answer = try await control("GET", "assets")
        return answer.assets
    }

    /// The assets that have every byte and were not deleted.
    package func completeAssets() async throws -> [StoredAsset] {
        try await assets().filter { $0.complete && !$0.deleted }
    }

    /// Has it do something wrong with the next requests.
    package func inject(_ faults: Fault...) async throws {
        struct Body: Encodable { let faults: [Fault] }
        try await send("POST", "faults", body: JSONEncoder().encode(Body(faults: faults)))
    }

    /// The same, with faults as the sandbox reads them: `[{"on": "put", "answer": "reset", "after_bytes": 500}]`.
    package func inject(json faults: String) async throws {
        try await send("POST", "faults", body: Data(#"{"faults":\#(faults)}"#.utf8))
    }

    /// Has it do everything right again.
    package func clearFaults() async throws {
        try await send("DELETE", "faults")
    }

    /// Changes options while it runs, by their names on the command line with underscores, for example `chunk_size`.
    package func configure(_ changes: [String: String]) async throws {
        try await send("POST", "configuration", body: JSONEncoder().encode(changes))
    }

    private func control<Answer: Decodable>(_ method: String, _ path: String) async throws -> Answer {
        try JSONDecoder().decode(Answer.self, from: try await send(method, path))
    }

    @discardableResult
    private func send(_ method: String, _ path: String, body: Data? = nil) async throws -> Data {
        let address = "\(controlURL)/\(path)"
        guard let url = URL(string: address) else { throw ControlRefused(description: address) }
        var request = URLRequest(url: url, timeoutInterval: 60)
        request.httpMethod = method
        request.httpBody = body
        if body != nil { request.setValue("application/json", forHTTPHeaderField: "Content-Type") }
        let (data, response) = try await URLSession.shared.data(for: request)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        guard (200..<300).contains(status) else {
            throw ControlRefused(
                description: "\(method) \(address) was answered \(status): \(String(decoding: data, as: UTF8.self))")
        }
        return data
    }
}

/// The sandbox would not be told.
package struct ControlRefused: Error, CustomStringConvertible {
    package let description: String
}

extension SandboxProcess {
    /// Has the store answer no PUT: whatever waits for the network waits until ``releaseUploads()``.
    package func holdUploads() async throws { try await inject(Fault(on: .put, count: 1_000_000, .hang)) }

    /// Lets PUTs through again, those that wait included.
    package func releaseUploads() async throws { try await clearFaults() }
}
