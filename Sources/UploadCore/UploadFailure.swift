/// Why an upload, or one call of it, did not succeed: in words for people, and in a kind that decisions are made by.
///
/// Retry-or-not is decided from `kind` in ``RetryPolicy``; the errno that a program sees, in the mounted file system.
/// Texts never hold the API key or a presigned URL: whoever makes a failure keeps them out.
public struct UploadFailure: Error, Sendable, Equatable {
    /// The code of a `spoolFailed` for want of descriptors: the spool is well, and others will be given back.
    public static let outOfDescriptors = "too_many_open_files"

    /// What happened, coarse enough to decide by.
    public enum Kind: String, Sendable, CaseIterable {
        // The API answered.

        /// 401, or 403 with a code that names the key: it is wrong or revoked.
        case keyRefused
        /// 403 about the account's plan or region: no call of this kind can succeed before the user has changed that.
        case accessRefused
        /// 403 without a code that tells what is refused: the key may be to blame, or only what was asked for.
        case accessUnclear
        /// 400 when a session was to be opened.
        case sessionRefused
        /// 400 about the size when a session was to be opened, or 413.
        case sizeRefused
        /// 400 about the `type` when a session for anything but a video was to be opened.
        case typeRefused
        /// Any other 4xx that repeating cannot help.
        case requestRefused
        /// 404 for an upload, or its session is `expired` or `failed`.
        case sessionGone
        /// 409.
        case conflict
        /// 429.
        case rateLimited
        /// 408 or 5xx.
        case platformUnavailable

        // The network.

        /// Connect refused, DNS or TLS failure: nothing was sent.
        case unreachable
        /// Reset, cut off, or no byte moved within the deadline: something may have been sent.
        case connectionLost
        /// HTML, cut-off JSON, a missing field, a value out of range, or too large.
        case unreadableAnswer

        // The object store.

        /// 403 "Request has expired".
        case urlExpired
        /// Any other 4xx, or a redirect to another scheme.
        case storeRefused
        /// 301, 302, 303, 307 or 308 within the scheme: the store has the chunk elsewhere, or is moving.
        case storeRedirected
        /// 429 or 5xx, `SlowDown` among them.
        case storeUnavailable
        /// The ETag differs from the MD5 of what was sent, or there is none.
        case checksumMismatch

        // Ourselves.

        /// Over the size limit.
        case tooLarge
        /// The spool's limit or its disk is full.
        case noSpace
        /// The spool's disk failed.
        case spoolFailed
        /// Nothing moved within the stall timeout.
        case stalled
        /// The writer did not finish.
        case interrupted
        /// The user removed the file.
        case cancelled
        /// A later version took this one's place.
        case replaced
        /// An option or its combination makes no sense.
        case invalidConfiguration
    }

    /// What happened.
    public var kind: Kind
    /// The platform's own code where it gave one, else a word of ours (`unreachable`).
    public var code: String
    /// What happened, for people.
    public var message: String
    /// What to do about it, for people.
    public var hint: String?
    /// The HTTP status, where an answer came.
    public var httpStatus: Int?
    /// The platform's name for the call (`x-trace-id` or `x-request-id`), which its support asks for.
    public var traceID: String?
    /// How long the answer asked us to wait.
    public var retryAfter: Duration?

    /// A failure of the given kind; `code` defaults to the kind's name.
    public init(
        _ kind: Kind, code: String? = nil, message: String, hint: String? = nil, httpStatus: Int? = nil,
        traceID: String? = nil, retryAfter: Duration? = nil
    ) {
        self.kind = kind
        self.code = code ?? kind.rawValue
        self.message = message
        self.hint = hint
        self.httpStatus = httpStatus
        self.traceID = traceID
        self.retryAfter = retryAfter
    }
}

extension UploadFailure {
    /// The writer did not finish.
    ///
    /// - Parameters:
    ///   - message: why.
    ///   - isOnDisk: whether it had put what it wrote on disk (`fsync`), and can have that back.
    ///   - lacksBytes: whether some of the file is known to be missing: then nothing can be made of it.
    ///   - isListed: whether the file stays where it is, to be completed.
    ///   - advice: what to do besides.
    ///   - cause: what the writer was refused, if that is why: it knows better what is wrong and what to do, and who said so.
    public static func unfinished(
        _ message: String, isOnDisk: Bool, lacksBytes: Bool = false, isListed: Bool = false,
        cause: UploadFailure? = nil, advice: String? = nil
    ) -> UploadFailure {
        let remedy =
            isOnDisk && !lacksBytes
            ? "the bytes are on disk: 'twelvefs retry' uploads them as they are, 'twelvefs cancel' drops them"
            : isListed
                ? "the part is listed: send the rest of it, or remove it"
                : cause?.hint ?? "the bytes are kept for a while, copy the file again"
        let hint = ["nothing was uploaded", remedy, advice].compactMap(\.self).joined(separator: "; ")
        return UploadFailure(
            .interrupted, code: lacksBytes ? cause?.code ?? incomplete : nil, message: message, hint: hint,
            httpStatus: cause?.httpStatus, traceID: cause?.traceID)
    }
    /// The code of what is known to lack bytes, where nothing else tells why.
    private static let incomplete = "incomplete"

    /// Whether some of the file is known to be missing: what was interrupted has a code of its own then.
    var lacksBytes: Bool { kind == .interrupted && code != Kind.interrupted.rawValue }
}
