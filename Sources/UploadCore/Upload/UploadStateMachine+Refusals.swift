/// What a refusal of the session teaches: that it can be asked for in another way, or that the file is too large.
extension UploadStateMachine {
    /// What sessions are asked for, of a file that its name says to be of this kind.
    public func sessionType(for kind: AssetKind) -> AssetKind {
        typeRefusal == nil ? kind : .video
    }

    /// The platform takes no session of this type, as before July 2026 it took none but a video's: it is asked once more,
    /// for a video, and so is every later session of this upload.
    mutating func askAsVideo(because refusal: UploadFailure) {
        typeRefusal = refusal
        failure = nil
        callRetry.succeeded()
        deltas.append(.changed)
    }

    /// Remembers which size was refused.
    mutating func recordRefusedSize(of call: PlatformCall, _ reason: UploadFailure) {
        guard reason.kind == .sizeRefused, case .openSession(let size) = call else { return }
        if let known = sizeRefusal, known.size <= size { return }
        sizeRefusal = (size, reason)
    }

    /// Why the file cannot have `newSize` bytes; nil where nothing is known against it. A file that is larger than one
    /// that the platform has refused is refused, too.
    public func sizeObjection(toSize newSize: Int64) -> UploadFailure? {
        sizeRefusal.flatMap { newSize >= $0.size ? $0.reason : nil }
    }

    /// Why it is pointless to write up to `end`, of a file whose last descriptor is not closed.
    ///
    /// Because so much was refused already; or because the size that the writer is known to aim at was. A guess at it
    /// may have been wrong: then only what is written counts, and the commit asks again with the true size.
    func sizeObjection(toWriting end: Int64) -> UploadFailure? {
        let aim = hint.flatMap { $0.source.isExact ? $0.size : nil } ?? 0
        return sizeObjection(toSize: max(size, end, aim))
    }

    /// A user wants it tried once more: the platform may take by now what it refused.
    mutating func forgetRefusals() {
        sizeRefusal = nil
        if session == nil { typeRefusal = nil }
    }
}
