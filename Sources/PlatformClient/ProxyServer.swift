/// A proxy that connections go through: HTTP, by `CONNECT`, or SOCKS 5.
///
/// Whichever it is, it is told the names of hosts and looks them up itself, and sees nothing of what TLS encrypts.
public struct ProxyServer: Sendable, Equatable {
    /// How it is spoken to.
    package enum Kind: String, Sendable {
        case http
        case socks5

        /// Where one listens that names no port: a URL's own for `http`, SOCKS's registered one.
        fileprivate var defaultPort: Int {
            switch self {
            case .http: 80
            case .socks5: 1080
            }
        }
    }

    package let kind: Kind
    /// Lowercase; an IPv6 address without its brackets.
    package let host: String
    package let port: Int
    /// Sent to an HTTP proxy, and to nobody else.
    package let credentials: ProxyCredentials?

    /// Why a text names no proxy, in words that repeat nothing of it: it may hold a password.
    public enum Problem: Error, Sendable, Equatable {
        /// No URL of a host and a port.
        case malformed
        /// `https`, `socks4`, or something else that is not spoken here.
        case otherScheme
        /// Not a number from 1 to 65535.
        case badPort
        /// A SOCKS proxy with a user name or a password.
        case credentialsForSOCKS
        /// A user name or a password that cannot be sent.
        case badCredentials

        /// What is wrong.
        public var words: String {
            switch self {
            case .malformed: "it is not the URL of a proxy"
            case .otherScheme: "its scheme is none of http, socks5 and socks5h"
            case .badPort: "its port is not a number from 1 to 65535"
            case .credentialsForSOCKS:
                "it has a user name or password, which is not supported with SOCKS"
            case .badCredentials:
                "its user name or password holds what cannot be sent (percent-encode what is special in a URL)"
            }
        }
    }

    /// Reads `http://[user:password@]host[:port]`, `socks5://host[:port]` or `socks5h://…`, which is the same; without a scheme it
    /// is `http`, as other programs have it. User name and password are percent-encoded.
    ///
    /// The port is 80, or 1080 for SOCKS, where none is given. White space around the text is no part of it.
    public init(parsing text: String) throws(Problem) {
        let text = text.trimmingASCIIWhitespace()
        guard text.utf8.count <= 4096 else { throw .malformed }
        let (scheme, rest) = Self.cutScheme(text)
        switch scheme?.lowercased() {
        case "http", nil: kind = .http
        case "socks5", "socks5h": kind = .socks5
        default: throw .otherScheme
        }
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        guard rest[end...].isEmpty || rest[end...] == "/" else { throw .malformed }
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@") {
            guard kind == .http else { throw .credentialsForSOCKS }
            credentials = try ProxyCredentials(userInfo: authority[..<at])
            authority = authority[at...].dropFirst()
        } else {
            credentials = nil
        }
        do throws(WebAddress.Problem) {
            let (host, port) = try WebAddress.hostAndPort(authority)
            self.host = host
            self.port = port ?? kind.defaultPort
        } catch {
            throw error == .badPort ? .badPort : .malformed
        }
    }

    private static func cutScheme(_ text: String) -> (scheme: Substring?, rest: Substring) {
        guard let mark = text.firstRange(of: "://") else { return (nil, text[...]) }
        return (text[..<mark.lowerBound], text[mark.upperBound...])
    }

    /// Host and port, for people: `proxy.example:3128`.
    public var address: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    /// Whether it knows us by a user name or password.
    public var hasCredentials: Bool { credentials != nil }

    /// The whole URL with user name and password, which no argument, log or file may hold: for the way to a process of ours.
    package var secretURL: String {
        "\(kind.rawValue)://\(credentials.map { $0.userInfo + "@" } ?? "")\(address)"
    }
}

extension ProxyServer: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Kind, host and port.
    public var description: String { "\(kind.rawValue)://\(address)" }
    /// Kind, host and port.
    public var debugDescription: String { description }
    /// A mirror without children: `dump` prints what a mirror shows.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The user name and password that a proxy knows us by. They show themselves to nobody, as a key does.
package struct ProxyCredentials: Sendable, Equatable {
    package let user: String
    package let password: String

    /// Reads `user:password` of a URL; the password may be missing.
    fileprivate init(userInfo: Substring) throws(ProxyServer.Problem) {
        let colon = userInfo.firstIndex(of: ":") ?? userInfo.endIndex
        guard let user = Self.decoded(userInfo[..<colon]), let password = Self.decoded(userInfo[colon...].dropFirst()),
            // RFC 7617: a colon would end the name early.
            !user.contains(":"), !(user.isEmpty && password.isEmpty)
        else { throw .badCredentials }
        self.user = user
        self.password = password
    }

    /// As it stands in a URL.
    fileprivate var userInfo: String { "\(Self.encoded(user)):\(Self.encoded(password))" }

    /// Nil for an escape that is none, and for control characters, which no header may hold.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
                let value = UInt8(Substring(digits), radix: 16)
            else { return nil }
            bytes.append(value)
            rest.removeFirst(2)
        }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            let character = Character(UnicodeScalar(byte))
            if character.isASCII, character.isLetter || character.isNumber {
                encoded.append(character)
            } else {
                encoded += byte < 16 ? "%0" : "%"
                encoded += String(byte, radix: 16)
            }
        }
        return encoded
    }
}

extension ProxyCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
