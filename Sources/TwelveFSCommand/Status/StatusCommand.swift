import ArgumentParser
import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs status`.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what is being uploaded, what is done, and what went wrong.",
        discussion: """
            Reads MOUNTPOINT/.status, where each upload has a document of its own; --json prints them together, for scripts. A mount \
            that cannot be read is named among the others, and the exit status is \(ExitStatus.failure.rawValue) then.
            """)

    @Argument(
        help: ArgumentHelp("Where twelvefs is mounted; all mounts of yours if not given.", valueName: "mountpoint"),
        completion: .directory)
    var mountPoint: String?

    @Flag(name: .customLong("all"), help: "Show every user's mounts.")
    var isForAll = false

    @Flag(name: [.customShort("w"), .customLong("watch")], help: "Go on showing it, once a second, until Ctrl-C.")
    var watches = false

    @Flag(name: .customLong("json"), help: "Print one JSON document.")
    var isJSON = false

    func validate() throws {
        if watches, isJSON { throw ValidationError("--watch and --json do not go together") }
        if isForAll, mountPoint != nil { throw ValidationError("give a mount point or --all, not both") }
    }

    func run() throws {
        let sources = try sources()
        if watches { return try StatusWatch(sources: sources).run() }
        let results = StatusSource.read(sources)
        if mountPoint != nil, case .failure(let failure)? = results.first { throw failure }
        if isJSON {
            Terminal.say(try StatusJSON.text(zip(sources.map(\.mountPoint), results).map { ($0, $1) }))
        } else {
            let environment = ProcessInfo.processInfo.environment
            let table = StatusTable(
                width: Terminal.size(STDOUT_FILENO)?.columns,
                bar: ProgressBar(isUnicode: Terminal.showsUnicode(environment)))
            let blocks = zip(sources, results).map { source, result in
                table.lines(for: result, at: source.mountPoint).joined(separator: "\n") + "\n"
            }
            Terminal.say(blocks.joined(separator: "\n"))
        }
        // Each has been told by its own line.
        guard results.allSatisfy({ (try? $0.get()) != nil }) else { throw ExitStatus.failure }
    }

    /// One for each mount that is asked for.
    private func sources() throws -> [StatusSource] {
        if let mountPoint { return [StatusSource(mountPoint: try resolved(mountPoint))] }
        let mounts = try MountPoint.everyones().filter { isForAll || $0.userID == geteuid() }
        guard !mounts.isEmpty || isJSON else {
            throw CommandFailure(
                isForAll ? "no twelvefs is mounted" : "no twelvefs of yours is mounted",
                hint: "'twelvefs mount MOUNTPOINT' mounts one")
        }
        return mounts.map { StatusSource(mountPoint: $0.path) }
    }

    private func resolved(_ path: String) throws -> String {
        do {
            return try MountPoint.resolved(path)
        } catch {
            throw CommandFailure("\(path) cannot be reached: \(error.words)")
        }
    }
}

/// `--json`: the documents of all mounts in one, each as the mount wrote it.
package enum StatusJSON {
    /// `{"mounts":[{"mountpoint":…,"summary":{…},"uploads":[{…}]}]}`, with a newline at the end; a mount that cannot be read has
    /// `"error"` in the place of the last two.
    package static func text(
        _ mounts: [(mountPoint: String, status: Result<MountStatus, CommandFailure>)]
    ) throws -> String {
        let mounts = try mounts.map { mountPoint, status in
            let mountPoint = try quoted(mountPoint)
            switch status {
            case .success(let status):
                let uploads = status.uploadTexts.map(trimmed).joined(separator: ",\n")
                return
                    "{\"mountpoint\":\(mountPoint),\"summary\":\(trimmed(status.summaryText)),\"uploads\":[\(uploads)]}"
            case .failure(let failure):
                return "{\"mountpoint\":\(mountPoint),\"error\":\(try quoted(failure.description))}"
            }
        }
        return "{\"mounts\":[\(mounts.joined(separator: ",\n"))]}\n"
    }

    private static func quoted(_ text: String) throws -> String {
        String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
