/// The base name of a file as bytes, with the comparisons that ``NamePolicy`` makes.
///
/// ASCII letters are compared without regard to case: names come from systems that have none.
struct FoldedName {
    let bytes: [UInt8]
    /// The same with ASCII letters in lower case.
    private let folded: [UInt8]

    init(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
        folded = self.bytes.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    }

    /// What follows the last dot, in lower case; nil when that is nothing, or when nothing is before the dot.
    var fileExtension: String? {
        guard let dot = folded.lastIndex(of: UInt8(ascii: ".")), dot > 0, dot + 1 < folded.count else { return nil }
        return String(decoding: folded[(dot + 1)...], as: UTF8.self)
    }

    func equals(_ text: String) -> Bool { folded.elementsEqual(text.utf8) }

    func hasPrefix(_ text: String) -> Bool { folded.starts(with: text.utf8) }

    func hasSuffix(_ text: String) -> Bool { folded.suffix(text.utf8.count).elementsEqual(text.utf8) }
}
