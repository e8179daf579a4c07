import NIOCore
import NIOHTTP1
import UploadCore

/// What an answer of the object store to a PUT means when it is not a success.
struct StoreFailures {
    let key: APIKey
    let now: @Sendable () -> Timestamp

    /// Nil for a 2xx.
    func failure(of answer: Answer) -> UploadFailure? {
        guard !(200..<300).contains(answer.status) else { return nil }
        let told = StoreError(parsing: answer.body, key: key)
        let kind = kind(status: answer.status, told)
        return UploadFailure(
            kind, code: told.code, message: words(for: answer, told), hint: hint(for: kind, status: answer.status),
            httpStatus: answer.status, retryAfter: RetryAfter.wait(asked: answer.headers, now: now))
    }

    /// S3's list of error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    private func kind(status: Int, _ told: StoreError) -> UploadFailure.Kind {
        switch told.code {
        case "SlowDown"?, "RequestTimeout"?, "InternalError"?, "ServiceUnavailable"?, "IncompleteBody"?,
            "OperationAborted"?:
            return .storeUnavailable
        case "ExpiredToken"?, "ExpiredPresignedUrl"?: return .urlExpired
        case "AccessDenied"? where told.saysExpired: return .urlExpired
        case "BadDigest"?, "XAmzContentSHA256Mismatch"?, "XAmzContentChecksumMismatch"?: return .checksumMismatch
        // The multipart upload behind the session was aborted or finished: no URL of this session will work again.
        case "NoSuchUpload"?: return .sessionGone
        default: break
        }
        switch status {
        case 403 where told.saysExpired: return .urlExpired
        case 408, 425, 429: return .storeUnavailable
        case 500...: return .storeUnavailable
        default: return .storeRefused
        }
    }

    private func words(for answer: Answer, _ told: StoreError) -> String {
        if let message = told.message { return "the object store says: \(message)" }
        if let code = told.code { return "the object store answered \(answer.status) (\(code))" }
        let kind = SafeText.kind(
            contentType: answer.headers.first(name: "content-type"), byteCount: answer.body.readableBytes)
        return "the object store answered \(answer.status) (\(kind))"
    }

    private func hint(for kind: UploadFailure.Kind, status: Int) -> String? {
        if (300..<400).contains(status) { return "redirects are not followed: an upload URL is good for one place" }
        switch kind {
        case .urlExpired: return "a fresh upload URL is asked for"
        case .storeUnavailable: return "the trouble is on the object store's side; waiting helps"
        case .storeRefused: return "if a proxy is between here and the store, it may change what is sent"
        case .checksumMismatch: return "the chunk arrived damaged"
        case .sessionGone: return "the upload is begun anew from what is kept on disk"
        case .keyRefused, .accessRefused, .accessUnclear, .sessionRefused, .sizeRefused, .requestRefused, .conflict,
            .rateLimited, .platformUnavailable, .unreachable, .connectionLost, .unreadableAnswer, .tooLarge, .noSpace,
            .spoolFailed, .stalled, .interrupted,
            .cancelled, .replaced, .invalidConfiguration:
            return nil
        }
    }
}

/// An S3 error document's `Code` and `Message`, found by looking for these two elements alone: the rest of it (`StringToSign`,
/// `SignatureProvided`, `Resource`, `HostId`) is nothing to show, and XML itself nothing to trust.
struct StoreError: Sendable, Equatable {
    let code: String?
    let message: String?

    var saysExpired: Bool {
        message.map { $0.lowercased().contains("expired") } ?? false
    }

    init(parsing body: ByteBuffer, key: APIKey) {
        // Real error documents have a few hundred bytes.
        let text = String(decoding: body.readableBytesView.prefix(16 * 1024), as: UTF8.self)
        code = SafeText.code(Self.element("Code", in: text), key: key)
        let message = Self.element("Message", in: text).map { SafeText.clean(Self.unescaped($0), key: key) }
        self.message = message?.isEmpty == true ? nil : message
    }

    /// The text of the first such element that has nothing inside but text.
    private static func element(_ name: String, in text: String) -> String? {
        guard let start = text.firstRange(of: "<\(name)>") else { return nil }
        let rest = text[start.upperBound...]
        guard let end = rest.firstIndex(of: "<"), rest[end...].hasPrefix("</\(name)>") else { return nil }
        return String(rest[..<end])
    }

    private static func unescaped(_ text: String) -> String {
        var text = text
        for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
            text = text.split(separator: entity, omittingEmptySubsequences: false).joined(separator: character)
        }
        return text
    }
}
