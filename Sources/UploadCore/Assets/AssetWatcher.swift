/// Which assets to ask the platform for, and when: one value for all completed uploads of a mount.
///
/// An account may have only 50 or 100 requests a day, so calls are few: up to fifty assets are asked for in one, pauses grow,
/// and calls that are not worth it have to be saved up for (``Limits/burst``). Time comes in with the questions; whoever
/// holds the value makes the calls, one at a time.
///
/// Only *retrieve asset* decides that the platform does not know an asset. That a list lacks it says little: lists lag, and
/// a platform may not filter them as asked.
public struct AssetWatcher: Sendable {
    /// The numbers.
    public struct Limits: Sendable {
        /// How long after an upload's completion its asset is first asked for. Each pause is as long as all that time
        /// together, so that pauses double.
        public var firstPause: Duration = .seconds(1)
        /// The longest pause.
        public var longestPause: Duration = .seconds(60)
        /// How long an asset may be unknown to the platform before that is believed.
        public var patience: Duration = .seconds(300)
        /// Assets in one call: the most that the API gives on a page.
        public var batch = 50
        /// How many calls may follow each other at once. A call for a full batch costs nothing, one for fewer assets the
        /// share that is missing, and one for a single asset a whole call.
        public var burst = 12.0
        /// How long it takes to save up for one call.
        public var callInterval: Duration = .seconds(45)
        /// The time between two calls that are not for full batches.
        public var callGap: Duration = .seconds(1)
        /// After how many lists in a row that lack an asset it is asked for alone.
        public var listMisses = 3
        /// After how many refusals in a row no lists are asked for.
        public var listRefusals = 3
        /// For how long.
        public var listPause: Duration = .seconds(1800)
        /// The first pause of all calls after one that could not be answered; it doubles, too, up to the longest.
        public var failurePause: Duration = .seconds(5)

        /// The defaults.
        public init() {}
    }

    /// A call to make.
    public enum Call: Sendable, Equatable {
        /// `GET /assets?asset_ids=…`.
        case list([String])
        /// `GET /assets/{asset_id}`.
        case retrieve(String)
    }

    /// How the call went.
    public enum Answer: Sendable {
        case listed(AssetList)
        case retrieved(Asset)
        case failed(UploadFailure)
    }

    /// Something new about an asset.
    public struct News: Sendable, Equatable {
        /// Which asset.
        public var assetID: String
        /// What is known of it now.
        public var standing: AssetStanding

        /// News of an asset.
        public init(assetID: String, standing: AssetStanding) {
            self.assetID = assetID
            self.standing = standing
        }
    }

    private struct Watched: Sendable {
        var size: Int64
        var since: Instant
        var due: Instant
        var standing: AssetStanding?
        /// Since when the platform has not known it, as far as the answers in between tell.
        var missingSince: Instant?
        /// Lists in a row that lacked it.
        var misses = 0
        /// Lists do not tell what is wanted of it.
        var isAskedForAlone = false
        /// What a list called it, without its size or the reason, which *retrieve asset* is asked for.
        var listedAs: AssetState?
    }

    private let limits: Limits
    private let policy: RetryPolicy
    private var watched: [String: Watched] = [:]
    private var pending: Call?
    private var lastCall: Instant?
    private var credit: Double
    private var creditAsOf: Instant
    private var listRefusals = 0
    private var noListsBefore: Instant?
    private var failuresInARow = 0
    private var pausedUntil: Instant?

    /// Nothing to ask for.
    public init(limits: Limits = Limits(), policy: RetryPolicy = RetryPolicy(), at now: Instant) {
        self.limits = limits
        self.policy = policy
        credit = limits.burst
        creditAsOf = now
    }

    /// Whether there is nothing to ask for.
    public var isEmpty: Bool { watched.isEmpty }

    // MARK: What to ask for

    /// An upload of `size` bytes is completed: from now on its asset is asked for until its fate is decided.
    public mutating func watch(_ assetID: String, size: Int64, at now: Instant) {
        watched[assetID] = Watched(size: size, since: now, due: now + limits.firstPause)
    }

    /// Nobody wants to know of it any more.
    public mutating func unwatch(_ assetID: String) {
        watched[assetID] = nil
    }

    // MARK: Calls

    /// The call to make now; nil while none is to be made. Until it is answered there is no other.
    public mutating func takeCall(at now: Instant) -> Call? {
        guard pending == nil, (pausedUntil ?? now) <= now else { return nil }
        saveUp(at: now)
        guard let choice = choices(at: now).first(where: { isAffordable($0, at: now) }) else { return nil }
        credit -= choice.cost
        lastCall = now
        pending = choice.call
        return choice.call
    }

    /// When the next call is to be made, if nothing happens before; nil while one is under way, and when there is nothing to
    /// ask for.
    public func nextDeadline(at now: Instant) -> Instant? {
        guard pending == nil, let first = watched.values.map(\.due).min() else { return nil }
        let start = max(first, pausedUntil ?? first, now)
        let earliest = choices(at: start).map { choice -> Instant in
            guard choice.cost > 0 else { return start }
            let saved = start + limits.callInterval * max(0, choice.cost - credit(at: start))
            return max(saved, lastCall.map { $0 + limits.callGap } ?? saved)
        }.min()
        guard let earliest else { return start }
        // A batch that is full by then need not be saved up for.
        let inList = watched.values.filter { !isAskedForAlone($0, at: start) }.map(\.due).sorted()
        guard inList.count >= limits.batch else { return earliest }
        return min(earliest, max(start, inList[limits.batch - 1]))
    }

    private struct Choice {
        var call: Call
        var cost: Double
    }

    /// What could be asked for at `now`: a list, and the asset that has waited longest of those that are asked for alone.
    /// First comes what has waited longest.
    private func choices(at now: Instant) -> [Choice] {
        let order = watched.sorted { ($0.value.due, $0.key) < ($1.value.due, $1.key) }
        var inList = order.filter { !isAskedForAlone($0.value, at: now) }
        // Alone it costs the same, and tells more.
        if inList.count < 2 { inList = [] }
        let listed = Set(inList.map(\.key))
        let alone = order.first { $0.value.due <= now && !listed.contains($0.key) }
        let dueInList = inList.count { $0.value.due <= now }
        var choices: [(due: Instant, Choice)] = []
        if let alone { choices.append((alone.value.due, Choice(call: .retrieve(alone.key), cost: 1))) }
        if dueInList > 0 {
            // Where there is space, assets are asked for that will be due soon.
            let ids = inList.prefix(limits.batch).map(\.key)
            let missing = max(0, 1 - Double(dueInList) / Double(limits.batch))
            choices.append((inList[0].value.due, Choice(call: .list(ids), cost: missing)))
        }
        return choices.sorted { $0.due < $1.due }.map(\.1)
    }

    private func isAskedForAlone(_ asset: Watched, at now: Instant) -> Bool {
        if asset.isAskedForAlone || asset.misses >= limits.listMisses { return true }
        if let noListsBefore, noListsBefore > now { return true }
        return asset.missingSince.map { $0 + limits.patience <= now } ?? false
    }

    private func isAffordable(_ choice: Choice, at now: Instant) -> Bool {
        // What was waited for is there, whatever the arithmetic of fractions says.
        guard choice.cost <= credit + 1e-6 else { return false }
        return choice.cost <= 0 || lastCall.map { $0 + limits.callGap <= now } ?? true
    }

    private func credit(at now: Instant) -> Double {
        min(limits.burst, credit + max(0, (now - creditAsOf) / limits.callInterval))
    }

    private mutating func saveUp(at now: Instant) {
        credit = credit(at: now)
        creditAsOf = max(creditAsOf, now)
    }

    // MARK: Answers

    /// Takes in how the call went, and tells what is new.
    public mutating func answered(_ call: Call, _ answer: Answer, at now: Instant) -> [News] {
        guard pending == call else { return [] }
        pending = nil
        if case .failed(let failure) = answer { return failed(call, failure, at: now) }
        failuresInARow = 0
        pausedUntil = nil
        switch (call, answer) {
        case (.list(let ids), .listed(let list)): return listed(ids, list, at: now)
        case (.retrieve(let id), .retrieved(let asset)): return retrieved(id, asset, at: now)
        case (.list, _), (.retrieve, _): return []
        }
    }

    private mutating func listed(_ ids: [String], _ list: AssetList, at now: Instant) -> [News] {
        listRefusals = 0
        let found = Dictionary(list.assets.map { ($0.id, $0) }) { first, _ in first }
        return ids.compactMap { id -> News? in
            guard watched[id] != nil else { return nil }
            ask(id, again: now)
            guard let asset = found[id], asset.status != nil else {
                missed(id, at: now)
                return nil
            }
            watched[id]?.misses = 0
            guard let status = asset.status, wantsDetails(of: asset) else { return learned(id, asset) }
            watched[id]?.listedAs = status
            watched[id]?.isAskedForAlone = true
            watched[id]?.due = now
            return nil
        }
    }

    /// Whether it is worth a call to learn what lists do not tell: why an asset failed, and the size of one that is ready as
    /// long as there are calls to spare.
    private func wantsDetails(of asset: Asset) -> Bool {
        switch asset.status {
        case .failed: return asset.error == nil
        case .ready where asset.size == nil && asset.sourceSize == nil:
            let planned = watched.values.count { $0.listedAs != nil }
            return credit - Double(planned + 1) >= limits.burst / 2
        case .ready, .processing, .unknown, nil: return false
        }
    }

    private mutating func retrieved(_ id: String, _ asset: Asset, at now: Instant) -> [News] {
        guard let known = watched[id] else { return [] }
        ask(id, again: now)
        if known.misses >= limits.listMisses {
            // The platform has it, and its lists do not.
            watched[id]?.isAskedForAlone = true
            watched[id]?.misses = 0
        }
        guard asset.status != nil else {
            let reason = AssetIssue(code: "no_status", message: "the platform does not tell the asset's status")
            return [notFound(id, reason, at: now)].compactMap(\.self)
        }
        return [learned(id, asset)].compactMap(\.self)
    }

    private mutating func failed(_ call: Call, _ failure: UploadFailure, at now: Instant) -> [News] {
        let verdict = policy.verdict(onAssetCallThatFailed: failure)
        switch (call, verdict) {
        case (.retrieve(let id), .again) where watched[id]?.listedAs == .ready:
            return [decided(id, AssetStanding(.ready))].compactMap(\.self)
        case (_, .again(let asked)):
            if case .list = call, failure.kind == .unreadableAnswer { listRefused(at: now) }
            failuresInARow += 1
            var pause = limits.failurePause
            for _ in 1..<min(failuresInARow, 10) where pause < limits.longestPause { pause = pause * 2 }
            pausedUntil = now + max(min(pause, limits.longestPause), asked ?? .zero)
            // Others come first, should it be this asset alone that cannot be told of.
            if case .retrieve(let id) = call { ask(id, again: now) }
            return []
        case (.list(let ids), .notFound), (.list(let ids), .refused):
            listRefused(at: now)
            // It may be one of these that makes the difference.
            for id in ids { watched[id]?.isAskedForAlone = true }
            return []
        case (.retrieve(let id), .notFound):
            watched[id]?.misses = 0
            ask(id, again: now)
            return [notFound(id, AssetIssue(failure), at: now)].compactMap(\.self)
        case (.retrieve(let id), .refused):
            if let known = watched[id]?.listedAs { return [decidedByList(id, known)].compactMap(\.self) }
            return [decided(id, AssetStanding(.undetermined, issue: AssetIssue(failure)))].compactMap(\.self)
        }
    }

    private mutating func listRefused(at now: Instant) {
        listRefusals += 1
        if listRefusals >= limits.listRefusals { noListsBefore = now + limits.listPause }
    }

    // MARK: What becomes of an asset

    /// After as long a pause as it has been asked for altogether.
    private mutating func ask(_ id: String, again now: Instant) {
        guard let since = watched[id]?.since else { return }
        let due = now + min(max(now - since, limits.firstPause), limits.longestPause)
        watched[id]?.due = due
    }

    private mutating func missed(_ id: String, at now: Instant) {
        guard var asset = watched[id] else { return }
        let since = asset.missingSince ?? now
        asset.misses += 1
        asset.missingSince = since
        asset.due = min(asset.due, since + limits.patience)
        watched[id] = asset
    }

    private mutating func notFound(_ id: String, _ reason: AssetIssue, at now: Instant) -> News? {
        guard var asset = watched[id] else { return nil }
        if let known = asset.listedAs { return decidedByList(id, known) }
        let since = asset.missingSince ?? now
        guard since + limits.patience <= now else {
            // Not later than when it is decided.
            asset.missingSince = since
            asset.due = min(asset.due, since + limits.patience)
            watched[id] = asset
            return nil
        }
        return decided(id, AssetStanding(.undetermined, issue: reason))
    }

    /// More than a list told is not to be learned of it.
    private mutating func decidedByList(_ id: String, _ status: AssetState) -> News? {
        decided(id, AssetStanding(status, issue: status == .failed ? Self.failedForNoReason : nil))
    }

    private mutating func learned(_ id: String, _ answer: Asset) -> News? {
        guard let asset = watched[id] else { return nil }
        watched[id]?.missingSince = nil
        watched[id]?.listedAs = nil
        switch answer.status {
        case .ready:
            return decided(id, AssetStanding(.ready, issue: Self.difference(of: answer, from: asset.size)))
        case .failed:
            let issue = answer.error.map { AssetIssue(message: $0) } ?? Self.failedForNoReason
            return decided(id, AssetStanding(.failed, issue: issue))
        case .processing, nil: return undecided(id, .processing)
        // Our own word for what cannot be told is not the platform's.
        case .unknown(let word): return undecided(id, answer.status == .undetermined ? .processing : .unknown(word))
        }
    }

    private mutating func undecided(_ id: String, _ status: AssetState) -> News? {
        let standing = AssetStanding(status)
        guard let before = watched[id]?.standing, before == standing else {
            watched[id]?.standing = standing
            return News(assetID: id, standing: standing)
        }
        return nil
    }

    private mutating func decided(_ id: String, _ standing: AssetStanding) -> News? {
        guard watched.removeValue(forKey: id) != nil else { return nil }
        return News(assetID: id, standing: standing)
    }

    private static let failedForNoReason = AssetIssue(
        message: "the platform could not process it, and does not tell why")

    /// `technical_metadata.file_size_bytes` is the source file's size; `size` stands in for it where it is not told.
    private static func difference(of asset: Asset, from size: Int64) -> AssetIssue? {
        guard let told = asset.sourceSize ?? asset.size, told != size else { return nil }
        return AssetIssue(
            code: AssetIssue.sizeDiffers,
            message: "the platform says that the asset has \(told) bytes, and the file has \(size)")
    }
}

extension AssetIssue {
    /// Why nothing is to be learned of an asset.
    init(_ failure: UploadFailure) {
        self.init(code: failure.code, message: failure.message)
    }
}
