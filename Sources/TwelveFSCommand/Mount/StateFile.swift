import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Small JSON files in the state directory, through which `twelvefs` processes tell each other things.
package enum StateFile {
    /// Nobody writes more than a few hundred bytes.
    private static let maximumSize = 64 << 10

    /// Puts `value` in the place of a file, whole or not at all.
    package static func write(_ value: some Encodable, to file: FileLocation) throws {
        let temporary = file.directory.file("\(file.name).\(getpid())")
        temporary.remove()
        let descriptor = try temporary.open(O_WRONLY | O_CREAT | O_EXCL, mode: S_IRUSR | S_IWUSR)
        _ = try descriptor.closeAfter { try descriptor.writeAll(encoded(value)) }
        try temporary.rename(to: file.name)
    }

    /// What a file says, or nil when there is none, or it makes no sense, or is not a plain one of `owner`.
    package static func read<Value: Decodable>(
        _ type: Value.Type, from file: FileLocation, of owner: uid_t = geteuid()
    ) -> Value? {
        guard let descriptor = try? file.open(O_RDONLY) else { return nil }
        return try? descriptor.closeAfter {
            let status = try PathStatus(of: descriptor)
            guard status.isRegular, status.owner == owner else { return nil }
            return try decoded(type, from: descriptor.readAll(atMost: maximumSize))
        }
    }

    /// `value` as one line of JSON with sorted keys.
    package static func encoded(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(value)) + [0x0A]
    }

    /// Reads what ``encoded(_:)`` wrote.
    package static func decoded<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}
