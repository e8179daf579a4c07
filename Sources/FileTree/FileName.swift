/// The name of an entry in a directory: bytes, as the kernel passes them.
///
/// Never text: Swift's `String` takes names to be equal that differ in their Unicode normalization, and mends invalid UTF-8.
public struct FileName: Sendable, Hashable {
    /// The longest name in bytes, Linux's `NAME_MAX`.
    public static let maximumLength = 255

    /// 1 to ``maximumLength`` bytes, no `/`, no NUL, neither `.` nor `..`.
    public let bytes: [UInt8]

    /// Checks and keeps `bytes`; throws ``TreeError/nameTooLong`` or ``TreeError/invalidName``.
    public init(_ bytes: [UInt8]) throws(TreeError) {
        guard bytes.count <= Self.maximumLength else { throw .nameTooLong }
        guard !bytes.isEmpty, !bytes.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 }) else { throw .invalidName }
        guard !bytes.elementsEqual(".".utf8), !bytes.elementsEqual("..".utf8) else { throw .invalidName }
        self.bytes = bytes
    }

    /// Checks and keeps the UTF-8 bytes of `text`; throws as for bytes.
    public init(_ text: String) throws(TreeError) {
        try self.init(Array(text.utf8))
    }
}

extension FileName: CustomStringConvertible {
    /// For people: bytes that are not UTF-8 are replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
