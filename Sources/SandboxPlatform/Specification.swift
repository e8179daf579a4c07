/// Which of the platform's published specifications the stand-in holds requests to.
public enum Specification: String, Sendable, Hashable, CaseIterable, Codable {
    /// February 2026: videos only, of at most 4 GiB.
    case february2026 = "2026-02"
    /// July 2026: videos, audio and images. Where it says nothing, February's constraints hold.
    case july2026 = "2026-07"

    /// What *create* takes as `type`.
    public var assetTypes: [String] {
        switch self {
        case .february2026: ["video"]
        case .july2026: ["video", "audio", "image"]
        }
    }

    /// The largest `total_size` of a video, bytes: February's `maximum`, July's "Up to 10 GB" in decimal units, which is
    /// the narrower of the two readings.
    public var largestVideo: Int64 {
        switch self {
        case .february2026: 4_294_967_296
        case .july2026: 10_000_000_000
        }
    }

    /// The largest `total_size` of an image, bytes: July's "Up to 32 MB".
    static let largestImage: Int64 = 32_000_000

    /// What a successful *delete asset* is answered with.
    var deletedStatus: Int {
        switch self {
        case .february2026: 204
        case .july2026: 200
        }
    }
}
