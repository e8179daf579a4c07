import UploadCore

/// Uploads that are over and that no file leads to, in the order in which they came to be so, for as long as they are
/// remembered: an hour, and not beyond a thousand.
struct DismissedUploads: Sendable {
    /// How many are remembered at most.
    static let limit = 1000
    /// How long each is remembered.
    static let lifetime: Duration = .seconds(3600)

    /// Oldest first.
    private var entries: [(upload: Upload, since: Instant)] = []
    private var numbers: Set<Int> = []

    /// Takes one in; nothing happens where it is there.
    mutating func add(_ upload: Upload, at now: Instant) {
        if numbers.insert(upload.number).inserted { entries.append((upload, now)) }
    }

    mutating func remove(_ upload: Upload) {
        guard numbers.remove(upload.number) != nil else { return }
        entries.removeAll { $0.upload === upload }
    }

    /// Those whose time is over, oldest first: with them there would be too many, or they are too old.
    func due(at now: Instant) -> [Upload] {
        let tooMany = max(0, entries.count - Self.limit)
        return entries.enumerated().prefix { $0.offset < tooMany || now - $0.element.since >= Self.lifetime }.map {
            $0.element.upload
        }
    }

    /// When the oldest will have been remembered for long enough; nil when there is none.
    var nextEnd: Instant? { entries.first.map { $0.since + Self.lifetime } }
}
