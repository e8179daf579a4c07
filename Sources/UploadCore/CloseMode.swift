/// What a successful close means.
public enum CloseMode: String, Sendable, CaseIterable, Codable {
    /// The platform has confirmed the whole file.
    case upload
    /// The bytes are on disk; the upload goes on by itself.
    case spool
}
