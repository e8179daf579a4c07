import CProcess
import Descriptors
import Dispatch
import Glibc
import Synchronization

/// Watches processes for how they end, by a pidfd of each: that needs no rights over them, and does not depend on
/// anybody looking at the moment of their end.
///
/// The kernel tells it from Linux 6.15 on (`PIDFD_INFO_EXIT`), once the process's parent has taken notice of the end.
public final class ProcessWatch: Sendable {
    /// So many processes are watched at a time, or a quarter of the descriptors that there may be.
    public static let limit = 512

    /// Whether this kernel tells how processes ended.
    public let isAvailable: Bool
    private let limit: Int
    private let state = Mutex(State())
    /// Whose thread waits, beside them all, to be told that there is another.
    private let wakeUp: WakeUp?
    private let reserve: DescriptorReserve
    /// Handlers decide about files, and take their time.
    private let queue = DispatchQueue(label: "twelvefs.ends")

    private struct Entry: Sendable {
        /// Tells it from a later one with the same numbers.
        let number: UInt64
        let descriptor: Int32
        weak var process: WatchedProcess?
    }

    private struct State: Sendable {
        var entries: [Int32: Entry] = [:]
        var lastNumber: UInt64 = 0
        /// Descriptors that nobody needs any more. The thread that waits for them closes them.
        var unwatched: [Int32] = []
    }

    /// A watch over nobody yet.
    ///
    /// - Parameters:
    ///   - limit: how many processes are watched at most.
    ///   - isOffered: false for what an older kernel offers: nothing.
    ///   - reserve: what is left to others of the descriptors that the process may have.
    public init(
        limit: Int = ProcessWatch.limit, isOffered: Bool = true, reserve: DescriptorReserve = .ofProcess
    ) {
        self.reserve = reserve
        self.limit = min(limit, Self.descriptorLimit / 4)
        wakeUp = isOffered && Self.kernelTells() ? WakeUp() : nil
        isAvailable = wakeUp != nil
        guard let wakeUp else { return }
        let started = DetachedThread.start { [weak self] in
            while wakeUp.isOpen {
                // Kept alive by nothing while it waits.
                guard let (list, processes) = self?.pollList(wakeUp.reader) else { return }
                var polled = list
                guard poll(&polled, UInt(polled.count), -1) > 0 else { continue }
                wakeUp.taken()
                self?.tell(of: polled, processes)
            }
        }
        if !started { wakeUp.close() }
    }

    deinit {
        wakeUp?.close()
        state.withLock { state in
            for entry in state.entries.values { close(entry.descriptor) }
            for descriptor in state.unwatched { close(descriptor) }
        }
    }

    /// Watches a process that there is, from now on.
    ///
    /// - Parameters:
    ///   - process: its id: that of a process, not of any other of its threads.
    ///   - isVital: whether nothing else would tell how it ended. The others take at most half of the places.
    /// - Returns: hidden where the kernel does not tell how it ends; failed while too many are watched.
    public func watch(_ process: Int32, isVital: Bool) -> Look<WatchedProcess> {
        guard isAvailable, process > 0 else { return .hidden }
        if let known = known(process) { return .found(known) }
        guard state.withLock({ $0.entries.count < (isVital ? limit : limit / 2) }) else { return .failed }
        let descriptor = process_pidfd_open(process, 0)
        guard descriptor >= 0 else { return Look(failure: errno) }
        guard reserve.allows(descriptor, for: .watch) else {
            close(descriptor)
            return .failed
        }
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        let watched = WatchedProcess(pid: process) { [weak self] in self?.unwatch(process, number) }
        // Nobody may be released under the lock.
        let (other, replaced) = state.withLock { state -> (WatchedProcess?, WatchedProcess?) in
            // Somebody else has begun to watch it meanwhile: what that one keeps has to be told, too.
            if let other = state.entries[process]?.process, other.end == nil {
                state.unwatched.append(descriptor)
                return (other, nil)
            }
            let entry = Entry(number: number, descriptor: descriptor, process: watched)
            let old = state.entries.updateValue(entry, forKey: process)
            if let old { state.unwatched.append(old.descriptor) }
            return (nil, old?.process)
        }
        withExtendedLifetime(replaced) {}
        wakeUp?.send()
        return .found(other ?? watched)
    }

    /// Who is watched under that number and has not ended. Of one that has, and has left its number to another process, the
    /// thread that waits for it may not have told yet: then it is told now.
    private func known(_ process: Int32) -> WatchedProcess? {
        let (known, end) = state.withLock { state -> (WatchedProcess?, ProcessEnd?) in
            guard let entry = state.entries[process] else { return (nil, nil) }
            // Nobody closes it meanwhile: that is done under this lock.
            var polled = pollfd(fd: entry.descriptor, events: 0, revents: 0)
            guard poll(&polled, 1, 0) > 0 else { return (entry.process, nil) }
            state.entries[process] = nil
            state.unwatched.append(entry.descriptor)
            return (entry.process, Self.end(of: entry.descriptor))
        }
        guard let end else { return known?.end == nil ? known : nil }
        wakeUp?.send()
        queue.async { known?.ended(end) }
        return nil
    }

    /// How many are watched.
    package var count: Int { state.withLock { $0.entries.count } }

    private func unwatch(_ process: Int32, _ number: UInt64) {
        state.withLock { state in
            guard let entry = state.entries[process], entry.number == number else { return }
            state.entries[process] = nil
            state.unwatched.append(entry.descriptor)
        }
        wakeUp?.send()
    }

    // MARK: The thread that waits

    /// What to wait for: a message, and the ends. No event is asked for, since the one that comes unasked (`POLLHUP`) is
    /// that the parent has taken notice.
    private func pollList(_ reader: Int32) -> ([pollfd], [(process: Int32, number: UInt64)]) {
        state.withLock { state in
            for descriptor in state.unwatched { close(descriptor) }
            state.unwatched = []
            var list = [pollfd(fd: reader, events: Int16(POLLIN), revents: 0)]
            var watched: [(process: Int32, number: UInt64)] = []
            for (process, entry) in state.entries {
                list.append(pollfd(fd: entry.descriptor, events: 0, revents: 0))
                watched.append((process, entry.number))
            }
            return (list, watched)
        }
    }

    private func tell(of polled: [pollfd], _ processes: [(process: Int32, number: UInt64)]) {
        for (entry, (process, number)) in zip(polled.dropFirst(), processes) where entry.revents != 0 {
            // The descriptor is this one still: nobody but this thread closes any.
            let end = Self.end(of: entry.fd)
            let watched = state.withLock { state -> WatchedProcess? in
                guard state.entries[process]?.number == number else { return nil }
                state.unwatched.append(entry.fd)
                return state.entries.removeValue(forKey: process)?.process
            }
            guard let watched else { continue }
            queue.async { watched.ended(end) }
        }
    }

    private static func end(of descriptor: Int32) -> ProcessEnd {
        var info = process_info()
        guard process_pidfd_info(descriptor, process_info_exit, &info) == 0, info.mask & process_info_exit != 0 else {
            return .unknown
        }
        return ProcessEnd(code: info.exit_code)
    }

    // MARK: The machine

    private static var descriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Whether the kernel tells how a process ended, tried with a thread: its end is told in the same way, and no process
    /// has to be started for it.
    private static func kernelTells() -> Bool {
        let begun = DispatchSemaphore(value: 0)
        let isWatched = DispatchSemaphore(value: 0)
        let thread = Box<Int32>(0)
        let started = DetachedThread.start {
            thread.value.withLock { $0 = process_thread_id() }
            begun.signal()
            isWatched.wait()
        }
        guard started else { return false }
        begun.wait()
        let descriptor = process_pidfd_open(thread.value.withLock { $0 }, process_pidfd_thread)
        isWatched.signal()
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var ended = pollfd(fd: descriptor, events: 0, revents: 0)
        guard poll(&ended, 1, 10_000) == 1 else { return false }
        return end(of: descriptor) == .exited(status: 0)
    }
}

/// A value that two threads share.
private final class Box<Value: Sendable>: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) {
        self.value = Mutex(value)
    }
}

/// Lets one thread tell another that waits in `poll`.
private final class WakeUp: Sendable {
    let reader: Int32
    private let writer: Mutex<Int32>

    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        reader = ends[0]
        writer = Mutex(ends[1])
    }

    deinit {
        close()
        Glibc.close(reader)
    }

    var isOpen: Bool { writer.withLock { $0 >= 0 } }

    /// A full pipe wakes as well.
    func send() {
        writer.withLock { writer in
            guard writer >= 0 else { return }
            var byte: UInt8 = 0
            _ = write(writer, &byte, 1)
        }
    }

    /// What was sent has been heard.
    func taken() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(reader, &bytes, bytes.count) == bytes.count {}
    }

    /// Ends the waiting for good.
    func close() {
        writer.withLock { writer in
            if writer >= 0 { Glibc.close(writer) }
            writer = -1
        }
    }
}
