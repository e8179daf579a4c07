import HTTPTypes
import HummingbirdCore
import NIOCore

/// What a fault does to a request.
struct FaultPlayer: Sendable {
    let platform: Platform

    typealias Exchange = RequestHandler.Exchange

    /// What a fault does before the request takes effect. Nil: the request goes on.
    func early(_ exchange: Exchange) async throws -> SandboxAnswer? {
        guard let fault = exchange.fault, fault.timing == .before else { return nil }
        switch fault.answer {
        case .session(let status):
            if let uploadID = exchange.route.uploadID { try await platform.end(uploadID, as: status) }
            return nil
        case .status, .html, .endless, .hang, .reset, .cutOff, .cutShort, .omit, .replace, .failChunks, .delay,
            .redirect, .rateLimited, .opaqueETag, .signedHeaders, .nulls:
            return try await play(fault.answer, exchange)
        }
    }

    /// What a fault makes of the right answer.
    func late(_ right: SandboxAnswer, _ exchange: Exchange) async throws -> SandboxAnswer {
        guard let fault = exchange.fault, fault.timing == .after else { return right }
        switch fault.answer {
        case .cutOff: return try right.cutOff()
        case .cutShort:
            var answer = try right.materialized()
            answer.isCutShort = true
            return answer
        case .omit(let names): return names.reduce(right) { $0.replacing($1, with: nil) }
        case .replace(let fields): return fields.reduce(right) { $0.replacing($1.key, with: $1.value) }
        case .signedHeaders: return right.namingSignedHeaders()
        case .nulls: return right.withNulls(of: exchange.route.kind)
        case .failChunks, .session, .opaqueETag: return right
        case .status, .html, .endless, .hang, .reset, .delay, .redirect, .rateLimited:
            return try await play(fault.answer, exchange) ?? right
        }
    }

    private func play(_ fault: InjectedFault.Answer, _ exchange: Exchange) async throws -> SandboxAnswer? {
        switch fault {
        case .status(let status, let body, let headers):
            let type = body.hasPrefix("<") ? "application/xml" : "application/json"
            var fields = headers.map { (name: $0.key, value: $0.value) }
            if !headers.keys.contains(where: { $0.lowercased() == "content-type" }) {
                fields.append(("Content-Type", type))
            }
            return SandboxAnswer(status: status, headers: fields, body: .bytes(ByteBuffer(string: body)))
        case .html: return .html
        case .endless:
            return SandboxAnswer(status: 200, headers: [("Content-Type", "application/json")], body: .endless)
        case .hang:
            if let due = exchange.due { try await platform.faults.hang(due) }
            return nil
        case .reset:
            try await exchange.channel.reset()
            throw ConnectionEnded()
        case .delay(let time):
            if let due = exchange.due { try await platform.faults.delay(due, for: time, by: platform.clock) }
            return nil
        case .redirect(let location, let status):
            var refusal = Refusal.store(
                status, "TemporaryRedirect", "Please re-send this request to the specified temporary endpoint.")
            refusal.headers = [("Location", location.replacing("{target}", with: exchange.path))]
            return refusal.answer
        case .rateLimited(let limit, let window, let wait):
            let now = platform.now
            let standing = RateLimiter.Standing(
                limit: limit, used: limit, reset: now.advanced(by: wait), window: window)
            var answer = standing.refusal(at: now).answer
            answer.addHeader("x-trace-id", hex(UInt64.random(in: 0...UInt64.max), digits: 32))
            return answer
        case .cutOff, .cutShort, .omit, .replace, .failChunks, .session, .opaqueETag, .signedHeaders, .nulls:
            return nil
        }
    }
}
