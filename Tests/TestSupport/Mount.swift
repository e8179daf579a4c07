import Foundation
import Synchronization

/// A mount of `twelvefs`, served by a process in the background.
package final class Mount: Sendable {
    /// The mount point.
    package let path: String
    /// The process that serves it.
    package let server: pid_t
    /// What it logs.
    package let logFile: String

    /// Where the spool is.
    package var stateDirectory: String { options.stateDirectory }

    private let options: MountOptions

    private init(options: MountOptions, server: pid_t) {
        self.options = options
        self.server = server
        path = options.mountPoint
        logFile = options.logFile
    }

    /// Mounts, and returns once the mount is usable.
    ///
    /// - Throws: ``ToolFailed`` with what `twelvefs mount` said when it refused.
    package static func start(_ options: MountOptions) async throws -> Mount {
        RunRegister.mount(options.mountPoint)
        let outcome = try await run(options.tool)
        guard outcome.succeeded else { throw ToolFailed(outcome: outcome) }
        guard let server = RunningProcesses.server(of: options.mountPoint) else {
            throw SystemFailure(call: "find the server of", path: options.mountPoint, code: ESRCH)
        }
        RunRegister.process(server)
        return Mount(options: options, server: server)
    }

    /// A path in the mount.
    package func appending(_ name: String) -> String { "\(path)/\(name)" }

    /// Unmounts by the command, which waits for the serving process.
    package func unmount() async throws -> Outcome {
        var tool = Tool(BuildProducts.twelvefs, ["unmount", path])
        tool.asOrdinaryUser = options.asOrdinaryUser
        return try await run(tool)
    }

    /// Whether the serving process is still there.
    package var isServed: Bool { RunningProcesses.isRunning(server) }

    /// The names in a folder of the mount.
    package func list(_ folder: String = "") async throws -> [String] {
        let listed = appending(folder)
        return try await offload { try FileManager.default.contentsOfDirectory(atPath: listed).sorted() }
    }

    /// The newest status document of a name.
    package func status(of name: String) async throws -> UploadStatus {
        try UploadStatus.decode(try await read(".status/by-name/\(name).json"))
    }

    /// A file of the mount, whole.
    package func read(_ name: String) async throws -> Data {
        let file = appending(name)
        return try await offload { try Data(contentsOf: URL(fileURLWithPath: file)) }
    }

    /// Waits until the newest upload of a name is in a state, and returns its document.
    @discardableResult
    package func await(_ state: String, of name: String, timeout: Duration = .seconds(60)) async throws -> UploadStatus
    {
        try await eventually("\(name) is \(state)", timeout: timeout) {
            let status = try await self.status(of: name)
            return status.state == state ? status : nil
        }
    }

    /// Kills the serving process, and returns when it is gone. Its dead mount stays.
    package func killServerAndWait() async throws {
        kill(server, SIGKILL)
        try await eventually("the server is gone") { !self.isServed }
    }

    /// Kills the serving process and clears its dead mount away: the mount point is free again.
    package func crash() async throws {
        try await killServerAndWait()
        _ = try await run("fusermount3", "-uz", path)
        try await eventually("the mount point is free") { !MountedPaths.contains(self.path) }
    }

    /// Takes the mount away without asking anybody, and ends its process.
    package func destroy() async {
        kill(server, SIGKILL)
        _ = try? await run("fusermount3", "-uzq", path)
    }

    /// Ends the serving process at once; for when the test itself was cancelled and must not wait for anything.
    package func killServer() { kill(server, SIGKILL) }
}

/// What `twelvefs mount` is asked.
package struct MountOptions: Sendable {
    /// Where.
    package var mountPoint: String
    /// The platform's base URL.
    package var apiURL: String
    /// The state directory.
    package var stateDirectory: String
    /// The log.
    package var logFile: String
    /// The key; none is given when `nil`.
    package var apiKey: String? = SandboxProcess.key
    /// Further options.
    package var arguments: [String] = []
    /// Further variables.
    package var environment: [String: String] = [:]
    /// Whether an ordinary user mounts.
    package var asOrdinaryUser = false

    package init(mountPoint: String, apiURL: String, stateDirectory: String, logFile: String) {
        self.mountPoint = mountPoint
        self.apiURL = apiURL
        self.stateDirectory = stateDirectory
        self.logFile = logFile
    }

    /// The command line.
    package var tool: Tool {
        var tool = Tool(
            BuildProducts.twelvefs,
            ["mount", mountPoint, "--api-url", apiURL, "--state-dir", stateDirectory, "--log-file", logFile] + arguments
        )
        tool.environment = environment.mapValues { $0 }
        tool.environment["TWELVELABS_API_KEY"] = .some(apiKey)
        tool.workingDirectory = "/"
        tool.asOrdinaryUser = asOrdinaryUser
        return tool
    }
}
