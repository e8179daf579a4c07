import Formats
import NIOCore
import NIOHTTP1
import UploadCore

/// Reads the API's answers: what is needed must be there and make sense, what is not is taken when it does, and what is
/// unknown is passed over. Nothing that an answer holds can trap.
package struct AnswerDecoder {
    private let fields: FieldReader
    private let headers: HTTPHeaders
    private let context: AnswerContext

    /// - Throws: `unreadableAnswer` unless the body is one JSON object.
    package init(_ answer: HTTPAnswer, of call: APICall, context: AnswerContext) throws(UploadFailure) {
        let problem: String
        do throws(JSONParser.Problem) {
            let value = try JSONParser.parse(Array(answer.body.readableBytesView))
            if case .object(let object) = value {
                self.fields = FieldReader(object, at: "", call: call, status: answer.status)
                self.headers = answer.headers
                self.context = context
                return
            }
            problem = "it is \(value.kind), not an object"
        } catch {
            problem = answer.body.readableBytes == 0 ? "it is empty" : error.words
        }
        let kind = SafeText.kind(
            contentType: answer.headers.first(name: "content-type"), byteCount: answer.body.readableBytes)
        throw UploadFailure(
            .unreadableAnswer,
            message: "the platform's answer cannot be read: \(problem) (\(kind)), when asked to \(call.words)",
            hint: "something between here and the platform may have answered in its place (a proxy, a login page)",
            httpStatus: answer.status)
    }

    // MARK: Sessions

    package func session(totalSize: Int64) throws(UploadFailure) -> UploadSession {
        let uploadID = try fields.id("upload_id")
        let assetID = try fields.id("asset_id")
        let chunkSize = try fields.integer("chunk_size")
        // What can be worked out is not needed; a chunk size that makes no sense is the plan's to refuse.
        let derived = chunkSize > 0 && totalSize > 0 ? (totalSize - 1) / chunkSize + 1 : 0
        let totalChunks = try fields.optionalInteger("total_chunks") ?? derived
        let plan: ChunkPlan
        do throws(UploadFailure) {
            plan = try ChunkPlan(totalSize: totalSize, chunkSize: chunkSize, totalChunks: Int(totalChunks))
        } catch {
            var failure = error
            failure.httpStatus = fields.status
            throw failure
        }
        let expiresAt = fields.timestamp("expires_at")
        return UploadSession(
            uploadID: uploadID, assetID: assetID, urls: try urls(in: 1...plan.totalChunks),
            uploadHeaders: try uploadHeaders(), plan: plan, expiresAfter: lifetime(until: expiresAt),
            expiresAt: expiresAt)
    }

    package func urls(from start: Int, count: Int) throws(UploadFailure) -> [Int: PresignedURL] {
        let (last, overflow) = start.addingReportingOverflow(count - 1)
        guard !overflow, last >= start else { return [:] }
        return try urls(in: start...last)
    }

    /// The `upload_urls`. An index that was not to be expected, or one that comes twice, refuses the whole answer: an answer
    /// that numbers its URLs in another way (from 0, say) would otherwise put every chunk into the wrong place.
    private func urls(in expected: ClosedRange<Int>) throws(UploadFailure) -> [Int: PresignedURL] {
        // The answer to "more URLs" has one time for all of them beside each one's own.
        let common = fields.timestamp("expires_at")
        var urls: [Int: PresignedURL] = [:]
        for entry in try fields.objects("upload_urls") {
            let index = try entry.integer("chunk_index")
            guard let index = Int(exactly: index), expected.contains(index) else {
                throw entry.nonsense(
                    "chunk_index", "is \(index), outside \(expected.lowerBound) to \(expected.upperBound)")
            }
            let text = try entry.string("url")
            if let objection = WebAddress.objection(toStoreURL: text, api: context.base) {
                throw entry.nonsense("url", "cannot be used: \(objection)")
            }
            let url = PresignedURL(
                text: text, expiresAfter: lifetime(until: entry.timestamp("expires_at") ?? common))
            guard urls.updateValue(url, forKey: index) == nil else {
                throw entry.nonsense("chunk_index", "is \(index), which came before")
            }
        }
        return urls
    }

    private func uploadHeaders() throws(UploadFailure) -> [(String, String)] {
        guard let headers = try fields.optionalObject("upload_headers") else { return [] }
        var result: [(String, String)] = []
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            switch UploadHeaders.verdict(on: name, try headerText(value)) {
            case .drop: continue
            case .refuse(let objection): throw fields.nonsense("upload_headers", "cannot be sent: \(objection)")
            case .send(let text): result.append((name, text))
            }
        }
        guard UploadHeaders.isBounded(result) else {
            throw fields.nonsense("upload_headers", "holds more than a request may carry")
        }
        return result
    }

    /// A header's text: a number or a truth value as JSON writes it, a list's elements as HTTP joins them (some presigners'
    /// headers are lists). Nil where there is none.
    private func headerText(_ value: JSONValue) throws(UploadFailure) -> String? {
        switch value {
        case .string(let text): return text
        case .bool, .number: return value.text
        case .null: return nil
        case .array(let elements):
            let texts = elements.compactMap(\.string)
            if texts.count == elements.count { return texts.isEmpty ? nil : texts.joined(separator: ", ") }
        case .object: break
        }
        throw fields.nonsense("upload_headers", "holds \(value.kind) where a header's text was expected")
    }

    package func incompleteUploads() throws(UploadFailure) -> Page<IncompleteUpload> {
        var uploads: [IncompleteUpload] = []
        for entry in try fields.objects("data", required: true) {
            uploads.append(
                IncompleteUpload(
                    uploadID: try entry.id("upload_id"), status: entry.word("status").map(SessionState.init),
                    totalSize: entry.size("total_size"), chunkSize: entry.size("chunk_size"),
                    totalChunks: entry.count("total_chunks"), createdAt: entry.timestamp("created_at"),
                    expiresAt: entry.timestamp("expires_at")))
        }
        return Page(items: uploads, info: pageInfo)
    }

    package func sessionStatus() throws(UploadFailure) -> SessionStatus {
        var chunks: [ChunkStatus] = []
        for entry in try fields.objects("uploaded_chunks") {
            let index = try entry.integer("index")
            guard let index = Int(exactly: index), index >= 1 else {
                throw entry.nonsense("index", "is \(index); chunks count from 1")
            }
            chunks.append(
                ChunkStatus(
                    index: index, status: ChunkState(try entry.requiredWord("status")),
                    uploadedAt: entry.timestamp("uploaded_at"), updatedAt: entry.timestamp("updated_at"),
                    error: entry.explanation("error", key: context.key)))
        }
        return SessionStatus(
            uploadID: fields.word("upload_id"), status: SessionState(try fields.requiredWord("status")),
            uploadedChunks: chunks, chunksCompleted: fields.count("chunks_completed"),
            chunksFailed: fields.count("chunks_failed"), chunksPending: fields.count("chunks_pending"),
            pageInfo: pageInfo, totalSize: fields.size("total_size"), uploadedSize: fields.size("uploaded_size"),
            createdAt: fields.timestamp("created_at"), updatedAt: fields.timestamp("updated_at"))
    }

    package func report() -> ReportAnswer {
        ReportAnswer(
            assetID: fields.word("asset_id"), processedChunks: fields.count("processed_chunks"),
            duplicateChunks: fields.count("duplicate_chunks"), totalCompleted: fields.count("total_completed"),
            url: fields.url("url"))
    }

    // MARK: Assets

    package func asset() throws(UploadFailure) -> Asset { try asset(fields) }

    /// An entry that cannot be read, one without an identifier, is left out: it must not hide the others.
    package func assets() throws(UploadFailure) -> AssetList {
        AssetList(assets: try fields.readableObjects("data").compactMap { try? asset($0) })
    }

    private func asset(_ fields: FieldReader) throws(UploadFailure) -> Asset {
        let technical = fields.readableObject("technical_metadata")
        return Asset(
            id: try fields.id("_id"), method: fields.word("method"), status: fields.word("status").map(AssetState.init),
            filename: fields.text("filename"), fileType: fields.word("file_type"),
            createdAt: fields.timestamp("created_at"), size: fields.size("size"),
            sourceSize: technical?.size("file_size_bytes"), duration: fields.seconds("duration"),
            error: fields.explanation("error", key: context.key))
    }

    // MARK: Parts

    private var pageInfo: PageInfo {
        guard let info = try? fields.optionalObject("page_info").map({ fields.below("page_info", $0) }) else {
            return PageInfo()
        }
        return PageInfo(
            limitPerPage: info.count("limit_per_page"), page: info.count("page"), totalPage: info.count("total_page"),
            totalResults: info.count("total_results"))
    }

    /// From the answer's own `Date`, so that only one clock is involved; from ours when it has none.
    private func lifetime(until expiry: Timestamp?) -> Duration? {
        expiry.map { $0.duration(since: headers.date ?? context.now()) }
    }
}

/// What reading an answer takes from outside it.
package struct AnswerContext {
    /// The API's address: what URLs for PUTs are measured by.
    let base: WebAddress
    /// The key that the request carried, so that no text repeats it.
    package let key: APIKey
    package let now: @Sendable () -> Timestamp

    package init(base: WebAddress, key: APIKey, now: @escaping @Sendable () -> Timestamp) {
        self.base = base
        self.key = key
        self.now = now
    }
}
