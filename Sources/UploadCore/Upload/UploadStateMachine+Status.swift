import Formats

extension UploadStateMachine {
    /// What the status document tells of the upload itself; what it is called, and when things happened in the time of
    /// day, is for whoever knows it to fill in.
    public func statusDocument(at now: Instant) -> StatusDocument {
        var document = StatusDocument(
            filename: "", path: "", state: state, createdAt: Timestamp(millisecondsSince1970: 0))
        document.uploadID = session?.uploadID
        document.assetID = session?.assetID
        document.error = currentFailure.map { StatusError($0) }
        document.totalSize = state == .open ? session?.plan.totalSize ?? hint.map { max($0.size, size) } : size
        document.sizeSource = sizeSource
        document.bytesWritten = state == .open ? writtenRanges.byteCount : size
        document.bytesUploaded = session?.storedBytes ?? 0
        document.chunkSize = session?.plan.chunkSize
        document.totalChunks = session?.plan.totalChunks
        document.chunks = session?.statusChunks ?? []
        document.retries = retries
        document.expiresAt = session?.expiresAt
        document.assetURL = assetURL.flatMap { PublicURL.withoutCredentials($0) }
        document.assetStatus = state == .completed ? asset?.status ?? .processing : nil
        document.assetError = asset?.issue?.text
        document.waitingFor = waitingFor
        document.abandonedUploadIDs = abandonedUploadIDs
        if state.isUnderWay {
            let pace = rate.value(at: now)
            document.bytesPerSecond = pace
            // What is sent and lost again brings nobody nearer to the end.
            if let pace, let total = document.totalSize, stall == nil, progress.isRecent(at: now) {
                document.etaSeconds = max(0, total - document.bytesUploaded) / pace
            }
        }
        return document
    }
}

extension UploadStateMachine {
    /// Where the size comes from that the session was opened with, or will be.
    private var sizeSource: StatusDocument.SizeSource? {
        if session != nil { return sessionSource.map { .init($0) } ?? .close }
        return state == .open ? hint.map { .init($0.source) } : .close
    }
}

extension StatusDocument.SizeSource {
    init(_ source: SizeHint.Source) {
        switch source {
        case .declared: self = .declared
        case .copiedSource: self = .copiedSource
        case .readSource: self = .readSource
        case .preallocated: self = .preallocated
        }
    }
}

extension OpenSession {
    fileprivate var statusChunks: [StatusChunk] {
        indices.map { index in
            let chunk = self[index]
            let (state, etag): (StatusChunk.State, String?) =
                switch chunk.state {
                case .waiting: (delayed[index] == nil ? .pending : .failed, nil)
                case .uploading: (.uploading, nil)
                case .uploaded(let etag, _): chunk.isStale ? (.pending, nil) : (.uploaded, etag)
                case .completed(let etag, _): (.completed, etag.isEmpty ? nil : etag)
                }
            return StatusChunk(
                chunkIndex: index, size: plan.size(of: index), state: state, etag: etag, attempts: chunk.attempts)
        }
    }
}
