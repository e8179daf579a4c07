/// What `/proc/<pid>/stat` says of how a process ends.
///
/// Source: proc(5). The second field, the name, is the process's own choice and may hold blanks, newlines and
/// parentheses; none of the fields after it can, so the last closing parenthesis ends it.
///
/// **To be read of a thread only that has closed its descriptors.** Kernels from 6.18 on make every reader wait while a
/// process is in the middle of `exec`; the FLUSH of a descriptor that `exec` closes is sent just then. Whoever read this
/// file before answering that FLUSH would wait for himself.
package struct ProcessStat: Sendable, Equatable {
    /// Field 9, the kernel's `PF_` flags.
    package let flags: UInt32
    /// Field 52: how it ended, as `wait` tells it. Zero also for whoever may not know; nil where it is missing or makes no sense.
    package let exitCode: Int32?

    /// It is on its way out (`PF_EXITING`).
    package var isExiting: Bool { flags & 0x4 != 0 }

    /// Nil for anything that is not a whole line.
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
        guard let flags = field(9).flatMap({ UInt32(decimal: $0) }) else { return nil }
        self.flags = flags
        self.exitCode = field(52).flatMap { Int32(decimal: $0) }.flatMap { (0...0xffff).contains($0) ? $0 : nil }
    }
}
