import TestSupport
import Testing
import UploadCore

@Suite struct SegmentMapTests {
    private func map(_ ranges: Range<Int64>...) -> SegmentMap {
        var map = SegmentMap()
        for range in ranges { map.insert(range) }
        return map
    }

    @Test func isEmptyAtFirst() {
        let map = SegmentMap()
        #expect(map.isEmpty)
        #expect(map.upperBound == 0)
        #expect(map.byteCount == 0)
        #expect(map.gaps(in: 0..<10) == [0..<10])
    }

    @Test func joinsWhatIsAppendedInSequence() {
        #expect(map(0..<10, 10..<20, 20..<25).ranges == [0..<25])
    }

    @Test func joinsWhatTouchesOnBothSides() {
        #expect(map(0..<10, 20..<30, 10..<20).ranges == [0..<30])
    }

    @Test func keepsWhatDoesNotTouchApart() {
        #expect(map(20..<30, 0..<10, 40..<50, 12..<18).ranges == [0..<10, 12..<18, 20..<30, 40..<50])
    }

    @Test func swallowsWhatARangeCovers() {
        #expect(map(10..<20, 30..<40, 50..<60, 5..<55).ranges == [5..<60])
    }

    @Test func ignoresEmptyRanges() {
        var map = map(10..<20, 15..<15, 30..<30)
        #expect(map.ranges == [10..<20])
        map.remove(12..<12)
        #expect(map.ranges == [10..<20])
    }

    @Test func takesAHoleOutOfTheMiddle() {
        var map = map(0..<100)
        map.remove(40..<60)
        #expect(map.ranges == [0..<40, 60..<100])
        #expect(map.byteCount == 80)
    }

    @Test func takesTheEndOffAsATruncationDoes() {
        var map = map(0..<100, 200..<300)
        map.remove(50..<Int64.max)
        #expect(map.ranges == [0..<50])
        map.remove(0..<Int64.max)
        #expect(map.isEmpty)
        #expect(map.byteCount == 0)
    }

    @Test func coversAnEmptyRangeAnywhere() {
        #expect(SegmentMap().covers(5..<5))
        #expect(!SegmentMap().covers(5..<6))
    }

    @Test func reachesTheLargestOffset() {
        var map = map(0..<1, (Int64.max - 1)..<Int64.max)
        #expect(map.byteCount == 2)
        #expect(map.gaps(in: 0..<Int64.max) == [1..<(Int64.max - 1)])
        map.insert(0..<Int64.max)
        #expect(map.byteCount == Int64.max)
    }

    @Test func agreesWithANaiveModelOnRandomSequences() {
        var random = SplitMix64.seeded()
        for _ in 0..<300 {
            let size = Int64.random(in: 1...120, using: &random)
            var model = [Bool](repeating: false, count: Int(size))
            var map = SegmentMap()
            for _ in 0..<60 {
                let range = Self.range(below: size, using: &random)
                // Some sequences mostly grow, others mostly shrink.
                let inserts = Int.random(in: 0..<10, using: &random) < Int(size) % 7 + 2
                if inserts { map.insert(range) } else { map.remove(range) }
                for offset in range { model[Int(offset)] = inserts }

                #expect(map.ranges == Self.runs(of: true, in: model, within: 0..<size))
                #expect(map.byteCount == Int64(model.count { $0 }))
                #expect(map.upperBound == Int64((model.lastIndex(of: true) ?? -1) + 1))
                #expect(map.isEmpty == !model.contains(true))
                let probe = Self.range(below: size, using: &random)
                #expect(map.covers(probe) == probe.allSatisfy { model[Int($0)] })
                #expect(map.gaps(in: probe) == Self.runs(of: false, in: model, within: probe))
            }
        }
    }

    @Test func isEqualHoweverItCameAbout() {
        var random = SplitMix64.seeded()
        let blocks = (0..<64).map { Int64($0) * 8..<Int64($0 + 1) * 8 }
        var shuffled = SegmentMap()
        for block in blocks.shuffled(using: &random) { shuffled.insert(block) }
        #expect(shuffled == map(0..<512))
    }

    private static func range(below size: Int64, using random: inout SplitMix64) -> Range<Int64> {
        let first = Int64.random(in: 0...size, using: &random)
        let second = Int64.random(in: 0...size, using: &random)
        return min(first, second)..<max(first, second)
    }

    private static func runs(of value: Bool, in model: [Bool], within range: Range<Int64>) -> [Range<Int64>] {
        var runs: [Range<Int64>] = []
        for offset in range where model[Int(offset)] == value {
            if let last = runs.last, last.upperBound == offset {
                runs[runs.count - 1] = last.lowerBound..<(offset + 1)
            } else {
                runs.append(offset..<(offset + 1))
            }
        }
        return runs
    }
}
