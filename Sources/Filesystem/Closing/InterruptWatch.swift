import Dispatch

/// Watches over closes that were interrupted while they wait.
///
/// The kernel sends one INTERRUPT for a request, whatever the signal, and none after it, not even for SIGKILL. So after
/// the first one the caller's pending signals are looked at again and again, until one asks it to end or the wait is over.
/// The looks are short and made on a queue of their own: neither a FUSE thread nor Swift's pool waits for `/proc`.
final class InterruptWatch: Sendable {
    private let queue = DispatchQueue(label: "twelvefs.interrupts")
    private static let interval = DispatchTimeInterval.milliseconds(100)

    /// Looks until `isOver` says so, or `isAskedToEnd`; then calls `end`.
    func watch(
        isOver: @escaping @Sendable () -> Bool, isAskedToEnd: @escaping @Sendable () -> Bool,
        end: @escaping @Sendable () -> Void
    ) {
        queue.async { self.look(isOver, isAskedToEnd, end) }
    }

    private func look(
        _ isOver: @escaping @Sendable () -> Bool, _ isAskedToEnd: @escaping @Sendable () -> Bool,
        _ end: @escaping @Sendable () -> Void
    ) {
        if isOver() { return }
        if isAskedToEnd() { return end() }
        queue.asyncAfter(deadline: .now() + Self.interval) { self.look(isOver, isAskedToEnd, end) }
    }
}
