import Testing
import UploadCore

/// One upload, driven by hand: events in, reactions out, with answers made up as they are asked for.
///
/// Sizes are small: chunks of ten bytes, a session from five written bytes on.
final class Rig {
    /// What an event leads to, as tests compare it.
    enum Seen: Equatable {
        case call(PlatformCall)
        case stop
        case abandon(String)
        case answered(UploadFailure.Kind?)
        case state(UploadState)
        case withdrawn
    }

    static let configuration = UploadStateMachine.Configuration(
        sizeLimit: 1000, writtenBeforeSession: 5, reportBatch: 3, urlReserve: 4, sessionLimit: 3)

    var machine: UploadStateMachine
    private(set) var now: Instant
    /// The calls that were asked for and not answered, in their order; what was stopped is no more among them.
    private(set) var calls: [(id: CallID, call: PlatformCall)] = []
    /// The first of them.
    var pending: (id: CallID, call: PlatformCall)? { calls.first }
    /// The chunks of the reports among them.
    var reports: [[Int]] {
        calls.compactMap { if case .report(_, let chunks) = $0.call { chunks.map(\.chunkIndex) } else { nil } }
    }
    /// Everything that was asked for.
    private(set) var log: [Seen] = []
    private var lastSession = 0
    private var lastURL = 0

    init(_ configuration: UploadStateMachine.Configuration = Rig.configuration) {
        now = ContinuousClock.now
        machine = UploadStateMachine(configuration: configuration, at: now)
    }

    /// An upload that another process left.
    init(restoring left: RecoveredUpload, _ configuration: UploadStateMachine.Configuration = Rig.configuration) {
        now = ContinuousClock.now
        machine = UploadStateMachine(configuration: configuration, restoring: left, at: now)
    }

    @discardableResult
    func apply(_ event: UploadEvent) -> [Seen] {
        let reaction = machine.apply(event, at: now)
        var seen: [Seen] = []
        // First what is taken at once: what is under way then, and who waits then.
        if reaction.stopsTransfers {
            calls = []
            seen.append(.stop)
        }
        switch reaction.answer {
        case .success: seen.append(.answered(nil))
        case .failure(let failure): seen.append(.answered(failure.kind))
        case nil: break
        }
        seen += reaction.actions.map { action -> Seen in
            switch action {
            case .call(let id, let call):
                calls.append((id, call))
                return .call(call)
            case .abandon(let assetID): return .abandon(assetID)
            case .stateChanged(let state): return .state(state)
            case .withdrawn: return .withdrawn
            }
        }
        log += seen
        return seen
    }

    /// Lets time pass, and tells of it.
    @discardableResult
    func wait(_ duration: Duration, isReleasing: Bool = true) -> [Seen] {
        now += duration
        return (isReleasing ? release() : []) + apply(.tick)
    }

    /// Lets calls be made again where they are held back.
    @discardableResult
    func release() -> [Seen] { machine.areCallsHeldBack ? apply(.callsReleased) : [] }

    // MARK: The writer

    @discardableResult
    func write(_ range: Range<Int64>) -> [Seen] { apply(.wrote(range)) }

    @discardableResult
    func hint(_ size: Int64, _ source: SizeHint.Source = .copiedSource) -> [Seen] {
        apply(.hinted(SizeHint(size: size, source: source)))
    }

    @discardableResult
    func commit(_ scope: CommitScope = .whole) -> [Seen] { apply(.committed(scope)) }

    // MARK: The platform

    /// The first call under way that is such a one, which is taken to be answered now.
    func takePending(
        _ location: SourceLocation = #_sourceLocation, where isWanted: (PlatformCall) -> Bool = { _ in true }
    ) throws -> (id: CallID, call: PlatformCall) {
        let index = try #require(
            calls.firstIndex { isWanted($0.call) }, "no such call is under way", sourceLocation: location)
        return calls.remove(at: index)
    }

    /// The report with that chunk, which is taken to be answered now.
    func takeReport(
        with chunk: Int, _ location: SourceLocation = #_sourceLocation
    ) throws -> (id: CallID, chunks: [ChunkReport]) {
        let (id, call) = try takePending(location) { call in
            if case .report(_, let chunks) = call { chunks.contains { $0.chunkIndex == chunk } } else { false }
        }
        guard case .report(_, let chunks) = call else { throw Unexpected(call: call) }
        return (id, chunks)
    }

    func url(lifetime: Duration? = .seconds(3600)) -> PresignedURL {
        lastURL += 1
        return PresignedURL(text: "https://store.test/\(lastURL)", expiresAfter: lifetime)
    }

    func urls(_ indices: some Sequence<Int>, lifetime: Duration? = .seconds(3600)) -> [Int: PresignedURL] {
        var urls: [Int: PresignedURL] = [:]
        for index in indices { urls[index] = url(lifetime: lifetime) }
        return urls
    }

    /// Answers a call for a session: `session-1`, `session-2` and so on, with URLs for the first chunks.
    @discardableResult
    func open(
        urls count: Int = 100, lifetime: Duration? = .seconds(86400), _ location: SourceLocation = #_sourceLocation
    ) throws -> [Seen] {
        let (id, call) = try takePending(location) { if case .openSession = $0 { true } else { false } }
        guard case .openSession(let size) = call else { throw Unexpected(call: call) }
        return apply(.sessionOpened(id, try session(size, urls: count, lifetime: lifetime)))
    }

    func session(_ size: Int64, urls count: Int = 100, lifetime: Duration? = nil) throws -> UploadSession {
        lastSession += 1
        let chunks = Int((size + 9) / 10)
        return UploadSession(
            uploadID: "session-\(lastSession)", assetID: "asset-\(lastSession)",
            urls: urls(1..<min(count, chunks) + 1), uploadHeaders: [("x-test", "1")],
            plan: try ChunkPlan(totalSize: size, chunkSize: 10, totalChunks: chunks), expiresAfter: lifetime)
    }

    /// Answers a call for URLs, with at most `most` of them.
    @discardableResult
    func giveURLs(
        most: Int = .max, lifetime: Duration? = .seconds(3600), _ location: SourceLocation = #_sourceLocation
    ) throws -> [Seen] {
        let (id, call) = try takePending(location) { if case .requestURLs = $0 { true } else { false } }
        guard case .requestURLs(_, let start, let count) = call else { throw Unexpected(call: call) }
        return apply(.urlsReceived(id, urls(start..<start + min(count, most), lifetime: lifetime)))
    }

    /// Accepts the first report under way, or the one with that chunk.
    @discardableResult
    func acceptReport(
        with chunk: Int? = nil, completed: Int? = nil, url: String? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> [Seen] {
        let first = try #require(chunk ?? reports.first?.first, "no report is under way", sourceLocation: location)
        let (id, chunks) = try takeReport(with: first, location)
        return apply(.reported(id, chunks, ReportAnswer(totalCompleted: completed, url: url)))
    }

    @discardableResult
    func failReport(
        with chunk: Int, _ kind: UploadFailure.Kind, random: Double = 0.5,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> [Seen] {
        let (id, _) = try takeReport(with: chunk, location)
        return apply(.callFailed(id, UploadFailure(kind, message: "as the test wants it"), random: random))
    }

    @discardableResult
    func check(
        _ status: SessionState, failed: [Int] = [], pending pendingChunks: [Int] = [],
        _ location: SourceLocation = #_sourceLocation
    ) throws -> [Seen] {
        let (id, call) = try takePending(location) { if case .checkSession = $0 { true } else { false } }
        guard case .checkSession = call else { throw Unexpected(call: call) }
        let verdict = SessionVerdict(status: status, failedChunks: failed, pendingChunks: pendingChunks)
        return apply(.sessionChecked(id, verdict))
    }

    @discardableResult
    func tellOfAsset(_ status: AssetState?, _ location: SourceLocation = #_sourceLocation) throws -> [Seen] {
        let (id, _) = try takePending(location) { if case .checkAsset = $0 { true } else { false } }
        return apply(.assetChecked(id, status))
    }

    @discardableResult
    func deleteAsset(_ location: SourceLocation = #_sourceLocation) throws -> [Seen] {
        let (id, _) = try takePending(location) { if case .deleteAsset = $0 { true } else { false } }
        return apply(.assetDeleted(id))
    }

    /// The platform does not find what it is asked for.
    @discardableResult
    func findNothing(_ location: SourceLocation = #_sourceLocation) throws -> [Seen] {
        let (id, call) = try takePending(location)
        let kind: UploadFailure.Kind = if case .checkAsset = call { .requestRefused } else { .sessionGone }
        return apply(.callFailed(id, UploadFailure(kind, message: "not found", httpStatus: 404), random: 0.5))
    }

    @discardableResult
    func failCall(
        _ kind: UploadFailure.Kind, random: Double = 0.5, _ location: SourceLocation = #_sourceLocation
    ) throws -> [Seen] {
        let (id, _) = try takePending(location)
        return apply(.callFailed(id, UploadFailure(kind, message: "as the test wants it"), random: random))
    }

    // MARK: The store

    func take() -> ChunkPut? { machine.takeChunk(at: now) }

    func takeAll() -> [ChunkPut] {
        var orders: [ChunkPut] = []
        while let order = take() { orders.append(order) }
        return orders
    }

    @discardableResult
    func store(_ order: ChunkPut) -> [Seen] {
        let etag = "etag-\(order.chunkIndex)-\(order.generation)"
        return apply(.chunkStored(order, StoredChunk(etag: etag, md5: etag, size: Int64(order.range.count))))
    }

    @discardableResult
    func fail(_ order: ChunkPut, _ kind: UploadFailure.Kind, random: Double = 0.5) -> [Seen] {
        apply(.chunkFailed(order, UploadFailure(kind, message: "as the test wants it"), random: random))
    }

    /// Stores everything that can be stored now; returns which chunks.
    @discardableResult
    func storeAll() -> [Int] {
        var stored: [Int] = []
        while let order = take() {
            stored.append(order.chunkIndex)
            store(order)
        }
        return stored
    }

    // MARK: From here to there

    /// Writes and commits a file of so many bytes, and opens its session.
    func openWholeFile(_ size: Int64) throws {
        write(0..<size)
        commit()
        try open()
    }

    /// A file of `size` bytes, written and committed, all of its chunks stored and its session open.
    func storeWholeFile(_ size: Int64) throws {
        try openWholeFile(size)
        storeAll()
    }

    /// Answers everything well until the upload is completed.
    func finish(_ location: SourceLocation = #_sourceLocation) throws {
        for _ in 1...100 where machine.state == .finishing {
            storeAll()
            switch pending?.call {
            case .openSession: try open(location)
            case .requestURLs: try giveURLs(location)
            case .report: try acceptReport(location)
            case .checkSession: try check(.completed, location)
            case .checkAsset: try tellOfAsset(.ready, location)
            case .deleteAsset(let assetID): throw Unexpected(call: .deleteAsset(assetID: assetID))
            case nil where machine.areCallsHeldBack: release()
            case nil:
                let due = try #require(machine.nextDeadline, "nothing is awaited", sourceLocation: location)
                now = max(now, due)
                apply(.tick)
            }
        }
        #expect(machine.state == .completed, sourceLocation: location)
    }
}

struct Unexpected: Error {
    var call: PlatformCall
}
