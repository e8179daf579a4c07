import Foundation
import Subprocess
import Synchronization
import SystemPackage

/// A command line to be run: a program, its arguments, and who runs it where.
package struct Tool: Sendable {
    /// The program: a name that is looked up in `PATH`, or a path.
    package var program: String
    /// Its arguments.
    package var arguments: [String]
    /// Variables that are set, or removed when `nil`, in addition to ``plainEnvironment``.
    package var environment: [String: String?] = [:]
    /// Where it runs; the test run's own folder when `nil`.
    package var workingDirectory: String?
    /// Whether it runs as an ordinary user (`nobody`) although the tests run as root.
    package var asOrdinaryUser = false

    package init(_ program: String, _ arguments: [String] = []) {
        self.program = program
        self.arguments = arguments
    }

    /// What every tool gets: messages in one language, and no trace of the developer's own account.
    package static let plainEnvironment: [String: String?] = [
        "LC_ALL": "C.UTF-8", "LANGUAGE": nil, "TWELVELABS_API_KEY": nil, "TWELVE_LABS_API_KEY": nil,
        "TWELVELABS_BASE_URL": nil,
    ]

    /// The user id of the ordinary user.
    package static let ordinaryUser = 65534

    /// Whether another user has to be taken on for it.
    private var takesOnAUser: Bool { asOrdinaryUser && geteuid() == 0 }

    /// All variables that are set or removed for it.
    var allEnvironment: [String: String?] {
        var all = Self.plainEnvironment
        // What root has in its own folders is not the ordinary user's.
        if takesOnAUser { all.merge(["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"]) { $1 } }
        return all.merging(environment) { $1 }
    }

    /// What is run, whoever has to be taken on for it included.
    package var line: [String] {
        guard takesOnAUser else { return [program] + arguments }
        let user = "\(Self.ordinaryUser)"
        return ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--", program] + arguments
    }
}

/// How a tool ended, and what it said.
package struct Outcome: Sendable, CustomStringConvertible {
    /// How a process ends.
    package enum Ending: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
    }

    package let command: [String]
    package let ending: Ending
    /// What it wrote to standard output.
    package let output: String
    /// What it wrote to standard error.
    package let errors: String
    /// When it was started and when it ended, in seconds since 1970: the scale of the sandbox's journal.
    package let started: Double
    package let ended: Double

    /// Whether it exited with 0.
    package var succeeded: Bool { ending == .exited(0) }

    package var description: String {
        let said = [output, errors].filter { !$0.isEmpty }.joined(separator: "\n")
        return "\(command.joined(separator: " ")): \(ending)\(said.isEmpty ? "" : "\n\(said)")"
    }
}

/// Runs a tool to its end.
package func run(_ tool: Tool) async throws -> Outcome {
    try await start(tool).finished()
}

/// Runs a program with arguments to its end.
package func run(_ program: String, _ arguments: String...) async throws -> Outcome {
    try await run(Tool(program, arguments))
}

/// Runs a piece of shell (bash), whose `$1`, `$2`, … are the arguments, so that no path needs quoting.
package func shell(_ script: String, _ arguments: String...) async throws -> Outcome {
    try await run(.shell(script, arguments))
}

extension Tool {
    /// A piece of shell (bash), whose `$1`, `$2`, … are the arguments.
    package static func shell(_ script: String, _ arguments: [String] = []) -> Tool {
        Tool("bash", ["-c", script, "bash"] + arguments)
    }

    /// A program of `Tests/tools`.
    package static func python(_ name: String, _ arguments: [String]) -> Tool {
        Tool("python3", ["\(BuildProducts.tools)/\(name)"] + arguments)
    }
}

/// Starts a tool, which runs beside the test until ``RunningTool/finished()``.
///
/// - Throws: what kept it from starting, for example that there is no such program.
package func start(_ tool: Tool) async throws -> RunningTool {
    // Files rather than pipes: a process left behind by the tool may keep a pipe open, and its reader waiting, for ever.
    let output = try TemporaryOutput()
    let errors = try TemporaryOutput()
    let line = tool.line
    let configuration = Configuration(
        executable: line[0].contains("/") ? .path(FilePath(line[0])) : .name(line[0]),
        arguments: Arguments(Array(line.dropFirst())),
        environment: Environment.inherit.updating(
            Dictionary(
                uniqueKeysWithValues: tool.allEnvironment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })),
        workingDirectory: tool.workingDirectory.map { FilePath($0) },
        platformOptions: {
            var options = PlatformOptions()
            // A group of its own: a shell can be ended together with the children it started.
            options.processGroupID = 0
            return options
        }())

    let (starts, started) = AsyncStream<pid_t>.makeStream()
    let completion = Task.detached {
        defer { started.finish() }
        let began = Date().timeIntervalSince1970
        let result = try await Subprocess.run(
            configuration, input: .none,
            output: .fileDescriptor(output.descriptor, closeAfterSpawningProcess: true),
            error: .fileDescriptor(errors.descriptor, closeAfterSpawningProcess: true)
        ) { execution in
            RunRegister.process(execution.processIdentifier.value)
            started.yield(execution.processIdentifier.value)
            started.finish()
        }
        let ended = Date().timeIntervalSince1970
        let ending: Outcome.Ending =
            switch result.terminationStatus {
            case .exited(let code): .exited(code)
            case .signaled(let signal): .signalled(signal)
            }
        return Outcome(
            command: line, ending: ending, output: output.take(), errors: errors.take(), started: began, ended: ended)
    }
    // In a task of its own: a stream ends early for a task that is cancelled, and then nobody would know what to kill.
    if let pid = await Task(operation: { await starts.first { _ in true } }).value {
        let tool = RunningTool(pid: pid, output: output.path, completion: completion)
        RunningTools.current?.add(tool)
        return tool
    }
    _ = output.take()
    _ = errors.take()
    _ = try await completion.value
    throw SystemFailure(call: "start", path: line.joined(separator: " "), code: ESRCH)
}

/// A tool that runs.
package final class RunningTool: Sendable {
    /// Its process id, which is also its process group.
    package let pid: pid_t
    private let output: String
    private let completion: Task<Outcome, any Error>

    fileprivate init(pid: pid_t, output: String, completion: Task<Outcome, any Error>) {
        self.pid = pid
        self.output = output
        self.completion = completion
    }

    /// Sends a signal to the process alone.
    package func signal(_ number: Int32) { kill(pid, number) }

    /// Ends it and whatever it started, at once.
    package func killGroup() { kill(-pid, SIGKILL) }

    /// Waits for its end. When the test is cancelled meanwhile (its time is up), the tool is killed.
    package func finished() async throws -> Outcome {
        try await withTaskCancellationHandler {
            try await completion.value
        } onCancel: {
            killGroup()
        }
    }

    /// Whether it still runs.
    package var isRunning: Bool { RunningProcesses.isRunning(pid) }

    /// What it has written to standard output so far.
    package var outputSoFar: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }
}

/// The tools that one test started: none outlives it.
final class RunningTools: Sendable {
    /// Those of the test that this task belongs to.
    @TaskLocal static var current: RunningTools?

    private let tools = Mutex<[RunningTool]>([])

    func add(_ tool: RunningTool) { tools.withLock { $0.append(tool) } }

    func killAll() {
        for tool in tools.withLock({ $0 }) where tool.isRunning { tool.killGroup() }
    }
}

/// A file that takes a tool's output until it is read.
private struct TemporaryOutput: Sendable {
    let path: String
    let descriptor: SystemPackage.FileDescriptor

    init() throws {
        let folder = ProcessInfo.processInfo.environment["TWELVEFS_TEST_RUN_DIR"] ?? NSTemporaryDirectory()
        path = "\(folder)/twelvefs-output.\(UUID().uuidString)"
        descriptor = try .open(
            path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite)
    }

    /// Reads what was written, and removes the file.
    func take() -> String {
        defer { unlink(path) }
        return String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}
