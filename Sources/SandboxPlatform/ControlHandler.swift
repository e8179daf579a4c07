import HTTPTypes
import HummingbirdCore
import NIOCore

/// `/_sandbox/…`: what tests see and change. No key is needed here, and nothing of it is in the journal.
struct ControlHandler: Sendable {
    let platform: Platform

    /// Throws `Refusal` for what is not understood.
    func answer(_ request: Request, _ parts: [String]) async throws -> SandboxAnswer {
        let method = request.method
        let query = queryParameters(of: request.head.path ?? "")
        switch (method, parts.first, parts.count) {
        case (.get, "journal", 1):
            return .json(platform.journal.json)
        case (.delete, "journal", 1):
            platform.journal.clear()
            return SandboxAnswer(status: 204)
        case (.get, "assets", 1):
            let assets = try await platform.assets(withDigests: query["digests"] != "off")
            return .json(.object(["assets": .array(assets.map(\.json))]))
        case (.post, "assets", 2):
            try await change(asset: parts[1], try await json(request))
            return SandboxAnswer(status: 204)
        case (.post, "sessions", 2):
            guard let status = try await json(request)["status"]?.string, ["failed", "expired"].contains(status) else {
                throw Refusal.parameterInvalid("status", "failed or expired is expected")
            }
            try await platform.end(parts[1], as: status)
            return SandboxAnswer(status: 204)
        case (.get, "faults", 1):
            let left = platform.faults.remaining
            return .json(.object(["faults": .array(left.map { .string($0.name) })]))
        case (.post, "faults", 1):
            platform.faults.add(try InjectedFault.list(try await json(request)))
            return SandboxAnswer(status: 204)
        case (.delete, "faults", 1):
            platform.faults.clear()
            return SandboxAnswer(status: 204)
        case (.get, "configuration", 1):
            return .json(platform.currentSettings.json)
        case (.post, "configuration", 1):
            try platform.configure(try await json(request))
            return .json(platform.currentSettings.json)
        default:
            throw Refusal.notFound("control")
        }
    }

    /// A body that is said to be JSON: pages of other origins can send one as anything else without asking.
    private func json(_ request: Request) async throws -> SandboxJSON {
        guard request.head.mediaType == "application/json" else {
            throw Refusal(
                style: .api, status: 415, code: "unsupported_media_type",
                message: "A body is taken as JSON only when it is said to be: send Content-Type: application/json.")
        }
        let body = try await request.body.collect(upTo: RequestHandler.largestBody)
        guard let json = try? SandboxJSON(parsing: body) else {
            throw Refusal.parameterInvalid("body", "JSON is expected")
        }
        return json
    }

    /// `{"referred_to": true}`: is deleted only with `force`. `{"failure": "why"}`: fails, `null`: does not.
    /// `{"size": 5}`: says that it has so many bytes, `null`: what it has.
    private func change(asset assetID: String, _ json: SandboxJSON) async throws {
        let fields = try Fields(json, known: ["referred_to", "failure", "size"])
        try await platform.change(asset: assetID) { record in
            if let isReferredTo = fields["referred_to"]?.bool { record.isReferredTo = isReferredTo }
            if let failure = fields["failure"] { record.assetFailure = failure.string }
            if let size = fields["size"] { record.reportedSize = size.integer }
        }
    }
}
