import SystemPackage

/// The kernel's table of mounts, as this process sees it.
enum MountTable {
    struct Entry: Equatable {
        var mountPoint: String
        /// The type with its subtype: `fuse.twelvefs`.
        var type: String
        /// The device, or what a FUSE file system gave as its name: for ours, the state directory.
        var source: String
        /// Who mounted it, where FUSE tells.
        var userID: UInt32?

        var isOurs: Bool { type == "fuse.\(MountConfiguration.subtype)" }
    }

    static func entries() throws -> [Entry] {
        let descriptor = try FileDescriptor.open("/proc/self/mountinfo", .readOnly, options: .closeOnExec)
        return parsed(try descriptor.closeAfter { try descriptor.readAll(atMost: 16 << 20) })
    }

    /// Reads `ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAG…] - TYPE SOURCE SUPEROPTIONS` (proc(5)).
    static func parsed(_ bytes: [UInt8]) -> [Entry] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard fields.count > 6, let dash = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
                fields.count > dash + 3
            else { return nil }
            let options = unescaped(fields[dash + 3]).split(separator: ",")
            return Entry(
                mountPoint: unescaped(fields[4]), type: unescaped(fields[dash + 1]), source: unescaped(fields[dash + 2]),
                userID: options.first { $0.hasPrefix("user_id=") }.flatMap { UInt32($0.dropFirst("user_id=".count)) })
        }
    }

    /// Spaces, tabs, newlines and backslashes stand there as three octal digits after a backslash.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
