import NIOCore
import NIOHTTP1
import PlatformClient
import Testing
import UploadCore

/// What a store's answer to a whole PUT means.
@Suite struct StoreAnswerTests {
    private func put(
        _ chunk: MemoryChunk, _ client: PlatformClient, _ server: ScriptedServer, headers: [(String, String)] = []
    ) async throws(UploadFailure) -> StoredChunk {
        try await client.put(chunk, to: server.presigned(), headers: headers) { _ in }
    }

    // MARK: ETags

    struct ETagRow: Sendable, CustomTestStringConvertible {
        let answer: [String]
        var upload: [String: String] = [:]
        /// What is taken; nil for a refusal.
        let etag: String?
        var code = ""
        var testDescription: String { "\(answer) \(upload)" }
    }

    /// Of ten bytes of the seeded chunk.
    private static let md5 = MemoryChunk(count: 10).md5

    private static let etags: [ETagRow] = [
        ETagRow(answer: ["ETag: \"\(md5)\""], etag: md5),
        ETagRow(answer: ["ETag: \(md5)"], etag: md5),
        ETagRow(answer: ["ETag: W/\"\(md5)\""], etag: md5),
        ETagRow(answer: ["etag:   \"\(md5.uppercased())\"  "], etag: md5.uppercased()),
        ETagRow(answer: [], etag: nil, code: "etag_missing"),
        ETagRow(answer: ["ETag: "], etag: nil, code: "etag_missing"),
        ETagRow(answer: ["ETag: \"\""], etag: nil, code: "etag_missing"),
        ETagRow(answer: ["ETag: \"a b\""], etag: nil, code: "etag_missing"),
        ETagRow(answer: ["ETag: \"\(String(repeating: "a", count: 300))\""], etag: nil, code: "etag_missing"),
        ETagRow(answer: ["ETag: \"d41d8cd98f00b204e9800998ecf8427e\""], etag: nil, code: "etag_mismatch"),
        ETagRow(answer: ["ETag: \"D41D8CD98F00B204E9800998ECF8427E\""], etag: nil, code: "etag_mismatch"),
        // Every other form is opaque, whether or not a header names encryption.
        ETagRow(answer: ["ETag: \"opaque\""], etag: "opaque"),
        ETagRow(answer: ["ETag: \"\(md5)-2\""], etag: "\(md5)-2"),
        ETagRow(answer: ["ETag: \"\(md5.dropLast())\""], etag: String(md5.dropLast())),
        ETagRow(answer: ["ETag: \"\(md5)0\""], etag: "\(md5)0"),
        ETagRow(answer: ["ETag: \"d41d8cd98f00b204e9800998ecf8427g\""], etag: "d41d8cd98f00b204e9800998ecf8427g"),
        ETagRow(answer: ["ETag: 0x8DC1234567890AB"], etag: "0x8DC1234567890AB"),
        ETagRow(answer: ["ETag: \"opaque\"", "x-amz-server-side-encryption: aws:kms"], etag: "opaque"),
        ETagRow(answer: ["ETag: \"opaque\"", "X-Amz-Server-Side-Encryption: aws:kms:dsse"], etag: "opaque"),
        ETagRow(
            answer: ["ETag: \"opaque\"", "x-amz-server-side-encryption-customer-algorithm: AES256"], etag: "opaque"),
        ETagRow(answer: ["ETag: \"opaque\""], upload: ["x-amz-server-side-encryption": "aws:kms"], etag: "opaque"),
        ETagRow(answer: ["ETag: \"opaque\"", "x-amz-server-side-encryption: AES256"], etag: "opaque"),
        // The form of an MD5 is one, unless a header says that it is not.
        ETagRow(
            answer: ["ETag: d41d8cd98f00b204e9800998ecf8427e", "x-amz-server-side-encryption: AES256"], etag: nil,
            code: "etag_mismatch"),
        ETagRow(
            answer: ["ETag: d41d8cd98f00b204e9800998ecf8427e", "x-amz-server-side-encryption: aws:kms"],
            etag: "d41d8cd98f00b204e9800998ecf8427e"),
        ETagRow(
            answer: ["ETag: d41d8cd98f00b204e9800998ecf8427e"],
            upload: ["x-amz-server-side-encryption-customer-algorithm": "AES256"],
            etag: "d41d8cd98f00b204e9800998ecf8427e"),
        ETagRow(answer: ["x-amz-server-side-encryption: aws:kms"], etag: nil, code: "etag_missing"),
    ]

    @Test(arguments: etags)
    func theETagIsCheckedAgainstWhatWasSent(_ row: ETagRow) async throws {
        let chunk = MemoryChunk(count: 10)
        try await ScriptedServer.run([.status(200, headers: row.answer)]) { server in
            try await withClient(of: server) { client in
                let headers = row.upload.map { ($0.key, $0.value) }
                if let etag = row.etag {
                    let stored = try await put(chunk, client, server, headers: headers)
                    #expect(stored == StoredChunk(etag: etag, md5: chunk.md5, size: 10))
                } else {
                    let failure = await failure { () async throws(UploadFailure) in
                        try await put(chunk, client, server, headers: headers)
                    }
                    #expect(failure?.kind == .checksumMismatch)
                    #expect(failure?.code == row.code)
                    #expect(failure?.httpStatus == 200)
                }
            }
            #expect(server.requests.count == 1)
        }
    }

    // MARK: What the store says

    struct StoreRow: Sendable, CustomTestStringConvertible {
        let status: Int
        let body: String
        let kind: UploadFailure.Kind
        let code: String
        var message: String?
        var testDescription: String { "\(status) \(code)" }
    }

    private static func xml(_ code: String, _ message: String) -> String {
        """
        <?xml version="1.0" encoding="UTF-8"?>
        <Error><Code>\(code)</Code><Message>\(message)</Message><StringToSign>AWS4 \(testSignature)</StringToSign>\
        <Resource>/bucket/a?X-Amz-Signature=\(testSignature)</Resource><RequestId>RID4711</RequestId></Error>
        """
    }

    private static let answers: [StoreRow] = [
        StoreRow(
            status: 403, body: xml("AccessDenied", "Request has expired"), kind: .urlExpired, code: "AccessDenied",
            message: "the object store says: Request has expired"),
        StoreRow(
            status: 400, body: xml("ExpiredToken", "The provided token has expired."), kind: .urlExpired,
            code: "ExpiredToken"),
        StoreRow(status: 403, body: xml("AccessDenied", "Access Denied"), kind: .storeRefused, code: "AccessDenied"),
        StoreRow(
            status: 403, body: xml("SignatureDoesNotMatch", "The &quot;signature&quot; &amp;lt; differs"),
            kind: .storeRefused,
            code: "SignatureDoesNotMatch", message: "the object store says: The \"signature\" &lt; differs"),
        StoreRow(
            status: 503, body: xml("SlowDown", "Please reduce your request rate."), kind: .storeUnavailable,
            code: "SlowDown"),
        StoreRow(status: 400, body: xml("RequestTimeout", "Idle"), kind: .storeUnavailable, code: "RequestTimeout"),
        StoreRow(status: 400, body: xml("BadDigest", "no"), kind: .checksumMismatch, code: "BadDigest"),
        StoreRow(status: 404, body: xml("NoSuchUpload", "gone"), kind: .sessionGone, code: "NoSuchUpload"),
        StoreRow(
            status: 500, body: "", kind: .storeUnavailable, code: "storeUnavailable",
            message: "the object store answered 500"),
        StoreRow(status: 429, body: "slow", kind: .storeUnavailable, code: "storeUnavailable"),
        StoreRow(status: 411, body: "<html>", kind: .storeRefused, code: "storeRefused"),
        StoreRow(
            status: 403, body: xml("<b>", "at https://a/?X-Amz-Signature=\(testSignature)"), kind: .storeRefused,
            code: "storeRefused", message: "the object store says: at [removed]"),
        StoreRow(status: 403, body: "<Error><Code>A</Code><Message>cut off", kind: .storeRefused, code: "A"),
        StoreRow(
            status: 403, body: "<Message>" + String(repeating: "x ", count: 20000), kind: .storeRefused,
            code: "storeRefused"),
        StoreRow(status: 307, body: "", kind: .storeRedirected, code: "storeRedirected"),
        StoreRow(
            status: 301, body: xml("PermanentRedirect", "Use the endpoint of the region."), kind: .storeRedirected,
            code: "PermanentRedirect", message: "the object store answered 301"),
        StoreRow(status: 304, body: "", kind: .storeRefused, code: "storeRefused"),
    ]

    @Test(arguments: answers)
    func whatTheStoreSaysIsUnderstood(_ row: StoreRow) async throws {
        try await ScriptedServer.run([
            .status(
                row.status, row.body, headers: ["Location: http://127.0.0.1:1/", "Retry-After: 3"],
                type: "application/xml")
        ]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await put(MemoryChunk(count: 10), client, server)
                }
                #expect(failure?.kind == row.kind)
                #expect(failure?.code == row.code)
                #expect(failure?.httpStatus == row.status)
                #expect(failure?.retryAfter == .seconds(3))
                if let message = row.message {
                    #expect(failure?.message.hasPrefix(message) == true, "\(failure?.message ?? "")")
                }
                #expect(failure?.message.contains("RID4711") == false)
            }
            #expect(server.requests.count == 1)
        }
    }
}
