import FileTree
import Filesystem
import Foundation
import FuseLowLevel
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadStore

/// A spool file that cannot be opened is not taken for one that is not there.
@Suite(.timeLimit(.minutes(2))) struct UnopenedFileTests {
    private func read(_ filesystem: FilesystemService, _ name: String) throws -> [UInt8] {
        let node = try filesystem.namespace.lookup(Array(name.utf8), in: .root).node
        let handle = try filesystem.open(node, flags: FileOpenFlags(rawValue: 0), context: InProcess.caller(9)).handle
        defer { filesystem.committer.release(handle) }
        return try filesystem.content.read(handle, at: 0, count: 100)
    }

    @Test("What cannot be opened when the mount starts stays listed and journalled, and is read when it can be opened")
    func whatCannotBeOpenedIsListed() async throws {
        let state = Mutex("")
        try await InProcess.run(prepare: { path in state.withLock { $0 = path } }) { run in
            let names = ["a.mp4", ".DS_Store"]
            for name in names {
                let handle = try run.create(name)
                try run.write([1, 2, 3], to: handle)
                #expect(await run.close(handle) == nil)
                run.filesystem.committer.release(handle)
            }
            try await run.journal.written(durably: false)
            let spool = "\(state.withLock { $0 })/spool"
            let files = try FileManager.default.contentsOfDirectory(atPath: spool)
            #expect(files.count == 2)
            // A link in a file's place is not opened.
            for file in files {
                try FileManager.default.moveItem(atPath: "\(spool)/\(file)", toPath: "\(spool)/../\(file)")
                try FileManager.default.createSymbolicLink(
                    atPath: "\(spool)/\(file)", withDestinationPath: "../\(file)")
            }
            for round in 1...2 {
                let next = try run.restore()
                for name in names {
                    let found = try next.namespace.lookup(Array(name.utf8), in: .root)
                    #expect(found.attributes.size == 3, "\(name), round \(round)")
                    #expect(throws: FuseErrno.ioError, "\(name), round \(round)") { try read(next, name) }
                }
                try await next.namespace.journal?.written(durably: false)
            }
            let next = try run.restore()
            for file in files {
                try FileManager.default.removeItem(atPath: "\(spool)/\(file)")
                try FileManager.default.moveItem(atPath: "\(spool)/../\(file)", toPath: "\(spool)/\(file)")
            }
            #expect(try read(next, ".DS_Store") == [1, 2, 3])
            #expect(try read(try run.restore(), "a.mp4") == [1, 2, 3])
        }
    }

    @Test(arguments: [EMFILE, ENFILE])
    func runningOutOfDescriptorsIsToldAsSuch(code: Int32) {
        let failure = SpoolError.failed(code: code, operation: "open").uploadFailure
        #expect(failure.code == "too_many_open_files")
    }
}
