import NIOCore
import UploadCore

extension UploadEngine {
    /// Bytes of a completed upload, read back from where the platform serves its asset.
    ///
    /// That is one URL, told once at the upload's completion: no other call gives it again. A failure that may pass is
    /// tried again, a few times. Once the URL is refused it is not asked any more in this mount.
    ///
    /// - Throws: ``UploadCore/UploadFailure``; with the code `no_asset_url` where the platform never told a URL, and
    ///   `asset_url_expired` or `asset_gone` where it is good for nothing any more.
    public func content(
        of upload: Upload, range: Range<Int64>, totalSize: Int64
    ) async throws(UploadFailure) -> ByteBuffer {
        let policy = configuration.upload.retryPolicy
        let first = now
        let url = try upload.contentURL()
        for attempt in 1... {
            do throws(UploadFailure) {
                return try await services.client.content(at: url, range: range, totalSize: totalSize)
            } catch {
                if policy.isContentURLDead(after: error) { throw upload.contentURLIsDead(error) }
                guard attempt < Self.attemptsAtContent else { throw error }
                switch policy.decide(
                    error, attempt: attempt, sinceFirst: now - first, random: .random(in: 0..<1))
                {
                case .again(let wait), .awaitNetwork(let wait):
                    do { try await services.clock.sleep(now + wait) } catch { throw Self.cancelledReading }
                case .awaitKey, .newSession, .fail: throw error
                }
            }
        }
        throw Self.cancelledReading
    }

    /// Whoever reads waits meanwhile.
    private static let attemptsAtContent = 4

    private static let cancelledReading = UploadFailure(.cancelled, message: "the mount has ended")
}

extension Upload {
    /// Where its content can be read from, as far as is known.
    fileprivate func contentURL() throws(UploadFailure) -> String {
        let (url, failure) = state.withLock { ($0.machine.assetURL, $0.urlFailure) }
        if let failure { throw failure }
        guard let url else { throw Self.noContent }
        return url
    }

    /// Remembers that the URL is good for nothing any more; returns what readers are told of it.
    fileprivate func contentURLIsDead(_ refusal: UploadFailure) -> UploadFailure {
        var failure = refusal
        let isGone = refusal.httpStatus == 404 || refusal.httpStatus == 410
        failure.code = isGone ? "asset_gone" : "asset_url_expired"
        let what = isGone ? "the platform does not serve them any more" : "the platform's URL for them has expired"
        failure.message = "the file's bytes have left the spool, and \(what): \(refusal.message)"
        failure.hint = "the platform gives no other URL: \(Self.howToKeepMore)"
        let remembered = failure
        return state.withLock { state in
            let first = state.urlFailure ?? remembered
            state.urlFailure = first
            return first
        }
    }

    private static let noContent = UploadFailure(
        .spoolFailed, code: "no_asset_url",
        message: "the file's bytes have left the spool, and the platform told no URL to read them from",
        hint: howToKeepMore)

    private static let howToKeepMore =
        "copy the file from where it came from; with a larger --spool-limit more is kept on this machine"
}
