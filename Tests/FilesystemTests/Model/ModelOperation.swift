import TestSupport

/// One thing that programs, the platform, or fate do. Its numbers are taken modulo what there is, so that any list of
/// operations means something, whatever is left out of it.
struct ModelOperation: Sendable, Hashable, CustomStringConvertible {
    enum Kind: String, Sendable, CaseIterable {
        /// handle, path, how
        case open
        /// handle, offset, count
        case write
        /// handle, offset, count
        case read
        /// handle, size
        case cut
        /// path, size
        case truncate
        /// handle, mode, offset, count
        case allocate
        /// handle
        case sync
        /// handle: a duplicate of the descriptor is closed.
        case flush
        /// handle
        case close
        /// handle: its process is killed.
        case kill
        /// path, path, how
        case rename
        /// directory, directory, how
        case move
        /// path
        case unlink
        /// directory
        case mkdir
        /// directory
        case rmdir
        /// The platform answers nothing any more.
        case hold
        /// It answers again.
        case letgo
        /// call, fault, how often
        case fault
        /// Everything comes to rest, and is looked at.
        case settle
        /// whether the journal was at rest
        case crash
        case remount
    }

    var kind: Kind
    var numbers: [Int]

    init(_ kind: Kind, _ numbers: Int...) { (self.kind, self.numbers) = (kind, numbers) }

    subscript(index: Int) -> Int { index < numbers.count ? numbers[index] : 0 }

    // MARK: As text

    var description: String { ([kind.rawValue] + numbers.map { "\($0)" }).joined(separator: " ") }

    static func text(of operations: [Self]) -> String {
        operations.map(\.description).joined(separator: "; ")
    }

    static func parse(_ text: String) throws -> [Self] {
        try text.split(separator: ";").map { part in
            let words = part.split(separator: " ")
            guard let kind = words.first.flatMap({ Kind(rawValue: String($0)) }) else {
                throw ModelFailure("no operation: \(part)")
            }
            var operation = Self(kind)
            operation.numbers = words.dropFirst().compactMap { Int($0) }
            return operation
        }
    }

    // MARK: At random

    private static let weights: [(Kind, Int)] = [
        (.open, 190), (.write, 300), (.read, 120), (.cut, 30), (.truncate, 15), (.allocate, 25), (.sync, 8),
        (.flush, 15),
        (.close, 150), (.kill, 5), (.rename, 50), (.move, 3), (.unlink, 20), (.mkdir, 4),
        (.rmdir, 2), (.hold, 3), (.letgo, 12), (.fault, 10), (.settle, 4), (.crash, 2), (.remount, 1),
    ]
    private static let total = weights.reduce(0) { $0 + $1.1 }

    static func random(_ count: Int, using random: inout SplitMix64) -> [Self] {
        (0..<count).map { _ in one(using: &random) }
    }

    private static func one(using random: inout SplitMix64) -> Self {
        var left = Int.random(in: 0..<total, using: &random)
        var kind = Kind.write
        for (candidate, weight) in weights {
            if left < weight {
                kind = candidate
                break
            }
            left -= weight
        }
        var operation = Self(kind)
        func number(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }
        let handle = number(ModelPaths.handles)
        switch kind {
        case .open: operation.numbers = [handle, number(ModelPaths.files.count), number(10)]
        case .write, .read:
            // Mostly near the beginning, sometimes across the limit of a file's size.
            let offset = number(4) == 0 ? number(42_000) : number(9000)
            operation.numbers = [handle, offset, 1 + (number(3) == 0 ? number(12_000) : number(3000))]
        case .cut: operation.numbers = [handle, number(4) == 0 ? 0 : number(number(8) == 0 ? 50_000 : 12_000)]
        case .truncate:
            let size = number(5) == 0 ? 0 : number(number(8) == 0 ? 50_000 : 12_000)
            operation.numbers = [number(ModelPaths.files.count), size]
        case .allocate:
            operation.numbers = [handle, number(4), number(10_000), 1 + number(number(8) == 0 ? 50_000 : 6000)]
        case .sync, .flush, .close, .kill: operation.numbers = [handle]
        case .rename:
            operation.numbers = [number(ModelPaths.files.count), number(ModelPaths.files.count), number(6)]
        case .move:
            operation.numbers = [number(ModelPaths.folders.count), number(ModelPaths.folders.count), number(4)]
        case .unlink: operation.numbers = [number(ModelPaths.files.count)]
        case .mkdir, .rmdir: operation.numbers = [number(ModelPaths.folders.count)]
        case .fault: operation.numbers = [number(4), number(4), 1 + number(2)]
        case .crash: operation.numbers = [number(2)]
        case .hold, .letgo, .settle, .remount: break
        }
        return operation
    }
}

/// The names that the operations are about.
enum ModelPaths {
    /// How many handles there are at most.
    static let handles = 8
    static let folders = ["d", "e", ".~tmp~"]
    /// Final names, temporary ones of several tools, and one that stays local.
    private static let names = [
        "a.mp4", "b.mp4", "c.mp3", "a.mp4.part", "b.mp4.crdownload", ".a.mp4.x1Y2z3", "Unconfirmed 7.crdownload",
        "notes.txt",
    ]
    /// Every path that a file can have: the names in each folder, those in the root first and once more.
    static let files: [[String]] =
        names.map { [$0] } + names.map { [$0] } + folders.flatMap { folder in names.map { [folder, $0] } }
    /// Each path once.
    static let all: [[String]] = [[String]](Set(files)).sorted { $0.joined() < $1.joined() }
}
