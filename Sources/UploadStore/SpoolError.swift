import Glibc
import SystemPackage
import UploadCore

/// Why the spool could not do what it was asked.
public enum SpoolError: Error, Sendable, Equatable {
    /// The spool's limit is reached, or its disk is full (`ENOSPC`, `EDQUOT`).
    case noSpace
    /// The disk's file system cannot hold a file of that size (`EFBIG`).
    case tooLarge
    /// The bytes were released after the platform had them.
    case released
    /// The spool's directory, or the file in it, was removed behind our back: what is written would be gone at the end.
    case gone
    /// The disk failed, or the spool's directory is not what it should be; `code` is an errno.
    case failed(code: Int32, operation: String)
}

extension SpoolError {
    /// What an errno of a call on the spool means.
    init(errno code: Int32, operation: String) {
        switch code {
        case ENOSPC, EDQUOT: self = .noSpace
        case EFBIG: self = .tooLarge
        default: self = .failed(code: code, operation: operation)
        }
    }
}

extension SpoolError {
    /// Whether the process, or the machine, may have no more files open.
    public var isOutOfDescriptors: Bool {
        switch self {
        case .failed(let code, _): code == EMFILE || code == ENFILE
        case .noSpace, .tooLarge, .released, .gone: false
        }
    }
}

extension SpoolError: CustomStringConvertible {
    /// For people and logs.
    public var description: String {
        switch self {
        case .noSpace: "the spool is full"
        case .tooLarge: "the file is larger than the spool's disk can hold"
        case .released: "the bytes are no longer in the spool: the platform has them"
        case .gone: "the spool's directory is gone: it was removed or replaced while the mount ran"
        case .failed(let code, let operation): "the spool's disk failed: \(operation): \(Errno(rawValue: code))"
        }
    }

    /// The same as a failure of the upload that it befell.
    public var uploadFailure: UploadFailure {
        switch self {
        case .noSpace:
            UploadFailure(
                .noSpace, message: description,
                hint: "free space on the spool's disk, raise --spool-limit, or wait for uploads to finish")
        case .tooLarge:
            UploadFailure(.tooLarge, message: description, hint: "move --state-dir to another file system")
        case .released:
            UploadFailure(
                .spoolFailed, code: "evicted", message: description,
                hint: "replace the whole file, or raise --spool-limit so that more is kept")
        case .gone:
            UploadFailure(
                .spoolFailed, code: "spool_gone", message: description,
                hint: "unmount, and mount again: uploads that had not reached the platform have to be copied anew")
        case .failed where isOutOfDescriptors:
            UploadFailure(
                .spoolFailed, code: UploadFailure.outOfDescriptors, message: description,
                hint: "raise the limit of open files (ulimit -n) for twelvefs, or fs.file-max")
        case .failed:
            UploadFailure(.spoolFailed, message: description, hint: "look at the disk that --state-dir is on")
        }
    }
}
