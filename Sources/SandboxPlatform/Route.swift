/// What a request's method and path mean.
enum Route: Sendable, Equatable {
    case create
    case list
    case status(uploadID: String)
    case report(uploadID: String)
    case urls(uploadID: String)
    case assets
    case asset(assetID: String)
    case deleteAsset(assetID: String)
    case metadata(assetID: String)
    case put(uploadID: String, chunkIndex: Int)
    case content(assetID: String)
    case control([String])
    case unknown

    /// - Parameter path: with its query.
    init(method: String, path: String) {
        let parts = path.prefix { $0 != "?" }.split(separator: "/").map { $0.percentDecoded ?? String($0) }
        switch (method, parts.first, parts.dropFirst().first) {
        case (_, "v1.3", "assets"): self = Self.api(method, Array(parts.dropFirst(2)))
        case ("PUT", "_store", let uploadID?) where parts.count == 3:
            self = Int(parts[2]).map { .put(uploadID: uploadID, chunkIndex: $0) } ?? .unknown
        case ("GET", "_store", "content") where parts.count >= 3, ("HEAD", "_store", "content") where parts.count >= 3:
            self = .content(assetID: parts[2])
        case (_, "_sandbox", _): self = .control(Array(parts.dropFirst()))
        default: self = .unknown
        }
    }

    private static func api(_ method: String, _ parts: [String]) -> Route {
        switch (method, parts.count) {
        case ("GET", 0): .assets
        case ("POST", 1) where parts[0] == "multipart-uploads": .create
        case ("GET", 1) where parts[0] == "multipart-uploads": .list
        case ("GET", 1): .asset(assetID: parts[0])
        case ("DELETE", 1) where parts[0] != "multipart-uploads": .deleteAsset(assetID: parts[0])
        case ("GET", 2) where parts[0] == "multipart-uploads": .status(uploadID: parts[1])
        case ("POST", 2) where parts[0] == "multipart-uploads": .report(uploadID: parts[1])
        case ("POST", 3) where parts[0] == "multipart-uploads" && parts[2] == "presigned-urls":
            .urls(uploadID: parts[1])
        case ("PATCH", 2) where parts[1] == "user-metadata": .metadata(assetID: parts[0])
        default: .unknown
        }
    }

    var kind: RequestKind {
        switch self {
        case .create: .create
        case .list: .list
        case .status: .status
        case .report: .report
        case .urls: .urls
        case .assets: .assets
        case .asset: .asset
        case .deleteAsset: .delete
        case .metadata: .metadata
        case .put: .put
        case .content: .content
        case .control, .unknown: .unknown
        }
    }

    /// Which service answers it; nil when none does.
    var service: Service? {
        switch self {
        case .create, .list, .status, .report, .urls, .assets, .asset, .deleteAsset, .metadata: .api
        case .put, .content: .store
        case .control: .control
        case .unknown: nil
        }
    }

    /// Whether it is a call of the API.
    var isCall: Bool { service == .api }

    var uploadID: String? {
        switch self {
        case .status(let id), .report(let id), .urls(let id), .put(let id, _): id
        case .create, .list, .assets, .asset, .deleteAsset, .metadata, .content, .control, .unknown: nil
        }
    }

    var assetID: String? {
        switch self {
        case .asset(let id), .deleteAsset(let id), .metadata(let id), .content(let id): id
        case .create, .list, .status, .report, .urls, .assets, .put, .control, .unknown: nil
        }
    }

    var chunkIndex: Int? {
        if case .put(_, let index) = self { index } else { nil }
    }
}

/// The parameters after the question mark, percent-decoded; the last one of a name counts.
func queryParameters(of path: String) -> [String: String] {
    guard let mark = path.firstIndex(of: "?") else { return [:] }
    var parameters: [String: String] = [:]
    for pair in path[path.index(after: mark)...].split(separator: "&") {
        let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = halves[0].percentDecoded ?? String(halves[0])
        parameters[name] = halves.count == 2 ? (halves[1].percentDecoded ?? String(halves[1])) : ""
    }
    return parameters
}
