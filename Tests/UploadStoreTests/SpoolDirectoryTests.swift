import Formats
import Glibc
import Synchronization
import Testing
import UploadCore
import UploadStore

import struct TestSupport.ShownStatements

struct SpoolDirectoryTests {
    private let directory: StoreTestDirectory

    init() throws {
        directory = try StoreTestDirectory()
    }

    @Test func namesAreNeverGivenTwice() throws {
        let spool = try directory.spool()
        let files = try (0..<100).map { _ in try spool.create() }
        #expect(try directory.names(in: "spool") == files.map(\.name).sorted())
        #expect(Set(files.map(\.name)).count == 100)
    }

    @Test func aDirectoryThatCannotBeUsedIsAnError() throws {
        #expect(throws: SpoolError.failed(code: ENOENT, operation: "open \(directory.path)/none")) {
            try SpoolDirectory(stateDirectory: "\(directory.path)/none")
        }
        // A link in the spool's place could lead anywhere.
        symlink("/tmp", "\(directory.path)/spool")
        #expect(throws: SpoolError.self) { try directory.spool() }
    }

    // MARK: Space

    /// As often as a mount of many files gives space back: each time is told once, and costs what the first did.
    @Test func spaceThatIsGivenBackIsToldHoweverOften() throws {
        let spool = try directory.spool()
        let file = try spool.create()
        let told = Mutex(0)
        spool.whenSpaceIsReleased { told.withLock { $0 += 1 } }
        for _ in 0..<50_000 {
            try file.reserve(0..<4096)
            try file.truncate(to: 0)
        }
        #expect(told.withLock { $0 } == 50_000)
    }

    @Test func concurrentReservationsNeverPassTheLimit() async throws {
        let spool = try directory.spool(limit: .mebibytes(100))
        let files = try (0..<16).map { _ in try spool.create() }
        let granted = try await withThrowingTaskGroup(of: Int.self) { group in
            for file in files {
                group.addTask {
                    var granted = 0
                    for block in 0..<Int64(20) {
                        do {
                            try file.reserve(block << 20..<(block + 1) << 20)
                            granted += 1
                        } catch SpoolError.noSpace {
                            continue
                        }
                    }
                    return granted
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(granted == 100)
        #expect(try spool.space().used == .mebibytes(100))
        #expect(try spool.space().free == .mebibytes(0))
        for file in files { try file.truncate(to: 0) }
        #expect(try spool.space().free == .mebibytes(100))
    }

    @Test func spaceForOneRangeIsTakenOnceHoweverManyAskForIt() async throws {
        let spool = try directory.spool(limit: .mebibytes(100))
        let file = try spool.create()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<32 {
                group.addTask { for block in 0..<Int64(50) { try file.reserve(block << 20..<(block + 1) << 20) } }
            }
            try await group.waitForAll()
        }
        #expect(try spool.space().used == .mebibytes(50))
    }

    @Test func theWriteThatDoesNotFitIsRefusedAndTheOthersStay() throws {
        let spool = try directory.spool(limit: .kibibytes(1100))
        let file = try spool.create()
        let kibibyte4 = [UInt8](repeating: 1, count: 4096)
        // To the last page, though space is given in larger portions.
        for page in 0..<Int64(275) { try file.write(kibibyte4, at: page * 4096) }
        #expect(throws: SpoolError.noSpace) { try file.write(kibibyte4, at: 275 * 4096) }
        #expect(try file.size() == 1100 << 10)
        #expect(try spool.space().free == ByteCount(0))
        try file.write(kibibyte4, at: 0)

        try file.remove()
        let other = try spool.create()
        #expect(throws: SpoolError.noSpace) { try other.write(kibibyte4, at: 0) }
    }

    @Test func aRemovedFilesSpaceIsAnothers() throws {
        let spool = try directory.spool(limit: .mebibytes(2))
        var first: SpoolFile? = try spool.create()
        try first?.write([UInt8](repeating: 1, count: 2 << 20), at: 0)
        let second = try spool.create()
        #expect(throws: SpoolError.noSpace) { try second.write([1], at: 0) }
        try first?.remove()
        first = nil
        try second.write([UInt8](repeating: 1, count: 2 << 20), at: 0)
    }

    @Test func whatWasReservedIsWrittenWithoutMoreSpace() throws {
        let spool = try directory.spool(limit: .mebibytes(8))
        let first = try spool.create()
        let second = try spool.create()
        try first.reserve(0..<5 << 20)
        #expect(throws: SpoolError.noSpace) { try second.reserve(0..<5 << 20) }
        try second.reserve(0..<3 << 20)
        try first.write([UInt8](repeating: 1, count: 5 << 20), at: 0)
        #expect(try spool.space().used == .mebibytes(8))
    }

    @Test(.shows("space-reserve")) func theUsualReserveLeavesATenthOfTheDiskFree() throws {
        var status = statvfs()
        statvfs(directory.path, &status)
        let size = Int64(status.f_blocks * status.f_frsize)
        let free = Int64(status.f_bavail * status.f_frsize)
        let space = try SpoolDirectory(stateDirectory: directory.path).space()
        // Others write to the disk meanwhile: a tenth of what is at stake is more than they do.
        let expected = max(0, free - max(size / 10, 1 << 30))
        #expect(abs(space.free.bytes - expected) <= max(size / 20, 1 << 28))
        #expect(space.free.bytes < free || free == 0)
    }

    @Test(.enabled(if: StoreTestDirectory.canMount, "may not mount a disk"))
    func aFullDiskIsNoSpaceAndTheOthersStay() throws {
        let disk = try #require(try StoreTestDirectory(diskOf: .mebibytes(4)))
        let spool = try disk.spool()
        let file = try spool.create()
        let mebibyte = [UInt8](repeating: 5, count: 1 << 20)
        try file.write(mebibyte, at: 0)
        // Someone else fills the disk after it was measured: the disk itself refuses.
        try disk.put(String(repeating: "x", count: 2 << 20), at: "other")
        try file.write([UInt8](repeating: 6, count: 1 << 10), at: 1 << 20)
        #expect(throws: SpoolError.noSpace) { try file.write(mebibyte + mebibyte, at: 1 << 20) }
        #expect(try file.read(1 << 20, at: 0) == mebibyte)
        #expect(throws: SpoolError.noSpace) {
            for number in 0..<Int64(8) { try file.write(mebibyte, at: number << 20) }
        }
    }

    @Test(.enabled(if: StoreTestDirectory.canMount, "may not mount a disk"))
    func theDisksReserveIsKept() throws {
        let disk = try #require(try StoreTestDirectory(diskOf: .mebibytes(8)))
        let spool = try SpoolDirectory(stateDirectory: disk.path, diskReserve: .mebibytes(5))
        let file = try spool.create()
        let mebibyte = [UInt8](repeating: 5, count: 1 << 20)
        try file.write(mebibyte, at: 0)
        try file.write(mebibyte, at: 1 << 20)
        #expect(throws: SpoolError.noSpace) {
            for number in Int64(2)..<4 { try file.write(mebibyte, at: number << 20) }
        }
        var status = statvfs()
        statvfs(disk.path, &status)
        #expect(status.f_bavail * status.f_frsize >= 5 << 20)
    }

    // MARK: Leftovers

    @Test(.shows("journal-orphans")) func whatAnEarlierProcessLeftIsListedAndSetAside() throws {
        var names: [String] = []
        do {
            let earlier = try directory.spool()
            for text in ["one", "two", "three"] {
                let file = try earlier.create()
                try file.write(Array(text.utf8), at: 0)
                names.append(file.name)
            }
        }
        let spool = try directory.spool()
        let ours = try spool.create()
        #expect(try spool.leftovers() == names.sorted())

        #expect(try spool.setAsideOrphans(except: [names[0]]) == names.dropFirst().sorted())
        #expect(try directory.names(in: "spool") == [names[0], ours.name].sorted())
        #expect(try directory.text(at: "orphans/\(names[1])") == "two")
        #expect(try spool.open(names[0]).read(9, at: 0) == Array("one".utf8))
        #expect(try spool.space().used >= .kibibytes(4))
        #expect(try spool.setAsideOrphans() == [])
    }

    @Test func nothingInTheOrphansIsEverOverwritten() throws {
        let spool = try directory.spool()
        try directory.put("earlier", at: "orphans/x")
        try directory.put("earlier too", at: "orphans/x.2")
        try directory.put("now", at: "spool/x")
        #expect(try spool.setAsideOrphans() == ["x.3"])
        #expect(try directory.text(at: "orphans/x") == "earlier")
        #expect(try directory.text(at: "orphans/x.2") == "earlier too")
        #expect(try directory.text(at: "orphans/x.3") == "now")
    }
}
