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
            Reads MOUNTPOINT/.status, where each upload has a document of its own; --json prints them together, for scripts.
            """)

    @Argument(
        help: ArgumentHelp("Where twelvefs is mounted; all mounts of yours if not given.", valueName: "mountpoint"),
        completion: .directory)
    var mountPoint: String?

    @Flag(name: [.customShort("w"), .customLong("watch")], help: "Go on showing it, once a second, until Ctrl-C.")
    var watches = false

    @Flag(name: .customLong("json"), help: "Print one JSON document.")
    var isJSON = false

    func validate() throws {
        if watches, isJSON { throw ValidationError("--watch and --json do not go together") }
    }

    func run() throws {
        if watches { return try StatusWatch(readers: readers()).run() }
        var statuses: [MountStatus] = []
        for var reader in try readers() { statuses.append(try reader.read()) }
        guard !isJSON else { return Terminal.say(try StatusJSON.text(statuses)) }
        let environment = ProcessInfo.processInfo.environment
        let table = StatusTable(
            width: Terminal.size(STDOUT_FILENO)?.columns,
            bar: ProgressBar(isUnicode: Terminal.showsUnicode(environment)))
        let blocks = statuses.map { table.lines(for: $0).joined(separator: "\n") + "\n" }
        Terminal.say(blocks.joined(separator: "\n"))
    }

    /// One for each mount that is asked for.
    private func readers() throws -> [StatusReader] {
        if let mountPoint { return [StatusReader(mountPoint: try resolved(mountPoint))] }
        let mounts = try MountPoint.ours()
        guard !mounts.isEmpty || isJSON else {
            throw CommandFailure("no twelvefs is mounted", hint: "'twelvefs mount MOUNTPOINT' mounts one")
        }
        return mounts.map { StatusReader(mountPoint: $0.path) }
    }

    private func resolved(_ path: String) throws -> String {
        do {
            let real = try MountPoint.resolved(path)
            if let mount = try MountPoint.mount(at: real), mount.isOurs, try MountPoint.isDead(mount) {
                throw CommandFailure(
                    "the process that served \(real) is gone", hint: "'twelvefs unmount \(real)' clears it away")
            }
            return real
        } catch let error as Errno {
            throw CommandFailure("\(path) cannot be reached: \(error.words)")
        }
    }
}

/// `--json`: the documents of all mounts in one, each as the mount wrote it.
package enum StatusJSON {
    /// `{"mounts":[{"mountpoint":…,"summary":{…},"uploads":[{…}]}]}`, with a newline at the end.
    package static func text(_ statuses: [MountStatus]) throws -> String {
        let mounts = try statuses.map { status in
            let mountPoint = String(decoding: try JSONEncoder().encode(status.mountPoint), as: UTF8.self)
            let uploads = status.uploadTexts.map(trimmed).joined(separator: ",\n")
            return "{\"mountpoint\":\(mountPoint),\"summary\":\(trimmed(status.summaryText)),\"uploads\":[\(uploads)]}"
        }
        return "{\"mounts\":[\(mounts.joined(separator: ",\n"))]}\n"
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
