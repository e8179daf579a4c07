import HTTPTypes
import Hummingbird
import NIOCore
import NIOPosix

/// The object store: presigned PUTs of chunks, and the bytes of complete assets.
struct StoreHandler: Sendable {
    let platform: Platform

    /// A PUT whose head is right: its body may come.
    struct AdmittedPut: Sendable {
        var grant: URLSigner.Grant
        var size: Int64
    }

    // MARK: PUT

    /// Checks a PUT's head. A URL whose signature is right is spent by that, whatever comes of the request.
    /// - Throws: `Refusal`, in the store's words.
    func admit(_ head: HTTPRequest, uploadID: String, chunkIndex: Int) async throws -> AdmittedPut {
        let settings = platform.currentSettings
        let now = platform.now
        let query = queryParameters(of: head.path ?? "")
        guard let grant = platform.signer.grant(uploadID: uploadID, chunkIndex: chunkIndex, query: query) else {
            throw Refusal.store(
                403, "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.")
        }
        guard now.seconds * 1000 < Double(grant.expires) else {
            throw Refusal.store(403, "AccessDenied", "Request has expired")
        }
        let size = try await spend(grant, at: now)
        guard head.headerFields.apiKey == nil else {
            throw Refusal.store(400, "InvalidArgument", "The x-api-key header must not be sent to the store")
        }
        if settings.requiresUploadHeaders {
            for (name, value) in settings.uploadHeaders(store: head.authority ?? "") {
                // The length is looked at below, whoever computed it.
                if name.lowercased() == "content-length" { continue }
                let sent =
                    name.lowercased() == "host"
                    ? head.authority : HTTPField.Name(name).flatMap { head.headerFields[$0] }
                guard sent == value else {
                    throw Refusal.store(
                        403, "SignatureDoesNotMatch", "The signed header \(name) is missing or has another value")
                }
            }
        }
        return AdmittedPut(grant: grant, size: try checkLength(head, size))
    }

    /// Answers the size that the chunk has to have.
    private func spend(_ grant: URLSigner.Grant, at now: WallTime) async throws -> Int64 {
        let gone = Refusal.store(404, "NoSuchUpload", "The specified upload does not exist.")
        let (size, _) = try platform.sessions.change(grant.uploadID, orThrow: gone) { record throws(Refusal) in
            guard record.spentSerials.insert(grant.serial).inserted else {
                throw .store(403, "AccessDenied", "The presigned URL has been used already")
            }
            guard !record.deleted, record.status(at: now) == .active, let size = record.size(ofChunk: grant.chunkIndex)
            else { throw gone }
            return size
        }
        try await platform.directory.spend(serial: grant.serial, of: grant.uploadID)
        return size
    }

    private func checkLength(_ head: HTTPRequest, _ expected: Int64) throws -> Int64 {
        guard head.headerFields[.transferEncoding] == nil else {
            throw Refusal.store(
                501, "NotImplemented", "A header you provided implies functionality that is not implemented")
        }
        guard let length = head.headerFields[.contentLength].flatMap({ Int64($0) }) else {
            throw Refusal.store(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        }
        if length < expected {
            throw Refusal.store(
                400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        }
        if length > expected {
            throw Refusal.store(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        }
        return length
    }

    /// Takes the body and stores it. A chunk that was reported keeps the bytes that were reported: a PUT for it is
    /// answered as any other, and its bytes are dropped.
    /// - Throws: `Refusal`; what reading and writing throw. Nothing is stored then.
    func receive(
        _ admitted: AdmittedPut, _ body: RequestBody, etags form: SandboxSettings.ETags,
        onBytes: @Sendable (Int) -> Void
    ) async throws -> SandboxAnswer {
        let grant = admitted.grant
        let file = "part-\(grant.chunkIndex).\(grant.serial)"
        let path = "\(platform.directory.directory(of: grant.uploadID))/\(file)"
        let receiver = PartReceiver(disk: platform.disk, throttle: platform.throttle)
        let received = try await receiver.receive(body, expecting: admitted.size, into: path, onBytes: onBytes)
        let etag = Self.etag(form, md5: received.md5)
        let part = StoredPart(file: file, etag: etag, size: received.size)
        do {
            let (stored, _) = try platform.sessions.change(
                grant.uploadID, orThrow: .store(404, "NoSuchUpload", "The specified upload does not exist.")
            ) { record throws(Refusal) -> (kept: Bool, old: StoredPart?) in
                guard !record.deleted, record.storedStatus != .failed else {
                    throw .store(404, "NoSuchUpload", "The specified upload does not exist.")
                }
                guard record.reported[grant.chunkIndex] == nil else { return (false, nil) }
                let old = record.parts.updateValue(part, forKey: grant.chunkIndex)
                return (true, old)
            }
            if stored.kept {
                try await platform.directory.describe(chunk: grant.chunkIndex, of: grant.uploadID, removing: stored.old)
                {
                    [sessions = platform.sessions] in sessions.record(grant.uploadID)?.parts[grant.chunkIndex]
                }
            } else {
                try await platform.disk.runIfActive { PosixFile.remove(path) }
            }
        } catch let refusal as Refusal {
            try await platform.disk.runIfActive { PosixFile.remove(path) }
            throw refusal
        }
        var headers = [("ETag", "\"\(etag)\"")]
        if form == .kms { headers.append(("x-amz-server-side-encryption", "aws:kms")) }
        return SandboxAnswer(status: 200, headers: headers)
    }

    private static func etag(_ form: SandboxSettings.ETags, md5: String) -> String {
        switch form {
        case .md5: md5
        case .kms: hex(UInt64.random(in: 0...UInt64.max), digits: 16) + md5.prefix(16)
        case .opaque: "0x" + hex(UInt64.random(in: 0...UInt64.max), digits: 16).uppercased()
        }
    }

    // MARK: GET

    /// An asset's bytes, all or the range that is asked for.
    func content(_ assetID: String, _ head: HTTPRequest) throws(Refusal) -> SandboxAnswer {
        guard head.headerFields.apiKey == nil else {
            throw .store(400, "InvalidArgument", "The x-api-key header must not be sent to the store")
        }
        try checkExpiry(assetID, queryParameters(of: head.path ?? ""))
        guard let record = platform.sessions.record(ofAsset: assetID), record.isComplete, !record.deleted else {
            throw .store(404, "NoSuchKey", "The specified key does not exist.")
        }
        let content = platform.content(of: record)
        var headers = [
            ("Content-Type", mediaType(ofFile: record.filename, assetType: record.type)), ("Accept-Ranges", "bytes"),
        ]
        let range: Range<Int64>
        let status: Int
        switch ByteRangeRequest(head.headerFields[.range], size: content.size) {
        case .whole:
            range = 0..<content.size
            status = 200
        case .part(let part):
            range = part
            status = 206
            headers.append(("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(content.size)"))
        case .unsatisfiable:
            var answer = Refusal.store(416, "InvalidRange", "The requested range is not satisfiable").answer
            answer.headers.append(("Content-Range", "bytes */\(content.size)"))
            return answer
        }
        let isHead = head.method == .head
        return SandboxAnswer(
            status: status, headers: headers,
            body: isHead ? .contentHead(length: Int64(range.count)) : .content(content, range))
    }
}

extension StoreHandler {
    /// A URL that bears a signature is good until it expires; one without is good while URLs do not expire.
    fileprivate func checkExpiry(_ assetID: String, _ query: [String: String]) throws(Refusal) {
        guard query[URLSigner.signatureName] != nil || platform.currentSettings.assetURLLifetime != nil else { return }
        guard let expires = platform.signer.expiry(ofAsset: assetID, query: query) else {
            throw .store(
                403, "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.")
        }
        guard platform.now < expires else { throw .store(403, "AccessDenied", "Request has expired") }
    }
}

extension HTTPFields {
    /// The platform's key, where it was sent.
    var apiKey: String? { first { $0.name.canonicalName == "x-api-key" }?.value }
}
