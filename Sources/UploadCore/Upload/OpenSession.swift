import Formats

/// The time an upload lives by: it counts suspend, so that what expired while the machine slept has expired.
public typealias Instant = ContinuousClock.Instant

/// One upload session and what is known of its chunks: which may be sent, are under way, are stored, are reported.
///
/// A value inside ``UploadStateMachine``, which decides when; this type only keeps the books.
struct OpenSession: Sendable {
    let uploadID: String
    let assetID: String
    let plan: ChunkPlan
    let headers: [(String, String)]
    let expiresAt: Timestamp?
    /// When the session ends by itself.
    let deadline: Instant?

    private(set) var chunks: [Chunk]
    /// Chunks whose content is there and that nothing keeps from being sent but a URL. Chunk indices, as a map of ranges.
    private(set) var ready = SegmentMap()
    /// Chunks that a failure holds back until a moment.
    private(set) var delayed: [Int: Instant] = [:]
    private(set) var urls: [Int: (url: PresignedURL, deadline: Instant?)] = [:]
    /// Chunks stored with the current content, reported or not.
    private(set) var storedCount = 0
    private(set) var completedCount = 0
    private(set) var claimedCount = 0
    private(set) var uploadingCount = 0
    /// What the network took of them.
    var sentBytes = SentBytes()
    /// Chunks stored with the current content that are neither reported nor in a report. Chunk indices.
    private(set) var reportable = SegmentMap()

    init(_ session: UploadSession, at now: Instant) {
        uploadID = session.uploadID
        assetID = session.assetID
        plan = session.plan
        headers = session.uploadHeaders
        expiresAt = session.expiresAt
        deadline = Self.deadline(session.expiresAfter, from: now)
        chunks = Array(repeating: Chunk(), count: session.plan.totalChunks)
        add(urls: session.urls, at: now)
    }

    /// The chunk numbered `index`, from 1.
    subscript(_ index: Int) -> Chunk { chunks[index - 1] }

    var indices: ClosedRange<Int> { 1...max(1, plan.totalChunks) }

    var isFullyStored: Bool { storedCount == plan.totalChunks }

    var isFullyReported: Bool { completedCount == plan.totalChunks }

    /// Whether the platform may hold the upload for complete: each chunk was named in a report that it may have accepted.
    var mayBeComplete: Bool { claimedCount == plan.totalChunks }

    /// Bytes of chunks that are stored with the current content.
    var storedBytes: Int64 {
        guard storedCount > 0 else { return 0 }
        guard let last = chunks.last else { return 0 }
        let lastIsStored = Self.isStored(last)
        let full = Int64(storedCount - (lastIsStored ? 1 : 0)) * plan.chunkSize
        return full + (lastIsStored ? plan.size(of: plan.totalChunks) : 0)
    }

    /// Whether chunk `index` is stored with the current content.
    func holds(_ index: Int) -> Bool { Self.isStored(chunks[index - 1]) }

    // MARK: Content

    /// The content of chunk `index` changed. Tells whether a chunk was hit that is, or may be, reported.
    mutating func contentChanged(_ index: Int) -> Bool {
        if chunks[index - 1].isClaimed { return true }
        switch chunks[index - 1].state {
        case .waiting:
            return false
        case .uploading:
            chunks[index - 1].generation += 1
            return false
        case .uploaded:
            if !chunks[index - 1].isStale { storedCount -= 1 }
            chunks[index - 1].generation += 1
            updateReportable(index)
            return false
        case .completed:
            return true
        }
    }

    /// The content of chunk `index` is there: it may be sent unless it is stored, under way, or held back.
    mutating func offer(_ index: Int) {
        guard case .waiting = chunks[index - 1].state, delayed[index] == nil else { return }
        ready.insert(Int64(index)..<Int64(index) + 1)
    }

    /// The content of chunk `index` is not whole any more.
    mutating func withdraw(_ index: Int) {
        ready.remove(Int64(index)..<Int64(index) + 1)
        delayed[index] = nil
    }

    /// A stored chunk whose content has changed since is to be sent again.
    mutating func resendIfStale(_ index: Int) {
        guard case .uploaded = chunks[index - 1].state, chunks[index - 1].isStale else { return }
        chunks[index - 1].state = .waiting
        updateReportable(index)
    }

    // MARK: Sending

    /// The first chunk that may be sent and has a live URL, now under way; nil when there is none.
    mutating func take(at now: Instant) -> ChunkPut? {
        for range in ready.ranges {
            for wide in range {
                let index = Int(wide)
                guard let (url, deadline) = urls[index] else { continue }
                urls[index] = nil
                if let deadline, deadline <= now { continue }
                ready.remove(wide..<wide + 1)
                chunks[index - 1].attempts += 1
                chunks[index - 1].state = .uploading(generation: chunks[index - 1].generation)
                uploadingCount += 1
                return ChunkPut(
                    uploadID: uploadID, chunkIndex: index, generation: chunks[index - 1].generation,
                    range: plan.range(of: index), url: url, headers: headers)
            }
        }
        return nil
    }

    mutating func stored(_ order: ChunkPut, etag: String) {
        let index = order.chunkIndex
        guard case .uploading = chunks[index - 1].state else { return }
        uploadingCount -= 1
        sentBytes.end(index)
        chunks[index - 1].state = .uploaded(etag: etag, generation: order.generation)
        chunks[index - 1].retry.succeeded()
        if !chunks[index - 1].isStale { storedCount += 1 }
        updateReportable(index)
    }

    /// The PUT failed. The chunk waits until `retryAt`; the URL goes back into the pool where nothing of it was spent.
    mutating func failed(
        _ order: ChunkPut, retryAt: Instant?, urlIsUnspent: Bool, isAttempt: Bool = true, at now: Instant
    ) {
        let index = order.chunkIndex
        guard case .uploading = chunks[index - 1].state else { return }
        uploadingCount -= 1
        sentBytes.end(index)
        chunks[index - 1].state = .waiting
        if !isAttempt { chunks[index - 1].attempts -= 1 }
        if let retryAt { delayed[index] = retryAt }
        if urlIsUnspent, urls[index] == nil {
            urls[index] = (order.url, Self.deadline(order.url.expiresAfter, from: now))
        }
    }

    mutating func updateRetry<Result>(of index: Int, _ change: (inout RetryState) -> Result) -> Result {
        change(&chunks[index - 1].retry)
    }

    /// Chunks whose time to wait is over, now no longer held back.
    mutating func takeDue(at now: Instant) -> [Int] {
        let due = delayed.filter { $0.value <= now }.map(\.key)
        for index in due { delayed[index] = nil }
        return due
    }

    // MARK: URLs

    mutating func add(urls more: [Int: PresignedURL], at now: Instant) {
        for (index, url) in more where index >= 1 && index <= plan.totalChunks {
            urls[index] = (url, Self.deadline(url.expiresAfter, from: now))
        }
    }

    /// A lifetime that is over before it began tells of a clock that is wrong, not of what it was given to: nothing is
    /// known of its end then.
    private static func deadline(_ lifetime: Duration?, from now: Instant) -> Instant? {
        lifetime.flatMap { $0 > .zero ? now + $0 : nil }
    }

    /// What to ask for so that no chunk waits for its URL: the run of chunks without one that begins with the first
    /// chunk that needs it, if one is needed now or soon; at most `most`.
    ///
    /// Soon means: fewer than `reserve` URLs are left for chunks that are still to be sent.
    func urlsWanted(reserve: Int, most: Int, at now: Instant) -> Range<Int>? {
        let unsent = plan.totalChunks - storedCount - uploadingCount
        guard unsent > 0, urls.count < min(reserve, unsent) || isWaitingForURL(at: now) else { return nil }
        func lacksURL(_ index: Int) -> Bool {
            let chunk = chunks[index - 1]
            guard case .waiting = chunk.state else { return false }
            guard let (_, deadline) = urls[index] else { return true }
            return deadline.map { $0 <= now } ?? false
        }
        let start = firstReady(where: lacksURL) ?? indices.first(where: lacksURL)
        guard let start else { return nil }
        var end = start + 1
        while end <= plan.totalChunks, end - start < most, lacksURL(end) { end += 1 }
        return start..<end
    }

    /// Whether there are chunks that could be sent, and none of them has a live URL.
    private func isWaitingForURL(at now: Instant) -> Bool {
        guard !ready.isEmpty else { return false }
        return firstReady { index in
            guard let (_, deadline) = urls[index] else { return false }
            return deadline.map { $0 > now } ?? true
        } == nil
    }

    private func firstReady(where isMatch: (Int) -> Bool) -> Int? {
        for range in ready.ranges {
            for wide in range where isMatch(Int(wide)) { return Int(wide) }
        }
        return nil
    }

    // MARK: Reporting

    /// How many chunks could be put into another report.
    func reportableCount(includingLast: Bool) -> Int {
        let all = Int(reportable.byteCount)
        let last = Int64(plan.totalChunks)
        return includingLast || !reportable.covers(last..<last + 1) ? all : all - 1
    }

    /// Whether every chunk is stored, or every one but the last.
    func isStored(includingLast: Bool) -> Bool {
        includingLast ? isFullyStored : storedCount - (holds(plan.totalChunks) ? 1 : 0) == plan.totalChunks - 1
    }

    /// Whether every chunk but the last is stored and reported.
    var isReportedButLast: Bool {
        let isLastCompleted = if case .completed? = chunks.last?.state { true } else { false }
        return completedCount - (isLastCompleted ? 1 : 0) == plan.totalChunks - 1
    }

    /// Puts at most `most` chunks into the report of that number, the first ones first.
    mutating func gather(intoReport number: Int, most: Int, includingLast: Bool) -> [Int] {
        var gathered: [Int] = []
        for wide in reportable.ranges.lazy.joined() {
            guard gathered.count < most, includingLast || wide < Int64(plan.totalChunks) else { break }
            gathered.append(Int(wide))
        }
        for index in gathered {
            chunks[index - 1].report = number
            updateReportable(index)
        }
        return gathered
    }

    /// What the report of that number says of those of its chunks that are still in it, as they were stored.
    func contents(ofReport number: Int, _ indices: [Int]) -> [ChunkReport] {
        indices.compactMap { index in
            guard chunks[index - 1].report == number, case .uploaded(let etag, _) = chunks[index - 1].state else {
                return nil
            }
            return ChunkReport(chunkIndex: index, etag: etag, size: plan.size(of: index))
        }
    }

    /// There is no such report any more: another one may name its chunks.
    mutating func dissolve(report number: Int, _ indices: [Int]) {
        for index in indices where chunks[index - 1].report == number {
            chunks[index - 1].report = nil
            updateReportable(index)
        }
    }

    /// Keeps the books of what can be reported after a chunk's state, generation or report has changed.
    private mutating func updateReportable(_ index: Int) {
        let range = Int64(index)..<Int64(index) + 1
        guard case .uploaded = chunks[index - 1].state, !chunks[index - 1].isStale else {
            // What is not stored any more, or is reported, is in no report either.
            chunks[index - 1].report = nil
            return reportable.remove(range)
        }
        if chunks[index - 1].report == nil { reportable.insert(range) } else { reportable.remove(range) }
    }

    /// These chunks are about to be reported. Returns those that were in no report before.
    mutating func claim(_ indices: [Int]) -> [Int] {
        let fresh = indices.filter { !chunks[$0 - 1].isClaimed }
        for index in fresh { chunks[index - 1].isClaimed = true }
        claimedCount += fresh.count
        return fresh
    }

    /// The report that named these chunks, and no earlier one, had no effect.
    mutating func unclaim(_ indices: [Int]) {
        for index in indices where chunks[index - 1].isClaimed {
            chunks[index - 1].isClaimed = false
            claimedCount -= 1
        }
    }

    /// The report of these chunks was accepted.
    mutating func reported(_ indices: [Int]) {
        for index in indices {
            guard case .uploaded(let etag, let generation) = chunks[index - 1].state else { continue }
            chunks[index - 1].state = .completed(etag: etag, generation: generation)
            updateReportable(index)
            completedCount += 1
            chunks[index - 1].isAccepted = true
        }
    }

    /// The platform lacks no chunk, whatever became of the answers to the reports.
    mutating func everythingIsReported() {
        for index in indices { confirmReport(of: index) }
    }

    /// The platform does not hold this chunk for reported: report it again.
    mutating func reportAgain(_ index: Int) {
        guard case .completed(let etag, let generation) = chunks[index - 1].state else { return }
        chunks[index - 1].state = .uploaded(etag: etag, generation: generation)
        updateReportable(index)
        completedCount -= 1
    }

    /// The platform calls this chunk failed: send and report it again.
    mutating func sendAgain(_ index: Int) {
        reportAgain(index)
        guard case .uploaded = chunks[index - 1].state else { return }
        unclaim([index])
        chunks[index - 1].isAccepted = false
        chunks[index - 1].rejections += 1
        if !chunks[index - 1].isStale { storedCount -= 1 }
        chunks[index - 1].state = .waiting
        updateReportable(index)
    }

    // MARK: Another try

    /// What was under way when the upload failed is to be sent again, and what was refused gets its attempts anew.
    mutating func beginAnew() {
        delayed = [:]
        sentBytes.endAll()
        for index in indices {
            if case .uploading = chunks[index - 1].state {
                uploadingCount -= 1
                chunks[index - 1].state = .waiting
                // The outcome of the PUT that was stopped is none of this one's.
                chunks[index - 1].generation += 1
            }
            chunks[index - 1].retry = RetryState()
            chunks[index - 1].rejections = 0
            chunks[index - 1].report = nil
            updateReportable(index)
            resendIfStale(index)
            offer(index)
        }
    }

    // MARK: What another process left

    /// The books of a session that another process opened: nothing is known of its chunks, and it has no URLs.
    init(_ snapshot: SessionSnapshot) {
        uploadID = snapshot.uploadID
        assetID = snapshot.assetID
        plan = snapshot.plan
        headers = snapshot.headers
        expiresAt = snapshot.expiresAt
        deadline = snapshot.deadline
        chunks = Array(repeating: Chunk(), count: snapshot.plan.totalChunks)
    }

    /// The store has this chunk, and it is to be reported, perhaps again.
    mutating func restore(_ chunk: RecoveredUpload.Chunk) {
        guard chunk.index >= 1, chunk.index <= plan.totalChunks else { return }
        guard case .waiting = chunks[chunk.index - 1].state else { return }
        chunks[chunk.index - 1].state = .uploaded(etag: chunk.etag, generation: 0)
        storedCount += 1
        updateReportable(chunk.index)
        if chunk.isClaimed { _ = claim([chunk.index]) }
    }

    /// The session is complete: every chunk is stored and reported, whether or not we know its ETag.
    mutating func restoreAll() {
        for index in indices {
            restore(RecoveredUpload.Chunk(index: index, etag: "", isClaimed: true))
            confirmReport(of: index)
        }
    }

    /// The platform says that it has this chunk's report.
    mutating func confirmReport(of index: Int) {
        guard case .uploaded = chunks[index - 1].state, !chunks[index - 1].isStale else { return }
        _ = claim([index])
        reported([index])
    }

    private static func isStored(_ chunk: Chunk) -> Bool {
        switch chunk.state {
        case .waiting, .uploading: false
        case .uploaded, .completed: !chunk.isStale
        }
    }
}
