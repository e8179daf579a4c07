import NIOCore
import NIOHTTP1
import UploadCore

/// What an answer of the API that is not a success means.
///
/// By its status; but the codes that the platform documents win over a 4xx, since proxies and older versions of the API
/// use other statuses for the same thing.
struct APIFailures {
    let call: APICall
    let context: AnswerContext
    /// Where the user keeps the key.
    let keyLocation: String

    /// Nil for a 2xx.
    func failure(of answer: Answer) -> UploadFailure? {
        guard !(200..<300).contains(answer.status) else { return nil }
        let told = told(by: answer)
        let kind = kind(status: answer.status, code: told.code, message: told.message)
        return UploadFailure(
            kind, code: told.code, message: words(for: answer, told), hint: hint(for: kind, status: answer.status),
            httpStatus: answer.status, retryAfter: RetryAfter.wait(asked: answer.headers, now: context.now))
    }

    private func kind(status: Int, code: String?, message: String?) -> UploadFailure.Kind {
        switch (status, code) {
        case (400..<500, "too_many_requests"?): return .rateLimited
        case (400..<500, "request_canceled_or_timed_out"?): return .platformUnavailable
        case (400..<500, "api_key_invalid"?), (400..<500, "unauthorized"?), (400..<500, "api_not_allowed"?),
            (400..<500, "api_allowed_for_paid_plan"?):
            return .keyRefused
        default: break
        }
        switch status {
        case 401, 403: return .keyRefused
        case 400, 422:
            guard call == .createSession else { return .requestRefused }
            return Self.isAboutSize(message) ? .sizeRefused : .sessionRefused
        case 404, 410: return call.isAboutUpload ? .sessionGone : .requestRefused
        case 408, 425: return .platformUnavailable
        case 409: return .conflict
        case 413: return .sizeRefused
        case 429: return .rateLimited
        case 500...: return .platformUnavailable
        default: return .requestRefused
        }
    }

    /// The platform has one code, `parameter_invalid`, for all that is wrong with a parameter; only the message names it.
    private static func isAboutSize(_ message: String?) -> Bool {
        guard let message = message?.lowercased() else { return false }
        return message.contains("total_size") || message.contains("file size") || message.contains("too large")
    }

    private func told(by answer: Answer) -> (code: String?, message: String?) {
        let bytes = Array(answer.body.readableBytesView)
        guard case .object(var fields)? = try? JSONParser.parse(bytes) else { return (nil, nil) }
        // Gateways like to wrap: {"error": {"code": …, "message": …}}.
        if case .object(let inner)? = fields["error"], fields["code"] == nil, fields["message"] == nil {
            fields = inner
        }
        var code: String?
        var message: String?
        if case .string(let text)? = fields["code"] { code = SafeText.code(text, key: context.key) }
        if case .string(let text)? = fields["message"] { message = SafeText.clean(text, key: context.key) }
        return (code, message?.isEmpty == true ? nil : message)
    }

    private func words(for answer: Answer, _ told: (code: String?, message: String?)) -> String {
        if let message = told.message { return message }
        if let code = told.code {
            return "the platform answered \(answer.status) (\(code)) when asked to \(call.words)"
        }
        let kind = SafeText.kind(
            contentType: answer.headers.first(name: "content-type"), byteCount: answer.body.readableBytes)
        return "the platform answered \(answer.status) (\(kind)) when asked to \(call.words)"
    }

    private func hint(for kind: UploadFailure.Kind, status: Int) -> String? {
        if (300..<400).contains(status) {
            return
                "redirects are not followed, since they could carry the key elsewhere: check the API's URL (--api-url)"
        }
        switch kind {
        case .keyRefused: return "check the key in \(keyLocation)"
        case .accessRefused:
            return
                "the account's plan or region does not allow this: see the platform's dashboard, then 'twelvefs retry'"
        case .accessUnclear: return "check the key in \(keyLocation), and that its plan and permissions allow uploads"
        case .sessionRefused: return "the file's name, type or options do not suit the platform"
        case .sizeRefused: return "the file is too large, or too small, for the account: see the platform's limits"
        case .sessionGone: return "sessions live for 24 hours; the upload is begun anew from what is kept on disk"
        case .conflict: return "something on the platform still refers to it"
        case .rateLimited: return "the account's rate limit is reached; waiting helps"
        case .platformUnavailable: return "the trouble is on the platform's side; waiting helps"
        case .requestRefused: return status == 404 ? "check the API's URL (--api-url)" : nil
        case .unreachable, .connectionLost, .unreadableAnswer, .urlExpired, .storeRefused, .storeUnavailable,
            .checksumMismatch, .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced,
            .invalidConfiguration:
            return nil
        }
    }
}
