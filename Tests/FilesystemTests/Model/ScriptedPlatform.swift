import NIOCore
import PlatformClient
import Synchronization
import UploadCore
import UploadEngine

/// A platform and its store without a network: it does what it is asked at once, unless it is told to wait or to fail, and
/// remembers what it should never have been asked.
final class ScriptedPlatform: Sendable {
    /// What is asked of it.
    enum Call: Int, Sendable, CaseIterable {
        case create, put, report, other
    }

    /// How a call goes wrong, once.
    enum Fault: Int, Sendable, CaseIterable {
        /// The call has no effect, and is answered with what passes.
        case unavailable
        /// The call has no effect, and no answer.
        case lost
        /// The call is done, and its answer lost.
        case answerLost
        /// The session is abandoned.
        case sessionGone
    }

    struct Session: Sendable {
        var filename: String
        var size: Int
        var chunkSize: Int
        var stored: [Int: (etag: String, bytes: [UInt8])] = [:]
        /// The bytes that were reported, by chunk.
        var proven: [Int: (etag: String, bytes: [UInt8])] = [:]
        var isGone = false

        var chunks: Int { (size + chunkSize - 1) / chunkSize }
        var isComplete: Bool { proven.count == chunks }
        var content: [UInt8] { (1...chunks).flatMap { proven[$0]?.bytes ?? [] } }

        func size(of chunk: Int) -> Int { min(chunkSize, size - (chunk - 1) * chunkSize) }
    }

    private struct State: Sendable {
        var sessions: [String: Session] = [:]
        var serial = 0
        var faults: [(call: Call, fault: Fault)] = []
        var isHeld = false
        var held: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastHeld = 0
        var violations: [String] = []
    }

    private let state = Mutex(State())

    // MARK: The script

    /// From now on calls wait.
    func hold() { state.withLock { $0.isHeld = true } }

    /// Calls do not wait any more.
    func letGo() {
        let held = state.withLock { state in
            defer { state.held = [:] }
            state.isHeld = false
            return Array(state.held.values)
        }
        for call in held { call.resume() }
    }

    var isHeld: Bool { state.withLock { $0.isHeld } }

    /// The next call of that kind goes wrong.
    func add(_ fault: Fault, on call: Call) { state.withLock { $0.faults.append((call, fault)) } }

    /// Nothing goes wrong any more.
    func clearFaults() { state.withLock { $0.faults = [] } }

    /// What it should never have been asked.
    var violations: [String] { state.withLock { $0.violations } }

    /// What every complete asset holds.
    var assets: [[UInt8]] {
        state.withLock { $0.sessions.values.filter { $0.isComplete && !$0.isGone }.map(\.content) }
    }

    /// What it holds, for whoever looks for a fault.
    var summary: [String] {
        state.withLock { state in
            state.sessions.sorted { $0.key < $1.key }.map { id, session in
                "\(id) of \(session.size) bytes: \(session.stored.count) stored, \(session.proven.count) reported"
                    + (session.isGone ? ", gone" : "")
            }
        }
    }

    // MARK: Calls

    /// Returns when a call may be made.
    fileprivate func pass() async {
        let number = state.withLock { state in
            state.lastHeld += 1
            return state.lastHeld
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let passes = state.withLock { state in
                    if !state.isHeld || Task.isCancelled { return true }
                    state.held[number] = continuation
                    return false
                }
                if passes { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.held.removeValue(forKey: number) }?.resume()
        }
    }

    fileprivate func takeFault(on call: Call) -> Fault? {
        state.withLock { state in
            guard let index = state.faults.firstIndex(where: { $0.call == call }) else { return nil }
            return state.faults.remove(at: index).fault
        }
    }

    /// Does something with the session of that name, where there is one.
    fileprivate func change<Value: Sendable>(
        _ id: String, _ body: (inout Session, inout [String]) throws(UploadFailure) -> Value
    ) throws(UploadFailure) -> Value {
        let outcome = state.withLock { state -> Result<Value, UploadFailure> in
            guard var session = state.sessions[id] else {
                state.violations.append("\(id) never was")
                return .failure(Self.gone)
            }
            defer { state.sessions[id] = session }
            do throws(UploadFailure) {
                return .success(try body(&session, &state.violations))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    fileprivate static let gone = UploadFailure(.sessionGone, message: "no such upload", httpStatus: 404)

    fileprivate func open(_ request: SessionRequest) throws(UploadFailure) -> UploadSession {
        let (id, session) = state.withLock { state in
            state.serial += 1
            if request.totalSize < 1 { state.violations.append("a session of \(request.totalSize) bytes") }
            let id = "session-\(state.serial)"
            let chunkSize = 4096 << (state.serial % 3)
            let session = Session(filename: request.filename, size: Int(request.totalSize), chunkSize: chunkSize)
            state.sessions[id] = session
            return (id, session)
        }
        let plan = try ChunkPlan(
            totalSize: request.totalSize, chunkSize: Int64(session.chunkSize), totalChunks: session.chunks)
        return UploadSession(
            uploadID: id, assetID: id + ".asset", urls: urls(1...session.chunks, of: id), uploadHeaders: [], plan: plan)
    }

    fileprivate func urls(_ chunks: ClosedRange<Int>, of id: String) -> [Int: PresignedURL] {
        Dictionary(
            uniqueKeysWithValues: chunks.map { ($0, PresignedURL(text: "\(id)/\($0)", expiresAfter: nil)) })
    }

    fileprivate func store(_ bytes: [UInt8], _ id: String, chunk: Int) throws(UploadFailure) -> StoredChunk {
        let serial = state.withLock { state in
            state.serial += 1
            return state.serial
        }
        let etag = "etag-\(serial)"
        try change(id) { session, violations throws(UploadFailure) in
            if bytes.count != session.size(of: chunk) { violations.append("a chunk of \(bytes.count) bytes") }
            session.stored[chunk] = (etag, bytes)
        }
        return StoredChunk(etag: etag, md5: etag, size: Int64(bytes.count))
    }

    fileprivate func prove(_ reports: [ChunkReport], _ id: String) throws(UploadFailure) -> ReportAnswer {
        try change(id) { session, violations throws(UploadFailure) in
            if session.isGone { throw Self.gone }
            for report in reports {
                guard let stored = session.stored[report.chunkIndex], stored.etag == report.etag else {
                    violations.append("chunk \(report.chunkIndex) of \(id) was reported and is not stored")
                    continue
                }
                if let known = session.proven[report.chunkIndex], known.etag != report.etag {
                    violations.append("chunk \(report.chunkIndex) of \(id) was reported anew")
                }
                session.proven[report.chunkIndex] = stored
            }
            return ReportAnswer(
                totalCompleted: session.proven.count, url: session.isComplete ? "asset:\(id)" : nil)
        }
    }

    fileprivate func delete(_ assetID: String) throws(UploadFailure) {
        // It may be complete: that of a file which was removed before anybody was told so.
        try change(String(assetID.dropLast(".asset".count))) { session, _ throws(UploadFailure) in
            session.isGone = true
        }
    }
}

/// The way of one engine to the platform. Cut, it leads nowhere any more: that engine's process is dead.
final class PlatformLine: UploadPlatform {
    private let platform: ScriptedPlatform
    private let isCut = Atomic(false)

    init(to platform: ScriptedPlatform) { self.platform = platform }

    /// Nothing that is asked from now on reaches the platform, and no answer comes back.
    func cut() { isCut.store(true, ordering: .sequentiallyConsistent) }

    /// Returns where the line is not cut; else not before the call is cancelled, so that the engine learns nothing that its
    /// journal could be told.
    private func checkLine() async throws(UploadFailure) {
        guard isCut.load(ordering: .sequentiallyConsistent) else { return }
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
        throw UploadFailure(.cancelled, message: "the process is dead")
    }

    /// Makes one call, as the script wants it.
    private func call<Value: Sendable>(
        _ kind: ScriptedPlatform.Call, session: String? = nil, _ body: () async throws(UploadFailure) -> Value
    ) async throws(UploadFailure) -> Value {
        await platform.pass()
        if Task.isCancelled { throw UploadFailure(.cancelled, message: "cancelled") }
        try await checkLine()
        let fault = platform.takeFault(on: kind)
        switch fault {
        case .unavailable:
            throw UploadFailure(
                kind == .put ? .storeUnavailable : .platformUnavailable, message: "not now", httpStatus: 503)
        case .lost: throw UploadFailure(.connectionLost, message: "reset")
        case .sessionGone:
            if let session {
                try platform.change(session) { session, _ throws(UploadFailure) in
                    // What is complete stays so.
                    if !session.isComplete { session.isGone = true }
                }
            }
        case .answerLost, nil: break
        }
        let value = try await body()
        try await checkLine()
        if fault == .answerLost { throw UploadFailure(.connectionLost, message: "reset") }
        return value
    }

    var rateLimits: RateLimits { RateLimits() }

    func createSession(_ request: SessionRequest) async throws(UploadFailure) -> UploadSession {
        try await call(.create) { () throws(UploadFailure) in try platform.open(request) }
    }

    func requestURLs(
        for uploadID: String, start: Int, count: Int
    ) async throws(UploadFailure) -> [Int: PresignedURL] {
        try await call(.other, session: uploadID) { () throws(UploadFailure) in
            let last = try platform.change(uploadID) { session, _ throws(UploadFailure) in
                if session.isGone { throw ScriptedPlatform.gone }
                return min(session.chunks, start + count - 1)
            }
            return platform.urls(start...max(start, last), of: uploadID)
        }
    }

    func report(_ chunks: [ChunkReport], for uploadID: String) async throws(UploadFailure) -> ReportAnswer {
        try await call(.report, session: uploadID) { () throws(UploadFailure) in
            try platform.prove(chunks, uploadID)
        }
    }

    func sessionStatus(_ uploadID: String, page: Int, limit: Int) async throws(UploadFailure) -> SessionStatus {
        try await call(.other) { () throws(UploadFailure) in
            try platform.change(uploadID) { session, _ throws(UploadFailure) in
                if session.isGone { throw ScriptedPlatform.gone }
                return SessionStatus(
                    uploadID: uploadID, status: session.isComplete ? .completed : .active,
                    chunksCompleted: session.proven.count, chunksFailed: 0,
                    chunksPending: session.chunks - session.proven.count)
            }
        }
    }

    func allChunkStatuses(
        _ uploadID: String, from first: SessionStatus?
    ) async throws(UploadFailure) -> [ChunkStatus] {
        try await call(.other) { () throws(UploadFailure) in
            try platform.change(uploadID) { session, _ throws(UploadFailure) in
                (1...session.chunks).map {
                    ChunkStatus(index: $0, status: session.proven[$0] == nil ? .pending : .completed)
                }
            }
        }
    }

    func put(
        _ source: some ChunkSource, to url: PresignedURL, headers: [(String, String)],
        onBytesSent: @Sendable @escaping (Int) -> Void
    ) async throws(UploadFailure) -> StoredChunk {
        let parts = url.text.split(separator: "/")
        let (id, chunk) = (String(parts[0]), Int(parts[1]) ?? 0)
        return try await call(.put, session: id) { () throws(UploadFailure) in
            let bytes: [UInt8]
            do {
                bytes = Array(try await source.read(at: 0, count: Int(source.size)).readableBytesView)
            } catch {
                throw error as? UploadFailure ?? UploadFailure(.spoolFailed, message: "\(error)")
            }
            onBytesSent(bytes.count)
            return try platform.store(bytes, id, chunk: chunk)
        }
    }

    /// Never waits, and does not fail: who reads is told so at once.
    func content(at url: String, range: Range<Int64>, totalSize: Int64) async throws(UploadFailure) -> ByteBuffer {
        try platform.change(String(url.dropFirst("asset:".count))) { session, violations throws(UploadFailure) in
            if session.size != Int(totalSize) { violations.append("\(totalSize) bytes are wanted of \(url)") }
            let content = session.content
            return ByteBuffer(bytes: content[Int(range.lowerBound)..<Int(range.upperBound)])
        }
    }

    func asset(_ assetID: String) async throws(UploadFailure) -> Asset {
        let status = try platform.change(String(assetID.dropLast(".asset".count))) {
            session, _ throws(UploadFailure) -> AssetState in
            if session.isGone { .failed } else if session.isComplete { .ready } else { .processing }
        }
        return Asset(id: assetID, status: status)
    }

    func assets(_ ids: [String]) async throws(UploadFailure) -> AssetList {
        var assets: [Asset] = []
        for id in ids { assets.append(try await asset(id)) }
        return AssetList(assets: assets)
    }

    func deleteAsset(_ assetID: String) async throws(UploadFailure) {
        try await call(.other) { () throws(UploadFailure) in try platform.delete(assetID) }
    }

    func checkKey() async throws(UploadFailure) {}
}
