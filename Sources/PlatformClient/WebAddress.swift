/// An absolute http or https URL, taken apart strictly: what is not plainly a URL is none.
///
/// Strict, because URLs come from answers: a parser that repairs what it reads would send a request elsewhere than was
/// checked here. Its description shows neither path nor query; those of a presigned URL are a credential.
package struct WebAddress: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    package enum Scheme: String, Sendable {
        case http, https
        var defaultPort: Int {
            switch self {
            case .http: 80
            case .https: 443
            }
        }
    }

    package let scheme: Scheme
    /// Lowercase; an IPv6 address without its brackets.
    package let host: String
    package let port: Int
    /// Everything from the first slash up to a question mark, percent-encoded as it came; empty when there is none.
    package let path: String
    /// Everything after the question mark.
    package let query: String?
    package let hasFragment: Bool

    package enum Problem: Error {
        case malformed, otherScheme, userInfo, badPort

        var words: String {
            switch self {
            case .malformed: "it is not a URL"
            case .otherScheme: "its scheme is neither https nor http"
            case .userInfo: "it has a user name or password in it"
            case .badPort: "its port is not a number from 1 to 65535"
            }
        }
    }

    package init(parsing text: String) throws(Problem) {
        guard text.utf8.count <= 16 * 1024, text.utf8.allSatisfy(Self.isURLByte), Self.isPercentEncoded(text.utf8)
        else { throw .malformed }
        guard let colon = text.firstIndex(of: ":") else { throw .malformed }
        guard let scheme = Scheme(rawValue: text[..<colon].lowercased()) else { throw .otherScheme }
        let afterScheme = text[colon...].dropFirst()
        guard afterScheme.hasPrefix("//") else { throw .malformed }
        let rest = afterScheme.dropFirst(2)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else { throw .userInfo }
        let (host, port) = try Self.hostAndPort(authority)
        self.scheme = scheme
        self.host = host
        self.port = port ?? scheme.defaultPort
        let (beforeFragment, fragment) = Self.cut(rest[end...], at: "#")
        let (path, query) = Self.cut(beforeFragment, at: "?")
        self.path = String(path)
        self.query = query.map(String.init)
        self.hasFragment = fragment != nil
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.0/8` or `::1`. Names are not looked up.
    package var isLoopback: Bool {
        if host == "localhost" || host == "::1" || host == "0:0:0:0:0:0:0:1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The host as it stands in a URL or a `Host` header, with the port unless it is the scheme's own.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == scheme.defaultPort ? name : "\(name):\(port)"
    }

    /// Scheme, host and port: `https://api.twelvelabs.io`.
    package var origin: String { "\(scheme.rawValue)://\(authority)" }

    package var description: String { origin }
    package var debugDescription: String { origin }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// A host in lowercase, an IPv6 address without its brackets, and the port where one is given.
    static func hostAndPort(_ authority: Substring) throws(Problem) -> (host: String, port: Int?) {
        let (host, portText) = try split(authority)
        guard isHost(host) else { throw .malformed }
        guard let portText else { return (host.lowercased(), nil) }
        guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(portText),
            (1...65535).contains(port)
        else { throw .badPort }
        return (host.lowercased(), port)
    }

    private static func split(_ authority: Substring) throws(Problem) -> (host: Substring, port: Substring?) {
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { throw .malformed }
            let host = authority[..<close].dropFirst()
            guard host.contains(":"), host.utf8.allSatisfy({ isHexDigit($0) || $0 == 0x3A || $0 == 0x2E }) else {
                throw .malformed
            }
            let after = authority[close...].dropFirst()
            guard !after.isEmpty else { return (host, nil) }
            guard after.first == ":" else { throw .malformed }
            return (host, after.dropFirst())
        }
        let (host, port) = cut(authority, at: ":")
        return (host, port)
    }

    private static func cut(_ text: Substring, at mark: Character) -> (before: Substring, after: Substring?) {
        guard let index = text.firstIndex(of: mark) else { return (text, nil) }
        return (text[..<index], text[index...].dropFirst())
    }

    private static func isHost(_ host: Substring) -> Bool {
        !host.isEmpty && host.utf8.count <= 253
            && host.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F || $0 == 0x3A }
    }

    /// Whether each percent sign starts an escape: a parser that found another would encode it anew.
    private static func isPercentEncoded(_ text: String.UTF8View) -> Bool {
        var rest = text[...]
        while let percent = rest.firstIndex(of: UInt8(ascii: "%")) {
            let digits = rest[percent...].dropFirst().prefix(2)
            guard digits.count == 2, digits.allSatisfy(isHexDigit) else { return false }
            rest = rest[digits.endIndex...]
        }
        return true
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// RFC 3986's characters, and no others: no space, no control character, no backslash, no quote, nothing beyond ASCII.
    private static func isURLByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "-._~:/?#[]@!$&'()*+,;=%".utf8.contains(byte)
    }
}

// MARK: - What may be used

extension WebAddress {
    /// Why a URL cannot be the API's base URL.
    package enum BaseProblem: Error, Equatable {
        case unusable(Problem)
        case queryOrFragment
        /// Plain http to another machine, whose name is given: the key would be read on its way.
        case unencrypted(host: String)

        var words: String {
            switch self {
            case .unusable(let problem): problem.words
            case .queryOrFragment: "it has a query or a fragment"
            case .unencrypted: "http is accepted only for this machine (127.0.0.1, localhost, [::1])"
            }
        }
    }

    /// The API's base URL: https, or http on loopback; without user name, query or fragment.
    package static func apiBase(_ text: String) throws(BaseProblem) -> WebAddress {
        let address: WebAddress
        do throws(Problem) {
            address = try WebAddress(parsing: text)
        } catch {
            throw .unusable(error)
        }
        guard address.query == nil, !address.hasFragment else { throw .queryOrFragment }
        guard address.scheme == .https || address.isLoopback else { throw .unencrypted(host: address.host) }
        return address
    }

    /// The base path without the slashes at its end.
    package var basePath: String {
        guard let last = path.lastIndex(where: { $0 != "/" }) else { return "" }
        return String(path[...last])
    }

    /// A URL to PUT a chunk to: https, or http on loopback when the API itself is reached so; without user name.
    ///
    /// - Returns: in words, what is wrong with the URL; nil when it may be used. Never the URL.
    package static func objection(toStoreURL text: String, api: WebAddress) -> String? {
        let address: WebAddress
        do throws(Problem) {
            address = try WebAddress(parsing: text)
        } catch {
            return error.words
        }
        switch address.scheme {
        case .https: return nil
        case .http:
            if api.scheme == .http, api.isLoopback, address.isLoopback { return nil }
            return "its scheme is http; only https is accepted"
        }
    }
}
