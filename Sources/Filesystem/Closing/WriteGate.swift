import FuseLowLevel

/// Who may change something, while a mount serves and while it comes to its end: the one place that decides.
///
/// While it ends, what is open goes on, and so does who writes: a copy of several files is not cut in the middle.
package struct WriteGate: Sendable {
    /// How far the mount's end is.
    package enum Phase: Sendable {
        /// Everybody may.
        case open
        /// Writers may, and what they have open; nobody else may begin.
        case ending
        /// Nobody may.
        case closed
    }

    package private(set) var phase: Phase
    /// How many files each process has open for writing.
    private var openFiles: [Int32: Int] = [:]
    /// When those that have none any more closed their last.
    private var lastClosed: [Int32: ContinuousClock.Instant] = [:]

    /// For how long a process that has closed its last file may open the next.
    package static let pause: Duration = .seconds(1)

    package init(_ phase: Phase) { self.phase = phase }

    /// Goes on to another phase.
    package mutating func enter(_ phase: Phase) { self.phase = phase }

    /// A process has opened a file for writing.
    package mutating func opened(by process: Int32) {
        openFiles[process, default: 0] += 1
        lastClosed[process] = nil
    }

    /// It has closed one.
    package mutating func closed(by process: Int32, at now: ContinuousClock.Instant) {
        guard let count = openFiles[process] else { return }
        openFiles[process] = count > 1 ? count - 1 : nil
        guard count == 1 else { return }
        lastClosed = lastClosed.filter { $0.value + Self.pause >= now }
        lastClosed[process] = now
    }

    /// The processes that have closed their last file so short a time ago that they may open the next.
    package func betweenFiles(at now: ContinuousClock.Instant) -> [Int32] {
        lastClosed.filter { $0.value + Self.pause >= now }.keys.sorted()
    }

    /// Whether what is open may be written.
    package var allowsWriting: Bool { phase != .closed }

    /// Whether a process may open a file for writing, or change a name.
    ///
    /// - Parameter process: nil for one that cannot be told from others; asked for only where it matters.
    package func allowsChange(
        by process: @autoclosure () -> Int32?, at now: ContinuousClock.Instant
    ) -> Bool {
        switch phase {
        case .open: return true
        case .closed: return false
        case .ending:
            guard let process = process() else { return false }
            if openFiles[process] != nil { return true }
            return lastClosed[process].map { $0 + Self.pause >= now } ?? false
        }
    }
}
