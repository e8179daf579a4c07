/// What of a URL anybody may see.
///
/// The URL of an asset's content may be a credential: a signature in its query, a password before its host.
package enum PublicURL {
    /// Scheme, host and path; nil for what is not plainly a URL, since nothing is known then of what is in it.
    package static func withoutCredentials(_ url: String) -> String? {
        guard let mark = url.firstRange(of: "://") else { return nil }
        let scheme = url[..<mark.lowerBound]
        guard !scheme.isEmpty, scheme.utf8.allSatisfy({ isLetterOrDigit($0) || "+-.".utf8.contains($0) }) else {
            return nil
        }
        let rest = url[mark.upperBound...].prefix { $0 != "?" && $0 != "#" }
        let authority = rest.prefix { $0 != "/" }
        let host = authority.lastIndex(of: "@").map { authority[$0...].dropFirst() } ?? authority
        guard isHost(host) else { return nil }
        return "\(scheme)://\(host)\(rest[authority.endIndex...])"
    }

    /// A name or an address, perhaps with a port. A password that was cut off at a slash does not pass for one.
    private static func isHost(_ text: Substring) -> Bool {
        let name: Substring
        let after: Substring
        if text.first == "[" {
            name = text.dropFirst().prefix { isLetterOrDigit($0.asciiValue ?? 0) || $0 == ":" || $0 == "." }
            guard text[name.endIndex...].first == "]" else { return false }
            after = text[name.endIndex...].dropFirst()
        } else {
            name = text.prefix { isLetterOrDigit($0.asciiValue ?? 0) || "-._".contains($0) }
            after = text[name.endIndex...]
        }
        guard !name.isEmpty, after.isEmpty || after.first == ":" else { return false }
        return after.dropFirst().utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
