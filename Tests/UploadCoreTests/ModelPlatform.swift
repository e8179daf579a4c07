import TestSupport
import UploadCore

/// A platform and its store as a model: it executes what it is asked, and notes what it should never have been asked.
///
/// A byte of a file is the number of the write that made it, so that any mixture of old and new content shows.
final class ModelPlatform {
    struct Session {
        var size: Int
        var chunkSize: Int
        /// What the store holds, by chunk; the last PUT wins.
        var stored: [Int: String] = [:]
        /// Accepted proofs, by chunk.
        var proofs: [Int: String] = [:]
        /// Chunks that any report has named: from then on nobody but the platform knows whether they are accepted.
        var claimed: Set<Int> = []
        var failedChunks: Set<Int> = []
        var urls: [String: (chunk: Int, deadline: Instant)] = [:]
        var deadline: Instant
        var isFailed = false
        var isDeleted = false
        /// Whether it was not found though it was there.
        var wasMissing = false
        /// Status answers for which the last report stays unnoticed.
        var finalizing = 0

        var totalChunks: Int { (size + chunkSize - 1) / chunkSize }
        var isComplete: Bool { proofs.count == totalChunks }
        func range(of chunk: Int) -> Range<Int> { (chunk - 1) * chunkSize..<min(size, chunk * chunkSize) }
    }

    private(set) var sessions: [String: Session] = [:]
    private(set) var violations: [String] = []
    private var contents: [String: [Int]] = [:]
    private var serial = 0
    private var rng: SplitMix64
    /// The largest file that it takes.
    let largest: Int
    /// Whether it takes nothing but videos.
    let takesVideosOnly: Bool

    init(seed: UInt64) {
        rng = SplitMix64(seed: seed)
        largest = Int.random(in: 0..<3, using: &rng) == 0 ? Int.random(in: 20...80, using: &rng) : .max
        takesVideosOnly = Int.random(in: 0..<4, using: &rng) == 0
    }

    func violated(_ what: String) { violations.append(what) }

    private func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &rng) == 0 }

    private func next(_ word: String) -> String {
        serial += 1
        return "\(word)-\(serial)"
    }

    private static func gone(_ uploadID: String) -> UploadFailure {
        UploadFailure(.sessionGone, message: "no such upload: \(uploadID)", httpStatus: 404)
    }

    private static let refused = UploadFailure(.requestRefused, message: "not now", httpStatus: 400)

    // MARK: Calls

    /// Does what the call asks for. `isHostile` platforms answer in all the ways that are allowed; others in the best one.
    func execute(
        _ call: PlatformCall, type: AssetKind, as id: CallID, isHostile: Bool, at now: Instant
    ) throws -> UploadEvent {
        switch call {
        case .openSession(let size):
            if takesVideosOnly, type != .video {
                throw UploadFailure(.typeRefused, message: "videos only", httpStatus: 400)
            }
            if size > largest { throw UploadFailure(.sizeRefused, message: "too large", httpStatus: 400) }
            return .sessionOpened(id, try openSession(Int(size), isHostile: isHostile, at: now))
        case .requestURLs(let uploadID, let start, let count):
            guard (1...50).contains(count), start >= 1, let session = sessions[uploadID] else {
                violated("asked for \(count) URLs from \(start)")
                throw Self.refused
            }
            if start + count - 1 > session.totalChunks { violated("asked for URLs beyond the last chunk") }
            if session.isDeleted { throw Self.gone(uploadID) }
            if session.deadline <= now || session.isFailed || session.isComplete {
                throw chance(2) ? Self.gone(uploadID) : Self.refused
            }
            let given = isHostile && chance(3) ? Int.random(in: 1...count, using: &rng) : count
            return .urlsReceived(id, urls(start..<start + given, uploadID, isHostile: isHostile, at: now))
        case .report(let uploadID, let reports):
            return .reported(id, reports, try report(reports, uploadID, isHostile: isHostile, at: now))
        case .checkSession(let uploadID): return .sessionChecked(id, try check(uploadID, isHostile: isHostile, at: now))
        case .checkAsset(let assetID): return .assetChecked(id, try asset(assetID, isHostile: isHostile, at: now))
        case .deleteAsset(let assetID):
            try withdraw(assetID, isHostile: isHostile)
            return .assetDeleted(id)
        }
    }

    private func openSession(_ size: Int, isHostile: Bool, at now: Instant) throws -> UploadSession {
        if size < 1 { violated("a session of \(size) bytes") }
        let chunkSize = Int.random(in: 3...12, using: &rng)
        let lifetime = Duration.seconds(isHostile ? Int.random(in: 20...2000, using: &rng) : 86_400)
        let uploadID = next("session")
        let session = Session(size: size, chunkSize: chunkSize, deadline: now + lifetime)
        sessions[uploadID] = session
        let first = Int.random(in: 0...session.totalChunks, using: &rng)
        return UploadSession(
            uploadID: uploadID, assetID: uploadID + "/asset",
            urls: urls(1..<first + 1, uploadID, isHostile: isHostile, at: now), uploadHeaders: [],
            plan: try ChunkPlan(
                totalSize: Int64(size), chunkSize: Int64(chunkSize), totalChunks: session.totalChunks),
            expiresAfter: isHostile && chance(3) ? nil : lifetime)
    }

    private func urls(
        _ chunks: Range<Int>, _ uploadID: String, isHostile: Bool, at now: Instant
    ) -> [Int: PresignedURL] {
        var urls: [Int: PresignedURL] = [:]
        for chunk in chunks {
            let lifetime = Duration.seconds(isHostile ? Int.random(in: 1...100, using: &rng) : 3600)
            let url = next("url")
            sessions[uploadID]?.urls[url] = (chunk, now + lifetime)
            urls[chunk] = PresignedURL(text: url, expiresAfter: isHostile && chance(5) ? nil : lifetime)
        }
        return urls
    }

    private func report(
        _ reports: [ChunkReport], _ uploadID: String, isHostile: Bool, at now: Instant
    ) throws -> ReportAnswer {
        guard let session = sessions[uploadID] else {
            violated("a report to an upload that never was")
            throw Self.refused
        }
        if reports.isEmpty { violated("an empty report") }
        for report in reports {
            guard (1...session.totalChunks).contains(report.chunkIndex) else {
                violated("a report of chunk \(report.chunkIndex) of \(session.totalChunks)")
                throw Self.refused
            }
            if session.stored[report.chunkIndex] != report.etag { violated("a report of an unstored chunk") }
            if Int(report.size) != session.range(of: report.chunkIndex).count { violated("a report of a wrong size") }
            if let proof = session.proofs[report.chunkIndex], proof != report.etag { violated("a changed proof") }
        }
        if session.isDeleted { throw Self.gone(uploadID) }
        if session.isComplete {
            // All of it was reported before.
            switch Int.random(in: 0..<(isHostile ? 4 : 1), using: &rng) {
            case 0:
                return ReportAnswer(
                    duplicateChunks: reports.count, totalCompleted: session.totalChunks, url: "https://asset.test/")
            case 1: throw Self.gone(uploadID)
            case 2: throw Self.refused
            default: throw UploadFailure(.conflict, message: "complete already", httpStatus: 409)
            }
        }
        if session.deadline <= now || session.isFailed { throw chance(2) ? Self.gone(uploadID) : Self.refused }
        for report in reports where !session.failedChunks.contains(report.chunkIndex) {
            sessions[uploadID]?.proofs[report.chunkIndex] = report.etag
            if isHostile, chance(12) {
                sessions[uploadID]?.proofs[report.chunkIndex] = nil
                sessions[uploadID]?.failedChunks.insert(report.chunkIndex)
            }
        }
        sessions[uploadID]?.finalizing = Int.random(in: 0...2, using: &rng)
        return answer(uploadID, isHostile: isHostile)
    }

    /// What a report is answered with: the platform tells the URL of what is complete, and a strange one of what is not.
    private func answer(_ uploadID: String, isHostile: Bool) -> ReportAnswer {
        guard let session = sessions[uploadID] else { return ReportAnswer() }
        var answer = ReportAnswer(
            totalCompleted: session.proofs.count, url: session.isComplete ? "https://asset.test/" : nil)
        guard isHostile else { return answer }
        switch Int.random(in: 0..<6, using: &rng) {
        case 0: answer.totalCompleted = nil
        case 1: answer.url = nil
        case 2: answer.url = "https://asset.test/"
        case 3 where session.isComplete: answer.totalCompleted = session.totalChunks - 1
        default: break
        }
        return answer
    }

    /// That of a session which is not complete reads like that of one which is, until it is ready.
    private func asset(_ assetID: String, isHostile: Bool, at now: Instant) throws -> AssetState {
        guard let session = sessions[String(assetID.dropLast("/asset".count))], !session.isDeleted else {
            throw UploadFailure(.requestRefused, message: "no such asset", httpStatus: 404)
        }
        if session.isComplete { return isHostile && chance(2) ? .processing : .ready }
        return session.isFailed || session.deadline <= now ? .failed : .processing
    }

    private func check(_ uploadID: String, isHostile: Bool, at now: Instant) throws -> SessionVerdict {
        guard let session = sessions[uploadID] else {
            violated("the status of an upload that never was")
            throw Self.gone(uploadID)
        }
        if session.isDeleted { throw Self.gone(uploadID) }
        // It may not find what it has, and not want to say so either.
        if isHostile, chance(5) { throw chance(2) ? Self.gone(uploadID) : Self.refused }
        if session.isComplete {
            sessions[uploadID]?.finalizing -= 1
            return SessionVerdict(status: session.finalizing > 0 ? .active : .completed)
        }
        if session.isFailed { return SessionVerdict(status: .failed) }
        if session.deadline <= now { return SessionVerdict(status: .expired) }
        let pending = (1...session.totalChunks).filter {
            session.proofs[$0] == nil && !session.failedChunks.contains($0)
        }
        // From now on the chunk may be reported again.
        sessions[uploadID]?.failedChunks = []
        return SessionVerdict(status: .active, failedChunks: session.failedChunks.sorted(), pendingChunks: pending)
    }

    /// A report is on its way.
    func claim(_ call: PlatformCall) {
        guard case .report(let uploadID, let reports) = call else { return }
        sessions[uploadID]?.claimed.formUnion(reports.map(\.chunkIndex))
    }

    /// The reserved asset is deleted.
    func delete(assetID: String) {
        let uploadID = String(assetID.dropLast("/asset".count))
        guard let session = sessions[uploadID] else { return violated("an asset is deleted that never was") }
        if session.isComplete { violated("a completed asset is deleted") }
        if session.isDeleted { violated("an asset is deleted twice") }
        sessions[uploadID]?.isDeleted = true
    }

    /// An asset is deleted that may be complete: where it is, something may refer to it, or it may not be found yet.
    private func withdraw(_ assetID: String, isHostile: Bool) throws {
        let uploadID = String(assetID.dropLast("/asset".count))
        guard let session = sessions[uploadID] else { return violated("an asset is deleted that never was") }
        if isHostile, session.isComplete, chance(4) {
            throw UploadFailure(.conflict, message: "something refers to it", httpStatus: 409)
        }
        if session.isDeleted || (isHostile && session.isComplete && !session.wasMissing && chance(4)) {
            sessions[uploadID]?.wasMissing = true
            throw UploadFailure(.requestRefused, message: "no such asset", httpStatus: 404)
        }
        sessions[uploadID]?.isDeleted = true
    }

    /// The platform fails a session, as it may.
    func failSession(_ uploadID: String) {
        guard let session = sessions[uploadID], !session.isComplete else { return }
        sessions[uploadID]?.isFailed = true
    }

    // MARK: The store

    /// The PUT's first byte arrives, and with it the URL is spent.
    func beginPut(_ order: ChunkPut, at now: Instant) throws {
        guard let session = sessions[order.uploadID] else {
            violated("a PUT to an upload that never was")
            throw UploadFailure(.storeRefused, message: "no such upload")
        }
        let range = session.range(of: order.chunkIndex)
        if Int(order.range.lowerBound) != range.lowerBound || Int(order.range.upperBound) != range.upperBound {
            violated("chunk \(order.chunkIndex) is not \(order.range)")
        }
        if session.proofs[order.chunkIndex] != nil { violated("a PUT of a chunk that was reported") }
        guard let (chunk, deadline) = session.urls[order.url.text] else {
            violated("a URL is used twice")
            throw UploadFailure(.storeRefused, message: "no such URL")
        }
        if chunk != order.chunkIndex { violated("another chunk's URL") }
        sessions[order.uploadID]?.urls[order.url.text] = nil
        if deadline <= now { throw UploadFailure(.urlExpired, message: "Request has expired", httpStatus: 403) }
    }

    /// The PUT's last byte has arrived.
    func endPut(_ order: ChunkPut, content: [Int]) -> StoredChunk {
        let etag = next("etag")
        contents[etag] = content
        sessions[order.uploadID]?.stored[order.chunkIndex] = etag
        return StoredChunk(etag: etag, md5: etag, size: Int64(content.count))
    }

    /// What a complete session became.
    func content(of uploadID: String) -> [Int]? {
        guard let session = sessions[uploadID], session.isComplete, !session.isDeleted else { return nil }
        return (1...session.totalChunks).flatMap { session.proofs[$0].flatMap { contents[$0] } ?? [] }
    }
}
