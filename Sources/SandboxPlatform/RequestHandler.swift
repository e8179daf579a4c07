import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore

/// The connection ends here, without an answer or in the middle of one.
struct ConnectionEnded: Error {}

/// One request's way: journal, fault, handler, latency, answer.
struct RequestHandler: Sendable {
    /// A report of ten thousand chunks has about one MiB.
    static let largestBody = 16 << 20

    let platform: Platform
    let logger: Logger
    /// Scheme, host and port, for requests that do not tell whom they mean.
    let origin: @Sendable () -> String

    /// A request, and what is known of it.
    struct Exchange: Sendable {
        var request: Request
        var route: Route
        var path: String
        var sequence: Int
        var channel: any Channel
        var due: FaultTable.Due?
        var fault: Fault? { due?.fault }
    }

    /// Answers one request. Throws when the connection has to end.
    func respond(to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let path = request.head.path ?? "/"
        let route = Route(method: request.method.rawValue, path: path)
        if case .control(let parts) = route {
            let answer = try await refusalsAnswered {
                try await ControlHandler(platform: platform).answer(request, parts)
            }
            return try await writer.send(answer, date: platform.now.httpDate)
        }
        let exchange = begin(request, route, path, channel)
        do {
            let answer = try await answer(exchange, writer)
            try await deliver(answer, exchange, writer)
        } catch {
            platform.journal.finish(
                exchange.sequence, at: platform.clock.now, status: nil, error: "\(type(of: error))")
            throw error
        }
    }

    private func begin(_ request: Request, _ route: Route, _ path: String, _ channel: any Channel) -> Exchange {
        let due = platform.faults.take(route.kind, uploadID: route.uploadID, chunkIndex: route.chunkIndex)
        let sequence = platform.journal.begin(
            route.kind, method: request.method.rawValue, path: String(path.prefix { $0 != "?" }),
            at: platform.clock.now, carriedAPIKey: request.headers.apiKey != nil
        ) {
            $0.uploadID = route.uploadID
            $0.assetID = route.assetID
            $0.chunkIndex = route.chunkIndex
            if route.kind == .put { $0.signature = queryParameters(of: path)[URLSigner.signatureName] }
            $0.fault = due?.fault.name
        }
        return Exchange(request: request, route: route, path: path, sequence: sequence, channel: channel, due: due)
    }

    /// Everything but writing: the right answer, or what a fault made of it.
    private func answer(_ exchange: Exchange, _ writer: borrowing ResponseWriter) async throws -> Answer {
        defer { if exchange.route.kind == .put { platform.journal.putEnded() } }
        let right =
            if case .put(let uploadID, let chunkIndex) = exchange.route {
                try await put(exchange, uploadID, chunkIndex, writer)
            } else {
                try await call(exchange)
            }
        let answer = try await late(right, exchange)
        let latency = platform.currentSettings.latency
        if latency > .zero { try await platform.clock.sleep(for: latency) }
        return answer
    }

    // MARK: the API, and assets' content

    private func call(_ exchange: Exchange) async throws -> Answer {
        let request = exchange.request
        let body = try await request.body.collect(upTo: Self.largestBody)
        if let answer = try await early(exchange) { return answer }
        return try await refusalsAnswered {
            if case .content(let assetID) = exchange.route {
                return try StoreHandler(platform: platform).content(assetID, request.head)
            }
            if exchange.route == .unknown { throw Refusal.notFound("resource") }
            try checkKey(request.headers.apiKey)
            var failing: Set<Int> = []
            if case .failChunks(let chunks)? = exchange.fault?.answer { failing = Set(chunks) }
            let (journal, sequence) = (platform.journal, exchange.sequence)
            return try await APIHandler(platform: platform).answer(
                exchange.route, query: queryParameters(of: exchange.path), body: body,
                origin: request.head.authority.map { "http://\($0)" } ?? origin(), failing: failing
            ) { journal.note(sequence, $0) }
        }
    }

    private func checkKey(_ key: String?) throws(Refusal) {
        guard let key else {
            throw Refusal(
                style: .api, status: 401, code: "unauthorized", message: "The x-api-key header was not provided.")
        }
        guard key == platform.currentSettings.apiKey else {
            throw Refusal(
                style: .api, status: 403, code: "api_key_invalid", message: "The API key is invalid.")
        }
    }

    // MARK: PUT

    private func put(
        _ exchange: Exchange, _ uploadID: String, _ chunkIndex: Int, _ writer: borrowing ResponseWriter
    ) async throws -> Answer {
        let store = StoreHandler(platform: platform)
        let request = exchange.request
        let ticket: StoreHandler.Ticket
        do {
            ticket = try await store.admit(request.head, uploadID: uploadID, chunkIndex: chunkIndex)
        } catch let refusal as Refusal {
            return closing(refusal.answer, request)
        }
        let fault = exchange.fault?.timing == .before ? exchange.fault : nil
        let toDrain = fault.map { $0.drain ? ticket.size : Int64($0.afterBytes ?? 0) } ?? 0
        let refusesUnread = toDrain == 0 && (fault?.answersByItself ?? false)
        if !refusesUnread, request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        if toDrain > 0 { try await drain(toDrain, exchange) }
        if let answer = try await early(exchange) {
            return toDrain >= ticket.size ? answer : closing(answer, request)
        }
        guard toDrain == 0 else { throw ConnectionEnded() }
        try PutBuffers.fit(exchange.channel, bandwidth: platform.currentSettings.bandwidth)
        return try await refusalsAnswered {
            let (journal, sequence) = (platform.journal, exchange.sequence)
            return try await store.receive(ticket, request.body) { count in
                journal.note(sequence) { $0.bytes = ($0.bytes ?? 0) + Int64(count) }
            }
        }
    }

    /// Reads and drops so much of the body.
    private func drain(_ count: Int64, _ exchange: Exchange) async throws {
        var rest = count
        for try await buffer in exchange.request.body {
            rest -= Int64(buffer.readableBytes)
            platform.journal.note(exchange.sequence) { $0.bytes = ($0.bytes ?? 0) + Int64(buffer.readableBytes) }
            try await platform.throttle.pass(buffer.readableBytes)
            if rest <= 0 { return }
        }
    }

    /// An answer that comes before the body was read: the client is told not to use the connection again, so that a
    /// good one stops sending. Until it does, what still comes is dropped.
    private func closing(_ answer: Answer, _ request: Request) -> Answer {
        var answer = answer
        if request.headers[.contentLength] != "0" { answer.headers.append(("Connection", "close")) }
        return answer
    }

    // MARK: faults

    /// What a fault does before the request takes effect. Nil: the request goes on.
    private func early(_ exchange: Exchange) async throws -> Answer? {
        guard let fault = exchange.fault, fault.timing == .before else { return nil }
        switch fault.answer {
        case .session(let status):
            if let uploadID = exchange.route.uploadID { try await platform.end(uploadID, as: status) }
            return nil
        case .status, .html, .endless, .hang, .reset, .cutOff, .cutShort, .omit, .replace, .failChunks:
            return try await play(fault.answer, exchange)
        }
    }

    /// What a fault makes of the right answer.
    private func late(_ right: Answer, _ exchange: Exchange) async throws -> Answer {
        guard let fault = exchange.fault, fault.timing == .after else { return right }
        switch fault.answer {
        case .cutOff: return try right.cutOff()
        case .cutShort:
            var answer = try right.materialized()
            answer.isCutShort = true
            return answer
        case .omit(let names): return names.reduce(right) { $0.replacing($1, with: nil) }
        case .replace(let fields): return fields.reduce(right) { $0.replacing($1.key, with: $1.value) }
        case .failChunks, .session: return right
        case .status, .html, .endless, .hang, .reset: return try await play(fault.answer, exchange) ?? right
        }
    }

    private func play(_ fault: Fault.Answer, _ exchange: Exchange) async throws -> Answer? {
        switch fault {
        case .status(let status, let body, let headers):
            let type = body.hasPrefix("<") ? "application/xml" : "application/json"
            var fields = headers.map { (name: $0.key, value: $0.value) }
            if !headers.keys.contains(where: { $0.lowercased() == "content-type" }) {
                fields.append(("Content-Type", type))
            }
            return Answer(status: status, headers: fields, body: .bytes(ByteBuffer(string: body)))
        case .html: return .html
        case .endless: return Answer(status: 200, headers: [("Content-Type", "application/json")], body: .endless)
        case .hang:
            if let due = exchange.due { try await platform.faults.hang(due) }
            return nil
        case .reset:
            try await exchange.channel.reset()
            throw ConnectionEnded()
        case .cutOff, .cutShort, .omit, .replace, .failChunks, .session: return nil
        }
    }

    // MARK: writing

    private func deliver(_ answer: Answer, _ exchange: Exchange, _ writer: consuming ResponseWriter) async throws {
        let (platform, sequence) = (platform, exchange.sequence)
        let finish: @Sendable (Int64?) -> Void = { bytes in
            if let bytes { platform.journal.note(sequence) { $0.bytes = bytes } }
            platform.journal.finish(sequence, at: platform.clock.now, status: answer.status)
        }
        let date = platform.now.httpDate
        switch answer.body {
        case .empty, .json, .bytes:
            // Noted first: whoever has the answer finds it in the journal.
            finish(nil)
            try await writer.send(answer, date: date)
        case .contentHead:
            finish(0)
            try await writer.send(answer, date: date)
        case .content, .endless:
            try await writer.stream(answer, date: date, onLastByte: finish)
        }
        if answer.isCutShort {
            try await exchange.channel.close(mode: .output)
            throw ConnectionEnded()
        }
    }

    /// Refusals become answers, and what went wrong inside becomes 500.
    private func refusalsAnswered(_ body: () async throws -> Answer) async throws -> Answer {
        do {
            return try await body()
        } catch let refusal as Refusal {
            return refusal.answer
        } catch let failure as FileFailure {
            logger.error("file operation failed", metadata: ["error": "\(failure)"])
            return .json(
                .object(["code": "internal_server_error", "message": .string("\(failure.call) failed")]), status: 500)
        }
    }
}
