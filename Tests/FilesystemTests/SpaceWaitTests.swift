import FileTree
import Filesystem
import Formats
import FuseLowLevel
import SandboxPlatform
import Synchronization
import TestSupport
import Testing
import UploadCore

/// WRITEs that wait for space in the spool, without FUSE.
@Suite(.timeLimit(.minutes(2))) struct SpaceWaitTests {
    private static let mebibyte = Int64(1) << 20

    /// The answer to one WRITE.
    private final class Heard: Sendable {
        private let result = Mutex<Result<Int, FuseErrno>?>(nil)
        private let interrupt = Mutex<(ends: (@Sendable () -> Bool)?, hasCome: Bool)>((nil, false))

        var answer: Result<Int, FuseErrno>? { result.withLock { $0 } }

        /// Also who comes to wait later is told of it, as libfuse does.
        func interruptNow() {
            let ends = interrupt.withLock { state in
                state.hasCome = true
                return state.ends
            }
            if ends?() ?? false { _ = set(.failure(.interrupted)) }
        }

        private func wait(_ ends: @escaping @Sendable () -> Bool) {
            let hasCome = interrupt.withLock { state in
                state.ends = ends
                return state.hasCome
            }
            if hasCome, ends() { _ = set(.failure(.interrupted)) }
        }

        private func set(_ result: Result<Int, FuseErrno>) -> Bool {
            self.result.withLock { heard in
                guard heard == nil else { return false }
                heard = result
                return true
            }
        }

        var sink: WriteThrottle.Answer {
            WriteThrottle.Answer(
                give: { self.set($0) }, whenInterrupted: { self.wait($0) })
        }
    }

    /// A file of 60 MiB, of which as much is written as the spool takes; the next WRITE waits.
    private func fill(_ run: InProcess, _ name: String) async throws -> (heard: Heard, handle: UInt64) {
        let handle = try run.create(name)
        try run.cut(name, to: 60 * Self.mebibyte, through: handle)
        let piece = [UInt8](repeating: 7, count: 1 << 20)
        var offset: Int64 = 0
        while true {
            do {
                offset += Int64(try run.write(piece, to: handle, at: offset))
            } catch {
                guard error as? FuseErrno == .noSpace else { throw error }
                break
            }
            if offset == 6 * Self.mebibyte {
                try await eventually("chunks of it may be released") {
                    run.engine.uploads.contains(where: \.bringsSpace)
                }
            }
        }
        let heard = Heard()
        run.filesystem.throttle.waitForSpace(
            WriteThrottle.PendingWrite(
                data: piece, node: try run.node(name), handle: handle, offset: offset, context: InProcess.caller(1)),
            heard.sink)
        return (heard, handle)
    }

    private static func holdAllPuts(_ run: InProcess) {
        var fault = InjectedFault(on: [.put], .hang)
        fault.count = nil
        run.sandbox.add(fault)
    }

    private static func refuseAllPuts(_ run: InProcess) {
        var fault = InjectedFault(on: [.put], .status(500))
        (fault.count, fault.drain) = (nil, true)
        run.sandbox.add(fault)
    }

    @Test(.shows("space-wait")) func aWriteIsRefusedWhileTheOutageLasts() async throws {
        try await InProcess.run(clockPace: 50, spoolLimit: .mebibytes(24)) { run in
            Self.refuseAllPuts(run)
            let (heard, _) = try await fill(run, "video.mp4")
            #expect(run.filesystem.throttle.isSpaceComing)
            try await eventually("it is answered") { heard.answer != nil }
            guard case .failure(.noSpace)? = heard.answer else {
                Issue.record("\(String(describing: heard.answer))")
                return
            }
            #expect(run.engine.uploads.last?.status().waitingFor != .space)
        }
    }

    @Test func aWriteGoesThroughWhenAChunkIsStored() async throws {
        try await InProcess.run(spoolLimit: .mebibytes(24)) { run in
            Self.holdAllPuts(run)
            let (heard, _) = try await fill(run, "video.mp4")
            #expect(run.engine.uploads.last?.status().waitingFor == .space)
            #expect(heard.answer == nil)
            run.sandbox.clearFaults()
            try await eventually("it is answered") { heard.answer != nil }
            guard case .success? = heard.answer else {
                Issue.record("\(String(describing: heard.answer))")
                return
            }
        }
    }

    @Test func aWriteGoesThroughWhenAnotherFileIsRemoved() async throws {
        try await InProcess.run(spoolLimit: .mebibytes(24)) { run in
            let other = try run.create("other.mp4")
            try run.write([UInt8](repeating: 1, count: 6 << 20), to: other)
            let inode = InodeNumber(rawValue: try run.node("other.mp4").rawValue)
            Self.holdAllPuts(run)
            let (heard, _) = try await fill(run, "video.mp4")
            #expect(heard.answer == nil)
            try run.filesystem.namespace.removeFile(Array("other.mp4".utf8), in: .root)
            run.filesystem.release(inode, handle: other)
            try await eventually("it is answered") { heard.answer != nil }
            guard case .success? = heard.answer else {
                Issue.record("\(String(describing: heard.answer))")
                return
            }
            run.sandbox.clearFaults()
        }
    }

    @Test func anInterruptEndsTheWaitAndTheNextWriteHasItsTurn() async throws {
        try await InProcess.run(spoolLimit: .mebibytes(24)) { run in
            Self.holdAllPuts(run)
            let (first, handle) = try await fill(run, "video.mp4")
            let second = Heard()
            run.filesystem.throttle.waitForSpace(
                WriteThrottle.PendingWrite(
                    data: [UInt8](repeating: 7, count: 1 << 20), node: try run.node("video.mp4"), handle: handle,
                    offset: 50 * Self.mebibyte, context: InProcess.caller(1)), second.sink)
            first.interruptNow()
            try await eventually("it is answered") { first.answer != nil }
            guard case .failure(.interrupted)? = first.answer else {
                Issue.record("\(String(describing: first.answer))")
                return
            }
            run.sandbox.clearFaults()
            try await eventually("the next one is answered") { second.answer != nil }
            guard case .success? = second.answer else {
                Issue.record("\(String(describing: second.answer))")
                return
            }
        }
    }
}
