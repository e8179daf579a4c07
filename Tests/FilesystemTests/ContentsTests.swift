import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

@Suite(.timeLimit(.minutes(2)))
struct ContentsTests {
    @Test(.shows("fsync-later")) func whatWasWrittenAfterAnFsyncIsNotCalledDurable() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            await run.synchronize(handle)
            #expect(run.engine.uploads.first?.status().durable == true)
            try run.write([4], to: handle, at: 3)
            #expect(run.engine.uploads.first?.status().durable == false)
        }
    }

    @Test(.shows("size-declared")) func aDeclaredSizeCanBeDeclaredAnew() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.cut("a.mp4", to: 100, through: handle)
            try run.write([1, 2, 3], to: handle)
            try run.cut("a.mp4", to: 3, through: handle)
            #expect(await run.close(handle) == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("asset-declared-holes")) func holesBelowADeclaredSizeMeanThatTheWriterDidNotFinish() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.cut("a.mp4", to: 100, through: handle)
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == .ioError)
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test(
        "A file that has only been given its size waits for whoever writes it", .shows("size-only-declared"),
        arguments: [true, false])
    func aSizeAloneSpoilsNothing(byName: Bool) async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            if !byName { try run.cut("a.mp4", to: 3, through: handle) }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            if byName { try run.cut("a.mp4", to: 3, through: nil) }
            #expect(try run.content("a.mp4") == [0, 0, 0])
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [])
            let again = try run.open("a.mp4", by: 2)
            try run.write([1, 2, 3], to: again, by: 2)
            #expect(await run.close(again, by: 2) == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("truncate-by-name")) func aFileThatIsCutByNameFollowsTheRuleOfItsName() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            try run.cut("a.mp4.part", to: 2, through: nil)
            try await eventually("the cut file is staged again") { run.engine.uploads.first?.currentState == .staged }
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    /// In the kernel, an open that cuts is not kept apart from the writes of others.
    @Test(.shows("truncate")) func cutsAndWritesAtOnceLeaveWhatIsUploaded() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed: \(seed)")
        try await InProcess.run { run in
            let handle = try run.create("a.mp4", by: 1)
            let piece = [UInt8](repeating: 1, count: 4096)
            let rounds = 300
            try await withThrowingTaskGroup(of: Void.self) { group in
                for thread in 0..<2 {
                    group.addTask {
                        try await offload {
                            for round in 0..<rounds {
                                let place = (seed &+ UInt64(round * 7 + thread)) % 16
                                try run.write(piece, to: handle, at: Int64(place) * 4096, by: Int32(thread + 1))
                            }
                        }
                    }
                }
                group.addTask {
                    try await offload {
                        for round in 0..<rounds {
                            let size = round % 3 == 0 ? Int64((seed &+ UInt64(round)) % 65536) : 0
                            try run.cut("a.mp4", to: size, through: handle, by: 3)
                        }
                    }
                }
                try await group.waitForAll()
            }
            // Not empty, and no longer taken for cut short of a declared size.
            try run.write([UInt8](repeating: 1, count: 65536), to: handle)
            let size = try run.filesystem.namespace.attributes(of: try run.node("a.mp4")).size
            let content = try run.filesystem.content.read(handle, at: 0, count: 1 << 20)
            #expect(Int64(content.count) == size)
            #expect(await run.close(handle) == nil)
            #expect(try await run.onlyAsset() == content)
        }
    }

    @Test func aCompletedUploadLeavesTheMachineAlone() async throws {
        try await InProcess.run { run in
            func upload(_ name: String) async throws {
                let handle = try run.create(name)
                try run.write([1], to: handle)
                #expect(await run.close(handle) == nil)
                run.filesystem.committer.release(handle)
            }
            try await upload("a.mp4")
            try await eventually("the asset is ready") {
                run.engine.uploads.first?.status().assetStatus == .ready
            }
            for number in 0..<5 { try await upload("\(number).mp4") }
            try await eventually("all assets are ready") {
                run.engine.uploads.allSatisfy { $0.status().assetStatus == .ready }
            }
            #expect(run.clock.vain < 100)
        }
    }
}
