import TestSupport
import Testing
import UploadCore

@Suite struct ChunkPlanTests {
    private static let mebibyte: Int64 = 1 << 20

    @Test(arguments: [
        (1, 5, 1), (5, 5, 1), (6, 5, 2), (4, 5, 1), (10, 5, 2), (11, 5, 3), (820, 1, 820),
    ])
    func cutsTheFileIntoFullChunksAndARest(total: Int64, chunk: Int64, count: Int) throws {
        let plan = try ChunkPlan(totalSize: total, chunkSize: chunk, totalChunks: count)
        var next: Int64 = 0
        for index in 1...count {
            let range = plan.range(of: index)
            #expect(range.lowerBound == next)
            #expect(plan.size(of: index) == range.upperBound - range.lowerBound)
            #expect(plan.size(of: index) == chunk || index == count)
            next = range.upperBound
        }
        #expect(next == total)
    }

    @Test(arguments: [
        (10, 0, 1, "chunk_size"), (10, -5, 2, "chunk_size"), (10, 5, 3, "total_chunks"), (10, 5, 1, "total_chunks"),
        (10, 5, 0, "total_chunks"), (10, 5, -2, "total_chunks"), (0, 5, 0, "total_size"), (-1, 5, 1, "total_size"),
        (Int64.max, 1, 1, "total_chunks"), (Int64.max, Int64.max, Int.max, "total_chunks"),
    ])
    func refusesNumbersThatDoNotFitAndNamesTheField(total: Int64, chunk: Int64, count: Int, field: String) {
        let failure = #expect(throws: UploadFailure.self) {
            try ChunkPlan(totalSize: total, chunkSize: chunk, totalChunks: count)
        }
        #expect(failure?.kind == .unreadableAnswer)
        #expect(failure?.message.contains(field + " is") == true)
    }

    @Test func holdsTheLargestNumbersThereAre() throws {
        let one = try ChunkPlan(totalSize: .max, chunkSize: .max, totalChunks: 1)
        #expect(one.range(of: 1) == 0..<Int64.max)
        let most = ChunkPlan.maximumChunks
        let many = try ChunkPlan(totalSize: .max, chunkSize: .max / Int64(most) + 1, totalChunks: most)
        #expect(many.range(of: most).upperBound == .max)
        #expect(many.chunks(touching: 0..<Int64.max) == 1..<(most + 1))
    }

    @Test(
        arguments: [(10_000, 1, true), (10_001, 1, false), (100 << 20, 1, false), (.max, 2, false)]
            as [(Int64, Int64, Bool)])
    func takesTenThousandChunksAndNoMore(total: Int64, chunk: Int64, isTaken: Bool) throws {
        let count = Int((total - 1) / chunk + 1)
        guard !isTaken else {
            #expect(try ChunkPlan(totalSize: total, chunkSize: chunk, totalChunks: count).totalChunks == count)
            return
        }
        let failure = #expect(throws: UploadFailure.self) {
            try ChunkPlan(totalSize: total, chunkSize: chunk, totalChunks: count)
        }
        #expect(failure?.kind == .unreadableAnswer)
        let words = "chunk_size is \(chunk), which cuts \(total) bytes into \(count) chunks"
        #expect(failure?.message.contains(words) == true)
    }

    /// A platform may call a chunk larger than any file.
    @Test func countsTheBytesOfChunksUpToTheFilesEnd() throws {
        let one = try ChunkPlan(totalSize: 35, chunkSize: .max, totalChunks: 1)
        #expect([0, 1, 9].map { one.bytes(ofChunks: $0) } == [0, 35, 35])
        let four = try ChunkPlan(totalSize: 35, chunkSize: 10, totalChunks: 4)
        #expect([1, 3, 4, 5].map { four.bytes(ofChunks: $0) } == [10, 30, 35, 35])
        let two = try ChunkPlan(totalSize: .max, chunkSize: .max - 1, totalChunks: 2)
        #expect([1, 2, 9].map { two.bytes(ofChunks: $0) } == [.max - 1, .max, .max])
    }

    @Test func tellsWhichChunksARangeTouches() throws {
        let size = Self.mebibyte * 5
        let plan = try ChunkPlan(totalSize: size * 3 + 1, chunkSize: size, totalChunks: 4)
        #expect(plan.chunks(touching: 0..<1) == 1..<2)
        #expect(plan.chunks(touching: 0..<size) == 1..<2)
        #expect(plan.chunks(touching: (size - 1)..<(size + 1)) == 1..<3)
        #expect(plan.chunks(touching: size..<(size * 2)) == 2..<3)
        #expect(plan.chunks(touching: (size * 3)..<(size * 9)) == 4..<5)
        #expect(plan.chunks(touching: 0..<Int64.max) == 1..<5)
        #expect(plan.chunks(touching: -10..<1) == 1..<2)
    }

    @Test func touchesNothingWithAnEmptyRangeOrOnePastTheEnd() throws {
        let plan = try ChunkPlan(totalSize: 11, chunkSize: 5, totalChunks: 3)
        for range in [0..<0, 5..<5, 11..<11, 11..<20, 100..<200, -5..<0] as [Range<Int64>] {
            #expect(plan.chunks(touching: range).isEmpty, "\(range)")
        }
    }

    @Test func agreesWithLookingAtEveryByte() throws {
        var random = SplitMix64.seeded()
        for _ in 0..<500 {
            let total = Int64.random(in: 1...60, using: &random)
            let chunk = Int64.random(in: 1...20, using: &random)
            let plan = try ChunkPlan(totalSize: total, chunkSize: chunk, totalChunks: Int((total + chunk - 1) / chunk))
            let start = Int64.random(in: 0...70, using: &random)
            let range = start..<(start + Int64.random(in: 0...30, using: &random))
            let touched = (1...plan.totalChunks).filter { plan.range(of: $0).overlaps(range) && !range.isEmpty }
            #expect(Array(plan.chunks(touching: range)) == touched)
        }
    }
}
