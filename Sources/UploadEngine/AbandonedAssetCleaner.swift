import Logging
import PlatformClient
import Synchronization
import UploadCore

/// Deletes the reserved assets of sessions that were abandoned. Best effort: a session that is left alone expires by
/// itself, and so does its asset.
final class AbandonedAssetCleaner: Sendable {
    private let client: any UploadPlatform
    private let clock: EngineClock
    private let gate: CallGate
    private let logger: Logger
    private let underWay = Mutex<[String: Task<Void, Never>]>([:])
    private static let attempts = 5

    init(client: any UploadPlatform, clock: EngineClock, gate: CallGate, logger: Logger) {
        self.client = client
        self.clock = clock
        self.gate = gate
        self.logger = logger
    }

    /// Deletes an asset of which nothing was confirmed.
    ///
    /// - Parameter session: its session, where it is another process that knew what was confirmed: the journal may be
    ///   older than that, after the machine has lost its power, and an asset that is complete may have been promised.
    func delete(assetID: String, unlessCompleted session: String? = nil) {
        underWay.withLock { underWay in
            underWay[assetID] = Task {
                await self.attempt(assetID, session)
                self.underWay.withLock { $0[assetID] = nil }
            }
        }
    }

    /// Returns when everything that was begun is over.
    func finish() async {
        for task in underWay.withLock({ Array($0.values) }) { await task.value }
    }

    /// Cancels what is under way.
    func cancel() {
        for task in underWay.withLock({ Array($0.values) }) { task.cancel() }
    }

    private func attempt(_ assetID: String, _ session: String?) async {
        let policy = RetryPolicy()
        let first = clock.now()
        var attempt = 1
        while attempt <= Self.attempts {
            guard let permit = await gate.pass() else { return }
            do throws(UploadFailure) {
                if let session, try await client.sessionStatus(session, page: 1, limit: 1).status == .completed {
                    logger.notice(
                        "an upload that ended while its file was being written had been completed: its asset stays",
                        metadata: ["asset_id": "\(assetID)"])
                } else {
                    try await client.deleteAsset(assetID)
                }
                return gate.succeeded(permit)
            } catch {
                gate.failed(permit, error)
                logger.debug(
                    "an abandoned asset was not deleted",
                    metadata: ["asset_id": "\(assetID)", "reason": "\(error.message)"])
                let decision = policy.decideOnDelete(
                    error, attempt: attempt, sinceFirst: clock.now() - first, random: .random(in: 0..<1))
                switch decision {
                case .again(let wait):
                    attempt += 1
                    do { try await clock.sleep(clock.now() + wait) } catch { return }
                case .awaitNetwork, .awaitKey: continue
                case .newSession, .fail: return
                }
            }
        }
    }
}
