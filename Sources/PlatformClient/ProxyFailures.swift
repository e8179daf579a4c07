import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSOCKS
import NIOSSL
import UploadCore

/// What a connection that a proxy did not make means, in words that name the proxy and never its credentials.
///
/// All of it is `unreachable`: nothing was sent, and whether the proxy is away, busy, or set up to let nothing through, it may be
/// otherwise a moment later without anything being done here.
struct ProxyFailures {
    /// Who is behind it: "the platform", "the object store".
    let party: String
    /// Their origin.
    let address: WebAddress
    let proxy: ProxyServer
    /// What it answered to `CONNECT`, where that is known.
    let answer: ProxyAnswer?

    /// Nil for an error that is not the proxy's.
    func failure(for error: any Error) -> UploadFailure? {
        switch error {
        case let error as NIOConnectionError:
            if error.connectionErrors.isEmpty { return unreached("its name cannot be resolved") }
            return unreached(NetworkFailures.reason(error) ?? "no connection")
        case let error as HTTPClientError: return failure(error)
        case let error as SOCKSError.ConnectionFailed: return refused(Self.words(for: error.reply))
        case is SOCKSError.InvalidAuthenticationSelection, is SOCKSError.NoValidAuthenticationMethod:
            return authenticationRequired
        case is SOCKSError.InvalidProtocolVersion, is SOCKSError.InvalidReservedByte, is SOCKSError.InvalidAddressType,
            is SOCKSError.UnexpectedRead, is SOCKSError.InvalidClientState:
            return misunderstood("SOCKS 5")
        case is HTTPParserError, is NIOHTTPDecoderError: return misunderstood("HTTP")
        // TLS is spoken with the other side.
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: return nil
        default: return refused(NetworkFailures.reason(error) ?? Self.closed)
        }
    }

    private func failure(_ error: HTTPClientError) -> UploadFailure? {
        switch error {
        case .proxyAuthenticationRequired: authenticationRequired
        case .invalidProxyResponse: notConnected ?? refused("it does not connect")
        case .remoteConnectionClosed: notConnected ?? refused(Self.closed)
        // Whether it was the proxy that could not be connected to, or the other side from there, is not told.
        case .connectTimeout, .httpProxyHandshakeTimeout, .socksHandshakeTimeout: notConnected ?? timedOut
        default: nil
        }
    }

    private static let closed = "it closed the connection"

    /// What it answered, where that is known.
    private var notConnected: UploadFailure? {
        switch answer {
        // 401 is not a proxy's to answer, but tinyproxy does when a password is wrong.
        case .status(407), .status(401): authenticationRequired
        case .status(let status): refused("it answers \(status) to CONNECT")
        case .notHTTP: misunderstood("HTTP")
        case nil: nil
        }
    }

    private var timedOut: UploadFailure {
        UploadFailure(
            .unreachable, code: "proxy_timeout",
            message: "the proxy \(proxy.address) has not led to \(party) (\(address.authority)) in time",
            hint: "check the network and the proxy's address (--proxy, $HTTPS_PROXY)")
    }

    private func unreached(_ reason: String) -> UploadFailure {
        UploadFailure(
            .unreachable, code: "proxy_unreachable",
            message:
                "the proxy \(proxy.address), which leads to \(party) (\(address.authority)), cannot be reached: \(reason)",
            hint: "check the network and the proxy's address (--proxy, $HTTPS_PROXY)")
    }

    private func refused(_ reason: String) -> UploadFailure {
        UploadFailure(
            .unreachable, code: "proxy_refused",
            message: "the proxy \(proxy.address) does not lead to \(party) (\(address.authority)): \(reason)",
            hint:
                "ask whoever runs the proxy whether it lets connections to \(address.host):\(address.port) through; NO_PROXY names hosts that need none"
        )
    }

    private var authenticationRequired: UploadFailure {
        let hint =
            switch proxy.kind {
            case .http: "give http://USER:PASSWORD@\(proxy.address) in a file with --proxy-file, or in $HTTPS_PROXY"
            case .socks5:
                "twelvefs gives no user name or password to SOCKS proxies: use one that asks for none, or an HTTP proxy"
            }
        return UploadFailure(
            .unreachable, code: "proxy_authentication",
            message:
                "the proxy \(proxy.address) \(proxy.hasCredentials ? "refuses the user name and password that it was given" : "asks for a user name and password") (on the way to \(party), \(address.authority))",
            hint: hint, httpStatus: nil)
    }

    private func misunderstood(_ language: String) -> UploadFailure {
        UploadFailure(
            .unreachable, code: "proxy_misunderstood",
            message:
                "the proxy \(proxy.address), which leads to \(party) (\(address.authority)), does not speak \(language)",
            hint: "check the proxy's port and its scheme, http:// or socks5://")
    }

    /// RFC 1928, 6.
    private static func words(for reply: SOCKSServerReply) -> String {
        switch reply {
        case .serverFailure: "it failed"
        case .notAllowed: "its rules do not allow it"
        case .networkUnreachable: "the network is unreachable from there"
        case .hostUnreachable: "the host is unreachable from there"
        case .refused: "the connection was refused there"
        case .ttlExpired: "the host does not answer from there"
        case .commandUnsupported, .addressUnsupported: "it does not support what it was asked for"
        default: "it answers \(reply.value)"
        }
    }
}
