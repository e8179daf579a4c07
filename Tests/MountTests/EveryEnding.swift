import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Every way to end a mount, with everybody who may be in it: what they hear, what is said, and what the next mount does.
    /// Never a truncated asset, never one too many, and what was accepted is resumed.
    @Suite struct EveryEnding {
        private static let size = 2_300_003
        static let half = 1_200_000

        @Test(
            .shows(
                "close-mount-ends", "drain-waits", "drain-writers", "drain-refuses", "drain-busy", "drain-force",
                "drain-left",
                "drain-at-once", "drain-lazy", "server-killed", "restart-interrupted"),
            arguments: MountEnding.allCases)
        func comesToWhatTheTableSaysForEveryOccupant(ending: MountEnding) async throws {
            try await withScratch { scratch in
                let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: Self.size)
                let sum = try await TestFile.sha256(of: source)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for occupant in Occupant.allCases {
                        group.addTask {
                            do {
                                try await EndingCell.run(ending, occupant, source: source, sum: sum)
                            } catch {
                                Issue.record("\(ending), \(occupant): \(error)")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }
}

/// One ending with one occupant, on a mount and a sandbox of its own.
private struct EndingCell: Sendable {
    let ending: MountEnding
    let occupant: Occupant
    let verdict: EndingVerdict
    let source: String
    let sum: String
    let scratch: Scratch
    let sandbox: SandboxProcess
    /// Lets an occupant that does not wait for the platform do its next step.
    let gate: Gate

    /// What a failure is told with.
    var words: Comment { "\(ending), \(occupant)" }

    static func run(_ ending: MountEnding, _ occupant: Occupant, source: String, sum: String) async throws {
        try await withScratch { scratch in
            try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                let cell = EndingCell(
                    ending: ending, occupant: occupant, verdict: EndingVerdict(ending, with: occupant), source: source,
                    sum: sum, scratch: scratch, sandbox: sandbox, gate: try Gate(scratch.appending("gate")))
                let options = try mountOptions(
                    in: scratch, sandbox: sandbox, arguments: ["--drain-timeout", ending.drainTimeout])
                try await withMount(options) { mount in
                    let tool = try await cell.enter(mount)
                    let (outcome, command) = try await cell.end(mount, tool)
                    try await cell.expect(outcome, command, of: tool, on: mount)
                    try await cell.expectAfterwards(mount)
                }
                try await withMount(options) { try await cell.expectNext($0) }
            }
        }
    }

    // MARK: The occupant

    /// Starts it, and returns when it is where the ending is to find it.
    private func enter(_ mount: Mount) async throws -> RunningTool {
        if occupant == .reader {
            let copy = try await TestSupport.run("cp", source, mount.appending("video.mp4"))
            #expect(copy.succeeded, "\(copy)")
        }
        let made = try await TestSupport.run("mkdir", mount.appending("folder"))
        #expect(made.succeeded, "\(made)")
        if occupant.isClosing { try await sandbox.holdUploads() }
        let tool = try await start(try tool(mount))
        switch occupant {
        case .cp, .cpOfSeveral: try await mount.await("finishing", of: occupant.place)
        case .rsync:
            try await eventually("rsync is in its close") {
                guard let name = try await mount.list().first(where: { $0.hasPrefix(occupant.place) }) else {
                    return false
                }
                return try await mount.status(of: name).closedAt != nil
            }
        case .pipe, .python, .idleHandle:
            try await eventually("half is written") {
                try await mount.status(of: occupant.place).bytesWritten == Mounted.EveryEnding.half
            }
        case .reader, .shellInside, .shellInRoot:
            try await eventually("it is there") { tool.outputSoFar.contains("there") }
        }
        return tool
    }

    private func tool(_ mount: Mount) throws -> Tool {
        let half = Mounted.EveryEnding.half
        let parts = [source, gate.path, mount.appending(occupant.place)]
        switch occupant {
        case .cp: return Tool("cp", [source, mount.appending("cp.mp4")])
        case .cpOfSeveral:
            let sources = occupant.files.map { scratch.appending($0) }
            for copy in sources where link(source, copy) != 0 {
                throw SystemFailure(call: "link", path: copy, code: errno)
            }
            return Tool("cp", sources + [mount.path])
        case .rsync: return Tool("rsync", ["-a", source, mount.appending("rsync.mp4")])
        case .pipe:
            let script = """
                set -o pipefail
                { head -c \(half) "$1"; read -r < "$2"; tail -c +\(half + 1) "$1"; } | cat > "$3"
                """
            return .shell(script, parts)
        case .python:
            let script = """
                import sys
                source, target = open(sys.argv[1], 'rb'), open(sys.argv[3], 'wb', 0)
                target.write(source.read(\(half)))
                open(sys.argv[2]).readline()
                target.write(source.read())
                target.close()
                """
            return Tool("python3", ["-c", script] + parts)
        case .idleHandle:
            let script = """
                set -e
                exec 3> "$3"
                head -c \(half) "$1" >&3
                read -r < "$2"
                tail -c +\(half + 1) "$1" >&3
                """
            return .shell(script, parts)
        case .reader:
            return .shell(#"set -o pipefail; exec 3< "$3"; echo there; read -r < "$2"; cat <&3 | sha256sum"#, parts)
        case .shellInside, .shellInRoot:
            return .shell(#"cd "$3"; echo there; read -r < "$2"; stat ."#, parts)
        }
    }

    /// Lets it come to its end.
    private func goOn() async throws {
        if occupant.isClosing { try await sandbox.releaseUploads() } else { try gate.open() }
    }

    // MARK: The ending

    /// Plays the ending; gives how the occupant ended, and the command if there is one.
    private func end(_ mount: Mount, _ tool: RunningTool) async throws -> (Outcome, Outcome?) {
        switch ending {
        case .unmountInTime:
            let unmounting = try await start(unmount(mount))
            try await awaitRefusal(of: mount)
            try await goOn()
            let outcome = try await tool.finished()
            return (outcome, try await unmounting.finished())
        case .sigtermInTime:
            kill(mount.server, SIGTERM)
            try await awaitRefusal(of: mount)
            try await goOn()
            return (try await tool.finished(), nil)
        case .unmountTooEarly, .unmountForced, .fusermount, .fusermountLazily:
            let command = try await TestSupport.run(unmount(mount))
            try await goOn()
            return (try await tool.finished(), command)
        case .sigterm, .sigkill, .sigtermTwice, .sigtermThenSigkill:
            kill(mount.server, ending == .sigkill ? SIGKILL : SIGTERM)
            if ending == .sigtermTwice || ending == .sigtermThenSigkill {
                try await awaitRefusal(of: mount)
                kill(mount.server, ending == .sigtermTwice ? SIGTERM : SIGKILL)
            }
            try await eventually("the server has ended") { !mount.isServed }
            try await goOn()
            return (try await tool.finished(), nil)
        }
    }

    private func unmount(_ mount: Mount) -> Tool {
        switch ending {
        case .fusermount: Tool("fusermount3", ["-u", mount.path])
        case .fusermountLazily: Tool("fusermount3", ["-uz", mount.path])
        case .unmountForced: Tool(BuildProducts.twelvefs, ["unmount", mount.path, "--force"])
        case .unmountInTime, .unmountTooEarly, .sigterm, .sigtermInTime, .sigtermTwice, .sigtermThenSigkill, .sigkill:
            Tool(BuildProducts.twelvefs, ["unmount", mount.path])
        }
    }

    // MARK: What comes of it

    private func expect(_ outcome: Outcome, _ command: Outcome?, of tool: RunningTool, on mount: Mount) async throws {
        if verdict.hears.isEmpty {
            #expect(outcome.succeeded, "\(words): \(outcome)")
            if occupant == .reader { #expect(outcome.output.contains(sum), "\(words): \(outcome)") }
        } else {
            #expect(!outcome.succeeded, "\(words): \(outcome)")
            #expect(verdict.hears.contains { outcome.errors.contains($0) }, "\(words): \(outcome)")
        }
        if let command {
            #expect(command.ending == .exited(verdict.exit), "\(words): \(command)")
            for word in said(by: tool) { #expect(command.errors.contains(word), "\(words): \(command)") }
        }
    }

    /// What the command says, by words of it.
    private func said(by tool: RunningTool) -> [String] {
        guard !verdict.said.isEmpty else { return [] }
        guard ending == .unmountTooEarly else { return [verdict.said] }
        let process = occupant.isItself ? "\(tool.pid))" : ""
        return [verdict.said, "(\(occupant.command), pid \(process)"]
    }

    private func expectAfterwards(_ mount: Mount) async throws {
        switch verdict.mount {
        case .served:
            #expect(mount.isServed, words)
            let copy = try await TestSupport.run("cp", source, mount.appending("after.mp4"))
            #expect(copy.succeeded, "it accepts everything as before; \(words): \(copy)")
            let unmounted = try await mount.unmount()
            #expect(unmounted.succeeded, "\(words): \(unmounted)")
        case .gone:
            try await eventually("the server has ended") { !mount.isServed }
            #expect(!MountedPaths.contains(mount.path), words)
            #expect(try lastExit(of: mount) == verdict.exit, words)
        case .dead:
            try await eventually("the mount is dead") {
                try await TestSupport.run("stat", mount.path).errors.contains("Transport endpoint is not connected")
            }
            let lost = try await TestSupport.run("cp", source, mount.appending("lost.mp4"))
            #expect(lost.errors.contains("Transport endpoint is not connected"), "\(words): \(lost)")
        }
    }

    /// What the server said that it exits with.
    private func lastExit(of mount: Mount) throws -> Int32 {
        struct Record: Decodable {
            struct Left: Decodable { let resumable: Int }
            let pid: pid_t
            let outcome: Left
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(mount.stateDirectory)/last-stop.json"))
        let record = try JSONDecoder().decode(Record.self, from: data)
        #expect(record.pid == mount.server, words)
        return record.outcome.resumable > 0 ? 3 : 0
    }

    private func expectNext(_ mount: Mount) async throws {
        var expected: Set<String> = verdict.mount.isServed ? ["after.mp4"] : []
        if occupant == .reader { expected.insert("video.mp4") }
        switch verdict.files {
        case .whole:
            for name in occupant.files { try await mount.await("completed", of: name) }
            expected.formUnion(occupant.files)
        case .only(let name):
            let status = try await mount.await("completed", of: name)
            #expect(status.durable, "it was put on disk before the end; \(words)")
            expected.insert(name)
        case .atMost(let name):
            let state = try await eventually("it is decided") {
                let state = try await mount.status(of: name).state
                return state == "completed" || state == "interrupted" ? state : nil
            }
            if state == "completed" { expected.insert(name) }
        case .staged(let prefix):
            let name = try #require(try await mount.list().first { $0.hasPrefix(prefix) }, words)
            try await mount.await("staged", of: name)
        case .none:
            if !occupant.isClosing, !occupant.files.isEmpty {
                try await mount.await("interrupted", of: occupant.place)
            }
        }
        let unmounted = try await mount.unmount()
        #expect(unmounted.succeeded, "\(words): \(unmounted)")
        #expect(try await mount.list().isEmpty, "nothing was written beneath; \(words)")
        let assets = try await sandbox.completeAssets()
        #expect(assets.map(\.filename).sorted() == expected.sorted(), words)
        for asset in assets { #expect(asset.sha256 == sum, words) }
    }
}

extension EndingVerdict.Mount {
    fileprivate var isServed: Bool { self == .served }
}

/// A pipe that a tool reads a line from before it goes on.
private final class Gate: Sendable {
    let path: String
    private let handle: FileHandle

    init(_ path: String) throws {
        guard mkfifo(path, 0o600) == 0 else { throw SystemFailure(call: "mkfifo", path: path, code: errno) }
        // To read as well: so that opening it does not wait for the other side.
        guard let handle = FileHandle(forUpdatingAtPath: path) else {
            throw SystemFailure(call: "open", path: path, code: errno)
        }
        self.path = path
        self.handle = handle
    }

    func open() throws { try handle.write(contentsOf: Data("\n".utf8)) }
}
