import Logging
import UploadCore

// What becomes of an upload's asset once the upload is completed.

extension Upload {
    /// Whether it is completed, and what became of its asset is not known yet.
    var awaitsAsset: Bool { inspect { $0.state == .completed && !($0.asset?.isDecided ?? false) } }

    /// Has the asset asked for until its fate is decided. That does not keep the upload.
    func watchAsset() {
        let (assetID, size, standing) = inspect { ($0.assetID, $0.size, $0.asset) }
        guard currentState == .completed, !(standing?.isDecided ?? false) else { return }
        guard let assetID else {
            // A journal that was damaged has lost the session.
            return assetIs(AssetStanding(.undetermined, issue: Self.assetIsLost))
        }
        services.assets.watch(assetID, size: size) { [weak self] in self?.assetIs($0) }
    }

    private static let assetIsLost = AssetIssue(code: "asset_lost", message: "which asset it is is not known any more")

    private func assetIs(_ standing: AssetStanding) {
        apply(.assetLearned(standing))
        var metadata: Logger.Metadata = ["asset_id": "\(inspect { $0.assetID } ?? "")"]
        if let issue = standing.issue { metadata["reason"] = "\(issue.text)" }
        switch standing.status {
        case .ready where standing.issue != nil:
            log(.error, "the asset is not the file that was uploaded", nil, metadata)
        case .ready: log(.info, "the asset is ready", nil, metadata)
        case .failed: log(.error, "the platform could not process the asset", nil, metadata)
        case .unknown where standing.isDecided:
            log(.warning, "the platform does not tell what became of the asset", nil, metadata)
        case .processing, .unknown: log(.debug, "the asset is being processed", nil, metadata)
        }
    }
}
