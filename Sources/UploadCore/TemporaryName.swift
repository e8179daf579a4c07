/// A name that a tool gives a file until it is whole.
struct TemporaryName {
    /// The name that the file will have, when the temporary one leaves that of a video or an audio file.
    let finalName: FoldedName?

    /// Directories in which rsync keeps files until they are whole, under their final names: `--delay-updates` and
    /// the customary `--partial-dir`.
    static func isDirectory(_ name: FoldedName) -> Bool {
        name.equals(".~tmp~") || name.equals(".rsync-partial")
    }

    /// What browsers (Firefox, Chrome, Safari), WinSCP, yt-dlp and many others append.
    private static let suffixes = [".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp"]

    init?(_ name: FoldedName) {
        if let whole = Self.rsync(name) {
            self.init(final: whole)
        } else if let suffix = Self.suffixes.first(where: name.hasSuffix) {
            self.init(final: FoldedName(name.bytes.dropLast(suffix.utf8.count)))
        } else if name.hasPrefix(".goutputstream-") || Self.isFragment(name) {
            self.init(final: nil)
        } else {
            return nil
        }
    }

    private init(final: FoldedName?) {
        finalName = final.flatMap { MediaExtensions.kind(of: $0) == nil ? nil : $0 }
    }

    /// The NAME in rsync's `.NAME.XXXXXX`: a dot, the name, a dot, six letters or digits.
    ///
    /// rsync (`get_tmpname`) cuts NAME to 246 bytes, before a character that would be cut in two, and drops the first
    /// dot of a hidden name. When the cut takes the extension away, what is left is no video's name, and tells nothing.
    /// Chrome's `.com.google.Chrome.XXXXXX` looks the same, and means the same.
    static func rsync(_ name: FoldedName) -> FoldedName? {
        let bytes = name.bytes
        let dot = UInt8(ascii: ".")
        guard bytes.count > 8, bytes[0] == dot, bytes[bytes.count - 7] == dot,
            bytes.suffix(6).allSatisfy(isAlphanumeric)
        else { return nil }
        // `.talk.mpegts` is a hidden video: six random characters are not a known extension.
        guard MediaExtensions.kind(of: name) == nil else { return nil }
        return FoldedName(bytes[1..<bytes.count - 7])
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    /// Whether the name is `NAME.part-Frag12`: yt-dlp's pieces of a stream, which it appends to `NAME.part` and removes.
    private static func isFragment(_ name: FoldedName) -> Bool {
        guard let text = name.fileExtension, text.hasPrefix("part-frag") else { return false }
        let digits = text.utf8.dropFirst("part-frag".utf8.count)
        return !digits.isEmpty && digits.allSatisfy { (0x30...0x39).contains($0) }
    }
}
