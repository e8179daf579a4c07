import UploadCore

/// What the uploads came to that are not remembered any more, so that a mount's counts do not fall.
public struct ForgottenUploads: Sendable, Equatable {
    /// How many ended in each state.
    public private(set) var counts: [UploadState: Int] = [:]
    /// What became of their assets, as far as that was known.
    public private(set) var assets = AssetCounts()

    mutating func add(_ state: UploadState, _ asset: AssetStanding?) {
        counts[state, default: 0] += 1
        if state == .completed, let asset, asset.isDecided { assets.count(asset) }
    }
}
