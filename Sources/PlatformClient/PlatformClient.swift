import AsyncHTTPClient
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import UploadCore

/// The platform's calls and the presigned PUT, over async-http-client.
///
/// Each method is one attempt: nothing is retried here, whether to try again is ``UploadCore/RetryPolicy``'s to decide. (The one exception
/// sends nothing twice: a pooled connection that turns out to be closed before a byte of the request was written is
/// replaced by another.) Redirects are never followed. The key goes to the API's origin alone.
public final class PlatformClient: Sendable {
    let configuration: PlatformConfiguration
    let base: WebAddress
    let logger: Logger
    let group: MultiThreadedEventLoopGroup
    let gate = Gate()
    /// Calls, reports and reads of content each have places of their own: a report may take minutes, and holds up nothing else.
    let calls = ConnectionQueue(places: PlatformClient.placesOfAKind)
    let reports = ConnectionQueue(places: PlatformClient.reportPlaces)
    let reads = ConnectionQueue(places: PlatformClient.placesOfAKind)
    private static let placesOfAKind = 16
    private static let reportPlaces = 64
    let limits = Mutex(RateLimits())
    /// For the API, and for reading content: a connection for each exchange that may be under way.
    let api: HTTPClients
    /// For the object store: one connection for each PUT that may be under way.
    let store: HTTPClients

    /// A client that has not connected yet.
    ///
    /// - Throws: ``UploadCore/UploadFailure/Kind/invalidConfiguration`` for a base URL or certificates that cannot be used.
    public init(configuration: PlatformConfiguration, logger: Logger) throws(UploadFailure) {
        do throws(WebAddress.BaseProblem) {
            self.base = try WebAddress.apiBase(configuration.baseURL)
        } catch {
            throw UploadFailure(
                .invalidConfiguration, code: "api_url_invalid",
                message: "the API's URL cannot be used: \(error.words)",
                hint: "give one like \(PlatformConfiguration.defaultBaseURL), with --api-url or $TWELVELABS_BASE_URL")
        }
        self.configuration = configuration
        self.logger = logger
        let trust = try TLSTrust.configuration(configuration.certificates)
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.threads))
        self.api = HTTPClients(
            group: group,
            configuration: Self.http(
                configuration, tls: trust, connections: 2 * Self.placesOfAKind + Self.reportPlaces,
                idle: .seconds(20)),
            rules: configuration.proxies)
        // Stores close idle connections after 5 to 20 s. Ours close first: a PUT that meets a connection which the
        // store is just closing would spend a URL for nothing.
        self.store = HTTPClients(
            group: group,
            configuration: Self.http(
                configuration, tls: trust, connections: max(1, configuration.uploadConcurrency), idle: .seconds(4)),
            rules: configuration.proxies)
    }

    /// What the answers so far say about how many calls are left.
    public var rateLimits: RateLimits { limits.withLock { $0 } }

    /// Ends what is under way (its callers get `cancelled`), closes every connection and stops the threads.
    public func shutdown() async {
        gate.close()
        // Fails what is under way. Not awaited: a connection that is just being made would hold it up for as long as a
        // connection may take. Stopping the group closes those too.
        api.shutdown()
        store.shutdown()
        await gate.waitUntilEmpty()
        // Fails only when it was done before.
        try? await group.shutdownGracefully()
    }

    private static func http(
        _ configuration: PlatformConfiguration, tls: TLSConfiguration, connections: Int, idle: TimeAmount
    ) -> HTTPClient.Configuration {
        var pool = HTTPClient.Configuration.ConnectionPool(idleTimeout: idle)
        pool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        // A refused connection is reported at once: waiting and trying again is decided elsewhere, on its own clock.
        pool.retryConnectionEstablishment = false
        var http = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: TimeAmount(configuration.connectTimeout)), connectionPool: pool,
            decompression: .disabled)
        http.httpVersion = .http1Only
        return http
    }
}

extension PlatformClient: CustomReflectable {
    /// A mirror without children: `dump` would go down to the HTTP clients, which know a proxy's credentials.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

// MARK: - The API's calls

extension PlatformClient {
    /// `POST /assets/multipart-uploads`: opens a session.
    ///
    /// - Throws: ``UploadCore/UploadFailure``; `unreadableAnswer` also for a plan that does not fit the size, for URLs that no PUT may go to, for chunk
    ///   indices that are out of range or occur twice (URLs that are numbered in another way would put chunks into the
    ///   wrong places), and for headers that no PUT may carry.
    public func createSession(_ request: SessionRequest) async throws(UploadFailure) -> UploadSession {
        do throws(UploadFailure) {
            let answer = try await call(.createSession, body: RequestBodies.session(request))
            return try decoder(answer, .createSession).session(totalSize: request.totalSize)
        } catch {
            guard error.kind == .typeRefused, request.type == .video else { throw error }
            // There is nothing else that it could be asked for as.
            var refusal = error
            refusal.kind = .sessionRefused
            throw refusal
        }
    }

    /// `GET /assets/multipart-uploads`: one page of the sessions that are not completed; pages count from 1, at most 50 a page.
    public func incompleteUploads(page: Int, limit: Int) async throws(UploadFailure) -> Page<IncompleteUpload> {
        let answer = try await call(.listIncomplete, query: Self.paging(page, limit))
        return try decoder(answer, .listIncomplete).incompleteUploads()
    }

    /// Every session that is not completed, from as many pages as there are; a listing that never ends is cut.
    public func allIncompleteUploads() async throws(UploadFailure) -> [IncompleteUpload] {
        var all: [IncompleteUpload] = []
        for page in 1...Self.maximumPages {
            let next = try await incompleteUploads(page: page, limit: Self.pageLimit)
            all += next.items.prefix(Self.maximumListed - all.count)
            if next.items.isEmpty || all.count == Self.maximumListed || next.info.isLast(page, found: next.items.count)
            {
                break
            }
        }
        return all
    }

    /// `GET /assets/multipart-uploads/{upload_id}`: the session, and one page of its chunks.
    public func sessionStatus(
        _ uploadID: String, page: Int = 1, limit: Int = 50
    ) async throws(UploadFailure) -> SessionStatus {
        let answer = try await call(.sessionStatus, id: uploadID, query: Self.paging(page, limit))
        return try decoder(answer, .sessionStatus).sessionStatus()
    }

    /// The state of every chunk of a session, from as many pages as there are.
    ///
    /// - Parameter first: the first page, where it is known already.
    /// - Throws: ``UploadCore/UploadFailure``; `unreadableAnswer` also where there are more than a session may have.
    public func allChunkStatuses(
        _ uploadID: String, from first: SessionStatus? = nil
    ) async throws(UploadFailure) -> [ChunkStatus] {
        var all: [ChunkStatus] = []
        for page in 1...Self.maximumPages {
            let next: SessionStatus
            if page == 1, let first {
                next = first
            } else {
                next = try await sessionStatus(uploadID, page: page, limit: Self.pageLimit)
            }
            all += next.uploadedChunks
            guard all.count <= ChunkPlan.maximumChunks else {
                throw UploadFailure(
                    .unreadableAnswer,
                    message:
                        "the platform lists more than the \(ChunkPlan.maximumChunks) chunks that a session may have",
                    hint: "if this persists, the platform's API may have changed: look for a newer version of twelvefs")
            }
            if next.uploadedChunks.isEmpty || next.pageInfo.isLast(page, found: next.uploadedChunks.count) { break }
        }
        return all
    }

    /// `POST /assets/multipart-uploads/{upload_id}`: reports stored chunks; repeating it does no harm.
    public func report(
        _ chunks: [ChunkReport], for uploadID: String
    ) async throws(UploadFailure) -> ReportAnswer {
        let answer = try await call(.report, id: uploadID, body: RequestBodies.report(chunks))
        return try decoder(answer, .report).report()
    }

    /// `POST /assets/multipart-uploads/{upload_id}/presigned-urls`: URLs for `count` chunks (at most 50) from `start` on; the answer
    /// may hold fewer, and never any that were not asked for.
    public func requestURLs(
        for uploadID: String, start: Int, count: Int
    ) async throws(UploadFailure) -> [Int: PresignedURL] {
        let answer = try await call(.moreURLs, id: uploadID, body: RequestBodies.urls(start: start, count: count))
        return try decoder(answer, .moreURLs).urls(from: start, count: count)
    }

    /// `GET /assets/{asset_id}`.
    public func asset(_ assetID: String) async throws(UploadFailure) -> Asset {
        let answer = try await call(.asset, id: assetID)
        return try decoder(answer, .asset).asset()
    }

    /// `GET /assets?asset_ids=…`: of these assets, at most 50, those that the platform knows, as far as they can be read.
    ///
    /// An answer may be short of some, and hold others. What it tells of an asset may be less than ``asset(_:)`` does.
    public func assets(_ ids: [String]) async throws(UploadFailure) -> AssetList {
        let ids = ids.filter { APICall.isPlainID($0) }
        guard !ids.isEmpty else { return AssetList(assets: []) }
        // An array in a query is its name again for each element (OpenAPI's `style: form` with `explode: true`).
        let filter = ids.map { "asset_ids=\(Self.percentEncoded($0))" }.joined(separator: "&")
        let answer = try await call(.listAssets, query: filter + "&" + Self.paging(1, Self.pageLimit))
        return try decoder(answer, .listAssets).assets()
    }

    /// `DELETE /assets/{asset_id}`, never with `force`: `conflict` when something refers to the asset.
    public func deleteAsset(_ assetID: String) async throws(UploadFailure) {
        _ = try await call(.deleteAsset, id: assetID)
    }

    /// `GET /assets?page_limit=1`, the cheapest call that needs a good key and names nothing of the account: returns when the
    /// platform accepts the key, so that a refusal that does not say what it refuses (`accessUnclear`) was about something
    /// else.
    ///
    /// - Throws: ``UploadCore/UploadFailure``: `keyRefused` when the key is to blame. Any other failure tells nothing about it,
    ///   a second `accessUnclear` included.
    public func checkKey() async throws(UploadFailure) {
        // A page that somebody else serves in the platform's place is no JSON object, and accepts nothing.
        _ = try decoder(try await call(.checkKey, query: "page_limit=1"), .checkKey)
    }

    /// The most that the API gives on a page.
    static let pageLimit = 50
    /// A listing that never ends is cut here, whether its pages are short or long.
    static let maximumPages = 1000
    static let maximumListed = 50_000

    private static func percentEncoded(_ id: String) -> String {
        var encoded = ""
        for byte in id.utf8 {
            // RFC 3986's unreserved characters; what else an identifier may have is ASCII.
            let isUnreserved =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "-._~".utf8.contains(byte)
            encoded += isUnreserved ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16, uppercase: true)
        }
        return encoded
    }

    private static func paging(_ page: Int, _ limit: Int) -> String { "page=\(page)&page_limit=\(limit)" }
}

extension PageInfo {
    /// Whether nothing follows a page that held `found` entries. Without a total, a page that is not full is the last.
    fileprivate func isLast(_ page: Int, found: Int) -> Bool {
        if let totalPage { return page >= totalPage }
        return found < limitPerPage ?? PlatformClient.pageLimit
    }
}
