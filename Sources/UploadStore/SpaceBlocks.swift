import UploadCore

/// In which portions versions get space, so that a small write seldom has to ask for it: 64 KiB in a file's first MiB,
/// which keeps small files small in the account, and 1 MiB beyond.
enum SpaceBlocks {
    /// What a disk gives out at least; space is given back in these.
    static let page: Int64 = 4 << 10
    private static let smallBlock: Int64 = 64 << 10
    private static let block: Int64 = 1 << 20

    /// The blocks that hold the range.
    static func covering(_ range: Range<Int64>) -> Range<Int64> {
        let lower = down(range.lowerBound, to: range.lowerBound < block ? smallBlock : block)
        let upper = up(range.upperBound, to: range.upperBound <= block ? smallBlock : block)
        return lower..<upper
    }

    /// The pages that hold the range, for when there is no space for its blocks.
    static func pagesCovering(_ range: Range<Int64>) -> Range<Int64> {
        down(range.lowerBound, to: page)..<up(range.upperBound, to: page)
    }

    /// The pages that lie wholly within the range.
    static func pagesWithin(_ range: Range<Int64>) -> Range<Int64> {
        let lower = up(range.lowerBound, to: page)
        return lower..<max(lower, down(range.upperBound, to: page))
    }

    private static func down(_ offset: Int64, to unit: Int64) -> Int64 {
        offset & ~(unit - 1)
    }

    /// `Int64.max` where rounding up would pass it.
    private static func up(_ offset: Int64, to unit: Int64) -> Int64 {
        let (sum, overflow) = offset.addingReportingOverflow(unit - 1)
        return overflow ? .max : down(sum, to: unit)
    }
}

extension SegmentMap {
    /// How many bytes of the range are not in the map.
    func missing(in range: Range<Int64>) -> Int64 {
        gaps(in: range).reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }
    }
}
