import Foundation
import NIOPosix
import Synchronization
import TestSupport
import Testing
import UploadCore

/// Whatever programs, the platform and fate do in whatever order: files hold what was written into them, and what closes
/// were answered for, no more and no less, becomes assets.
///
/// What it cannot see: refusals of a file by the platform, since which upload they hit is not known; whether a write or read
/// that a small spool excuses with `ENOSPC` or `EIO` had to be refused; cancelled uploads whose spool files a small spool still
/// has at the end; a sparse file that is taken for evicted by the next mount; and what the kernel does by itself.
///
/// `scripts/model.sh` plays some ten times as many cases as the other tests do.
///
/// With `TWELVEFS_TEST_SEED` it does what it did with that seed; `TWELVEFS_TEST_CASES` says how often, and
/// `TWELVEFS_TEST_SHRINKING` for how many seconds a shorter list is looked for. With `TWELVEFS_TEST_OPERATIONS`, and the
/// settings of the failure in `TWELVEFS_TEST_SETTINGS`, it does just these operations.
@Suite(.timeLimit(.minutes(10)))
struct FilesystemModelTests {
    private static let operationsInACase = 2000
    private static let environment = ProcessInfo.processInfo.environment

    @Test("With closes that wait for the platform, files and assets are what the model says")
    func closesWaitForThePlatform() async throws {
        try await check(ModelSettings(), cases: 40)
    }

    @Test("With closes that wait for the journal, files and assets are what the model says")
    func closesWaitForTheJournal() async throws {
        var settings = ModelSettings()
        settings.closeMode = .spool
        try await check(settings, cases: 30)
    }

    @Test("With a small spool, files and assets are what the model says")
    func spoolIsSmall() async throws {
        var settings = ModelSettings()
        settings.spoolLimit = 512
        try await check(settings, cases: 30)
    }

    @Test(
        "A list of operations comes to what the model says",
        .enabled(if: environment["TWELVEFS_TEST_OPERATIONS"] != nil, "no list is given"))
    func listComesToWhatTheModelSays() async throws {
        let settings = ModelSettings(Self.environment["TWELVEFS_TEST_SETTINGS"] ?? "upload 0")
        let operations = try ModelOperation.parse(Self.environment["TWELVEFS_TEST_OPERATIONS"] ?? "")
        let single = ModelCase(settings: settings, operations: operations)
        let outcome = try await withThreads { threads in try await offload { single.run(threads) {} } }
        if let failure = outcome.failure { Issue.record("\(failure)") }
    }

    private func check(_ settings: ModelSettings, cases usual: Int, in function: String = #function) async throws {
        guard Self.environment["TWELVEFS_TEST_OPERATIONS"] == nil else { return }
        var random = SplitMix64.seeded(for: function)
        let cases = Self.environment["TWELVEFS_TEST_CASES"].flatMap { Int($0) } ?? usual
        let seeds = (0..<cases).map { _ in random.next() }
        let outcomes = try await withThreads { try await Self.run(seeds, settings, $0) }
        let (assets, commits) = outcomes.reduce((0, 0)) { ($0.0 + $1.assets, $0.1 + $1.commits) }
        print("\(function): \(cases * Self.operationsInACase) operations, \(commits) commits, \(assets) assets")
        #expect(commits >= cases * 20)
    }

    private func withThreads<Value: Sendable>(_ body: (NIOThreadPool) async throws -> Value) async throws -> Value {
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        defer { threads.shutdownGracefully { _ in } }
        return try await body(threads)
    }

    /// A few cases at a time: each waits for its own engine most of the time.
    private static func run(
        _ seeds: [UInt64], _ settings: ModelSettings, _ threads: NIOThreadPool
    ) async throws -> [ModelCase.Outcome] {
        let left = SeedQueue(seeds)
        return try await withThrowingTaskGroup(of: [ModelCase.Outcome].self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var outcomes: [ModelCase.Outcome] = []
                    while let seed = left.next() {
                        let outcome = try await offload {
                            ModelCase(settings, seed: seed, count: operationsInACase).run(
                                threads, whenFailed: left.clear)
                        }
                        outcomes.append(outcome)
                        guard let failure = outcome.failure else { continue }
                        Issue.record("\(failure)")
                    }
                    return outcomes
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }
}

/// The cases that are still to be run.
private final class SeedQueue: Sendable {
    private let seeds: Mutex<[UInt64]>

    init(_ seeds: [UInt64]) { self.seeds = Mutex(seeds) }

    func next() -> UInt64? { seeds.withLock { $0.popLast() } }

    /// One has failed, which is enough.
    @Sendable func clear() { seeds.withLock { $0 = [] } }
}

/// One list of operations, and the settings under which it is done.
struct ModelCase: Sendable {
    struct Outcome: Sendable {
        var assets = 0
        var commits = 0
        var failure: String?
    }

    var settings: ModelSettings
    var operations: [ModelOperation]
    private var seed: UInt64?

    init(settings: ModelSettings, operations: [ModelOperation]) {
        (self.settings, self.operations) = (settings, operations)
    }

    init(_ settings: ModelSettings, seed: UInt64, count: Int) {
        var random = SplitMix64(seed: seed)
        self.settings = settings
        operations = ModelOperation.random(count, using: &random)
        self.seed = seed
    }

    /// How long a shorter list is looked for.
    private static let shrinkingLimit = Duration.seconds(
        ProcessInfo.processInfo.environment["TWELVEFS_TEST_SHRINKING"].flatMap { Int($0) } ?? 15)

    /// Runs it; where it fails, finds out what is needed for that.
    func run(_ threads: NIOThreadPool, whenFailed: () -> Void) -> Outcome {
        var outcome = Outcome()
        do {
            (outcome.assets, outcome.commits) = try once(operations, threads)
        } catch {
            whenFailed()
            let first = error as? ModelFailure ?? ModelFailure("\(error)")
            let shrinking = ModelShrinking(
                failure: { ModelCase(settings: settings, operations: $0).failure(threads) },
                end: .now + Self.shrinkingLimit)
            let (shortest, failure) = shrinking.shortest(operations, first)
            outcome.failure = """
                case \(seed ?? 0): \(first)
                shrunk to \(shortest.count) operations: \(failure)
                again with
                TWELVEFS_TEST_SETTINGS='\(settings)' TWELVEFS_TEST_OPERATIONS='\(ModelOperation.text(of: shortest))' \
                scripts/test.sh --filter FilesystemModelTests
                """
        }
        return outcome
    }

    /// What goes wrong, in a few attempts: threads run as they like.
    func failure(_ threads: NIOThreadPool) -> ModelFailure? {
        for _ in 0..<2 {
            do {
                _ = try once(operations, threads)
            } catch {
                return error as? ModelFailure ?? ModelFailure("\(error)")
            }
        }
        return nil
    }

    private func once(
        _ operations: [ModelOperation], _ threads: NIOThreadPool
    ) throws -> (assets: Int, commits: Int) {
        let folder = "\(Self.base)/twelvefs-model-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let run = try ModelRun(settings, in: folder, threads: threads)
        return (try run.run(operations), run.commits.count)
    }

    /// In memory, where there is such a place: nothing of it is to outlive the machine.
    private static let base =
        FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
}
