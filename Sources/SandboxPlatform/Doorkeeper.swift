import Glibc
import HTTPTypes
import NIOCore

/// Who may ask: whoever calls the stand-in by a name of its own, and no page of another origin. Otherwise every page in a
/// browser on this machine could, by a form, or by a name of its own that it lets lead here (DNS rebinding).
struct Doorkeeper: Sendable {
    /// In lower case, addresses of IPv6 in brackets.
    private let names: Set<String>
    /// Whether it may be called by any address: one is nobody's name, so that nobody can let it lead elsewhere.
    private let takesAddresses: Bool

    init(_ configuration: SandboxConfiguration) {
        let store = configuration.storeURL.flatMap { url in
            url.firstRange(of: "://").map { String(url[$0.upperBound...].prefix { $0 != "/" }) }
        }
        let own = [configuration.authority(port: 0), configuration.publicHost, store].compactMap { $0 }
        names = Set((own + configuration.allowedHosts).map(Self.name)).union(["localhost"])
        takesAddresses = configuration.listensBeyondLoopback
    }

    /// Throws for a request that is none of those. One without a host comes from no browser.
    func check(_ head: HTTPRequest) throws(Refusal) {
        guard let authority = head.authority, !authority.isEmpty else { return }
        let host = Self.name(authority)
        guard names.contains(host) || isOwnAddress(host) else {
            throw Refusal(
                style: .api, status: 403, code: "foreign_host",
                message: "This stand-in is not called \(host): start it with --allow-host \(host) if it is.")
        }
        guard let origin = head.headerFields[.origin] else { return }
        let own = ["http://", "https://"].map { $0 + authority.lowercased() }
        guard own.contains(origin.lowercased()) else {
            throw Refusal(
                style: .api, status: 403, code: "foreign_origin",
                message: "Pages of another origin (\(origin)) may not ask this stand-in: ask it from a program.")
        }
    }

    private func isOwnAddress(_ host: String) -> Bool {
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard let address = try? SocketAddress(ipAddress: bare, port: 0) else { return false }
        return takesAddresses || address.isLoopback
    }

    /// A host, with or without a port, as it is compared.
    private static func name(_ authority: String) -> String {
        let name = host(ofAuthority: authority).lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}

extension SocketAddress {
    /// Whether only this machine reaches it.
    var isLoopback: Bool {
        switch self {
        case .v4(let address): UInt32(bigEndian: address.address.sin_addr.s_addr) >> 24 == 127
        case .v6(let address):
            withUnsafeBytes(of: address.address.sin6_addr) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
        case .unixDomainSocket: true
        }
    }
}

extension SandboxConfiguration {
    /// Throws where others than this machine could reach it, and it was not told twice that they may. A name can lead anywhere, and
    /// elsewhere the next time: of names only `localhost` is known to be this machine's (RFC 6761).
    func checkHost() throws {
        let isOurs = (try? SocketAddress(ipAddress: host, port: port))?.isLoopback ?? (host.lowercased() == "localhost")
        guard listensBeyondLoopback || isOurs else {
            throw SandboxFailure(
                description: """
                    Others than this machine can reach \(host), and this stand-in believes everybody: give \
                    --listen-beyond-loopback as well if they are to, or --host 127.0.0.1.
                    """)
        }
    }
}
