/// What a refusal says to be wrong with the request: the platform has one code, `parameter_invalid`, for all that can be
/// wrong with a parameter, and names that in its message only.
///
/// Its documented words for `parameter_invalid` are "The {parameter} parameter is invalid.", "The following parameters are
/// invalid: {parameters}." and "The request contains some invalid parameters."; real ones go on, or are other ones.
package enum RefusedParameter {
    /// Whether the file's size is what was refused: `total_size`, or words that say so where no other parameter is named.
    package static func isSize(_ message: String?) -> Bool {
        guard let message = message?.lowercased() else { return false }
        if message.contains("total_size") { return true }
        let others = ["filename", "user_metadata", "enable_hls", "enable_thumbnail"]
        return !others.contains(where: message.contains)
            && (message.contains("file size") || message.contains("too large"))
    }

    /// Whether the value of the parameter `type` is what was refused.
    ///
    /// `parameter_not_provided` and `parameter_unknown` name parameters, too, and mean something else. A gateway may have
    /// dropped the code.
    package static func isType(code: String?, message: String?) -> Bool {
        guard code == nil || code == "parameter_invalid", let message else { return false }
        return names("type", in: message)
    }

    /// Whether a message names a parameter: as a word of its own (`type`, `body.type`, "Type", not `file_type` or
    /// `content-type`), that no word before it makes another thing of ("file type", "a value of type string") unless it
    /// is in quotes.
    static func names(_ parameter: String, in message: String) -> Bool {
        var before = ""
        var rest = message[...]
        while let start = rest.firstIndex(where: isPartOfWord) {
            let lead = rest[..<start]
            let end = rest[start...].firstIndex { !isPartOfWord($0) } ?? rest.endIndex
            let word = rest[start..<end].lowercased()
            let isQuoted = lead.last.map { quotes.contains($0) } ?? false
            if word == parameter, isQuoted || !qualifiers.contains(before) { return true }
            // "the file. Type must be": another sentence.
            before = word
            rest = rest[end...]
            if let first = rest.first, ".:;,".contains(first) { before = "" }
        }
        return false
    }

    private static let quotes: Set<Character> = ["'", "\"", "`", "“", "‘"]
    private static let qualifiers: Set<String> = [
        "file", "content", "media", "mime", "data", "value", "wrong", "its", "of",
    ]

    private static func isPartOfWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_" || character == "-"
    }
}
