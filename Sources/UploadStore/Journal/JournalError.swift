import GRDB
import UploadCore

/// Why the journal could not write down what it was told.
public enum JournalError: Error, Sendable, Equatable {
    /// Its disk is full.
    case noSpace
    /// Its disk failed, or the database is not what it should be; in words.
    case failed(String)

    init(_ error: any Error) {
        guard let error = error as? DatabaseError else {
            self = error as? JournalError ?? .failed("\(error)")
            return
        }
        switch error.resultCode {
        case .SQLITE_FULL: self = .noSpace
        // The message alone: the statement and its arguments are nobody's business.
        default: self = .failed(error.message ?? "SQLite error \(error.extendedResultCode.rawValue)")
        }
    }

    /// The same as a failure of the upload that it befell.
    public var uploadFailure: UploadFailure {
        switch self {
        case .noSpace:
            UploadFailure(
                .noSpace, message: "the journal's disk is full", hint: "Free space on the disk that --state-dir is on.")
        case .failed(let reason):
            UploadFailure(
                .spoolFailed, message: "the journal could not be written: \(reason)",
                hint: "Look at the disk that --state-dir is on.")
        }
    }
}
