/// Text that came from elsewhere (file names, messages of a platform), made safe and measured for a terminal.
package enum TerminalText {
    /// `text` on one line and without anything that a terminal acts upon: control characters, line separators and
    /// characters that turn the reading direction become U+FFFD, other invisible formatting goes.
    package static func sanitised(_ text: String) -> String {
        var safe = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: safe.append("\u{FFFD}")
            case .format: if turnsDirection(scalar) { safe.append("\u{FFFD}") }
            default: safe.append(scalar)
            }
        }
        return String(safe)
    }

    /// Marks, embeddings, overrides and isolates of the bidirectional algorithm: they can make a name read as another.
    private static func turnsDirection(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x061C, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// How many columns a terminal shows `text` in; `text` is sanitised.
    package static func width(_ text: String) -> Int {
        text.reduce(0) { $0 + width($1) }
    }

    /// The columns of one character: its widest scalar, since combining marks add nothing.
    package static func width(_ character: Character) -> Int {
        var width = 0
        for scalar in character.unicodeScalars {
            // The emoji presentation selector makes the character before it two columns wide.
            width = max(width, scalar.value == 0xFE0F ? 2 : self.width(scalar))
        }
        return width
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: 0
        default: isWide(scalar.value) ? 2 : 1
        }
    }

    /// Ranges that Unicode's EastAsianWidth.txt has as wide or fullwidth, emoji included; neighbours are joined.
    private static func isWide(_ value: UInt32) -> Bool {
        switch value {
        case ..<0x1100: false
        case 0x1100...0x115F, 0x231A...0x231B, 0x2329...0x232A, 0x23E9...0x23EC, 0x23F0, 0x23F3, 0x25FD...0x25FE: true
        case 0x2614...0x2615, 0x2648...0x2653, 0x267F, 0x2693, 0x26A1, 0x26AA...0x26AB, 0x26BD...0x26BE: true
        case 0x26C4...0x26C5, 0x26CE, 0x26D4, 0x26EA, 0x26F2...0x26F3, 0x26F5, 0x26FA, 0x26FD, 0x2705: true
        case 0x270A...0x270B, 0x2728, 0x274C, 0x274E, 0x2753...0x2755, 0x2757, 0x2795...0x2797, 0x27B0, 0x27BF: true
        case 0x2B1B...0x2B1C, 0x2B50, 0x2B55, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0xA4CF: true
        case 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60: true
        case 0xFFE0...0xFFE6, 0x16FE0...0x18AFF, 0x1AFF0...0x1B2FF, 0x1F004, 0x1F0CF, 0x1F18E, 0x1F191...0x1F19A: true
        case 0x1F1E6...0x1F1FF, 0x1F200...0x1F320, 0x1F32D...0x1F335, 0x1F337...0x1F37C, 0x1F37E...0x1F393: true
        case 0x1F3A0...0x1F3CA, 0x1F3CF...0x1F3D3, 0x1F3E0...0x1F3F0, 0x1F3F4, 0x1F3F8...0x1F43E, 0x1F440: true
        case 0x1F442...0x1F4FC, 0x1F4FF...0x1F53D, 0x1F54B...0x1F54E, 0x1F550...0x1F567, 0x1F57A: true
        case 0x1F595...0x1F596, 0x1F5A4, 0x1F5FB...0x1F64F, 0x1F680...0x1F6C5, 0x1F6CC, 0x1F6D0...0x1F6D7: true
        case 0x1F6DC...0x1F6DF, 0x1F6EB...0x1F6EC, 0x1F6F4...0x1F6FC, 0x1F7E0...0x1F7EB, 0x1F7F0: true
        case 0x1F90C...0x1F93A, 0x1F93C...0x1F945, 0x1F947...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD: true
        default: false
        }
    }

    /// `text` with spaces after it (before it with `toTheRight`) up to `columns`; longer text stays as it is.
    package static func padded(_ text: String, to columns: Int, toTheRight: Bool = false) -> String {
        let padding = String(repeating: " ", count: max(0, columns - width(text)))
        return toTheRight ? padding + text : text + padding
    }

    /// `text` in at most `columns`, its end cut away.
    package static func cut(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        return columns < 1 ? "" : prefix(text, columns - 1) + "…"
    }

    /// `text` in at most `columns`, its middle cut away, so that a file's extension stays to be seen.
    package static func cutInTheMiddle(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        guard columns >= 8 else { return cut(text, to: columns) }
        let tail = columns / 3
        let end = String(prefix(String(text.reversed()), tail).reversed())
        return prefix(text, columns - 1 - width(end)) + "…" + end
    }

    private static func prefix(_ text: String, _ columns: Int) -> String {
        var taken = ""
        var used = 0
        for character in text {
            used += width(character)
            guard used <= columns else { break }
            taken.append(character)
        }
        return taken
    }
}
