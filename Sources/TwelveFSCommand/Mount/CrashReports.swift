#if canImport(Glibc)
import Glibc
#endif

/// What is left behind when the serving process crashes: nothing of its memory, which holds the API key.
enum CrashReports {
    /// Swift's runtime reads it when a process begins.
    static let variable = "SWIFT_BACKTRACE"
    /// By default a report shows memory that registers point to, and the mount hangs for seconds while it is made.
    static let none = "enable=no"

    /// No core dump is made of this process.
    static func leaveNoCore() {
        var limit = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }
}
