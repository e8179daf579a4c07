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
    /// What is answered here.
    let services: Set<Service>
    let origins: Origins
    let doorkeeper: Doorkeeper

    /// A request, and what is known of it.
    struct Exchange: Sendable {
        var request: Request
        var route: Route
        var path: String
        var sequence: Int
        var channel: any Channel
        var due: FaultTable.Due?
        var fault: InjectedFault? { due?.fault }
    }

    private var player: FaultPlayer { FaultPlayer(platform: platform) }

    /// Answers one request. Throws when the connection has to end.
    func respond(to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        do {
            try doorkeeper.check(request.head)
        } catch {
            return try await writer.send(closing(error.answer, request), date: platform.now.httpDate)
        }
        let path = request.head.path ?? "/"
        var route = Route(method: request.method.rawValue, path: path)
        if let service = route.service, !services.contains(service) { route = .unknown }
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
        let due = platform.faults.take(route, age: platform.timeSinceCompletion(of: route))
        let sequence = platform.journal.begin(
            route.kind, method: request.method.rawValue, path: String(path.prefix { $0 != "?" }),
            at: platform.clock.now, carriedAPIKey: request.headers.apiKey != nil
        ) {
            $0.uploadID = route.uploadID
            $0.assetID = route.assetID
            $0.chunkIndex = route.chunkIndex
            if route.kind == .put { $0.signature = queryParameters(of: path)[URLSigner.signatureName] }
            if route.isCall { $0.query = path.firstIndex(of: "?").map { String(path[path.index(after: $0)...]) } }
            $0.fault = due?.fault.name
        }
        return Exchange(request: request, route: route, path: path, sequence: sequence, channel: channel, due: due)
    }

    /// Everything but writing: the right answer, or what a fault made of it.
    private func answer(_ exchange: Exchange, _ writer: borrowing ResponseWriter) async throws -> SandboxAnswer {
        defer { platform.journal.ended(exchange.route.kind) }
        let right =
            switch exchange.route {
            case .put(let uploadID, let chunkIndex): try await put(exchange, uploadID, chunkIndex, writer)
            case .content(let assetID): try await content(exchange, assetID)
            case .create, .list, .status, .report, .urls, .assets, .asset, .deleteAsset, .metadata, .control, .unknown:
                try await call(exchange)
            }
        var answer = try await player.late(right, exchange)
        let settings = platform.currentSettings
        if exchange.route.isCall { addHeaders(to: &answer, exchange, settings) }
        let latency = settings.latency + (exchange.route.isCall ? settings.apiLatency : .zero)
        if latency > .zero { try await platform.clock.sleep(for: latency) }
        return answer
    }

    /// What the settings have every answer of the API tell.
    private func addHeaders(to answer: inout SandboxAnswer, _ exchange: Exchange, _ settings: SandboxSettings) {
        for (name, value) in platform.limiter.standing(settings, at: platform.now)?.headers ?? [] {
            answer.addHeader(name, value)
        }
        if settings.traceIDs { answer.addHeader("x-trace-id", hex(UInt64.random(in: 0...UInt64.max), digits: 32)) }
        if let traceID = answer.header("x-trace-id") {
            platform.journal.amend(exchange.sequence) { $0.traceID = traceID }
        }
    }

    // MARK: the API, and assets' content

    private func content(_ exchange: Exchange, _ assetID: String) async throws -> SandboxAnswer {
        _ = try await exchange.request.body.collect(upTo: Self.largestBody)
        if let answer = try await player.early(exchange) { return answer }
        return try await refusalsAnswered {
            try StoreHandler(platform: platform).content(assetID, exchange.request.head)
        }
    }

    private func call(_ exchange: Exchange) async throws -> SandboxAnswer {
        let head = exchange.request.head
        let body = try await exchange.request.body.collect(upTo: Self.largestBody)
        let settings = platform.currentSettings
        let request = APIRequest(exchange.route, head, body: body, specification: settings.specification)
        let constraints = Constraints.of(request.call, settings.specification)
        let violation = constraints.violation(of: request, largest: settings.maxFileSize, except: platform.unenforced)
        let (journal, sequence) = (platform.journal, exchange.sequence)
        journal.amend(sequence) {
            guard exchange.route.isCall else { return }
            $0.body =
                body.readableBytes == 0 ? nil : String(decoding: body.readableBytesView.prefix(64 << 10), as: UTF8.self)
            $0.contentType = head.headerFields[.contentType]
            $0.violation = violation?.constraint.name
        }
        if let answer = try await player.early(exchange) { return answer }
        return try await refusalsAnswered {
            guard !constraints.rows.isEmpty else { throw Refusal.notFound("resource") }
            do {
                if let violation, violation.constraint.parameter == "x-api-key" { throw violation.refusal }
                try checkKey(head.headerFields.apiKey, constraints)
                try platform.limiter.count(settings, at: platform.now)
                if let violation { throw violation.refusal }
                var handler = APIHandler(
                    platform: platform, request: request, storeOrigin: origins.store(askedBy: head.authority)
                ) {
                    journal.amend(sequence, $0)
                }
                if case .failChunks(let chunks)? = exchange.fault?.answer { handler.failing = Set(chunks) }
                return try await handler.answer(exchange.route)
            } catch let refusal as Refusal {
                if let constraint = refusal.constraint { journal.amend(sequence) { $0.violation = constraint } }
                throw refusal
            }
        }
    }

    /// That a key was sent is for a constraint of its own.
    private func checkKey(_ key: String?, _ constraints: Constraints) throws(Refusal) {
        guard let key, key != platform.currentSettings.apiKey,
            let row = constraints.rows.first(where: { $0.parameter == "x-api-key" && $0.rule == .known }),
            !platform.unenforced.contains(row)
        else { return }
        throw row.refusal(naming: "x-api-key")
    }

    // MARK: PUT

    private func put(
        _ exchange: Exchange, _ uploadID: String, _ chunkIndex: Int, _ writer: borrowing ResponseWriter
    ) async throws -> SandboxAnswer {
        let store = StoreHandler(platform: platform)
        let request = exchange.request
        let admitted: StoreHandler.AdmittedPut
        do {
            admitted = try await store.admit(request.head, uploadID: uploadID, chunkIndex: chunkIndex)
        } catch let refusal as Refusal {
            return closing(refusal.answer, request)
        }
        let fault = exchange.fault?.timing == .before ? exchange.fault : nil
        let toDrain = fault.map { $0.drain ? admitted.size : Int64($0.afterBytes ?? 0) } ?? 0
        let refusesUnread = toDrain == 0 && (fault?.answersByItself ?? false)
        if !refusesUnread, request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        if toDrain > 0 { try await drain(toDrain, exchange) }
        if let answer = try await player.early(exchange) {
            return toDrain >= admitted.size ? answer : closing(answer, request)
        }
        guard toDrain == 0 else { throw ConnectionEnded() }
        try PutBuffers.fit(exchange.channel, bandwidth: platform.currentSettings.bandwidth)
        return try await refusalsAnswered {
            let (journal, sequence) = (platform.journal, exchange.sequence)
            var etags = platform.currentSettings.etags
            if exchange.fault?.answer == .opaqueETag { etags = .opaque }
            return try await store.receive(admitted, request.body, etags: etags) { count in
                journal.amend(sequence) { $0.bytes = ($0.bytes ?? 0) + Int64(count) }
            }
        }
    }

    /// Reads and drops so much of the body.
    private func drain(_ count: Int64, _ exchange: Exchange) async throws {
        var rest = count
        for try await buffer in exchange.request.body {
            rest -= Int64(buffer.readableBytes)
            platform.journal.amend(exchange.sequence) { $0.bytes = ($0.bytes ?? 0) + Int64(buffer.readableBytes) }
            try await platform.throttle.pass(buffer.readableBytes)
            if rest <= 0 { return }
        }
    }

    /// An answer that comes before the body was read: the client is told not to use the connection again, so that a
    /// good one stops sending. Until it does, what still comes is dropped.
    private func closing(_ answer: SandboxAnswer, _ request: Request) -> SandboxAnswer {
        var answer = answer
        if request.headers[.contentLength] != "0" { answer.headers.append(("Connection", "close")) }
        return answer
    }

    // MARK: writing

    private func deliver(_ answer: SandboxAnswer, _ exchange: Exchange, _ writer: consuming ResponseWriter) async throws
    {
        let (platform, sequence) = (platform, exchange.sequence)
        let finish: @Sendable (Int64?) -> Void = { bytes in
            if let bytes { platform.journal.amend(sequence) { $0.bytes = bytes } }
            platform.journal.finish(sequence, at: platform.clock.now, status: answer.status)
        }
        let date = platform.now.httpDate
        switch answer.body {
        case .empty, .json, .bytes:
            // Recorded first: whoever has the answer finds it in the journal.
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
    private func refusalsAnswered(_ body: () async throws -> SandboxAnswer) async throws -> SandboxAnswer {
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
