/// The headers that a session's answer asks us to send with each PUT: somebody else's text in our requests, so checked.
package enum UploadHeaders {
    /// Those that frame or route the request, which are ours to set, and those that identify us, which no store may have.
    private static let reserved: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive",
        "proxy-authorization", "proxy-connection", "x-api-key", "authorization", "cookie",
    ]

    /// What is wrong with a header, in words that do not repeat its value; nil when it may be sent.
    package static func objection(to name: String, _ value: String) -> String? {
        guard (1...128).contains(name.utf8.count), name.utf8.allSatisfy(isToken) else {
            return "it has a name that no header may have"
        }
        if reserved.contains(name.lowercased()) {
            return "it names \(name.lowercased()), which is not the platform's to set"
        }
        guard value.utf8.count <= 4096, value.utf8.allSatisfy({ $0 == 0x09 || (0x20...0x7E).contains($0) }) else {
            return "\(name) has a value that no header may have"
        }
        return nil
    }

    /// RFC 9110's `tchar`.
    private static func isToken(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
