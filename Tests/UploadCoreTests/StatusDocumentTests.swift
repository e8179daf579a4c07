import Formats
import Foundation
import Testing
import UploadCore

import struct TestSupport.ShownStatements

@Suite struct StatusDocumentTests {
    private let created = Timestamp(millisecondsSince1970: 1_767_323_045_000)

    private func object(_ json: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    }

    /// The names of the fields of the outermost object, in the order in which they are written.
    private func fieldNames(_ json: String) -> [String] {
        json.split(separator: "\n").filter { $0.hasPrefix("  \"") }.compactMap {
            $0.split(separator: "\"", maxSplits: 2).dropFirst().first.map(String.init)
        }
    }

    @Test func hasEveryFieldInItsPlaceWithNullForWhatIsNotKnown() {
        let document = StatusDocument(filename: "video.mp4", path: "/video.mp4", state: .open, createdAt: created)
        #expect(
            document.json() == """
                {
                  "schema": 1,
                  "upload_id": null,
                  "asset_id": null,
                  "filename": "video.mp4",
                  "path": "/video.mp4",
                  "type": null,
                  "type_note": null,
                  "state": "open",
                  "error": null,
                  "total_size": null,
                  "size_source": null,
                  "bytes_written": 0,
                  "bytes_uploaded": 0,
                  "chunk_size": null,
                  "total_chunks": null,
                  "chunks_pending": 0,
                  "chunks_uploading": 0,
                  "chunks_uploaded": 0,
                  "chunks_completed": 0,
                  "chunks_failed": 0,
                  "chunks": [],
                  "retries": 0,
                  "bytes_per_second": null,
                  "eta_seconds": null,
                  "created_at": "2026-01-02T03:04:05Z",
                  "closed_at": null,
                  "completed_at": null,
                  "expires_at": null,
                  "asset_url": null,
                  "asset_status": null,
                  "asset_error": null,
                  "waiting_for": null,
                  "retry_at": null,
                  "durable": false,
                  "writer": null,
                  "writer_exit": null,
                  "superseded_upload_ids": [],
                  "abandoned_upload_ids": []
                }

                """)
    }

    @Test func tellsEverythingThatIsKnown() throws {
        var document = StatusDocument(
            uploadID: "u1", assetID: "a1", filename: "video.mp4", path: "/shoot/video.mp4", state: .failed,
            error: StatusError(
                UploadFailure(
                    .keyRefused, code: "api_key_invalid", message: "The key is wrong.", hint: "Check the key.",
                    httpStatus: 403)),
            totalSize: 7, sizeSource: .copiedSource, bytesWritten: 7, bytesUploaded: 5, chunkSize: 5, totalChunks: 2,
            chunks: [
                StatusChunk(chunkIndex: 1, size: 5, state: .uploaded, etag: "e1", attempts: 1),
                StatusChunk(chunkIndex: 2, size: 2, state: .pending),
            ],
            retries: 3, bytesPerSecond: 10, etaSeconds: 4, createdAt: created,
            closedAt: created.advanced(by: .milliseconds(1)), completedAt: created.advanced(by: .seconds(2)),
            expiresAt: created.advanced(by: .seconds(86_400)), assetURL: "https://cdn.example/a1", assetStatus: .failed,
            assetError: "not a video", waitingFor: .rateLimit,
            retryAt: created.advanced(by: .seconds(3600)), durable: true, writer: "cp (pid 4242)",
            supersededUploadIDs: ["u0"], abandonedUploadIDs: ["x", "y"])
        document.type = .video
        document.typeNote = "sent as video"
        document.writerExit = "status 18"
        let json = document.json()
        let known = try object(json)
        #expect(known["type"] as? String == "video")
        #expect(known["type_note"] as? String == "sent as video")
        #expect(known["state"] as? String == "failed")
        #expect(known["size_source"] as? String == "copied-source")
        #expect(known["waiting_for"] as? String == "rate-limit")
        #expect(known["retry_at"] as? String == "2026-01-02T04:04:05Z")
        #expect(known["asset_status"] as? String == "failed")
        #expect(known["closed_at"] as? String == "2026-01-02T03:04:05.001Z")
        #expect(known["expires_at"] as? String == "2026-01-03T03:04:05Z")
        #expect(known["chunks_uploaded"] as? Int == 1)
        #expect(known["chunks_pending"] as? Int == 1)
        #expect(known["abandoned_upload_ids"] as? [String] == ["x", "y"])
        #expect(known.values.allSatisfy { !($0 is NSNull) })
        let error = try #require(known["error"] as? [String: Any])
        #expect(error["code"] as? String == "api_key_invalid")
        #expect(error["http_status"] as? Int == 403)
        #expect(error["hint"] as? String == "Check the key.")
        #expect(
            json.contains(
                "\n    {\"chunk_index\": 1, \"size\": 5, \"state\": \"uploaded\", \"etag\": \"e1\", \"attempts\": 1},\n"
            ))
        #expect(
            json.contains(
                "\n    {\"chunk_index\": 2, \"size\": 2, \"state\": \"pending\", \"etag\": null, \"attempts\": 0}\n"))
    }

    @Test(.shows("status-fields")) func hasTheSameFieldsWhateverIsKnown() {
        var document = StatusDocument(filename: "v.mp4", path: "/v.mp4", state: .open, createdAt: created)
        let names = fieldNames(document.json())
        document.uploadID = "u"
        document.error = StatusError(code: "c", message: "m")
        document.chunks = [StatusChunk(chunkIndex: 1, size: 1, state: .failed)]
        #expect(fieldNames(document.json()) == names)
        #expect(names.count == 38)
    }

    private func document(chunks count: Int) -> StatusDocument {
        let states: [StatusChunk.State] = [.completed, .completed, .uploaded, .pending, .failed, .uploading]
        let chunks = (1...count).map {
            StatusChunk(chunkIndex: $0, size: 5, state: states[$0 % states.count], attempts: 1)
        }
        return StatusDocument(
            filename: "v.mp4", path: "/v.mp4", state: .finishing, totalChunks: count, chunks: chunks, createdAt: created
        )
    }

    @Test func listsAllChunksUpToAThousand() throws {
        let known = try object(document(chunks: 1000).json())
        #expect((known["chunks"] as? [Any])?.count == 1000)
    }

    @Test func listsOnlyUnfinishedChunksPastAThousandButCountsAll() throws {
        let document = document(chunks: 1001)
        let known = try object(document.json())
        let listed = try #require(known["chunks"] as? [[String: Any]])
        #expect(listed.count == 1001 - document.count(of: .completed))
        #expect(!listed.contains { $0["state"] as? String == "completed" })
        let counts = StatusChunk.State.allCases.map { known["chunks_\($0.rawValue)"] as? Int ?? -1 }
        #expect(counts.reduce(0, +) == 1001)
        #expect(known["chunks_completed"] as? Int == document.count(of: .completed))
    }

    @Test func survivesNamesOfAnyKind() throws {
        let path = "/a \"quoted\"\\\n\u{0}\u{2028}日本\u{FFFD}.mp4"
        let document = StatusDocument(filename: path, path: path, state: .open, createdAt: created)
        #expect(try object(document.json())["path"] as? String == path)
    }
}

@Suite struct SummaryDocumentTests {
    private static let assets: AssetCounts = {
        var counts = AssetCounts()
        counts.count(nil)
        counts.count(AssetStanding(.unknown("resting")))
        counts.count(AssetStanding(.ready))
        counts.count(AssetStanding(.ready, issue: AssetIssue(code: AssetIssue.sizeDiffers, message: "5 bytes")))
        counts.count(AssetStanding(.failed, issue: AssetIssue(message: "no picture")))
        counts.count(AssetStanding(.undetermined, issue: AssetIssue(code: "resource_not_exist", message: "no")))
        return counts
    }()

    private let summary = SummaryDocument(
        mountpoint: "/mnt/a \"b\"\\\n", closeMode: "upload", counts: [.open: 2, .completed: 5, .failed: 1],
        assets: assets, bytesWritten: 1000, bytesUploaded: 900, bytesPerSecond: 10, retries: 4, spoolUsed: 123,
        spoolLimit: 456,
        uploads: [
            .init(
                id: "u1", uploadID: "u1", state: .open, totalSize: 200, bytesUploaded: 199,
                bytesPerSecond: 9, waitingFor: .writer),
            .init(id: "pending-3", state: .staged),
        ])

    @Test func countsEveryStateAndListsWhatIsUnderWay() throws {
        #expect(
            summary.json() == """
                {
                  "schema": 2,
                  "mountpoint": "/mnt/a \\"b\\"\\\\\\n",
                  "close_mode": "upload",
                  "counts": {
                    "open": 2,
                    "staged": 0,
                    "finishing": 0,
                    "completed": 5,
                    "interrupted": 0,
                    "failed": 1,
                    "cancelled": 0
                  },
                  "assets": {
                    "processing": 2,
                    "ready": 2,
                    "failed": 1,
                    "unknown": 1,
                    "size_differs": 1
                  },
                  "bytes_written": 1000,
                  "bytes_uploaded": 900,
                  "bytes_per_second": 10,
                  "retries": 4,
                  "spool_used": 123,
                  "spool_limit": 456,
                  "rate_limit": null,
                  "refused_writers": null,
                  "uploads": [
                    {"id": "u1", "upload_id": "u1", "state": "open", "total_size": 200, \
                "bytes_uploaded": 199, "percent": 99, "bytes_per_second": 9, "waiting_for": "writer"},
                    {"id": "pending-3", "upload_id": null, "state": "staged", "total_size": null, \
                "bytes_uploaded": 0, "percent": null, "bytes_per_second": null, "waiting_for": null}
                  ]
                }

                """)
    }

    @Test(arguments: [
        (0, 200, 0), (1, 200, 0), (199, 200, 99), (200, 200, 100), (300, 200, 100), (-1, 200, 0),
        (Int64.max - 1, Int64.max, 99), (Int64.max, Int64.max, 100),
    ])
    func saysAHundredPercentOnlyOfTheWhole(uploaded: Int64, total: Int64, percent: Int) {
        let upload = SummaryDocument.Upload(
            id: "u", state: .open, totalSize: total, bytesUploaded: uploaded)
        #expect(upload.percent == percent)
    }

    @Test(.shows("writer-unseen"), arguments: UnseenWriter.allCases)
    func tellsWhyWritersAreRefusedAndWhatHelps(why: UnseenWriter) throws {
        var summary = summary
        summary.refusedWriters = RefusedWriters(count: 3, last: why)
        let lines = summary.json().split(separator: "\n").map { $0.trimmingPrefix { $0 == " " } }
        let start = try #require(lines.firstIndex { $0.hasPrefix("\"refused_writers\"") })
        #expect(lines[start + 1] == "\"count\": 3,")
        #expect(lines[start + 2].hasPrefix("\"reason\": \"the writer \(why.reason)"))
        #expect(lines[start + 3].hasPrefix("\"hint\": \""))
        #expect(lines[start + 3].contains("--unseen-writers allow"))
    }

    @Test(.shows("status-pace")) func tellsNoPaceWhileNothingMoves() {
        var summary = summary
        summary.bytesPerSecond = nil
        #expect(summary.json().contains(#""bytes_per_second": null,"#))
        #expect(!summary.openMetrics().contains("bytes_per_second"))
    }

    @Test func writesMetricsThatOpenMetricsReadersTake() {
        #expect(
            summary.openMetrics() == """
                # TYPE twelvefs_mount info
                # HELP twelvefs_mount The mount that these metrics are of.
                twelvefs_mount_info{mountpoint="/mnt/a \\"b\\"\\\\\\n",close_mode="upload"} 1
                # TYPE twelvefs_uploads gauge
                # HELP twelvefs_uploads Uploads by state.
                twelvefs_uploads{state="open"} 2
                twelvefs_uploads{state="staged"} 0
                twelvefs_uploads{state="finishing"} 0
                twelvefs_uploads{state="completed"} 5
                twelvefs_uploads{state="interrupted"} 0
                twelvefs_uploads{state="failed"} 1
                twelvefs_uploads{state="cancelled"} 0
                # TYPE twelvefs_assets gauge
                # HELP twelvefs_assets Assets of completed uploads by what became of them.
                twelvefs_assets{status="processing"} 2
                twelvefs_assets{status="ready"} 2
                twelvefs_assets{status="failed"} 1
                twelvefs_assets{status="unknown"} 1
                # TYPE twelvefs_assets_size_differs gauge
                # HELP twelvefs_assets_size_differs Assets of another size than their files.
                twelvefs_assets_size_differs 1
                # TYPE twelvefs_written_bytes counter
                # UNIT twelvefs_written_bytes bytes
                # HELP twelvefs_written_bytes Bytes written into the mount.
                twelvefs_written_bytes_total 1000
                # TYPE twelvefs_uploaded_bytes counter
                # UNIT twelvefs_uploaded_bytes bytes
                # HELP twelvefs_uploaded_bytes Bytes that the store took.
                twelvefs_uploaded_bytes_total 900
                # TYPE twelvefs_retries counter
                # HELP twelvefs_retries Calls that were repeated.
                twelvefs_retries_total 4
                # TYPE twelvefs_upload_bytes_per_second gauge
                # HELP twelvefs_upload_bytes_per_second The pace of all uploads together.
                twelvefs_upload_bytes_per_second 10
                # TYPE twelvefs_spool_used_bytes gauge
                # UNIT twelvefs_spool_used_bytes bytes
                # HELP twelvefs_spool_used_bytes Bytes that the spool takes.
                twelvefs_spool_used_bytes 123
                # TYPE twelvefs_spool_limit_bytes gauge
                # UNIT twelvefs_spool_limit_bytes bytes
                # HELP twelvefs_spool_limit_bytes Bytes that the spool may take.
                twelvefs_spool_limit_bytes 456
                # EOF

                """)
    }

    @Test func tellsHowManyCallsAreLeft() {
        var limited = summary
        limited.rateLimit = RateLimit(
            limit: 100, remaining: 42, resetsAt: Timestamp(millisecondsSince1970: 1_700_000_000_500))
        #expect(
            limited.json().contains(
                """
                  "rate_limit": {
                    "remaining": 42,
                    "limit": 100,
                    "resets_at": "2023-11-14T22:13:20.500Z"
                  },
                """))
        #expect(
            limited.openMetrics().hasSuffix(
                """
                # TYPE twelvefs_rate_limit_remaining gauge
                # HELP twelvefs_rate_limit_remaining Calls that are left before the platform asks to wait.
                twelvefs_rate_limit_remaining 42
                # TYPE twelvefs_rate_limit gauge
                # HELP twelvefs_rate_limit Calls that the platform allows in a window of time.
                twelvefs_rate_limit 100
                # TYPE twelvefs_rate_limit_reset_timestamp_seconds gauge
                # UNIT twelvefs_rate_limit_reset_timestamp_seconds seconds
                # HELP twelvefs_rate_limit_reset_timestamp_seconds When all calls are allowed again.
                twelvefs_rate_limit_reset_timestamp_seconds 1700000000
                # EOF

                """))
        limited.rateLimit = RateLimit(remaining: 0)
        #expect(limited.json().contains(#""remaining": 0"#) && limited.json().contains(#""resets_at": null"#))
        #expect(limited.openMetrics().hasSuffix("\ntwelvefs_rate_limit_remaining 0\n# EOF\n"))
    }

    @Test func leavesOutALimitThatThereIsNot() {
        var unlimited = summary
        unlimited.spoolLimit = nil
        #expect(!unlimited.openMetrics().contains("spool_limit"))
        #expect(unlimited.openMetrics().hasSuffix("\n# EOF\n"))
        #expect(unlimited.json().contains("\"spool_limit\": null"))
    }
}
