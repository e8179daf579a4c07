import Filesystem
import Formats
import Foundation
import FuseLowLevel
import Glibc
import ProcessInspection
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What was written are the first bytes of a longer file that bears the same name: its copier stopped.
@Suite(.timeLimit(.minutes(2))) struct CutCopyTests {
    private static let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

    /// A mount whose writers read a file with that content.
    private func withSource(
        _ content: [UInt8] = content, isNamesake: Bool = true, usesSizeHints: Bool = true,
        _ body: (_ run: InProcess, _ source: String) async throws -> Void
    ) async throws {
        try await withScratch { scratch in
            let path = scratch.appending("a.mp4")
            try Data(content).write(to: URL(filePath: path))
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            try #require(descriptor >= 0)
            let size = Int64(content.count)
            let found = FoundSource(
                kind: .read, location: .elsewhere(device: DeviceNumber(major: 1, minor: 1), inode: 9, size: size),
                source: OpenSource(
                    process: 1, number: 3, mountID: 1, inode: 9, position: 0, closesOnExec: true, path: []),
                isNamesake: isNamesake)
            try await InProcess.run({
                $0.names = NamePolicy(otherFiles: .keep)
                $0.usesSizeHints = usesSizeHints
            }) { run in
                run.writers.change { state in
                    state.source = found
                    state.held = HeldSource(descriptor, firstSize: size)
                }
                try await body(run, path)
            }
        }
    }

    /// Writes these bytes and closes the file.
    private func close(_ bytes: [UInt8], in run: InProcess) async throws -> FuseErrno? {
        let handle = try run.create("a.mp4")
        try run.write(bytes, to: handle)
        defer { run.filesystem.committer.release(handle) }
        return await run.close(handle)
    }

    @Test("The first bytes of it are no whole file", .shows("asset-cut-copy"), arguments: [1, 3, 70_000, 199_999])
    func theFirstBytesAreNoWholeFile(count: Int) async throws {
        try await withSource { run, _ in
            let answer = try await close(Array(Self.content.prefix(count)), in: run)
            #expect(answer == .ioError)
            let status = try #require(run.engine.uploads.first?.status())
            #expect(status.state == .interrupted)
            #expect(status.error?.message.contains("\(count) of the 200000 bytes") == true)
            #expect(status.error?.hint?.contains("user.twelvelabs.total_size") == true)
        }
    }

    @Test("Nor are they where the source is in the mount", .shows("asset-cut-copy"), arguments: [1000, 200_000])
    func norAreTheyWhereTheSourceIsInTheMount(count: Int) async throws {
        try await InProcess.run { run in
            try await run.finish("b.mp4", Self.content)
            let inode = try run.node("b.mp4").rawValue
            run.writers.change {
                $0.source = FoundSource(
                    kind: .read, location: .ownFile(inode: inode),
                    source: OpenSource(
                        process: 1, number: 3, mountID: 1, inode: inode, position: 0, closesOnExec: true, path: []),
                    isNamesake: true)
            }
            let answer = try await close(Array(Self.content.prefix(count)), in: run)
            #expect(answer == (count < Self.content.count ? .ioError : nil))
        }
    }

    @Test("Nor are they with --size-hints off", .shows("asset-cut-copy"))
    func norAreTheyWithoutSizeHints() async throws {
        try await withSource(usesSizeHints: false) { run, _ in
            let answer = try await close(Array(Self.content.prefix(1000)), in: run)
            #expect(answer == .ioError)
            #expect(run.engine.uploads.first?.inspect { $0.hint } == nil)
        }
    }

    /// The answer to the close is EIO: what the last release makes of it must not depend on whether the source answers then.
    @Test("What was found to be cut stays so until it is changed", .shows("asset-cut-copy"), arguments: [false, true])
    func whatWasFoundStays(isChanged: Bool) async throws {
        try await withSource { run, source in
            let handle = try run.create("a.mp4")
            try run.write(Array(Self.content.prefix(1000)), to: handle)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == .ioError)
            truncate(source, 0)
            if isChanged { try run.write([1], to: handle) }
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [isChanged ? .completed : .interrupted])
        }
    }

    @Test("All of it is, and what differs at its beginning or at its end", arguments: [0, 1, 2])
    func whatDiffersIsWhole(way: Int) async throws {
        try await withSource { run, _ in
            var bytes = Self.content
            if way > 0 { bytes.removeLast(1000) }
            if way == 1 { bytes[0] ^= 1 }
            if way == 2 { bytes[bytes.count - 1] ^= 1 }
            let answer = try await close(bytes, in: run)
            #expect(answer == nil)
        }
    }

    @Test("What is as long as the source was at either look is whole")
    func whatIsAsLongAsItsSourceIsWhole() async throws {
        try await withSource { run, source in
            let file = try FileHandle(forWritingTo: URL(filePath: source))
            try file.truncate(atOffset: 1000)
            let answer = try await close(Array(Self.content.prefix(1000)), in: run)
            #expect(answer == nil)
        }
    }

    @Test("Of a source of another name nothing follows")
    func anotherNameTellsNothing() async throws {
        try await withSource(isNamesake: false) { run, _ in
            let answer = try await close([Self.content[0]], in: run)
            #expect(answer == nil)
        }
    }

    @Test("The source is kept open no longer than until it is decided", arguments: ["a.mp4", "a.txt"])
    func theSourceIsReleased(name: String) async throws {
        try await withSource { run, source in
            let handle = try run.create("a.mp4")
            try run.write(Self.content, to: handle)
            if name != "a.mp4" { #expect(await run.rename("a.mp4", to: name) == nil) }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            run.writers.change { $0.held = nil }
            try await eventually("it is closed") {
                let all = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
                return !all.contains { number in
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")) == source
                }
            }
        }
    }
}
