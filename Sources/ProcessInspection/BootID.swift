import Glibc

/// Which boot of the machine this is: what was not synced before another one is lost.
public struct BootID: Sendable, Hashable, CustomStringConvertible {
    /// 36 hexadecimal digits and dashes.
    public let description: String

    /// The running system's, from `/proc/sys/kernel/random/boot_id`; nil when it cannot be read.
    public init?(root: String = "/proc") {
        guard let bytes = RawFile.start(of: "\(root)/sys/kernel/random/boot_id", count: 64),
            bytes.last == UInt8(ascii: "\n")
        else { return nil }
        self.init(String(decoding: bytes.dropLast(), as: UTF8.self))
    }

    /// One that was written down; nil when that is no boot id.
    public init?(_ text: String) {
        guard text.utf8.count == 36,
            text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || UInt8(hexadecimal: [$0]) != nil })
        else { return nil }
        description = text
    }
}

extension ProcessTable {
    /// Whether the ids in `/proc` are those of this process's own pid namespace.
    ///
    /// Where they are not (`unshare --pid` without a `/proc` of its own), the ids in FUSE requests name other processes
    /// there, and nothing may be concluded from them.
    public var matchesOwnNamespace: Bool {
        RawFile.link(at: "\(root)/self").flatMap { Int32(decimal: $0) } == getpid()
    }

    /// Whether this process is in the machine's first pid namespace, from which every process can be seen.
    ///
    /// In another one, writers from outside come with pid 0.
    public var isInFirstNamespace: Bool {
        // The kernel gives the first one this number, for ever: PROC_PID_INIT_INO.
        RawFile.link(at: "\(root)/self/ns/pid") == Array("pid:[4026531836]".utf8)
    }
}
