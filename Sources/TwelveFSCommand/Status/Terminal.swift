#if canImport(Glibc)
import Glibc
#endif

/// The terminal that a command was started in, as far as there is one.
enum Terminal {
    /// Says one line on standard error, as `twelvefs: …`.
    static func complain(_ line: String) {
        write("twelvefs: \(TerminalText.sanitised(line))\n", to: STDERR_FILENO)
    }

    /// Writes to standard output at once, without a buffer that a signal could leave behind.
    static func say(_ text: String) {
        write(text, to: STDOUT_FILENO)
    }

    /// Writes all of `text`; what nobody can read any more (a closed pipe) is dropped.
    static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else if errno != EINTR {
                    return
                }
            }
        }
    }

    /// Whether somebody may be looking.
    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Columns and rows of the terminal at `descriptor`, or nil when it is none.
    static func size(_ descriptor: Int32) -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Whether the locale's characters are UTF-8, so that block characters can be shown.
    static func showsUnicode(_ environment: [String: String]) -> Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let name = locale.lowercased()
        return name.contains("utf-8") || name.contains("utf8")
    }
}
