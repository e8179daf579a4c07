/// The names inside `.status/`: which document has which, and where the links below `by-name/` lie and lead to.
///
/// | name | stands for |
/// |---|---|
/// | `summary.json`, `metrics` | themselves |
/// | `<upload_id>.json` | the document of one upload |
/// | `pending-<n>.json` | the same before it has a session |
/// | `by-name/<path>.json` | a link to the newest upload of that path |
///
/// Upload ids come from the platform and may be anything: see ``document(uploadID:)``. A path may clash with the names
/// around it or be too long once it has its suffix: see ``link(for:)``. Different ids, and different paths, always have
/// different names, short of two names' having the same 64-bit hash.
public enum StatusNames {
    /// The directory itself, below the root.
    public static let directory: [UInt8] = Array(".status".utf8)
    /// The directory of links.
    public static let byName: [UInt8] = Array("by-name".utf8)
    /// The counts and totals.
    public static let summary: [UInt8] = Array("summary.json".utf8)
    /// The same as OpenMetrics text.
    public static let metrics: [UInt8] = Array("metrics".utf8)

    private static let suffix: [UInt8] = Array(".json".utf8)
    private static let directoryMark: [UInt8] = Array(".d".utf8)
    private static let pendingPrefix: [UInt8] = Array("pending-".utf8)

    /// What a name directly in `.status/` can stand for.
    public enum Entry: Sendable, Hashable {
        case summary
        case metrics
        case byName
        /// The *n*th upload since the mount.
        case pending(UInt64)
        /// The upload whose document has this name; ids that were too long cannot be read back.
        case document(uploadID: String?)
    }

    /// What a name directly in `.status/` stands for; nil for one that stands for nothing.
    public static func entry(named name: [UInt8]) -> Entry? {
        if name == summary { return .summary }
        if name == metrics { return .metrics }
        if name == byName { return .byName }
        guard name.count <= CutName.maximumLength, let stem = name.removing(suffix: suffix) else { return nil }
        if let number = pendingNumber(stem) { return .pending(number) }
        if CutName.isCut(stem) { return .document(uploadID: nil) }
        guard let bytes = percentDecoded(stem), let id = String(validating: bytes, as: UTF8.self) else { return nil }
        return document(uploadID: id) == name ? .document(uploadID: id) : nil
    }

    // MARK: Documents

    /// The name of the document of an upload that has no session yet.
    public static func pending(_ number: UInt64) -> [UInt8] {
        pendingPrefix + Array(String(number).utf8) + suffix
    }

    /// The name of an upload's document: its id and `.json`.
    ///
    /// Letters, digits, `.`, `_` and `-` stand for themselves; every other byte, a dot at the beginning, and the first
    /// byte of an id that is another document's name, is written `%2F`. What is too long then is cut and hashed.
    public static func document(uploadID: String) -> [UInt8] {
        let uploadID = Array(uploadID.utf8)
        // Cannot be any other id's: a percent sign is otherwise followed by two digits.
        guard let first = uploadID.first else { return [UInt8(ascii: "%")] + suffix }
        let isReserved = uploadID + suffix == summary || pendingNumber(uploadID) != nil
        var stem: [UInt8] = []
        for (index, byte) in uploadID.enumerated() {
            let isSafe = isPlain(byte) && !(index == 0 && (isReserved || first == UInt8(ascii: ".")))
            if isSafe { stem.append(byte) } else { stem += percentEncoded(byte) }
        }
        return CutName.fit(stem, suffix: suffix, hashOf: uploadID)
    }

    /// The number in `pending-<n>`, in the one way that we write it.
    private static func pendingNumber(_ stem: [UInt8]) -> UInt64? {
        guard stem.starts(with: pendingPrefix) else { return nil }
        guard let number = UInt64(String(decoding: stem.dropFirst(pendingPrefix.count), as: UTF8.self)) else {
            return nil
        }
        return pending(number) == stem + suffix ? number : nil
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func percentEncoded(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    /// Nil where a percent sign is not followed by two hexadecimal digits; a lone one is the empty id.
    private static func percentDecoded(_ stem: [UInt8]) -> [UInt8]? {
        if stem == [UInt8(ascii: "%")] { return [] }
        var decoded: [UInt8] = []
        var rest = stem[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                decoded.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            decoded.append(value)
            rest = rest.dropFirst(2)
        }
        return decoded
    }

    // MARK: Links

    /// Where the link for the file at `path` lies: names below `by-name/`, the last of them the link's own.
    ///
    /// The link is called as the file, with `.json`, and lies in directories that are called as the file's. Where such a
    /// directory's name could be a link's it has `.d` at its end. What is too long then is cut and hashed.
    public static func link(for path: [[UInt8]]) -> [[UInt8]] {
        guard let file = path.last else { return [] }
        return path.dropLast().map(linkDirectory(for:)) + [link(forFile: file)]
    }

    /// Where a link with so many names below `by-name/` leads to: a path relative to the directory that it lies in.
    ///
    /// - Parameters:
    ///   - depth: How many names ``link(for:)`` gave.
    ///   - document: The document's name in `.status/`.
    public static func linkTarget(depth: Int, document: [UInt8]) -> [UInt8] {
        Array(repeatElement("../".utf8, count: depth).joined()) + document
    }

    /// What a name below `by-name/` stands for.
    public enum LinkName: Sendable, Hashable {
        /// The link of the file of this name.
        case file([UInt8])
        /// The directory of the files in the directory of this name.
        case directory([UInt8])
        /// A link or directory whose name was cut and cannot be read back: compare it with what
        /// ``StatusNames/link(for:)`` gives for the names that there are.
        case cut
    }

    /// What a name below `by-name/` stands for, whether or not there is such a file.
    public static func linkName(_ name: [UInt8]) -> LinkName {
        if let stem = name.removing(suffix: suffix) {
            return CutName.isCut(stem) ? .cut : .file(stem)
        }
        guard let unmarked = name.removing(suffix: directoryMark) else { return .directory(name) }
        if CutName.isCut(unmarked) { return .cut }
        return needsMark(unmarked) ? .directory(unmarked) : .directory(name)
    }

    /// The directory whose files' links lie in the directory of these names below `by-name/`; nil where a name was cut.
    public static func directory(ofLinksIn names: [[UInt8]]) -> [[UInt8]]? {
        var path: [[UInt8]] = []
        for name in names {
            guard case .directory(let name) = linkName(name) else { return nil }
            path.append(name)
        }
        return path
    }

    private static func link(forFile name: [UInt8]) -> [UInt8] {
        CutName.fit(name, suffix: suffix, hashOf: name)
    }

    private static func linkDirectory(for name: [UInt8]) -> [UInt8] {
        needsMark(name) ? CutName.fit(name, suffix: directoryMark, hashOf: name) : name
    }

    /// Whether a directory's name is one that we give ourselves: a link's, or such a name with marks at its end.
    private static func needsMark(_ name: [UInt8]) -> Bool {
        if name.removing(suffix: suffix) != nil { return true }
        var rest = name
        while let shorter = rest.removing(suffix: directoryMark) { rest = shorter }
        return rest.removing(suffix: suffix) != nil || (rest != name && CutName.isCut(rest))
    }
}

extension [UInt8] {
    /// What comes before `suffix`, nil where it does not end so or is nothing else.
    func removing(suffix: [UInt8]) -> [UInt8]? {
        guard count > suffix.count, self.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        return Array(dropLast(suffix.count))
    }
}
