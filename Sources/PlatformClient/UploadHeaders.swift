/// The headers that a session's answer asks us to send with each PUT: somebody else's text in our requests, so checked.
package enum UploadHeaders {
    /// What becomes of one of them.
    package enum Verdict: Sendable, Equatable {
        /// It is sent, with this value.
        case send(String)
        /// It is ours to compute: not sent as it came, and nothing wrong with its being there.
        case drop
        /// It cannot be sent, in words that do not repeat its value.
        case refuse(String)
    }

    /// Those that frame or route a request, which a backend that passes on all that its presigner signed may name: the body's
    /// length and the host are what they are, and what concerns the connection concerns ours.
    private static let ours: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "proxy-connection", "keep-alive", "te", "trailer",
        "upgrade", "expect",
    ]
    /// Those that identify us, which no store may have.
    private static let credentials: Set<String> = ["x-api-key", "authorization", "proxy-authorization", "cookie"]

    /// What stores take with an object, by the name or its beginning: what the object is, and what its store wants to know.
    private static let taken = ["content-", "x-amz-", "x-goog-", "x-ms-"]
    private static let takenWhole: Set<String> = ["if-none-match"]

    /// What becomes of a header; its value is nil where there is none to speak of.
    package static func verdict(on name: String, _ value: String?) -> Verdict {
        let lowercased = name.lowercased()
        if ours.contains(lowercased) { return .drop }
        guard let value else { return .drop }
        guard (1...128).contains(name.utf8.count), name.utf8.allSatisfy(isToken) else {
            return .refuse("it has a name that no header may have")
        }
        if credentials.contains(lowercased) {
            return .refuse("it names \(lowercased), a credential, which is not the platform's to set")
        }
        guard takenWhole.contains(lowercased) || taken.contains(where: { lowercased.hasPrefix($0) }) else {
            return .refuse("it names \(lowercased), which is none that stores take with an upload")
        }
        guard value.utf8.count <= 4096, value.utf8.allSatisfy({ $0 == 0x09 || (0x20...0x7E).contains($0) }) else {
            return .refuse("\(name) has a value that no header may have")
        }
        return .send(value)
    }

    /// Whether so many, and so long ones, may be kept with an upload and sent with each chunk: stores take 8 KiB or less.
    package static func isBounded(_ headers: [(String, String)]) -> Bool {
        headers.count <= 64 && headers.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count } <= 16 << 10
    }

    /// RFC 9110's `tchar`.
    private static func isToken(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
