import Foundation
import TestSupport
import Testing

/// Who writes, as the server's user sees it.
private enum Writer: String, CaseIterable, Sendable {
    /// The server's user.
    case same
    /// The server's user, in a process that nobody may look into.
    case hiding
    /// OpenSSH's sftp-server, which is such a process.
    case sftp
    case root
    /// A user who is neither.
    case other

    static let otherUser = 65533

    /// A tool of theirs that writes `source` into `target`.
    func tool(_ source: String, _ target: String, _ how: Way) -> Tool {
        var tool: Tool
        if self == .sftp {
            tool = Tool("sftp", ["-q", "-b", "/dev/stdin", "-D", "/usr/lib/openssh/sftp-server"])
            tool = .shell(#"echo "put $1 $2" | "${@:3}""#, [source, target] + tool.line)
        } else {
            tool = .python("odd_writer.py", [source, target, how.rawValue] + (self == .hiding ? ["--hide"] : []))
        }
        switch self {
        case .same, .hiding, .sftp: tool.asOrdinaryUser = true
        case .root: break
        case .other:
            tool = Tool("setpriv", ["--reuid=\(Self.otherUser)", "--clear-groups", "--"] + tool.line)
            // What root has in its own folders is nobody else's.
            tool.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        }
        return tool
    }
}

/// The ways in which writers end that `odd_writer.py` has.
private enum Way: String, CaseIterable, Sendable {
    case whole, group, killed, fork
}

/// Where an ordinary user's server runs, and what it is told.
private enum Server: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case plain
    case forAll
    /// In a pid namespace of its own, to which the writers are outside.
    case apart
    /// Beside a `/proc` with `hidepid=2`.
    case hidden
    /// With so few descriptors that some are wanting all the time.
    case fewDescriptors
    /// With 40 more than it has when it is mounted.
    case fortyDescriptorsLeft
    /// Stopped for three seconds again and again, as by `docker pause`: in the middle of looks too.
    case paused
    /// On a kernel that does not tell how processes ended.
    case older
    /// In a pid namespace of its own, and told to take whoever comes.
    case apartAndTrusting

    var testDescription: String { rawValue }

    var allowsOther: Bool { self != .plain }

    /// Why a writer is refused, by a word of what is told then; nil for one that is not, or by the kernel.
    func refusal(of writer: Writer) -> String? {
        switch self {
        case .plain, .forAll, .fewDescriptors, .fortyDescriptorsLeft, .paused, .apartAndTrusting: nil
        case .apart: "--pid=host"
        case .hidden: writer == .same ? nil : "hidepid"
        case .older: writer == .same ? nil : "6.15"
        }
    }

    /// Whether the kernel lets a writer in at all.
    func isOpen(to writer: Writer) -> Bool {
        switch writer {
        case .same, .hiding, .sftp: true
        case .root, .other: allowsOther
        }
    }

    /// What is to be done before it starts, in mount (and pid) namespaces of its own.
    var preparation: String {
        switch self {
        case .plain, .forAll, .fortyDescriptorsLeft, .paused, .older: ""
        case .apart, .apartAndTrusting: "mount -t proc proc /proc"
        case .hidden: "mount -t proc -o hidepid=2 proc /proc"
        case .fewDescriptors: "ulimit -n 64"
        }
    }

    /// Whether it may be without a descriptor that it needs.
    var isShortOfDescriptors: Bool { self == .fewDescriptors || self == .fortyDescriptorsLeft }

    var isApart: Bool { self == .apart || self == .apartAndTrusting }
}

/// Whether root can make namespaces and be other users here.
private func canBeAnybody() async throws -> Bool {
    guard geteuid() == 0 else { return false }
    return try await run("unshare", "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc").succeeded
}

extension Mounted {
    /// Whoever writes, and whatever the server may see of it: never a half file, never another asset than the one, and never
    /// a close that says 0 of bytes that are not stored.
    @Suite(.enabled("needs root, to be other users and to make namespaces", canBeAnybody))
    struct OtherWriters {
        @Test(
            .shows(
                "writer-end-only", "writer-unseen", "writer-unseen-allowed", "asset-killed", "asset-end-unknown",
                "close-hidden-writer", "close-one-asset"),
            arguments: Server.allCases)
        fileprivate func leaveOneWholeAssetOrNone(server: Server) async throws {
            try await ServedApart.run(server) { served in
                let source = try await TestFile.random(at: served.scratch.appending("source"), size: 3_300_003, seed: 7)
                chmod(source, 0o644)
                let sum = try await TestFile.sha256(of: source)
                let cells = Writer.allCases.flatMap { writer in
                    (writer == .sftp ? [Way.whole] : Way.allCases).map { (writer, $0) }
                }
                try await served.hindered {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for (writer, way) in cells {
                            group.addTask { try await Self.expectRight(writer, way, source, sum, on: served) }
                        }
                        try await group.waitForAll()
                    }
                }
                // And nothing came of anything later.
                let assets = try await served.sandbox.completeAssets()
                #expect(Set(assets.map(\.filename)).count == assets.count)
                for asset in assets { #expect(asset.sha256 == sum || asset.filename.contains("killed"), "\(asset)") }
            }
        }

        private static func expectRight(
            _ writer: Writer, _ way: Way, _ source: String, _ sum: String, on served: ServedApart
        ) async throws {
            let name = "\(writer) \(way).mp4".replacing(" ", with: "-")
            let outcome = try await run(writer.tool(source, "\(served.folder)/\(name)", way))
            func assets() async throws -> [StoredAsset] {
                try await served.sandbox.completeAssets().filter { $0.filename == name }
            }
            let server = served.server
            guard server.isOpen(to: writer), server.refusal(of: writer) == nil else {
                #expect(!outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.contains("ermission denied"), "\(outcome)")
                #expect(try await assets().isEmpty)
                // Where the kernel does not even ask.
                guard server.isOpen(to: writer), let word = server.refusal(of: writer) else { return }
                #expect(try await served.refusals().contains(word))
                return
            }
            if server.isShortOfDescriptors, !outcome.succeeded, outcome.ending != .signalled(SIGKILL) {
                // Too few to see how the writer ends: refused, and told so.
                // SFTP has no word for it.
                let words = writer == .sftp ? "Failure" : "Too many open files in system"
                #expect(outcome.errors.contains(words), "\(outcome)")
                #expect(try await assets().isEmpty)
                return
            }
            if way == .killed {
                #expect(outcome.ending == .signalled(SIGKILL), "\(outcome)")
                // Unless it is trusted: nobody could have told.
                if server == .apartAndTrusting { return }
                try await eventually("\(name) is interrupted") { try await served.state(of: name) == "interrupted" }
                #expect(try await assets().isEmpty)
                return
            }
            #expect(outcome.succeeded, "\(outcome)")
            if writer == .same, way == .whole, server != .apartAndTrusting {
                #expect(try await assets().count == 1, "confirmed before it is 0")
            }
            try await eventually("\(name) is complete") { try await served.state(of: name) == "completed" }
            #expect(try await assets().map(\.sha256) == [sum], "\(name)")
        }
    }
}

/// A mount that an ordinary user's process serves in namespaces of its own, and everybody sees.
private struct ServedApart: Sendable {
    let server: Server
    let scratch: Scratch
    let sandbox: SandboxProcess
    let mountPoint: String
    /// The server, where it is not in a pid namespace of its own.
    let process: pid_t

    /// Where every user may make files.
    var folder: String { "\(mountPoint)/all" }

    static func run(_ server: Server, body: (ServedApart) async throws -> Void) async throws {
        try await withScratch { scratch in
            try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                var options = try mountOptions(in: scratch, sandbox: sandbox, asOrdinaryUser: true)
                options.arguments = ["--foreground"] + (server.allowsOther ? ["--allow-other"] : [])
                if server == .apartAndTrusting { options.arguments += ["--unseen-writers", "allow"] }
                let home = scratch.appending("user")
                // What is mounted below it in one namespace is mounted in all.
                let shared = try await shell(#"mount --bind "$1" "$1" && mount --make-shared "$1""#, home)
                #expect(shared.succeeded, "\(shared)")
                RunRegister.mount(home)
                let outcome: Result<Void, any Error>
                let process = try await start(try Self.command(options.tool, server, scratch))
                let served = ServedApart(
                    server: server, scratch: scratch, sandbox: sandbox, mountPoint: options.mountPoint,
                    process: process.pid)
                do {
                    try await served.untilMounted(process)
                    outcome = .success(try await body(served))
                } catch {
                    outcome = .failure(error)
                }
                process.killGroup()
                _ = try? await process.finished()
                _ = try await shell(#"fusermount3 -uzq "$1"; umount -l "$2""#, options.mountPoint, home)
                try outcome.get()
            }
        }
    }

    private static func command(_ tool: Tool, _ server: Server, _ scratch: Scratch) throws -> Tool {
        let configuration = try scratch.file("fuse.conf", "user_allow_other\n")
        let script = """
            set -e
            configuration=$1; shift
            mount --make-private /
            ! mountpoint -q /proc || mount --make-private /proc
            mount --bind "$configuration" /etc/fuse.conf
            \(server.preparation)
            exec "$@"
            """
        let older = server == .older ? ["python3", "\(BuildProducts.tools)/older_kernel.py"] : []
        var command = Tool(
            "unshare",
            ["--mount", "--propagation", "unchanged"] + (server.isApart ? ["--pid", "--fork", "--kill-child"] : [])
                + ["bash", "-c", script, "bash", configuration] + older + tool.line)
        command.environment = tool.environment
        command.workingDirectory = tool.workingDirectory
        return command
    }

    private func untilMounted(_ process: RunningTool) async throws {
        try await eventually("it is mounted") {
            guard process.isRunning else { throw ToolFailed(outcome: try await process.finished()) }
            return MountedPaths.contains(mountPoint)
        }
        var make = Tool.shell(#"mkdir "$1" && chmod 0777 "$1""#, [folder])
        make.asOrdinaryUser = true
        let made = try await TestSupport.run(make)
        #expect(made.succeeded, "\(made)")
    }

    /// Runs `body` while the server is kept from its work, where it is such a one.
    func hindered(_ body: () async throws -> Void) async throws {
        if server == .fortyDescriptorsLeft {
            let used = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
            // As its user, who may always lower it: root may not everywhere.
            var limit = Tool("prlimit", ["--pid", "\(process)", "--nofile=\(used + 40)"])
            limit.asOrdinaryUser = true
            let limited = try await TestSupport.run(limit)
            #expect(limited.succeeded, "\(limited)")
        }
        guard server == .paused else { return try await body() }
        let pauses = Task { [process] in
            while !Task.isCancelled {
                kill(process, SIGSTOP)
                try? await Task.sleep(for: .seconds(3))
                kill(process, SIGCONT)
                try? await Task.sleep(for: .milliseconds(250))
            }
        }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        pauses.cancel()
        await pauses.value
        try outcome.get()
    }

    private func read(_ document: String) async throws -> Data {
        var tool = Tool("cat", ["\(mountPoint)/.status/\(document)"])
        tool.asOrdinaryUser = true
        return Data(try await TestSupport.run(tool).output.utf8)
    }

    func state(of name: String) async throws -> String {
        try UploadStatus.decode(try await read("by-name/all/\(name).json")).state
    }

    /// What the summary says of writers that were refused.
    func refusals() async throws -> String {
        struct Summary: Decodable {
            struct Refused: Decodable {
                let count: Int
                let reason: String
                let hint: String
            }
            let refusedWriters: Refused?
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let refused = try decoder.decode(Summary.self, from: try await read("summary.json")).refusedWriters
        return refused.map { "\($0.reason); \($0.hint)" } ?? ""
    }
}
