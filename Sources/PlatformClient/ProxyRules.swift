/// Which hosts are reached through a proxy: the API and each store is decided by its own name.
public struct ProxyRules: Sendable, Equatable {
    /// The proxy; nil where everything is reached directly.
    public let server: ProxyServer?
    /// Hosts that are reached directly all the same.
    package let exceptions: ProxyExceptions
    /// Whether this machine's own addresses are reached through it, too: only where somebody asked for just that.
    package let coversLoopback: Bool

    /// Everything is reached directly.
    public static let none = ProxyRules(server: nil)

    /// Everything is reached through `server`, but for the hosts that `exceptions` names.
    ///
    /// - Parameters:
    ///   - exceptions: as `NO_PROXY` has them, see ``ProxyExceptions``.
    ///   - coversLoopback: whether `localhost`, `127.0.0.0/8` and `::1` are no exception by themselves.
    public init(server: ProxyServer?, exceptions: String = "", coversLoopback: Bool = false) {
        self.server = server
        self.exceptions = ProxyExceptions(exceptions)
        self.coversLoopback = coversLoopback
    }

    /// The proxy that leads to an address; nil when it is reached directly.
    package func server(for address: WebAddress) -> ProxyServer? {
        guard let server, coversLoopback || !address.isLoopback,
            !exceptions.cover(host: address.host, port: address.port)
        else { return nil }
        return server
    }
}

/// Hosts that are reached without a proxy, as `NO_PROXY` lists them: separated by commas or white space, each of them
///
///     *                     every host
///     example.com           that host and all below it; so .example.com and *.example.com
///     10.1.2.3, [2001:db8::1], 2001:db8::1
///                           that address, when the URL has an address in it: no name is looked up for this
///     10.0.0.0/8, fd00::/8  all addresses with that beginning, likewise
///     example.com:8443      any of them with a port: only at that port
///
/// That is what curl and Python make of the list, in which the dot before a name makes no difference; an entry that is none of
/// these is passed over.
package struct ProxyExceptions: Sendable, Equatable {
    private enum Rule: Sendable, Equatable {
        case everything
        case name(String, port: Int?)
        case network(IPAddress, prefix: Int, port: Int?)
    }

    /// The list as it came.
    package let text: String
    private let rules: [Rule]

    package init(_ text: String) {
        self.text = text
        rules = text.split { $0 == "," || $0.isWhitespace }.compactMap(Self.rule)
    }

    /// - Parameter host: a name, or an address without brackets.
    package func cover(host: String, port: Int) -> Bool {
        let address = IPAddress(host)
        let name = Self.bare(host)
        return rules.contains { rule in
            switch rule {
            case .everything: true
            case .name(let ruled, let ruledPort):
                address == nil && (name == ruled || name.hasSuffix(".\(ruled)")) && (ruledPort ?? port) == port
            case .network(let network, let prefix, let ruledPort):
                address?.begins(as: network, bits: prefix) == true && (ruledPort ?? port) == port
            }
        }
    }

    private static func rule(_ entry: Substring) -> Rule? {
        if entry == "*" { return .everything }
        if let slash = entry.firstIndex(of: "/") {
            guard let network = IPAddress(entry[..<slash]), let prefix = Int(entry[slash...].dropFirst()),
                (0...network.bitCount).contains(prefix)
            else { return nil }
            return .network(network, prefix: prefix, port: nil)
        }
        // An IPv6 address without brackets has no port.
        if let address = IPAddress(entry) { return .network(address, prefix: address.bitCount, port: nil) }
        let withoutStar = entry.hasPrefix("*.") ? entry.dropFirst() : entry
        guard let (host, port) = try? WebAddress.hostAndPort(withoutStar) else { return nil }
        if let address = IPAddress(host) { return .network(address, prefix: address.bitCount, port: port) }
        let name = bare(host)
        return name.isEmpty ? nil : .name(name, port: port)
    }

    /// A name in lowercase without the dots around it.
    private static func bare(_ name: String) -> String {
        var bare = name.lowercased()[...]
        while bare.hasPrefix(".") { bare = bare.dropFirst() }
        while bare.hasSuffix(".") { bare = bare.dropLast() }
        return String(bare)
    }
}
