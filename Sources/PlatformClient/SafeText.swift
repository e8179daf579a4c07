/// Makes what somebody else wrote fit for messages, logs and status documents: short, printable, and without anything
/// that could be the key or a URL that opens something.
package enum SafeText {
    package static let removed = "[removed]"

    /// The text with control characters and runs of white space as one space, suspicious words removed, and cut to `limit`
    /// characters.
    package static func clean(_ text: some StringProtocol, key: APIKey, limit: Int = 300) -> String {
        // What is beyond this cannot be shown anyway; the rest of the work is bounded by it.
        let bounded = String(decoding: text.utf8.prefix(8 * 1024), as: UTF8.self)
        let words = replacing(key.secret, in: bounded).split { isBlank($0) }
        let kept = words.map { isSuspicious($0) ? removed[...] : $0 }
        let clean = kept.joined(separator: " ")
        return clean.count <= limit ? clean : clean.prefix(limit - 1) + "…"
    }

    /// A code of the platform's or the store's: a short word, or nil for anything else.
    package static func code(_ text: String?, key: APIKey) -> String? {
        guard let text, (1...64).contains(text.utf8.count), !text.contains(key.secret), !isSuspicious(text[...]),
            text.utf8.allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x5F || byte == 0x2D || byte == 0x2E
            })
        else { return nil }
        return text
    }

    /// A name that an answer gave to its call (`x-trace-id`): a word of at most 80 plain characters, or nil for anything else.
    package static func traceID(_ text: String?, key: APIKey) -> String? {
        guard let text = text?.trimmed, (1...80).contains(text.utf8.count), !text.contains(key.secret),
            !isSuspicious(text[...]),
            text.utf8.allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || "-_.:;=+/@".utf8.contains(byte)
            })
        else { return nil }
        return text
    }

    /// What an answer is, without a byte of its body: "text/html, 1234 bytes". A body could hold a URL or the key.
    static func kind(contentType: String?, byteCount: Int) -> String {
        let type = contentType?.prefix { $0 != ";" }.lowercased() ?? ""
        let isPlain =
            (1...64).contains(type.utf8.count)
            && type.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "/+.-".utf8.contains($0)
            }
        return "\(isPlain ? type : "no content type"), \(byteCount) bytes"
    }

    /// Replaced before anything is cut or split, so that no part of the key survives.
    private static func replacing(_ secret: String, in text: String) -> String {
        guard !secret.isEmpty else { return text }
        var output = ""
        var rest = text[...]
        while let range = rest.firstRange(of: secret) {
            output += rest[..<range.lowerBound]
            output += removed
            rest = rest[range.upperBound...]
        }
        return output + rest
    }

    /// White space, control characters, and the format characters that reorder or hide text.
    private static func isBlank(_ character: Character) -> Bool {
        if character.isWhitespace { return true }
        return character.unicodeScalars.contains { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: true
            default: false
            }
        }
    }

    /// A URL, a query, a signature's parameter, something that starts as the platform's keys do, or a word too long to be one.
    private static func isSuspicious(_ word: Substring) -> Bool {
        let lower = word.lowercased()
        let marks = ["://", "x-amz-", "x-goog-", "signature=", "credential=", "token=", "key=", "tlk_", "bearer"]
        return word.utf8.count > 80 || marks.contains { lower.contains($0) }
            || lower.contains("?") && lower.contains("=")
    }
}
