import AsyncHTTPClient
import Formats
import NIOCore
import NIOHTTP1
import Synchronization
import UploadCore

/// An answer, whole.
package struct HTTPAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: ByteBuffer

    package init(status: Int, headers: HTTPHeaders, body: ByteBuffer) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// One request on its way: collects the answer within bounds, and tells what has been sent.
///
/// On async-http-client's delegate interface rather than on its `async` one, which tells neither whether the request left (and with it
/// whether a URL is spent) nor when bytes left, and which keeps a suspended task for good when the answer comes before
/// the body was taken.
final class Exchange: HTTPClientResponseDelegate {
    /// What happens on the wire while a body is sent.
    enum BodyEvent: Sendable {
        /// The body may be written.
        case ready(HTTPClient.Body.StreamWriter)
        /// The network took so many bytes of it.
        case sent(Int)
        /// The other side has answered already, and not with a success: it wants no more of the body.
        case answered
    }

    private struct State {
        var mayHaveBeenSent = false
        var wasSentWhole = false
        var head: HTTPResponseHead?
        var body = ByteBuffer()

        /// Whether a refusal came while the request was still being sent.
        var isRefusedEarly: Bool { !wasSentWhole && (head?.status.code ?? 0) >= 300 }

        /// Whether all of the body is there that the head announced.
        var isWhole: Bool {
            guard let length = head?.headers.first(name: "content-length").flatMap({ Int($0) }) else { return false }
            return body.readableBytes >= length
        }
    }

    private let state = Mutex(State())
    private let maximumBody: ByteCount
    private let onBody: @Sendable (BodyEvent) -> Void
    private let onActivity: @Sendable () -> Void

    /// - Parameters:
    ///   - maximumBody: the most that the answer's body may have.
    ///   - onBody: told, on an event loop, what becomes of the request's body.
    ///   - onActivity: called, on an event loop, for everything that moves up to the answer's head. A body that trickles in
    ///     is no progress: else it could last for ever.
    init(
        maximumBody: ByteCount, onBody: @escaping @Sendable (BodyEvent) -> Void = { _ in },
        onActivity: @escaping @Sendable () -> Void = {}
    ) {
        self.maximumBody = maximumBody
        self.onBody = onBody
        self.onActivity = onActivity
    }

    /// Whether the head of the request was written: from then on it may have reached the other side.
    var mayHaveBeenSent: Bool { state.withLock { $0.mayHaveBeenSent } }

    /// A refusal of which at least the head has come. It says more than how the connection ended after it.
    var refusal: HTTPAnswer? {
        state.withLock { state in
            guard let head = state.head, head.status.code >= 300 else { return nil }
            return HTTPAnswer(status: Int(head.status.code), headers: head.headers, body: state.body)
        }
    }

    // MARK: HTTPClientResponseDelegate

    func didSendRequestHead(task: HTTPClient.Task<HTTPAnswer>, _ head: HTTPRequestHead) {
        state.withLock { $0.mayHaveBeenSent = true }
        onActivity()
    }

    func didSendRequestPart(task: HTTPClient.Task<HTTPAnswer>, _ part: IOData) {
        onBody(.sent(part.readableBytes))
        onActivity()
    }

    func didSendRequest(task: HTTPClient.Task<HTTPAnswer>) {
        state.withLock { $0.wasSentWhole = true }
    }

    func didReceiveHead(task: HTTPClient.Task<HTTPAnswer>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        onActivity()
        let isRefusedEarly = state.withLock { state in
            state.head = head
            return state.isRefusedEarly
        }
        if isRefusedEarly { onBody(.answered) }
        let announced = head.headers.first(name: "content-length").flatMap { Int64($0) } ?? 0
        return proceed(announced <= maximumBody.bytes, on: task.eventLoop)
    }

    func didReceiveBodyPart(task: HTTPClient.Task<HTTPAnswer>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let fits = state.withLock { state in
            guard Int64(state.body.readableBytes) + Int64(buffer.readableBytes) <= maximumBody.bytes else {
                return false
            }
            state.body.writeImmutableBuffer(buffer)
            return true
        }
        return proceed(fits, on: task.eventLoop)
    }

    func didFinishRequest(task: HTTPClient.Task<HTTPAnswer>) throws -> HTTPAnswer {
        try state.withLock { state in
            guard let head = state.head else { throw HTTPClientError.remoteConnectionClosed }
            return HTTPAnswer(status: Int(head.status.code), headers: head.headers, body: state.body)
        }
    }

    private func proceed(_ fits: Bool, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        guard fits else { return eventLoop.makeFailedFuture(ExchangeLimit.answerTooLarge(maximumBody)) }
        // async-http-client does not tell the end of an answer whose request was not sent to its end: not before its user
        // stops sending. So when the whole refusal is there, the exchange is ended from here.
        let isOver = state.withLock { $0.isRefusedEarly && $0.isWhole }
        return isOver ? eventLoop.makeFailedFuture(ExchangeLimit.refusedEarly) : eventLoop.makeSucceededVoidFuture()
    }
}

extension HTTPClient.Task<HTTPAnswer> {
    /// Waits for the answer while `companions` run beside it: what one of them throws ends the exchange with that error, and
    /// they are cancelled when it ends. Cancelling the calling task cancels the exchange.
    func answer(
        of exchange: Exchange, beside companions: [@Sendable () async throws -> Void]
    ) async -> Result<HTTPAnswer, PlatformClient.Broken> {
        let result = await ending(beside: companions)
        return result.flatMapError { error in
            if let refusal = exchange.refusal, !Task.isCancelled, !ExchangeLimit.isTooLarge(error) {
                return .success(refusal)
            }
            return .failure(PlatformClient.Broken(error: error, mayHaveBeenSent: exchange.mayHaveBeenSent))
        }
    }

    private func ending(beside companions: [@Sendable () async throws -> Void]) async -> Result<HTTPAnswer, any Error> {
        await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { group in
                for companion in companions {
                    group.addTask {
                        do {
                            try await companion()
                        } catch is CancellationError {
                            // The exchange has ended, or is being cancelled.
                        } catch {
                            self.fail(reason: error)
                        }
                    }
                }
                let result: Result<HTTPAnswer, any Error>
                do {
                    result = .success(try await self.get())
                } catch {
                    result = .failure(error)
                }
                group.cancelAll()
                return result
            }
        } onCancel: {
            self.cancel()
        }
    }
}
