import Testing
import UploadCore

/// A watcher whose calls are answered by a platform that is made up as the test goes.
final class AssetWatch {
    var watcher: AssetWatcher
    var now = ContinuousClock.now
    let start: Instant
    /// Every call, and how long after the start it was made.
    private(set) var calls: [(at: Duration, call: AssetWatcher.Call)] = []
    private(set) var news: [AssetWatcher.News] = []
    /// What the platform says of an asset; nil: it does not know it.
    var asset: (String, Duration) -> Asset? = { id, _ in Asset(id: id, status: .processing) }
    /// What a list leaves out.
    var isListed: (String, Duration) -> Bool = { _, _ in true }
    /// July's specification: only *retrieve asset* tells of sizes and reasons.
    var listsHaveDetails = false
    var failure: (AssetWatcher.Call, Duration) -> UploadFailure? = { _, _ in nil }

    init(_ limits: AssetWatcher.Limits = .init()) {
        start = now
        watcher = AssetWatcher(limits: limits, at: now)
    }

    var elapsed: Duration { now - start }

    var times: [Int] { calls.map { Int($0.at / .seconds(1)) } }

    func watch(_ id: String, size: Int64 = 10) { watcher.watch(id, size: size, at: now) }

    static let notThere = UploadFailure(
        .requestRefused, code: "resource_not_exist", message: "no such asset", httpStatus: 404)

    private func answer(_ call: AssetWatcher.Call) -> AssetWatcher.Answer {
        if let failure = failure(call, elapsed) { return .failed(failure) }
        switch call {
        case .list(let ids):
            var assets = ids.filter { isListed($0, elapsed) }.compactMap { asset($0, elapsed) }
            if !listsHaveDetails {
                for index in assets.indices {
                    (assets[index].size, assets[index].sourceSize, assets[index].error) = (nil, nil, nil)
                }
            }
            return .listed(AssetList(assets: assets))
        case .retrieve(let id):
            return asset(id, elapsed).map { .retrieved($0) } ?? .failed(Self.notThere)
        }
    }

    /// Makes the calls that are due until `end`, each answered at once.
    func run(until end: Duration) {
        while let deadline = watcher.nextDeadline(at: now), deadline <= start + end {
            now = max(now, deadline)
            guard let call = watcher.takeCall(at: now) else {
                // A moment at which nothing can be asked must have a later one.
                if watcher.nextDeadline(at: now).map({ $0 <= now }) ?? false {
                    Issue.record("it is due at \(elapsed), and there is no call")
                    return
                }
                continue
            }
            #expect(watcher.takeCall(at: now) == nil, "one at a time")
            #expect(watcher.nextDeadline(at: now) == nil)
            calls.append((elapsed, call))
            news += watcher.answered(call, answer(call), at: now)
        }
        now = max(now, start + end)
    }

    func standing(_ id: String) -> AssetStanding? { news.last { $0.assetID == id }?.standing }
}
