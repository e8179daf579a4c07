import ArgumentParser

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs wait`.
struct WaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a file is on the platform.",
        discussion: """
            PATH is a file in a mount, or its document in .status. Exits with 0 when the platform has confirmed the upload (with \
            --ready: when the asset can be used), with 1 when nothing will come of it, with 2 when the time is over.
            """)

    @Argument(help: ArgumentHelp("A file in a mount, or its status document.", valueName: "path"))
    var path: String

    @Option(name: .customLong("timeout"), help: ArgumentHelp("Wait for so long at most.", valueName: "time"))
    var timeout: TimeSpan?

    @Flag(name: .customLong("ready"), help: "Wait until the platform has processed the asset, too.")
    var untilReady = false

    func run() throws {
        let document = try UploadLocator.document(named: path)
        let end = timeout.map { ContinuousClock.now + $0.duration }
        while true {
            switch WaitVerdict(on: try UploadDocument.read(document, of: path), untilReady: untilReady) {
            case .arrived: return
            case .never(let reason): throw CommandFailure("\(path): \(reason)")
            case .notYet: break
            }
            if let end, end <= .now {
                throw CommandFailure(
                    "\(path) is still on its way", hint: "'twelvefs status' shows how far it is", status: .timedOut)
            }
            // Documents are made when they are read, and nobody tells of a change.
            usleep(Self.interval)
        }
    }

    /// In microseconds.
    private static let interval: UInt32 = 200_000
}

/// What a status document means to whoever waits.
package enum WaitVerdict: Equatable {
    case arrived
    /// Nothing will come of it, for this reason.
    case never(String)
    case notYet

    /// - Parameter untilReady: whether the asset is to be ready, rather than only complete.
    package init(on document: UploadDocument, untilReady: Bool) {
        let reason = document.error.flatMap(\.message)
        switch document.state {
        case "completed":
            switch document.assetStatus {
            case _ where !untilReady: self = .arrived
            // Usable, but not what was uploaded.
            case "ready": self = document.assetError.map { .never($0) } ?? .arrived
            case "failed": self = .never(document.assetError ?? "the platform could not process it")
            case "unknown":
                let reason = document.assetError.map { " (\($0))" } ?? ""
                self = .never("the platform does not tell what became of it\(reason)")
            default: self = .notYet
            }
        case "failed": self = .never(reason ?? "it cannot be uploaded")
        case "interrupted": self = .never(reason ?? "its writer did not finish")
        case "cancelled": self = .never(reason ?? "it was removed")
        default: self = .notYet
        }
    }
}
