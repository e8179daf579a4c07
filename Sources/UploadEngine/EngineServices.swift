import Logging
import NIOPosix
import PlatformClient
import UploadCore
import UploadStore

/// What all uploads of a mount share.
struct EngineServices: Sendable {
    let configuration: EngineConfiguration
    let client: any UploadPlatform
    let scheduler: PutScheduler
    let gate: CallGate
    let keyCheck: KeyCheck
    let cleaner: AbandonedAssetCleaner
    let assets: AssetPoller
    let inFlight: InFlightUploads
    let index = UploadIndex()
    let backlog: BacklogSignal
    let space: SpaceQueue
    let totals: TransferTotals
    let assetTypes: AssetTypeMemory
    let threads: NIOThreadPool
    let clock: EngineClock
    let logger: Logger
    /// What survives a crash; nil where nothing is to.
    let journal: Journal?

    /// Returns when the journal knows everything that it was told so far, or cannot be written.
    func journalIsWritten() async {
        do throws(JournalError) {
            try await journal?.written(durably: false)
        } catch {
            logger.error("the journal could not be written", metadata: ["reason": "\(error.uploadFailure.message)"])
        }
    }

    /// Makes the call and puts its answer into an event.
    func answer(
        to call: PlatformCall, as id: CallID, identity: UploadIdentity
    ) async throws(UploadFailure) -> UploadEvent {
        switch call {
        case .openSession(let totalSize):
            let request = SessionRequest(
                filename: identity.filename, type: identity.type, totalSize: totalSize,
                enableHLS: configuration.enableHLS, enableThumbnail: configuration.enableThumbnail,
                metadata: configuration.metadata)
            return .sessionOpened(id, try await client.createSession(request))
        case .requestURLs(let uploadID, let start, let count):
            return .urlsReceived(id, try await client.requestURLs(for: uploadID, start: start, count: count))
        case .report(let uploadID, let reports):
            return .reported(id, reports, try await client.report(reports, for: uploadID))
        case .checkSession(let uploadID):
            return .sessionChecked(id, try await verdict(on: uploadID))
        case .checkAsset(let assetID):
            return .assetChecked(id, try await client.asset(assetID).status)
        case .deleteAsset(let assetID):
            try await client.deleteAsset(assetID)
            return .assetDeleted(id)
        }
    }

    /// The session's status; while it is not completed, also which chunks it does not call so.
    private func verdict(on uploadID: String) async throws(UploadFailure) -> SessionVerdict {
        let session = try await client.sessionStatus(uploadID, page: 1, limit: 50)
        guard session.status == .active else { return SessionVerdict(status: session.status) }
        // Where it lacks none, they need not be looked at, which is a call for each fifty of them.
        if session.chunksFailed == 0, session.chunksPending == 0 { return SessionVerdict(status: .active) }
        let chunks = try await client.allChunkStatuses(uploadID, from: session)
        return SessionVerdict(
            status: .active, failedChunks: chunks.filter { $0.status == .failed }.map(\.index),
            pendingChunks: chunks.filter { $0.status == .pending }.map(\.index))
    }
}
