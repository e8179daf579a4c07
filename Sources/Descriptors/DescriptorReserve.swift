import Glibc

/// The last of the descriptors that a process may have, which are not for everything.
///
/// A process that has used up all of them can neither look at those who write nor call the platform. It may not even live
/// on: Dispatch, whose threads run most of it, ends a process in which it cannot open a file when it counts its threads.
/// The kernel gives the lowest free number, so that a number among the last says how many are left.
public struct DescriptorReserve: Sendable {
    /// What a descriptor is for, those first that leave the most to the others.
    public enum Use: Sendable, CaseIterable {
        /// A process whose end is waited for, for as long as its file is written.
        case watch
        /// A spool file, which is kept open for as long as it is used.
        case spool
        /// A file of `/proc`, for a moment.
        case look
    }

    /// How many the process may have now: that can be changed from outside.
    private let limit: @Sendable () -> Int

    /// Of a process that may have so many.
    public init(limit: @escaping @Sendable () -> Int) { self.limit = limit }

    /// This process's.
    public static let ofProcess = DescriptorReserve {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// How many are left to others.
    public static func size(leftBy use: Use, of limit: Int) -> Int {
        switch use {
        case .watch: min(48, limit * 3 / 8)
        case .spool: min(32, limit / 4)
        case .look: min(8, limit / 16)
        }
    }

    /// Whether a descriptor that was just opened may be kept for a use; it is to be closed where it may not.
    public func allows(_ descriptor: Int32, for use: Use) -> Bool {
        let limit = limit()
        return Int(descriptor) < limit - Self.size(leftBy: use, of: limit)
    }

    /// Whether the next one to be opened may be kept for a use.
    public func allowsAnother(for use: Use) -> Bool {
        let next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
        guard next >= 0 else { return errno != EMFILE }
        close(next)
        return allows(next, for: use)
    }
}
