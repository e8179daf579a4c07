import AsyncHTTPClient
import Formats
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import UploadCore

/// What an exchange that ended without an answer means. The libraries' own texts are never used: some hold the URL, some a
/// header's value.
struct NetworkFailures {
    /// Who did not answer: "the platform", "the object store".
    let party: String
    /// Their origin, without path and query.
    let address: WebAddress
    /// The proxy that leads to them, and what it answered to `CONNECT`, where that is known.
    var proxy: (server: ProxyServer, answer: ProxyAnswer?)?

    /// - Parameter mayHaveBeenSent: whether the request's head was written: only then may something have reached them.
    func failure(for error: any Error, mayHaveBeenSent: Bool) -> UploadFailure {
        switch error {
        case let failure as UploadFailure: return failure
        case ExchangeLimit.answerTooLarge(let limit):
            return UploadFailure(
                .unreadableAnswer, code: "answer_too_large",
                message: "\(party)'s answer is larger than \(limit), more than any that makes sense",
                hint: "something between here and \(party) may have answered in its place")
        case is CancellationError: return cancelled
        case let error as HTTPClientError where error == .cancelled || error == .alreadyShutdown: return cancelled
        case ExchangeLimit.timedOut(let limit):
            return mayHaveBeenSent
                ? lost("did not answer within \(limit.words)", code: "timeout")
                : unreached("no connection within \(limit.words)", code: "timeout")
        case ExchangeLimit.stalled(let limit):
            return mayHaveBeenSent
                ? lost("nothing moved for \(limit.words)", code: "timeout")
                : unreached("no connection within \(limit.words)", code: "timeout")
        case let error as HTTPParserError where mayHaveBeenSent: return parserFailure(error)
        default:
            return mayHaveBeenSent ? lost(Self.reason(error) ?? "the connection broke") : unreachedFailure(error)
        }
    }

    /// Whether a connection from the pool turned out to be closed before a byte of the request was written: another one
    /// can be tried at once, without harm and without spending anything.
    static func isStaleConnection(_ error: any Error, mayHaveBeenSent: Bool) -> Bool {
        guard !mayHaveBeenSent else { return false }
        switch error {
        case ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, ChannelError.eof, ChannelError.inputClosed,
            ChannelError.outputClosed:
            return true
        case let error as HTTPClientError: return error == .remoteConnectionClosed
        case let error as IOError: return error.errnoCode == ECONNRESET || error.errnoCode == EPIPE
        default: return false
        }
    }

    // MARK: Texts

    private var cancelled: UploadFailure {
        UploadFailure(.cancelled, message: "the request to \(party) was cancelled")
    }

    private func unreachedFailure(_ error: any Error) -> UploadFailure {
        if let proxy {
            let failures = ProxyFailures(party: party, address: address, proxy: proxy.server, answer: proxy.answer)
            if let failure = failures.failure(for: error) { return failure }
        }
        switch error {
        case let error as NIOConnectionError where error.connectionErrors.isEmpty:
            return unreached("its name cannot be resolved", code: "dns_failed")
        case let error as HTTPClientError where error == .connectTimeout || error == .getConnectionFromPoolTimeout:
            return unreached("no connection in time", code: "connect_timeout")
        case let error as HTTPClientError where error == .tlsHandshakeTimeout:
            return unreached("no TLS connection in time", code: "tls_failed")
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            // BoringSSL's words for it are fixed; they hold nothing of the request.
            let isCertificate = error is NIOSSLExtraError || "\(error)".contains("CERTIFICATE_VERIFY_FAILED")
            guard isCertificate else { return unreached("TLS could not be agreed on", code: "tls_failed") }
            var failure = unreached("its certificate is not trusted", code: "certificate_untrusted")
            failure.hint = "if a private authority signed it, name that authority's certificate with --ca-file"
            return failure
        default:
            return unreached(Self.reason(error) ?? "no connection", code: "unreachable")
        }
    }

    private func unreached(_ reason: String, code: String) -> UploadFailure {
        UploadFailure(
            .unreachable, code: code, message: "\(party) (\(place)) cannot be reached: \(reason)",
            hint: "check the network; the upload goes on by itself once it works again")
    }

    private func lost(_ reason: String, code: String = "connection_lost") -> UploadFailure {
        UploadFailure(
            .connectionLost, code: code,
            message: "the connection to \(party) (\(place)) was lost: \(reason)",
            hint: "check the network; the upload goes on by itself once it works again")
    }

    /// Where they are, and what leads there.
    private var place: String {
        address.authority + (proxy.map { ", through the proxy \($0.server.address)" } ?? "")
    }

    private func parserFailure(_ error: HTTPParserError) -> UploadFailure {
        switch error {
        case .invalidEOFState, .closedConnection: return lost("the answer was cut off")
        default:
            return UploadFailure(
                .unreadableAnswer, code: "not_http",
                message: "\(party) (\(address.authority)) did not answer with HTTP",
                hint: "something between here and \(party) may have answered in its place")
        }
    }

    private static let closedEarly = "the other side closed it before it had answered"

    /// The reasons that people know, from a closed list.
    static func reason(_ error: any Error) -> String? {
        switch error {
        case let error as NIOConnectionError: return error.connectionErrors.first.flatMap { reason($0.error) }
        case ChannelError.connectTimeout: return "no connection in time"
        case ChannelError.eof, ChannelError.inputClosed: return closedEarly
        case let error as HTTPClientError where error == .remoteConnectionClosed: return closedEarly
        case let error as IOError:
            switch error.errnoCode {
            case ECONNREFUSED: return "connection refused"
            case ECONNRESET: return "connection reset"
            case EPIPE: return "connection closed by the other side"
            case ETIMEDOUT: return "connection timed out"
            case EHOSTUNREACH: return "no route to the host"
            case ENETUNREACH: return "the network is unreachable"
            case ENETDOWN: return "the network is down"
            case EMFILE, ENFILE: return "too many open files"
            default: return "error \(error.errnoCode) from the system"
            }
        default: return nil
        }
    }
}

/// What ends an exchange from our side.
enum ExchangeLimit: Error {
    /// The whole exchange took longer than this.
    case timedOut(Duration)
    /// No byte moved for this long.
    case stalled(Duration)
    /// The answer has more bytes than this.
    case answerTooLarge(ByteCount)
    /// The answer came before the request was sent, and is no success: what is there of it is what counts.
    case refusedEarly

    static func isTooLarge(_ error: any Error) -> Bool {
        if case answerTooLarge = error { true } else { false }
    }
}

extension Duration {
    /// What ends an exchange that takes longer than this.
    func asDeadline(on clock: any Clock<Duration>) -> @Sendable () async throws -> Void {
        {
            try await clock.sleep(for: self)
            throw ExchangeLimit.timedOut(self)
        }
    }

    /// "30 s", "250 ms".
    fileprivate var words: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }
}
