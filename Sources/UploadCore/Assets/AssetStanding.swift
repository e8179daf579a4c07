/// What is known of the asset that a completed upload became.
public struct AssetStanding: Sendable, Equatable {
    /// The platform's word for it, or ``AssetState/undetermined``.
    public var status: AssetState
    /// What is wrong with the asset, or why nothing is known of it.
    public var issue: AssetIssue?

    /// A standing.
    public init(_ status: AssetState, issue: AssetIssue? = nil) {
        self.status = status
        self.issue = issue
    }

    /// Whether nothing new is to be learned: the platform need not be asked again, in this mount or a later one.
    public var isDecided: Bool {
        switch status {
        case .ready, .failed: true
        case .processing: false
        case .unknown: status == .undetermined
        }
    }
}

extension AssetState {
    /// The platform could not, or would not, tell what became of the asset.
    public static let undetermined = AssetState.unknown("unknown")
}

/// Something about an asset that its owner should know.
public struct AssetIssue: Sendable, Equatable {
    /// A word for programs; nil where the platform gave only a message.
    public var code: String?
    /// What it is, for people.
    public var message: String

    /// An issue.
    public init(code: String? = nil, message: String) {
        self.code = code
        self.message = message
    }

    /// The code of an asset whose size, as the platform tells it, is not that of the file.
    public static let sizeDiffers = "size_differs"

    /// Both in one line, as a status document and a journal hold them: `size_differs: the platform says …`.
    public var text: String { code.map { "\($0): \(message)" } ?? message }

    /// Takes a ``text`` apart. A message that begins with a word and a colon is read as having a code, which gives the same text.
    public init(text: String) {
        let code = text.prefix { $0 != ":" }
        let isWord = !code.isEmpty && code.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") }
        if isWord, text.dropFirst(code.count).hasPrefix(": ") {
            self.init(code: String(code), message: String(text.dropFirst(code.count + 2)))
        } else {
            self.init(message: text)
        }
    }
}
