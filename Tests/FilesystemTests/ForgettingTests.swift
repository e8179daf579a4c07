import FileTree
import Filesystem
import TestSupport
import Testing
import UploadCore
import UploadEngine
import UploadStore

/// Which uploads are forgotten, and what stays of them.
@Suite(.timeLimit(.minutes(2))) struct ForgettingTests {
    private func remove(_ run: InProcess, _ name: String) throws {
        try run.filesystem.namespace.removeFile(Array(name.utf8), in: .root)
    }

    /// Makes files and removes them before anything of them is sent.
    private func makeAndRemove(_ run: InProcess, _ count: Int) throws {
        for number in 0..<count {
            let handle = try run.create("removed\(number).mp4")
            try run.write([1], to: handle)
            try remove(run, "removed\(number).mp4")
            run.filesystem.committer.release(handle)
        }
    }

    @Test(
        "Of uploads whose files were removed the last thousand are remembered, and the counts do not fall",
        .shows("status-forgotten"))
    func removedUploadsAreForgotten() async throws {
        try await InProcess.run { run in
            let limit = UploadEngine.rememberedDismissals
            try await run.finish("kept.mp4")
            weak var first: Upload?
            for number in 0..<20 {
                try await run.finish("a\(number).mp4")
                if number == 0 { first = run.engine.uploads.last }
                try remove(run, "a\(number).mp4")
            }
            try makeAndRemove(run, limit)
            // Nobody else keeps it either.
            try await eventually("the first is gone") { first == nil }
            let (uploads, forgotten) = run.engine.census
            #expect(uploads.count == limit + 1)
            #expect(uploads.first?.identity.path == [Array("kept.mp4".utf8)])
            #expect(forgotten.counts == [.completed: 20])
            #expect(run.engine.upload(numbered: 2) == nil)
            #expect(run.engine.upload(numbered: limit + 21)?.currentState == .cancelled)
            #expect(run.engine.index.size.documents == 1)
            try await run.journal.written(durably: false)
            let next = try run.restore()
            #expect(try next.namespace.lookup(Array("kept.mp4".utf8), in: .root).attributes.size == 3)
        }
    }

    @Test("Of many overwrites of one name the last are remembered", .shows("status-forgotten"))
    func supersededUploadsAreForgotten() async throws {
        try await InProcess.run { run in
            let limit = UploadEngine.rememberedDismissals
            try await run.finish("a.mp4")
            for number in 0..<40 {
                let handle = try run.open("a.mp4", cutting: true)
                try run.write([UInt8(number)], to: handle)
                #expect(await run.close(handle) == nil)
                run.filesystem.committer.release(handle)
            }
            try makeAndRemove(run, limit - 20)
            let (uploads, forgotten) = run.engine.census
            #expect(uploads.count == limit + 1)
            #expect(forgotten.counts == [.completed: 20])
            // The ids of those that are forgotten are told all the same.
            #expect(run.engine.upload(numbered: 41)?.status().supersededUploadIDs.count == 16)
        }
    }

    @Test("Of interrupted files the bytes of the last thousand are kept", .shows("interrupted-kept"))
    func interruptedUploadsAreNotKeptWithoutEnd() async throws {
        try await InProcess.run { run in
            let (limit, more) = (SpoolReclaimer.keptLimit, 5)
            run.writers.change { $0.dying[5] = "its writer was killed by signal 9" }
            // Begun before all of them, and cut off after them.
            let long = try run.create("long.mp4", by: 5)
            try run.write([1], to: long, by: 5)
            for number in 0..<limit + more {
                let handle = try run.create("cut\(number).mp4", by: 5)
                try run.write([1], to: handle, by: 5)
                _ = await run.close(handle, by: 5)
                run.filesystem.committer.release(handle)
            }
            _ = await run.close(long, by: 5)
            run.filesystem.committer.release(long)
            let uploads = run.engine.uploads
            #expect(uploads.count == limit + more + 1 && uploads.allSatisfy { $0.currentState == .interrupted })
            try await eventually("those that were cut off first have lost their bytes") {
                uploads.filter { (try? $0.spool.size()) == nil }.map(\.number) == Array(2...more + 2)
            }
        }
    }

    @Test("Where no time is left, the bytes of no interrupted file are kept")
    func noTimeIsLeft() async throws {
        try await InProcess.run({ $0.keepInterrupted = .zero }) { run in
            run.writers.change { $0.dying[5] = "its writer was killed by signal 9" }
            var spools: [SpoolFile] = []
            for number in 0..<200 {
                let handle = try run.create("cut\(number).mp4", by: 5)
                try run.write([1], to: handle, by: 5)
                if let spool = run.engine.uploads.last?.spool { spools.append(spool) }
                _ = await run.close(handle, by: 5)
                run.filesystem.committer.release(handle)
            }
            #expect(spools.count == 200)
            try await eventually("all have lost their bytes") { spools.allSatisfy { (try? $0.size()) == nil } }
        }
    }

    @Test("What is under way is not forgotten, however many follow it")
    func whatIsUnderWayIsRemembered() async throws {
        try await InProcess.run { run in
            try await run.finish("staged.mp4.part")
            let first = try #require(run.engine.uploads.first)
            #expect(first.currentState == .staged)
            try makeAndRemove(run, UploadEngine.rememberedDismissals + 5)
            #expect(run.engine.upload(numbered: first.number) === first)
        }
    }
}
