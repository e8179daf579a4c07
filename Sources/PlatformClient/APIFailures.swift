import NIOCore
import NIOHTTP1
import UploadCore

/// What an answer of the API that is not a success means.
///
/// By its status; but the codes that the platform documents win over a 4xx, since proxies and older versions of the API
/// use other statuses for the same thing. (https://docs.twelvelabs.io/api-reference/error-codes)
package struct APIFailures {
    let call: APICall
    let context: AnswerContext
    /// Where the user keeps the key.
    let keyLocation: String

    package init(call: APICall, context: AnswerContext, keyLocation: String) {
        self.call = call
        self.context = context
        self.keyLocation = keyLocation
    }

    /// Nil for a 2xx.
    package func failure(of answer: HTTPAnswer) -> UploadFailure? {
        guard !(200..<300).contains(answer.status) else { return nil }
        let told = told(by: answer)
        let kind = kind(status: answer.status, code: told.code, message: told.message)
        return UploadFailure(
            kind, code: told.code, message: words(for: answer, told),
            hint: hint(for: kind, status: answer.status, code: told.code), httpStatus: answer.status,
            traceID: traceID(of: answer), retryAfter: wait(asked: answer.headers, kind))
    }

    /// Every answer may tell when a limit's window ends; only one that the limit refused asks to wait for it.
    private func wait(asked headers: HTTPHeaders, _ kind: UploadFailure.Kind) -> Duration? {
        if let wait = RetryAfter.wait(asked: headers, now: context.now) { return wait }
        return kind == .rateLimited ? RetryAfter.wait(untilReset: headers, now: context.now) : nil
    }

    private func kind(status: Int, code: String?, message: String?) -> UploadFailure.Kind {
        if (400..<500).contains(status), let kind = code.flatMap(kind(code:)) { return kind }
        switch status {
        case 401: return .keyRefused
        // Whatever else refuses: a code that nobody listed, a gateway in between, a firewall's page.
        case 403: return .accessUnclear
        case 400, 422:
            guard call == .createSession else { return .requestRefused }
            if RefusedParameter.isSize(message) { return .sizeRefused }
            return RefusedParameter.isType(code: code, message: message) ? .typeRefused : .sessionRefused
        case 404, 410: return call.subject == .session ? .sessionGone : .requestRefused
        case 408, 425: return .platformUnavailable
        case 409: return .conflict
        case 413: return call == .createSession ? .sizeRefused : .requestRefused
        case 429: return .rateLimited
        case 500...: return .platformUnavailable
        default: return .requestRefused
        }
    }

    /// What a code of the platform's means; nil for one that is not listed, and for one whose status tells more.
    private func kind(code: String) -> UploadFailure.Kind? {
        switch code {
        case "too_many_requests": return .rateLimited
        case "request_canceled_or_timed_out": return .platformUnavailable
        case "api_key_invalid", "unauthorized": return .keyRefused
        case "read_not_allowed", "resource_not_exist":
            // It is gone, or another account's, which comes to the same. That says nothing about the key.
            switch call.subject {
            case .session: return .sessionGone
            case .asset: return .requestRefused
            case .account: return nil
            }
        default: return AccessRefusal(rawValue: code) == nil ? nil : .accessRefused
        }
    }

    private func told(by answer: HTTPAnswer) -> (code: String?, message: String?) {
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

    /// What the platform's support asks for.
    private func traceID(of answer: HTTPAnswer) -> String? {
        SafeText.traceID(answer.headers.first(name: "x-trace-id"), key: context.key)
            ?? SafeText.traceID(answer.headers.first(name: "x-request-id"), key: context.key)
    }

    private func words(for answer: HTTPAnswer, _ told: (code: String?, message: String?)) -> String {
        if let message = told.message { return message }
        if let code = told.code {
            return "the platform answered \(answer.status) (\(code)) when asked to \(call.words)"
        }
        let kind = SafeText.kind(
            contentType: answer.headers.first(name: "content-type"), byteCount: answer.body.readableBytes)
        return "the platform answered \(answer.status) (\(kind)) when asked to \(call.words)"
    }

    private func hint(for kind: UploadFailure.Kind, status: Int, code: String?) -> String? {
        if (300..<400).contains(status) {
            return
                "redirects are not followed, since they could carry the key elsewhere: check the API's URL (--api-url)"
        }
        switch kind {
        case .keyRefused: return "check the key in \(keyLocation)"
        case .accessRefused: return code.flatMap(AccessRefusal.init)?.hint
        case .accessUnclear:
            return
                "the platform, or something between here and it, refuses this without saying why: check what the account and the key in \(keyLocation) may do"
        case .sessionRefused: return "the file's name, type or options do not suit the platform"
        case .typeRefused: return "the platform takes no files of this type (see --asset-type)"
        case .sizeRefused: return "the file is too large, or too small, for the account: see the platform's limits"
        case .sessionGone: return "sessions live for 24 hours; the upload is begun anew from what is kept on disk"
        case .conflict: return "something on the platform still refers to it"
        case .rateLimited: return "the account's rate limit is reached; waiting helps"
        case .platformUnavailable: return "the trouble is on the platform's side; waiting helps"
        case .requestRefused:
            if code == "read_not_allowed" { return "it is gone, or belongs to another account than the key" }
            return status == 404 ? "check the API's URL (--api-url)" : nil
        case .unreachable, .connectionLost, .unreadableAnswer, .urlExpired, .storeRefused, .storeRedirected,
            .storeUnavailable,
            .checksumMismatch, .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced,
            .invalidConfiguration:
            return nil
        }
    }
}

/// The codes by which the platform refuses what an account, its plan or its region does not allow, and what its user can do.
private enum AccessRefusal: String {
    case otherRegion = "region_not_allowed"
    case paidPlanOnly = "api_allowed_for_paid_plan"
    case notAllowed = "api_not_allowed"
    case newerVersionOnly = "api_upgrade_required"
    case tags = "tags_not_allowed"

    var hint: String {
        switch self {
        case .otherRegion:
            "the platform does not serve the region that this machine calls from: see its terms of use, then 'twelvefs retry'"
        case .paidPlanOnly: "choose another plan in the platform's dashboard, then 'twelvefs retry'"
        case .notAllowed:
            "the account may not do this: ask whoever manages it, or the platform's support, then 'twelvefs retry'"
        case .newerVersionOnly:
            "the call needs a newer version of the API: check the version in --api-url (\(PlatformConfiguration.defaultBaseURL)), mount again, then 'twelvefs retry'"
        case .tags: "leave out of --metadata what the platform names, mount again, then 'twelvefs retry'"
        }
    }
}
