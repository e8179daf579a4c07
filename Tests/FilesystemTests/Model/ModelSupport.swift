import Dispatch
import Filesystem
import Formats
import Foundation
import FuseLowLevel
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine

/// What was expected and did not happen, or the other way round.
struct ModelFailure: Error, CustomStringConvertible {
    /// What is not as it should be.
    var what: String
    /// After which operation.
    var place = ""
    /// How many operations it took.
    var operations: Int?

    init(_ what: String, at place: String = "") { (self.what, self.place) = (what, place) }

    var description: String { place.isEmpty ? what : "\(place): \(what)" }

    /// What is wrong, without numbers and names: two failures of one shape most likely have one cause.
    var shape: String {
        var shape = ""
        var isInName = false
        for letter in what {
            if letter == "[" { isInName = true }
            if !isInName, !letter.isNumber { shape.append(letter) }
            if letter == "]" { isInName = false }
        }
        return shape
    }
}

/// An answer that may come later.
final class ModelAnswer: Sendable {
    private let outcome = Mutex<Result<Void, FuseErrno>?>(nil)
    private let hasCome = DispatchSemaphore(value: 0)

    func give(_ result: Result<Void, FuseErrno>) {
        outcome.withLock { $0 = result }
        hasCome.signal()
    }

    /// What gives the answer.
    var wait: CloseWait { CloseWait(reply: { self.give($0) }, whenInterrupted: { _ in }) }

    /// Waits for the answer: nil for success. The limit only bounds a run that fails.
    func get() throws -> FuseErrno? {
        guard hasCome.wait(timeout: .now() + 30) == .success else { throw ModelFailure("no answer") }
        switch outcome.withLock({ $0 }) {
        case .failure(let errno): return errno
        case .success, nil: return nil
        }
    }
}

/// Waits for what is asynchronous, on a thread that may block.
enum Blocking {
    private final class Box<Value: Sendable>: Sendable {
        let value = Mutex<Value?>(nil)
        let isSet = DispatchSemaphore(value: 0)
    }

    /// - Parameter limit: in seconds; nil where it takes longer.
    static func wait<Value: Sendable>(
        limit: Int = 30, _ body: @escaping @Sendable () async -> Value
    ) -> Value? {
        let box = Box<Value>()
        Task {
            let value = await body()
            box.value.withLock { $0 = value }
            box.isSet.signal()
        }
        guard box.isSet.wait(timeout: .now() + .seconds(limit)) == .success else { return nil }
        return box.value.withLock { $0 }
    }
}

/// Processes as the model has them: each handle has one of its own.
final class ModelWriters: WriterInspector {
    private struct State: Sendable {
        /// Who has which file open for writing.
        var holders: [UInt64: Set<Int32>] = [:]
        var dying: Set<Int32> = []
    }

    private let state = Mutex(State())

    func opened(_ inode: UInt64, by pid: Int32) { state.withLock { _ = $0.holders[inode, default: []].insert(pid) } }

    func closed(_ inode: UInt64, by pid: Int32) { state.withLock { _ = $0.holders[inode]?.remove(pid) } }

    func setDying(_ pid: Int32, _ isDying: Bool) {
        state.withLock { state in
            if isDying { state.dying.insert(pid) } else { state.dying.remove(pid) }
        }
    }

    func threadGroup(of pid: Int32) -> Int32? { pid }

    func command(of pid: Int32) -> [UInt8]? { Array("writer".utf8) }

    func sight(of pid: Int32) -> WriterSight { .whole }

    func watch(_ process: Int32, isVital: Bool) -> WatchedProcess? { nil }

    func groups(of pid: Int32, user: UInt32) -> Set<UInt32>? { nil }

    func closer(_ pid: Int32) -> CommitRule.CloseContext.Closer? {
        state.withLock { $0.dying.contains(pid) } ? .dying("its writer was killed by signal 9") : .running
    }

    func snapshot() -> ProcessSnapshot { .none }

    func holder(
        ofInode inode: UInt64, openers: Set<Int32>, notIn earlier: ProcessSnapshot
    ) -> ProcessTable.Holder {
        guard let pid = state.withLock({ $0.holders[inode]?.first }) else { return .nobody }
        return .process(pid)
    }

    func source(of pid: Int32, for target: SourceTarget) -> FoundSource? { nil }

    func hold(_ source: FoundSource) -> HeldSource? { nil }

    func currentSize(of source: FoundSource) -> Int64? { nil }

    func holds(_ process: Int32, inode: UInt64) -> Bool? {
        state.withLock { $0.holders[inode]?.contains(process) ?? false }
    }

    func isAskedToEnd(_ pid: Int32) -> Bool? { false }

    func isRsyncAborting(_ pid: Int32) -> Bool? { false }
    func processesInside() -> [(process: Int32, path: [UInt8])] { [] }
}

extension EngineClock {
    /// A clock that goes a thousand times as fast as the machine's: a pause between two attempts costs next to nothing.
    static let fast = {
        let dawn = ContinuousClock.now
        let speed = 1000
        return EngineClock(
            now: { dawn + (ContinuousClock.now - dawn) * speed },
            wallTime: { Timestamp(millisecondsSince1970: 1_767_323_045_000) },
            sleep: { deadline in
                try await Task.sleep(until: dawn + (deadline - dawn) / speed, clock: .continuous)
            })
    }()
}

/// Files with holes.
enum SparseCopy {
    /// Copies a file's data and its length; what were holes are holes.
    static func copy(_ source: String, to target: String) throws {
        let from = Glibc.open(source, O_RDONLY | O_CLOEXEC)
        // Removed meanwhile, as it might have been a moment earlier.
        guard from >= 0 else { return }
        defer { close(from) }
        let to = Glibc.open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard to >= 0 else { throw ModelFailure("\(target) could not be made") }
        defer { close(to) }
        var status = stat()
        fstat(from, &status)
        ftruncate(to, status.st_size)
        var position: off_t = 0
        while true {
            let start = lseek(from, position, seekData)
            guard start >= 0 else { return }
            let end = lseek(from, start, seekHole)
            var buffer = [UInt8](repeating: 0, count: Int(end - start))
            guard pread(from, &buffer, buffer.count, start) == buffer.count,
                pwrite(to, buffer, buffer.count, start) == buffer.count
            else { throw ModelFailure("\(source) could not be copied") }
            position = end
        }
    }

    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4

    /// What tells whether a file was changed.
    struct Look: Equatable {
        var size: Int
        var blocks: Int
        var seconds: Int
        var nanoseconds: Int
    }

    /// Every file of a folder as it is now.
    static func looks(at folder: String) -> [String: Look] {
        var looks: [String: Look] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
            looks[name] = Look(
                size: Int(status.st_size), blocks: Int(status.st_blocks), seconds: Int(status.st_mtim.tv_sec),
                nanoseconds: Int(status.st_mtim.tv_nsec))
        }
        return looks
    }

    /// What all files of a folder occupy on the disk, in bytes.
    static func bytesOnDisk(in folder: String) throws -> Int64 {
        try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) { sum, name in
            var status = stat()
            return lstat("\(folder)/\(name)", &status) == 0 ? sum + Int64(status.st_blocks) * 512 : sum
        }
    }
}
