import FileTree
import FuseLowLevel
import UploadCore

// What a program sees when something fails: errno is chosen here and nowhere else. The reason in words is in the status
// document and in the log.

extension FuseErrno {
    /// The errno for a failure that a close, a write or a rename reports.
    init(_ failure: UploadFailure) {
        switch failure.kind {
        // The file is larger than it may be: what a program sees at a limit of its own file size.
        case .tooLarge, .sizeRefused: self = .fileTooLarge
        case .noSpace: self = .noSpace
        // The user may not do this with this key, or on this plan; another cures it.
        case .keyRefused, .accessRefused: self = .permissionDenied
        // The platform does not take a file like this one.
        case .sessionRefused, .typeRefused, .invalidConfiguration: self = .invalidArgument
        case .spoolFailed where failure.code == UploadFailure.outOfDescriptors: self = .tooManyOpenFiles
        // Everything else did not work out, and the bytes are not on the platform: that is an I/O error.
        case .requestRefused, .accessUnclear, .sessionGone, .conflict, .rateLimited, .platformUnavailable, .unreachable,
            .connectionLost, .unreadableAnswer, .urlExpired, .storeRefused, .storeRedirected, .storeUnavailable,
            .checksumMismatch,
            .spoolFailed, .stalled, .interrupted, .cancelled, .replaced:
            self = .ioError
        }
    }

    /// The errno for a name or a directory that is not as the caller thinks.
    init(_ error: TreeError) {
        switch error {
        case .notFound: self = .noSuchFileOrDirectory
        case .exists: self = .fileExists
        case .notDirectory: self = .notDirectory
        case .isDirectory: self = .isDirectory
        case .notEmpty: self = .directoryNotEmpty
        case .invalidName: self = .invalidArgument
        case .nameTooLong: self = .fileNameTooLong
        case .loop: self = .invalidArgument
        }
    }
}
