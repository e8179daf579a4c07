import NIOCore
import UploadCore

extension UploadEngine {
    /// Bytes of a completed upload, read back from where the platform serves its asset.
    ///
    /// A failure that may pass is tried again, a few times; an asset URL that is refused, or not known yet, is asked for
    /// anew.
    ///
    /// - Throws: ``UploadCore/UploadFailure``; ``UploadCore/UploadFailure/Kind/spoolFailed`` where the platform serves no content.
    public func content(
        of upload: Upload, range: Range<Int64>, totalSize: Int64
    ) async throws(UploadFailure) -> ByteBuffer {
        let policy = configuration.upload.retryPolicy
        let first = now
        var url = upload.inspect { $0.assetURL }
        for attempt in 1... {
            do throws(UploadFailure) {
                let known: String
                if let url { known = url } else { known = try await services.askForURL(of: upload) }
                return try await services.client.content(at: known, range: range, totalSize: totalSize)
            } catch {
                url = nil
                guard attempt < Self.attemptsAtContent, error.code != EngineServices.noContentCode else { throw error }
                let isRefusal = error.kind == .storeRefused || error.kind == .urlExpired
                let wait: Duration
                switch policy.decide(
                    error, attempt: attempt, sinceFirst: now - first, random: .random(in: 0..<1))
                {
                case .again(let backoff), .awaitNetwork(let backoff): wait = backoff
                case .awaitKey, .newSession, .giveUp:
                    guard isRefusal else { throw error }
                    wait = .zero
                }
                do { try await services.clock.sleep(now + wait) } catch { throw Self.cancelledReading }
            }
        }
        throw Self.cancelledReading
    }

    /// Whoever reads waits meanwhile.
    private static let attemptsAtContent = 4

    private static let cancelledReading = UploadFailure(.cancelled, message: "the mount has ended")
}

extension EngineServices {
    static let noContentCode = "no_asset_url"

    /// Asks the platform where it serves the asset.
    func askForURL(of upload: Upload) async throws(UploadFailure) -> String {
        guard let assetID = upload.inspect({ $0.assetID }) else { throw Self.noContent }
        guard let url = try await client.asset(assetID).url else { throw Self.noContent }
        return url
    }

    private static let noContent = UploadFailure(
        .spoolFailed, code: noContentCode,
        message: "the file's bytes have left the spool, and the platform tells no URL to read them from",
        hint: "raise --spool-limit so that more is kept")
}
