import AsyncHTTPClient
import Formats
import Logging
import NIOCore
import NIOHTTP1
import UploadCore

extension PlatformClient {
    /// PUTs one chunk to a presigned URL, reading, hashing and sending it piece by piece.
    ///
    /// - Parameters:
    ///   - source: the chunk's bytes; as many as it says are sent, with `Content-Length`.
    ///   - url: where to; good for one PUT that may have left (see ``UploadCore/RetryPolicy/needsFreshURL(after:)``).
    ///   - headers: the session's `upload_headers`.
    ///   - onBytesSent: told how many more bytes the network took, in order, never two calls at once.
    /// - Throws: ``UploadCore/UploadFailure``: of the store, of the network (`unreachable` only when nothing was sent), `checksumMismatch`, what
    ///   the source threw (`spoolFailed` unless it is such a failure already), or `cancelled` with the task.
    public func put(
        _ source: some ChunkSource, to url: PresignedURL, headers: [(String, String)],
        onBytesSent: @Sendable @escaping (Int) -> Void
    ) async throws(UploadFailure) -> StoredChunk {
        let address = try storeAddress(url)
        let head = try putHeaders(headers, to: address)
        let stopwatch = Stopwatch(clock: configuration.clock)
        let metadata: Logger.Metadata = ["method": "PUT", "host": "\(address.authority)", "bytes": "\(source.size)"]

        let result = try await firstThatIsSent {
            await send(source, to: url, at: address, head: head, onBytesSent: onBytesSent)
        }
        switch result {
        case .success((let answer, let md5)):
            log("put", metadata, status: answer.status, stopwatch)
            let failures = StoreFailures(
                key: configuration.keySource.current, now: configuration.wallClock, scheme: address.scheme)
            if let failure = failures.failure(of: answer) { throw failure }
            guard let md5 else {
                // A success before the last byte was sent is a success of something else.
                throw UploadFailure(
                    .unreadableAnswer, code: "answer_too_early",
                    message: "the object store reported success before it had the whole chunk",
                    httpStatus: answer.status)
            }
            let etag = try ETag.check(
                answer: answer.headers, uploadHeaders: headers, md5: md5, status: answer.status)
            return StoredChunk(etag: etag, md5: md5, size: source.size)
        case .failure(let broken):
            let failure = await failure(of: broken, with: "the object store", at: address)
            log("put failed", metadata, failure: failure, stopwatch)
            throw failure
        }
    }

    private func storeAddress(_ url: PresignedURL) throws(UploadFailure) -> WebAddress {
        guard WebAddress.objection(toStoreURL: url.text, api: base) == nil,
            let address = try? WebAddress(parsing: url.text)
        else {
            throw Self.unusableURL
        }
        return address
    }

    private func putHeaders(
        _ uploadHeaders: [(String, String)], to address: WebAddress
    ) throws(UploadFailure) -> HTTPHeaders {
        var headers = HTTPHeaders([("host", address.authority), ("user-agent", Self.userAgent)])
        for (name, value) in uploadHeaders {
            switch UploadHeaders.verdict(on: name, value) {
            case .send(let text): headers.replaceOrAdd(name: name, value: text)
            case .drop: continue
            case .refuse(let objection):
                throw UploadFailure(
                    .unreadableAnswer, code: "upload_headers_invalid",
                    message: "the session's upload_headers cannot be sent: \(objection)")
            }
        }
        if !headers.contains(name: "content-type") {
            headers.add(name: "content-type", value: "application/octet-stream")
        }
        return headers
    }

    /// One attempt.
    ///
    /// - Returns: the answer, and the MD5 if the whole body was handed over.
    private func send(
        _ source: some ChunkSource, to url: PresignedURL, at address: WebAddress, head: HTTPHeaders,
        onBytesSent: @Sendable @escaping (Int) -> Void
    ) async -> Result<(answer: HTTPAnswer, md5: String?), Broken> {
        let clock = configuration.clock
        let body = ChunkBody(
            source, pieceSize: configuration.pieceSize, on: group.any(), onBytesSent: onBytesSent,
            patience: { try await clock.sleep(for: Self.patienceWithRefusals) })
        defer { body.end() }
        let request: HTTPClient.Request
        do {
            request = try HTTPClient.Request(url: url.text, method: .PUT, headers: head, body: body.requestBody)
        } catch {
            return .failure(Broken(error: Self.unusableURL, mayHaveBeenSent: false))
        }
        let watch = ProgressWatch(limit: configuration.progressTimeout, clock: configuration.clock)
        let exchange = Exchange(maximumBody: Self.maximumStoreAnswer, onBody: body.tell, onActivity: watch.touch)
        let task = store.client(for: address).execute(request: request, delegate: exchange)
        let result = await task.answer(of: exchange, beside: [body.pump, watch.untilStalled])
        return result.map { ($0, body.md5) }
    }

    /// How long the rest of a refusal may take that came before the body was sent.
    private static var patienceWithRefusals: Duration { .seconds(1) }

    private static var unusableURL: UploadFailure {
        UploadFailure(
            .unreadableAnswer, code: "upload_url_invalid",
            message: "the upload URL is not one that a chunk may be sent to")
    }

    /// A store's answer to a PUT is empty, or an error document of a few hundred bytes.
    private static var maximumStoreAnswer: ByteCount { .kibibytes(64) }
}
