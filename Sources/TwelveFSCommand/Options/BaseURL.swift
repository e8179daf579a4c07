import ArgumentParser
import FoundationEssentials
import PlatformClient

/// The rules for the platform's base URL.
package enum BaseURL {
    /// The platform's own address.
    package static let official = PlatformConfiguration.defaultBaseURL

    /// `text` without trailing slashes, if it is a URL that the key may be sent to.
    ///
    /// - Parameter source: where the text came from, for the message (`--api-url`).
    /// - Throws: `ValidationError` when it is no URL with a host, has parts that a base URL cannot have, or is plain
    ///   http to anything but this machine. The text itself is shown only when it cannot hold a password.
    package static func checked(_ text: String, from source: String) throws -> String {
        let example = "Give one like \(official)"
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let parts = URLComponents(string: text),
            let scheme = parts.scheme?.lowercased(), let host = parts.host, !host.isEmpty
        else {
            throw ValidationError("\(source) is not a URL: '\(text.contains("@") ? "…" : text)'. \(example)")
        }
        guard parts.user == nil, parts.password == nil else {
            throw ValidationError("\(source) must not hold a user name or password. \(example)")
        }
        guard parts.query == nil, parts.fragment == nil else {
            throw ValidationError("\(source) must not have a query or fragment: '\(text)'. \(example)")
        }
        if let port = parts.port, !(1...65535).contains(port) {
            throw ValidationError("\(source) has an impossible port: '\(text)'. \(example)")
        }
        switch scheme {
        case "https": break
        case "http" where isLoopback(host): break
        case "http":
            throw ValidationError(
                "\(source) would send the API key unencrypted to \(host). Use https; http is for this machine only")
        default:
            throw ValidationError("\(source) has the scheme '\(scheme)', which is not https. \(example)")
        }
        var base = text[...]
        while base.hasSuffix("/") { base.removeLast() }
        return String(base)
    }

    /// `localhost`, 127.0.0.0/8 or ::1.
    package static func isLoopback(_ host: String) -> Bool {
        let host = host.lowercased()
        if host == "localhost" || host == "::1" || host == "[::1]" { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127"
            && numbers.allSatisfy {
                !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8($0) != nil
            }
    }
}
