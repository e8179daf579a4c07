import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import UploadCore

extension PlatformClient {
    /// One call of the API, and its answer when that is a success.
    func call(
        _ call: APICall, id: String = "", query: String? = nil, body: JSONValue? = nil
    ) async throws(UploadFailure) -> (answer: HTTPAnswer, context: AnswerContext) {
        if call.hasIDInPath, !APICall.isPlainID(id) {
            throw UploadFailure(
                .requestRefused, code: "identifier_malformed", message: "no upload or asset has such an identifier")
        }
        let key = configuration.keySource.current
        let context = AnswerContext(base: base, key: key, now: configuration.wallClock)
        let path = base.basePath + call.path(id: id)
        let limit = call == .report ? configuration.reportTimeout : configuration.callTimeout
        let clock = configuration.clock
        let request = try request(
            call.method, url: base.origin + path + (query.map { "?" + $0 } ?? ""), to: base, key: key, body: body)
        let stopwatch = Stopwatch(clock: clock)

        let result = try await (call == .report ? reports : calls).pass { () async throws(UploadFailure) in
            try await firstThatIsSent {
                let exchange = Exchange(maximumBody: configuration.maximumAnswer)
                let task = api.client(for: base).execute(request: request, delegate: exchange)
                return await task.answer(of: exchange, beside: [limit.asDeadline(on: clock)])
            }
        }
        let metadata: Logger.Metadata = ["method": "\(call.method)", "path": "\(path)"]
        switch result {
        case .success(let answer):
            record(answer, of: call, context)
            let failures = APIFailures(call: call, context: context, keyLocation: configuration.keyLocation)
            let failure = failures.failure(of: answer)
            log("api call", metadata, status: answer.status, traceID: failure?.traceID, stopwatch)
            if let failure { throw failure }
            return (answer, context)
        case .failure(let broken):
            let failure = await failure(of: broken, with: "the platform", at: base)
            log("api call failed", metadata, failure: failure, stopwatch)
            throw failure
        }
    }

    private func record(_ answer: HTTPAnswer, of call: APICall, _ context: AnswerContext) {
        guard let limit = RateLimit(answer.headers, now: context.now) else { return }
        limits.withLock { $0.record(limit, of: call.rawValue) }
    }

    private func request(
        _ method: HTTPMethod, url: String, to address: WebAddress, key: APIKey, body: JSONValue?
    ) throws(UploadFailure) -> HTTPClient.Request {
        var headers = HTTPHeaders([
            ("host", address.authority), ("x-api-key", key.secret), ("accept", "application/json"),
            ("user-agent", Self.userAgent),
        ])
        if body != nil { headers.add(name: "content-type", value: "application/json") }
        do {
            return try HTTPClient.Request(
                url: url, method: method, headers: headers, body: body.map { .byteBuffer(ByteBuffer(string: $0.text)) })
        } catch {
            // The base URL and the identifiers were checked: this is for what such a check may have missed.
            throw UploadFailure(
                .invalidConfiguration, code: "api_url_invalid", message: "the API's URL cannot be used")
        }
    }

    /// An exchange that ended without an answer.
    struct Broken: Error {
        let error: any Error
        /// Whether the request may have reached the other side.
        let mayHaveBeenSent: Bool
    }

    /// Sends a request once: only a connection from the pool that turns out to be closed before anything was written to it is
    /// replaced by another.
    ///
    /// async-http-client itself sends nothing again: it fails a request whose connection closes and leaves the rest to its
    /// user (as of 1.37). A connection that the other side closes while idle leaves its pool at once; what remains is one
    /// that is being closed at the very moment at which it is picked.
    func firstThatIsSent<Success>(
        _ attempt: () async -> Result<Success, Broken>
    ) async throws(UploadFailure) -> Result<Success, Broken> {
        try await gate.pass {
            for _ in 1..<3 {
                let result = await attempt()
                guard case .failure(let broken) = result,
                    NetworkFailures.isStaleConnection(broken.error, mayHaveBeenSent: broken.mayHaveBeenSent)
                else { return result }
            }
            return await attempt()
        }
    }

    /// What an exchange that ended without an answer means; a proxy that leads there and did not connect is asked what it answers.
    ///
    /// - Parameter party: who did not answer.
    func failure(of broken: Broken, with party: String, at address: WebAddress) async -> UploadFailure {
        var failures = NetworkFailures(party: party, address: address)
        if let server = configuration.proxies.server(for: address) {
            failures.proxy = (server, await answer(of: server, to: address, after: broken.error))
        }
        return failures.failure(for: broken.error, mayHaveBeenSent: broken.mayHaveBeenSent)
    }

    /// What a proxy answers, where an error leaves that open.
    private func answer(
        of proxy: ProxyServer, to address: WebAddress, after error: any Error
    ) async -> ProxyAnswer? {
        let open: [HTTPClientError] = [
            .invalidProxyResponse, .httpProxyHandshakeTimeout, .connectTimeout, .remoteConnectionClosed,
        ]
        guard proxy.kind == .http, let error = error as? HTTPClientError, open.contains(error) else { return nil }
        // Not for long: what answers at all does so at once.
        let timeout = min(configuration.connectTimeout, .seconds(5))
        // A client that is shut down asks nobody.
        let answer = try? await gate.pass { () async throws(UploadFailure) in
            await ProxyAnswer.asked(of: proxy, to: address, within: timeout, on: group)
        }
        return answer ?? nil
    }

    static let userAgent = "twelvefs"

    func decoder(
        _ call: (answer: HTTPAnswer, context: AnswerContext), _ kind: APICall
    ) throws(UploadFailure) -> AnswerDecoder {
        try AnswerDecoder(call.answer, of: kind, context: call.context)
    }

    // MARK: Logging: never headers, bodies or queries.

    /// - Parameter traceID: the platform's name for a call that it refused.
    func log(
        _ message: Logger.Message, _ metadata: Logger.Metadata, status: Int, traceID: String? = nil,
        _ stopwatch: Stopwatch
    ) {
        var outcome: Logger.Metadata = ["status": "\(status)", "took": "\(stopwatch.elapsed())"]
        if let traceID { outcome["trace_id"] = "\(traceID)" }
        logger.debug(message, metadata: metadata.merging(outcome) { $1 })
    }

    func log(_ message: Logger.Message, _ metadata: Logger.Metadata, failure: UploadFailure, _ stopwatch: Stopwatch) {
        let outcome: Logger.Metadata = [
            "failure": "\(failure.kind.rawValue)", "code": "\(failure.code)", "took": "\(stopwatch.elapsed())",
        ]
        logger.debug(message, metadata: metadata.merging(outcome) { $1 })
    }
}
