import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Small JSON files in the state directory, through which `twelvefs` processes tell each other things.
package enum StateFile {
    /// Nobody writes more than a few hundred bytes.
    private static let maximumSize = 64 << 10

    /// Puts `value` in the place of the file at `path`, whole or not at all.
    package static func write(_ value: some Encodable, to path: String, permissions: FilePermissions = .ownerReadWrite)
        throws
    {
        let temporary = "\(path).\(getpid())"
        unlink(temporary)
        let descriptor = try FileDescriptor.open(
            temporary, .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
            permissions: permissions)
        try descriptor.closeAfter {
            // Not what the umask leaves: a request by root must be readable for the user who serves.
            guard fchmod(descriptor.rawValue, permissions.rawValue) == 0 else { throw Errno(rawValue: errno) }
            _ = try descriptor.writeAll(encoded(value))
        }
        guard rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
    }

    /// What the file at `path` says, or nil when there is none or it makes no sense.
    package static func read<Value: Decodable>(_ type: Value.Type, from path: String) -> Value? {
        guard let descriptor = try? FileDescriptor.open(path, .readOnly, options: [.noFollow, .closeOnExec]) else {
            return nil
        }
        return try? descriptor.closeAfter { try decoded(type, from: descriptor.readAll(atMost: maximumSize)) }
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
