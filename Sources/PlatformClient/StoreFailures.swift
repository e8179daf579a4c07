import Formats
import NIOCore
import NIOHTTP1
import UploadCore

/// What an answer of the object store means when it is not a success.
///
/// No redirect is followed: a chunk would be sent where nobody checked that it may go, perhaps without encryption, and the
/// URL is spent. A store that redirects is asked again with a fresh URL; ``RetryPolicy`` decides how often.
package struct StoreFailures {
    let key: APIKey
    let now: @Sendable () -> Timestamp
    /// The scheme of what was asked for.
    let scheme: WebAddress.Scheme

    package init(key: APIKey, now: @escaping @Sendable () -> Timestamp, scheme: WebAddress.Scheme) {
        self.key = key
        self.now = now
        self.scheme = scheme
    }

    /// Nil for a 2xx.
    package func failure(of answer: HTTPAnswer) -> UploadFailure? {
        guard !(200..<300).contains(answer.status) else { return nil }
        let told = StoreError(parsing: answer.body, key: key)
        if Self.redirects.contains(answer.status) { return redirect(answer, told) }
        let kind = kind(status: answer.status, told)
        return UploadFailure(
            kind, code: told.code, message: words(for: answer, told), hint: hint(for: kind),
            httpStatus: answer.status, retryAfter: RetryAfter.wait(asked: answer.headers, now: now))
    }

    /// RFC 9110, 15.4: those that name another place for the same thing.
    private static let redirects: Set<Int> = [301, 302, 303, 307, 308]

    private func redirect(_ answer: HTTPAnswer, _ told: StoreError) -> UploadFailure {
        let target = RedirectTarget(answer.headers.first(name: "location"), from: scheme, key: key)
        let staysInScheme = target.scheme == scheme
        return UploadFailure(
            staysInScheme ? .storeRedirected : .storeRefused, code: told.code,
            message: "the object store answered \(answer.status), which sends the request \(target.words)",
            hint: staysInScheme
                ? "redirects are not followed; a fresh upload URL is asked for. If this persists, tell the platform's support"
                : "redirects are not followed, least of all to another scheme: something between here and the store may have answered in its place",
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

    private func words(for answer: HTTPAnswer, _ told: StoreError) -> String {
        if let message = told.message { return "the object store says: \(message)" }
        if let code = told.code { return "the object store answered \(answer.status) (\(code))" }
        let kind = SafeText.kind(
            contentType: answer.headers.first(name: "content-type"), byteCount: answer.body.readableBytes)
        return "the object store answered \(answer.status) (\(kind))"
    }

    private func hint(for kind: UploadFailure.Kind) -> String? {
        switch kind {
        case .urlExpired: return "a fresh upload URL is asked for"
        case .storeUnavailable: return "the trouble is on the object store's side; waiting helps"
        case .storeRefused: return "if a proxy is between here and the store, it may change what is sent"
        case .checksumMismatch: return "the chunk arrived damaged"
        case .sessionGone: return "the upload is begun anew from what is kept on disk"
        case .keyRefused, .accessRefused, .accessUnclear, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused,
            .conflict,
            .rateLimited, .platformUnavailable, .unreachable, .connectionLost, .unreadableAnswer, .storeRedirected,
            .tooLarge, .noSpace,
            .spoolFailed, .stalled, .interrupted,
            .cancelled, .replaced, .invalidConfiguration:
            return nil
        }
    }
}

/// Where a redirect leads, in words that show its host alone: path and query may be a credential, as any upload URL's are.
private struct RedirectTarget {
    /// Nil for one that is neither http nor https, or no URL.
    let scheme: WebAddress.Scheme?
    let words: String

    /// - Parameter location: the answer's `Location`, absolute or relative to what was asked for.
    init(_ location: String?, from scheme: WebAddress.Scheme, key: APIKey) {
        guard let text = location?.trimmed, !text.isEmpty else {
            self.scheme = scheme
            words = "elsewhere without saying where"
            return
        }
        let isRelative = !text.hasPrefix("//") && !text.prefix(while: { !"/?#".contains($0) }).contains(":")
        if isRelative {
            self.scheme = scheme
            words = "to another place of the same host"
        } else if let address = try? WebAddress(parsing: text.hasPrefix("//") ? "\(scheme.rawValue):\(text)" : text) {
            self.scheme = address.scheme
            // A host has no other characters than a host's; but they could be the key's.
            let isKey = address.host.contains(key.secret.lowercased())
            let host = isKey ? SafeText.removed : address.authority
            words = "to \(host)" + (address.scheme == scheme ? "" : " by \(address.scheme.rawValue)")
        } else {
            self.scheme = nil
            words = "to what is no URL of a store"
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
