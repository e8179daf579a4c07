import Glibc
import Testing
import UploadCore
import UploadStore

struct SpoolFileTests {
    private let directory: StoreTestDirectory
    private let spool: SpoolDirectory

    init() throws {
        directory = try StoreTestDirectory()
        spool = try directory.spool()
    }

    @Test func whatWasWrittenIsRead() throws {
        let file = try spool.create()
        try file.write(Array("world".utf8), at: 6)
        try file.write(Array("hello ".utf8), at: 0)
        try file.write([], at: 100)
        #expect(try file.read(11, at: 0) == Array("hello world".utf8))
        #expect(try file.read(100, at: 6) == Array("world".utf8))
        #expect(try file.read(5, at: 11) == [])
        #expect(try file.read(5, at: .max - 2) == [])
        #expect(try file.size() == 11)
    }

    @Test func offsetsPast4GiBAreSparse() throws {
        let file = try spool.create()
        let offset: Int64 = (5 << 30) + 123
        try file.write([1, 2, 3], at: offset)
        #expect(try file.size() == offset + 3)
        #expect(try file.read(5, at: offset - 2) == [0, 0, 1, 2, 3])
        #expect(try file.read(3, at: 1 << 32) == [0, 0, 0])
        #expect(try file.dataRanges().byteCount <= 1 << 20)
        #expect(try spool.space().used <= .mebibytes(1))
    }

    @Test func evictionGivesBackWhatWasGrantedBeyondTheEnd() throws {
        let file = try spool.create()
        try file.write([UInt8](repeating: 1, count: (1 << 20) + 1), at: 0)
        try file.punchEverything()
        #expect(try spool.space().used == .mebibytes(0))
        #expect(try file.dataRanges().isEmpty)
        #expect(try file.size() == (1 << 20) + 1)
    }

    @Test func anOffsetThatNoFileCanHaveIsTooLarge() throws {
        let file = try spool.create()
        #expect(throws: SpoolError.tooLarge) { try file.write([1, 2], at: .max) }
        #expect(throws: SpoolError.tooLarge) { try file.write([1], at: -1) }
        #expect(throws: SpoolError.tooLarge) { try file.truncate(to: -1) }
        #expect(throws: SpoolError.tooLarge) { try file.reserve(-1..<1) }
        #expect(try file.size() == 0)
    }

    @Test func filesAndDirectoriesAreTheirOwnersAlone() throws {
        let before = umask(0)
        defer { umask(before) }
        let other = try StoreTestDirectory()
        let file = try other.spool().create()
        #expect(other.permissions("spool") == 0o700)
        #expect(other.permissions("orphans") == 0o700)
        #expect(other.permissions("spool/\(file.name)") == 0o600)
    }

    @Test func whatLostItsNameIsNeverCalledSafe() throws {
        let file = try spool.create()
        try file.write([1, 2, 3], at: 0)
        try file.synchronize()
        #expect(unlink("\(directory.path)/spool/\(file.name)") == 0)
        #expect(throws: SpoolError.gone) { try file.synchronize() }
        #expect(try file.read(3, at: 0) == [1, 2, 3], "it is read all the same")
        // What the spool itself took out is nobody's loss.
        let removed = try spool.create()
        try removed.write([1], at: 0)
        try removed.remove()
        try removed.synchronize()
    }

    @Test func nothingIsMadeWhereTheDirectoryIsGone() throws {
        #expect(rmdir("\(directory.path)/spool") == 0)
        #expect(throws: SpoolError.gone) { try spool.create() }
        #expect(mkdir("\(directory.path)/spool", 0o700) == 0)
        #expect(throws: SpoolError.gone, "another directory is another") { try spool.create() }
    }

    @Test func truncatingReleasesSpaceAndReadsAsZeros() throws {
        let file = try spool.create()
        try file.write([UInt8](repeating: 7, count: 5 << 20), at: 0)
        #expect(try spool.space().used == .mebibytes(5))
        try file.truncate(to: 3 << 20)
        #expect(try spool.space().used == .mebibytes(3))
        try file.truncate(to: 4 << 20)
        #expect(try file.size() == 4 << 20)
        #expect(try file.read(2, at: (3 << 20) - 1) == [7, 0])
        #expect(try spool.space().used == .mebibytes(3))
        try file.truncate(to: 0)
        #expect(try spool.space().used == .mebibytes(0))
        try file.write([1], at: 0)
        #expect(try spool.space().used == .kibibytes(64))
    }

    @Test func aPunchedHoleReleasesItsSpaceAndReadsAsZeros() throws {
        let file = try spool.create()
        try file.write([UInt8](repeating: 7, count: 4 << 20), at: 0)
        try file.punchHole(1 << 20..<3 << 20)
        #expect(try file.size() == 4 << 20)
        #expect(try spool.space().used == .mebibytes(2))
        #expect(try file.read(2, at: (1 << 20) - 1) == [7, 0])
        #expect(try file.read(2, at: (3 << 20) - 1) == [0, 7])
        #expect(try file.dataRanges().ranges == [0..<1 << 20, 3 << 20..<4 << 20])
        try file.write([9], at: 2 << 20)
        #expect(try spool.space().used == .mebibytes(3))
    }

    @Test func bytesSurviveTheirDescriptor() throws {
        var file: SpoolFile? = try spool.create()
        let name = try #require(file?.name)
        try file?.write([1, 2, 3], at: 2 << 20)
        try file?.synchronize()
        file = nil
        #expect(try spool.space().used == .mebibytes(1))

        let again = try spool.open(name)
        #expect(try again.read(3, at: 2 << 20) == [1, 2, 3])
        #expect(try spool.space().used <= .mebibytes(1))
        #expect(try spool.open(name) === again)
        #expect(throws: SpoolError.failed(code: ENOENT, operation: "open")) { try spool.open("none") }
    }

    @Test func aRemovedFileIsUsableUntilItIsLetGo() throws {
        var file: SpoolFile? = try spool.create()
        try file?.write([1, 2, 3], at: 0)
        try file?.remove()
        try file?.remove()
        #expect(try directory.names(in: "spool") == [])
        #expect(try file?.read(3, at: 0) == [1, 2, 3])
        #expect(try spool.space().used == .kibibytes(64))
        file = nil
        #expect(try spool.space().used == .kibibytes(0))
    }

    @Test func aFileThatIsNotOpenCanBeRemoved() throws {
        var file: SpoolFile? = try spool.create()
        let name = try #require(file?.name)
        try file?.write([1], at: 0)
        file = nil
        try spool.remove(name)
        try spool.remove(name)
        #expect(try directory.names(in: "spool") == [])
        #expect(try spool.space().used == .kibibytes(0))
    }

    @Test func manyThreadsWriteOneFile() async throws {
        let file = try spool.create()
        let piece = 100_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let bytes = [UInt8](repeating: UInt8(number), count: piece)
                    try file.write(bytes, at: Int64(number * piece))
                }
            }
            try await group.waitForAll()
        }
        for number in 0..<64 {
            #expect(try file.read(piece, at: Int64(number * piece)).allSatisfy { $0 == UInt8(number) })
        }
        #expect(try spool.space().used == .mebibytes(7))
    }

    @Test func aFailureBecomesTheUploads() {
        #expect(SpoolError.noSpace.uploadFailure.kind == .noSpace)
        #expect(SpoolError.tooLarge.uploadFailure.kind == .tooLarge)
        let failure = SpoolError.failed(code: EIO, operation: "write").uploadFailure
        #expect(failure.kind == .spoolFailed && failure.message.contains("write: Input/output error"))
    }
}
