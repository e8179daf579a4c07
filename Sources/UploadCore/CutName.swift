/// Names that would be too long with their suffix: their beginning, `~`, and the hash of all of it in 16 digits.
enum CutName {
    /// The longest name of a file in bytes, Linux's `NAME_MAX`.
    static let maximumLength = 255
    private static let hashLength = 16

    /// `stem` and `suffix`, if that is a possible name and does not look like a cut one; otherwise cut, by the hash of
    /// `original`. Hence different names stay different as long as their hashes do.
    static func fit(_ stem: [UInt8], suffix: [UInt8], hashOf original: [UInt8]) -> [UInt8] {
        let limit = maximumLength - suffix.count
        if stem.count <= limit, !isCut(stem) { return stem + suffix }
        let hash = fnv1a(original)
        let digits = String(hash, radix: 16)
        let padding = String(repeating: "0", count: hashLength - digits.utf8.count)
        let beginning = beginning(of: stem, limit: limit - hashLength - 1)
        return beginning + Array("~\(padding)\(digits)".utf8) + suffix
    }

    /// Whether a name without its suffix ends as a cut one does.
    static func isCut(_ stem: [UInt8]) -> Bool {
        let end = stem.suffix(hashLength + 1)
        guard end.count == hashLength + 1, end.first == UInt8(ascii: "~") else { return false }
        return end.dropFirst().allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
    }

    /// At most `limit` bytes, fewer where the cut would go through a character of UTF-8.
    private static func beginning(of stem: [UInt8], limit: Int) -> [UInt8] {
        guard stem.count > limit else { return stem }
        var end = limit
        let isContinuation = { (byte: UInt8) in byte & 0xC0 == 0x80 }
        while end > limit - 3, isContinuation(stem[end]) { end -= 1 }
        // Four such bytes in a row are no UTF-8: then any place is as good.
        return Array(stem[..<(isContinuation(stem[end]) ? limit : end)])
    }

    /// FNV-1a with 64 bits (RFC 9923): short, and the same everywhere and in every run.
    private static func fnv1a(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
