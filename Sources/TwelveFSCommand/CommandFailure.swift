import ArgumentParser
import FuseLowLevel
import UploadCore

/// Why a command could not do what it was asked for: one line for the terminal, and the exit status.
public struct CommandFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// What to do about it.
    public var hint: String?
    /// The status that the process exits with.
    public var status: ExitStatus

    /// A failure; it exits with ``ExitStatus/failure`` by default.
    public init(_ message: String, hint: String? = nil, status: ExitStatus = .failure) {
        self.message = message
        self.hint = hint
        self.status = status
    }

    /// The failure that `error` is, or one in its words.
    public init(wrapping error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let failure as UploadFailure: self.init(failure.message, hint: failure.hint)
        case let failure as FuseError: self.init(failure.message)
        case is CancellationError: self.init("interrupted")
        default: self.init("\(error)")
        }
    }

    /// Message and hint as two sentences on one line, whatever they were made from.
    public var description: String {
        guard let hint, let first = hint.first else { return TerminalText.sanitised(message) }
        let sentence = message.hasSuffix(".") ? message : message + "."
        return TerminalText.sanitised("\(sentence) \(first.uppercased())\(hint.dropFirst())")
    }
}

/// The exit statuses of every command; the table of `twelvefs --help`.
public enum ExitStatus: Int32, Sendable, CaseIterable, Codable {
    /// Done.
    case success = 0
    /// Could not be done; standard error says why.
    case failure = 1
    /// What was waited for has not happened in time.
    case timedOut = 2
    /// The mount ended, and uploads are left that the next mount recovers.
    case resumable = 3
    /// The command line makes no sense (`EX_USAGE`).
    case usage = 64

    /// What it means, for the help.
    var meaning: String {
        switch self {
        case .success: "done"
        case .failure: "not done; standard error says why, and what to do"
        case .timedOut: "'wait': the time is over"
        case .resumable: "unmounted, with uploads left that the next mount recovers"
        case .usage: "the command line makes no sense"
        }
    }

    var exitCode: ExitCode { ExitCode(rawValue) }
}
