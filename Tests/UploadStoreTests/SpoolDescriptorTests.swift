import Descriptors
import Formats
import Foundation
import Glibc
import Testing
import UploadCore
import UploadStore

/// Many spool files with few descriptors.
struct SpoolDescriptorTests {
    private let directory: StoreTestDirectory
    private let spool: SpoolDirectory
    private static let limit = 3

    init() throws {
        directory = try StoreTestDirectory()
        spool = try SpoolDirectory(
            stateDirectory: directory.path, diskReserve: ByteCount(0), descriptorLimit: Self.limit)
    }

    /// Descriptors of this process that lead into the spool.
    private func openFiles() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            return target?.hasPrefix("\(directory.path)/spool/") ?? false
        }
    }

    @Test func manyFilesNeedFewDescriptors() throws {
        let files = try (0..<40).map { number in
            let file = try spool.create()
            try file.write([UInt8(number)], at: 0)
            return file
        }
        #expect(try openFiles() <= Self.limit)
        for round in 0..<2 {
            for (number, file) in files.enumerated() {
                #expect(try file.read(2, at: 0) == [UInt8(number)], "round \(round)")
                try file.synchronize()
            }
        }
        #expect(try openFiles() <= Self.limit)
    }

    @Test func theLastDescriptorsAreLeftToOthers() throws {
        let other = try StoreTestDirectory()
        let few = try SpoolDirectory(
            stateDirectory: other.path, diskReserve: ByteCount(0), descriptorReserve: DescriptorReserve { 2 })
        let error = #expect(throws: SpoolError.self) { _ = try few.create() }
        #expect(error?.isOutOfDescriptors == true)
        // And no file without an owner is left behind.
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(other.path)/spool").isEmpty)
    }

    @Test func aRemovedFileStaysReadable() throws {
        let removed = try spool.create()
        try removed.write([1, 2, 3], at: 0)
        let others = try (0..<10).map { _ in try spool.create() }
        try removed.remove()
        for file in others { try file.write([9], at: 0) }
        #expect(try removed.read(3, at: 0) == [1, 2, 3])
    }

    @Test func aFileThatSomebodyElseRemovedIsGone() throws {
        let file = try spool.create()
        try file.write([1], at: 0)
        try file.synchronize()
        // So many that its descriptor is closed meanwhile.
        let others = try (0..<10).map { _ in try spool.create() }
        for other in others { try other.write([9], at: 0) }
        #expect(unlink("\(directory.path)/spool/\(file.name)") == 0)
        #expect(throws: SpoolError.gone) { try file.read(1, at: 0) }
        #expect(throws: SpoolError.gone) { try file.synchronize() }
        try file.discard()
    }

    @Test func aDiscardedFileHasNoDescriptorOpen() throws {
        let files = try (0..<20).map { _ in try spool.create() }
        for file in files {
            try file.write([1], at: 0)
            try file.discard()
        }
        #expect(try openFiles() == 0)
        withExtendedLifetime(files) {}
    }

    @Test func filesInUseByManyThreadsStayRight() async throws {
        let files = try (0..<12).map { _ in try spool.create() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, file) in files.enumerated() {
                group.addTask {
                    for step in 0..<200 {
                        try file.write([UInt8(number), UInt8(step)], at: Int64(step) * 2)
                        guard try file.read(2, at: Int64(step) * 2) == [UInt8(number), UInt8(step)] else {
                            Issue.record("file \(number), step \(step)")
                            return
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try openFiles() <= Self.limit)
    }
}
