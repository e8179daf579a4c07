import FuseLowLevel
import UploadCore

/// Why a WRITE was refused: what its caller is told, and what is kept of it with the file.
struct WriteRefusal: Error {
    let reason: UploadFailure

    init(_ reason: UploadFailure) { self.reason = reason }

    /// What the caller is told.
    var errno: FuseErrno {
        switch reason {
        case Self.ending: .readOnlyFileSystem
        case Self.notForWriting: .badFileDescriptor
        default: FuseErrno(reason)
        }
    }

    /// Whether the log is to tell it. Space may come yet, and a write that waits for it is tried many times; of what a user
    /// has cancelled, they know.
    var isWorthTelling: Bool { reason.kind != .noSpace && reason != Self.cancelled }

    /// The mount takes no more writes.
    static let ending = UploadFailure(
        .interrupted, code: "unmounting", message: "the mount was ending",
        hint: "mount again, then copy the file again")
    /// It came through a handle that cannot write.
    static let notForWriting = UploadFailure(
        .interrupted, code: "not_for_writing", message: "the file was not open for writing")
    /// A user has cancelled what is written.
    static let cancelled = UploadFailure(.cancelled, message: "the upload was cancelled")
    /// The caller did not hear that it was done.
    static let unanswered = UploadFailure(
        .interrupted, code: "unanswered", message: "its answer did not reach the writer")
}
