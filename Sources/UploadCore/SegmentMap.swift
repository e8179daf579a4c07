/// Which bytes of a file have been written: disjoint, sorted, coalesced half-open ranges of offsets.
///
/// Appending in sequence, which is what almost every writer does, changes the last range in place. Anything else finds
/// its place by binary search.
public struct SegmentMap: Sendable, Equatable {
    /// The ranges in order; none is empty, none touches the next.
    public private(set) var ranges: [Range<Int64>] = []
    /// How many bytes the ranges hold together.
    public private(set) var byteCount: Int64 = 0

    /// A map with nothing in it.
    public init() {}

    /// Whether nothing is in the map.
    public var isEmpty: Bool { ranges.isEmpty }

    /// The end of the last range; 0 when the map is empty.
    public var upperBound: Int64 { ranges.last?.upperBound ?? 0 }

    /// Adds a range, merging it with what it overlaps or touches.
    ///
    /// - Precondition: the range does not begin below 0 (file offsets never do).
    public mutating func insert(_ range: Range<Int64>) {
        precondition(range.lowerBound >= 0, "a file has no negative offsets")
        guard !range.isEmpty else { return }
        guard let last = ranges.last, range.lowerBound <= last.upperBound else {
            ranges.append(range)
            byteCount += range.upperBound - range.lowerBound
            return
        }
        if range.lowerBound >= last.lowerBound {
            if range.upperBound > last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
                byteCount += range.upperBound - last.upperBound
            }
            return
        }
        insertBeforeLast(range)
    }

    private mutating func insertBeforeLast(_ range: Range<Int64>) {
        let first = firstIndex { $0.upperBound >= range.lowerBound }
        let end = firstIndex(from: first) { $0.lowerBound > range.upperBound }
        guard first < end else {
            ranges.insert(range, at: first)
            byteCount += range.upperBound - range.lowerBound
            return
        }
        let merged =
            min(range.lowerBound, ranges[first].lowerBound)..<max(range.upperBound, ranges[end - 1].upperBound)
        byteCount += (merged.upperBound - merged.lowerBound) - length(of: first..<end)
        ranges[first] = merged
        ranges.removeSubrange(first + 1..<end)
    }

    /// Takes a range out, as a truncation or a punched hole does; what is not there stays not there.
    public mutating func remove(_ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        let first = firstIndex { $0.upperBound > range.lowerBound }
        let end = firstIndex(from: first) { $0.lowerBound >= range.upperBound }
        guard first < end else { return }

        let before = ranges[first].lowerBound..<max(ranges[first].lowerBound, range.lowerBound)
        let after = min(ranges[end - 1].upperBound, range.upperBound)..<ranges[end - 1].upperBound
        byteCount -= length(of: first..<end)
        byteCount += (before.upperBound - before.lowerBound) + (after.upperBound - after.lowerBound)
        switch (before.isEmpty, after.isEmpty) {
        case (true, true): ranges.removeSubrange(first..<end)
        case (false, true): ranges.replaceSubrange(first..<end, with: CollectionOfOne(before))
        case (true, false): ranges.replaceSubrange(first..<end, with: CollectionOfOne(after))
        case (false, false): ranges.replaceSubrange(first..<end, with: [before, after])
        }
    }

    /// Whether any byte of `range` is in the map.
    public func overlaps(_ range: Range<Int64>) -> Bool {
        guard !range.isEmpty else { return false }
        let index = firstIndex { $0.upperBound > range.lowerBound }
        return index < ranges.count && ranges[index].lowerBound < range.upperBound
    }

    /// Whether every byte of the range is in the map; true for an empty range.
    public func covers(_ range: Range<Int64>) -> Bool {
        guard !range.isEmpty else { return true }
        let index = firstIndex { $0.upperBound > range.lowerBound }
        guard index < ranges.count else { return false }
        return ranges[index].lowerBound <= range.lowerBound && ranges[index].upperBound >= range.upperBound
    }

    /// The parts of the range that are not in the map, in order.
    public func gaps(in range: Range<Int64>) -> [Range<Int64>] {
        guard !range.isEmpty else { return [] }
        var gaps: [Range<Int64>] = []
        var position = range.lowerBound
        var index = firstIndex { $0.upperBound > range.lowerBound }
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            if position < ranges[index].lowerBound { gaps.append(position..<ranges[index].lowerBound) }
            position = ranges[index].upperBound
            index += 1
        }
        if position < range.upperBound { gaps.append(position..<range.upperBound) }
        return gaps
    }

    /// Index of the first range that satisfies a condition which, once true, stays true; `ranges.count` when none does.
    private func firstIndex(from start: Int = 0, where condition: (Range<Int64>) -> Bool) -> Int {
        var low = start
        var high = ranges.count
        while low < high {
            let middle = low + (high - low) / 2
            if condition(ranges[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private func length(of indices: Range<Int>) -> Int64 {
        ranges[indices].reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }
    }
}
