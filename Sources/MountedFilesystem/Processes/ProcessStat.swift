/// What `/proc/<pid>/stat` says of a process or thread, as far as it is used here.
///
/// Source: proc(5). The second field, the name, is the process's own choice and may hold blanks, newlines and
/// parentheses; none of the fields after it can, so the last closing parenthesis ends it.
package struct ProcessStat: Sendable, Equatable {
    /// The name, at most 15 bytes for a program (the kernel's own threads may have longer ones).
    package let command: [UInt8]
    /// Field 4.
    package let parent: Int32
    /// Field 9, the kernel's `PF_` flags.
    package let flags: UInt32
    /// Field 22: when it was started.
    package let startTime: ClockTicks
    /// Field 52: how it ended, as `wait` tells it. Zero also for whoever may not know; nil where it is missing or makes no sense.
    package let exitCode: Int32?

    /// It is on its way out (`PF_EXITING`).
    package var isExiting: Bool { flags & 0x4 != 0 }
    /// It is a thread of the kernel's own (`PF_KTHREAD`): it has no descriptors.
    package var isKernelThread: Bool { flags & 0x20_0000 != 0 }

    /// Nil for anything that is not a whole line of at least 22 fields.
    package init?(parsing bytes: [UInt8]) {
        guard bytes.last == UInt8(ascii: "\n"),
            let opening = bytes.firstIndex(of: UInt8(ascii: "(")),
            let closing = bytes.lastIndex(of: UInt8(ascii: ")")), opening < closing
        else { return nil }
        let fields = bytes[(closing + 1)...].dropLast().split(separator: UInt8(ascii: " "))
        // The first field after the name is the third of the file.
        func field(_ number: Int) -> ArraySlice<UInt8>? {
            fields.indices.contains(number - 3) ? fields[number - 3] : nil
        }
        guard let parent = field(4).flatMap({ Int32(decimal: $0) }),
            let flags = field(9).flatMap({ UInt32(decimal: $0) }),
            let startTime = field(22).flatMap({ UInt64(decimal: $0) })
        else { return nil }
        self.command = Array(bytes[(opening + 1)..<closing])
        self.parent = parent
        self.flags = flags
        self.startTime = ClockTicks(rawValue: startTime)
        self.exitCode = field(52).flatMap { Int32(decimal: $0) }.flatMap { (0...0xffff).contains($0) ? $0 : nil }
    }
}
