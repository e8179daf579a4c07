/// A URL that lets whoever holds it store one chunk, once: a credential.
///
/// No way of printing it shows it, dumps and mirrors included. Only our own modules can read the text.
public struct PresignedURL: Sendable, Equatable {
    /// The URL itself; for the request that uses it, and nothing else.
    package let text: String
    /// How long the URL was good for when it was handed out: `expires_at` minus the answer's own `Date`, so that the
    /// difference between the platform's clock and ours does not matter. Nil when the platform did not say.
    public let expiresAfter: Duration?

    /// Wraps what the platform handed out.
    public init(text: String, expiresAfter: Duration?) {
        self.text = text
        self.expiresAfter = expiresAfter
    }
}

extension PresignedURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Always `<presigned>`.
    public var description: String { "<presigned>" }
    /// Always `<presigned>`.
    public var debugDescription: String { "<presigned>" }
    /// A mirror without children: `dump` prints what a mirror shows.
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
