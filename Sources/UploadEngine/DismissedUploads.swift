import UploadCore

/// Uploads that are over and that no file leads to, in the order in which they came to be so, for as long as they are
/// remembered: an hour, longer while it is not known what became of the asset, and not beyond a thousand.
struct DismissedUploads: Sendable {
    /// How many are remembered at most.
    static let limit = 1000
    /// How long each is remembered.
    static let lifetime: Duration = .seconds(3600)

    private struct Entry: Sendable {
        var upload: Upload
        var since: Instant
        /// Whether its asset was waited for when its time was over.
        var isProlonged = false
    }

    /// One whose time is over.
    struct Due: Sendable {
        var upload: Upload
        /// Whether there are too many with it.
        var isTooMany: Bool
        /// Whether its asset was waited for when its time was over before.
        var isProlonged: Bool
    }

    /// Oldest first.
    private var entries: [Entry] = []
    private var numbers: Set<Int> = []

    /// Takes one in; nothing happens where it is there.
    mutating func add(_ upload: Upload, at now: Instant) {
        if numbers.insert(upload.number).inserted { entries.append(Entry(upload: upload, since: now)) }
    }

    mutating func remove(_ upload: Upload) {
        guard numbers.remove(upload.number) != nil else { return }
        entries.removeAll { $0.upload === upload }
    }

    /// Those whose time is over, oldest first: with them there would be too many, or they are too old.
    func due(at now: Instant) -> [Due] {
        let tooMany = max(0, entries.count - Self.limit)
        return entries.enumerated().prefix { $0.offset < tooMany || now - $0.element.since >= Self.lifetime }.map {
            Due(
                upload: $0.element.upload, isTooMany: $0.offset < tooMany, isProlonged: $0.element.isProlonged)
        }
    }

    /// Remembers one for as long again: its asset is waited for, or was until then, and whoever asks is to be told of that.
    mutating func prolong(_ upload: Upload, at now: Instant, isProlonged: Bool) {
        guard let place = entries.firstIndex(where: { $0.upload === upload }) else { return }
        entries.remove(at: place)
        entries.append(Entry(upload: upload, since: now, isProlonged: isProlonged))
    }

    /// When the oldest will have been remembered for long enough; nil when there is none.
    var nextEnd: Instant? { entries.first.map { $0.since + Self.lifetime } }
}
