import AsyncHTTPClient
import Formats
import Logging
import NIOCore
import NIOHTTP1
import UploadCore

extension PlatformClient {
    /// A part of an asset's content, from where the platform serves it.
    ///
    /// One GET with `Range`, without the key. What comes is believed only when it is exactly what was asked for, of a
    /// file of the right size.
    ///
    /// - Parameters:
    ///   - url: the asset's `url`.
    ///   - range: in bytes, not empty, within the file; all of it is held in memory.
    ///   - totalSize: of the whole file, in bytes.
    /// - Throws: ``UploadCore/UploadFailure``: of the store, of the network, or `unreadableAnswer` for anything but these bytes.
    public func content(
        at url: String, range: Range<Int64>, totalSize: Int64
    ) async throws(UploadFailure) -> ByteBuffer {
        let address = try contentAddress(url)
        let headers = HTTPHeaders([
            ("host", address.authority), ("user-agent", Self.userAgent),
            ("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"), ("accept-encoding", "identity"),
        ])
        let request: HTTPClient.Request
        do {
            request = try HTTPClient.Request(url: url, method: .GET, headers: headers)
        } catch {
            throw Self.unusableContentURL("it cannot be asked for")
        }
        let stopwatch = Stopwatch(clock: configuration.clock)
        let metadata: Logger.Metadata = ["method": "GET", "host": "\(address.authority)", "bytes": "\(range.count)"]
        let limit = configuration.callTimeout
        let clock = configuration.clock
        let maximum = ByteCount(max(Int64(range.count), Self.maximumRefusal.bytes))
        let result = try await reads.pass { () async throws(UploadFailure) in
            try await firstThatIsSent {
                let exchange = Exchange(maximumBody: maximum)
                let task = api.client(for: address).execute(request: request, delegate: exchange)
                return await task.answer(of: exchange, beside: [limit.asDeadline(on: clock)])
            }
        }
        switch result {
        case .success(let answer):
            log("content", metadata, status: answer.status, stopwatch)
            let failures = StoreFailures(
                key: configuration.keySource.current, now: configuration.wallClock, scheme: address.scheme)
            if let failure = failures.failure(of: answer) { throw failure }
            guard Self.isExactly(range, of: totalSize, answer) else { throw Self.otherContent }
            return answer.body
        case .failure(let broken):
            let failure = await failure(of: broken, with: "the object store", at: address)
            log("content failed", metadata, failure: failure, stopwatch)
            throw failure
        }
    }

    /// RFC 9110, 14.4: a part comes as 206 with `Content-Range: bytes first-last/size`; the whole may come as 200.
    private static func isExactly(_ range: Range<Int64>, of totalSize: Int64, _ answer: HTTPAnswer) -> Bool {
        guard answer.body.readableBytes == range.count else { return false }
        switch answer.status {
        case 200: return range == 0..<totalSize
        case 206:
            let told = answer.headers.first(name: "content-range")
            return told == "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(totalSize)"
        default: return false
        }
    }

    private func contentAddress(_ url: String) throws(UploadFailure) -> WebAddress {
        if let objection = WebAddress.objection(toStoreURL: url, api: base) { throw Self.unusableContentURL(objection) }
        do throws(WebAddress.Problem) {
            return try WebAddress(parsing: url)
        } catch {
            throw Self.unusableContentURL(error.words)
        }
    }

    private static func unusableContentURL(_ reason: String) -> UploadFailure {
        UploadFailure(
            .unreadableAnswer, code: "asset_url_invalid", message: "the asset's URL cannot be read from: \(reason)")
    }

    private static var otherContent: UploadFailure {
        UploadFailure(
            .unreadableAnswer, code: "asset_content_differs",
            message: "the asset's URL serves something else than the file that was uploaded")
    }

    /// A refusal is an error document of a few hundred bytes.
    private static var maximumRefusal: ByteCount { .kibibytes(64) }
}
