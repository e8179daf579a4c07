import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What `.status/` and `twelvefs status` show.
    @Suite struct StatusDocuments {
        @Test(.shows("status-found")) func tellHowFarAnUploadIs() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 42_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                let status = try await stage.mount.await("finishing", of: "video.mp4")
                #expect(status.schema == 1)
                #expect(status.filename == "video.mp4")
                #expect(status.path == "/video.mp4")
                #expect(status.totalSize == 42_000_000)
                #expect(status.sizeSource == "copied-source")
                #expect(status.bytesWritten == 42_000_000)
                #expect(status.chunkSize == 5 << 20)
                #expect(status.totalChunks == 9)
                #expect(status.chunks.map(\.chunkIndex) == Array(1...9))
                #expect(status.chunks.reduce(0) { $0 + $1.size } == 42_000_000)
                #expect(
                    status.chunksPending + status.chunksUploading + status.chunksUploaded + status.chunksCompleted
                        + status.chunksFailed == 9)
                #expect(status.chunksUploading <= 4)
                #expect(status.writer == "cp (pid \(copy.pid))")
                #expect(status.completedAt == nil)
                #expect(status.error == nil)

                try await stage.sandbox.releaseUploads()
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                let done = try await stage.mount.status(of: "video.mp4")
                #expect(done.state == "completed")
                #expect(done.uploadId == status.uploadId)
                #expect(done.chunksCompleted == 9)
                #expect(done.chunks.allSatisfy { $0.state == "completed" && $0.etag?.count == 32 })
                #expect(done.completedAt != nil)
                #expect(done.closedAt != nil)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.assetID == done.assetId)
                #expect(asset.uploadID == done.uploadId)
            }
        }

        @Test func tellHowManyCallsAreLeft() async throws {
            try await withMount { stage in
                // The platform's own answers tell nothing of it; this one, its last word, does.
                let headers = ["x-ratelimit-limit": "100", "x-ratelimit-remaining": "42"]
                try await stage.sandbox.inject(Fault(on: .report, .status(500, body: "{}", headers: headers)))
                let source = try await stage.source(size: 100_000)
                let copy = try await run("cp", source, stage.mount.path)
                #expect(copy.succeeded, "\(copy)")
                let document = try JSONSerialization.jsonObject(
                    with: try await stage.mount.read(".status/summary.json"))
                let summary = try #require(document as? [String: Any])
                let limit = try #require(summary["rate_limit"] as? [String: Any])
                #expect(limit["remaining"] as? Int == 42 && limit["limit"] as? Int == 100)
                let metrics = String(decoding: try await stage.mount.read(".status/metrics"), as: UTF8.self)
                #expect(metrics.contains("\ntwelvefs_rate_limit_remaining 42\n"))
            }
        }

        @Test(.shows("status-found", "status-unlisted")) func areFoundByIdByNameAndInTheSummary() async throws {
            try await withMount { stage in
                let folder = try await run("mkdir", stage.mount.appending("day 1"))
                #expect(folder.succeeded, "\(folder)")
                let source = try await stage.source(size: 6_000_000)
                let copy = try await run("cp", source, stage.mount.appending("day 1/video.mp4"))
                #expect(copy.succeeded, "\(copy)")

                let byName = try await stage.mount.status(of: "day 1/video.mp4")
                let id = try #require(byName.uploadId)
                let byID = try UploadStatus.decode(try await stage.mount.read(".status/\(id).json"))
                #expect(byID.path == "/day 1/video.mp4")
                let link = try await run("readlink", stage.mount.appending(".status/by-name/day 1/video.mp4.json"))
                #expect(link.output == "../../\(id).json\n", "a relative link to \(id).json")
                let summary = try #require(
                    try JSONSerialization.jsonObject(with: try await stage.mount.read(".status/summary.json"))
                        as? [String: Any])
                #expect(!summary.isEmpty)
                let metrics = String(decoding: try await stage.mount.read(".status/metrics"), as: UTF8.self)
                #expect(metrics.hasSuffix("# EOF\n"), "OpenMetrics text ends so")
                // It can be reached, and is not listed: a sync tool must not meet it.
                #expect(try await stage.mount.list() == ["day 1"])
            }
        }

        @Test(.shows("status-length")) func haveTheirTrueLengthForEveryTool() async throws {
            try await withMount { stage in
                let copy = try await run(
                    "cp", try await stage.source(size: 6_000_000), stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                try await eventually("nothing changes in it any more") {
                    try await stage.mount.status(of: "video.mp4").assetStatus == "ready"
                }
                let outcome = try await stage.shellInMount(
                    """
                    cat .status/by-name/video.mp4.json > "$1/cat"
                    cp .status/by-name/video.mp4.json "$1/cp"
                    tar -chf - .status/by-name/video.mp4.json | tar -xOf - > "$1/tar"
                    rsync -L .status/by-name/video.mp4.json "$1/rsync"
                    for tool in cp tar rsync; do cmp "$1/cat" "$1/$tool" || exit 1; done
                    test -s "$1/cat"
                    """, try stage.scratch.folder("copies"))
                #expect(outcome.succeeded, "\(outcome)")
            }
        }

        @Test(.shows("status-fixed")) func cannotBeWrittenShadowedOrRemoved() async throws {
            try await withMount { stage in
                let copy = try await run(
                    "cp", try await stage.source(size: 6_000_000), stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                for attempt in [
                    "echo x > .status/summary.json", "echo x > .status/new.json", "rm .status/summary.json",
                    "mkdir .status/folder", "rmdir .status", "rm -r .status", "mv video.mp4 .status/",
                    "mv .status/summary.json .", "mv .status elsewhere", "mkdir .status",
                ] {
                    let outcome = try await stage.shellInMount(attempt)
                    #expect(!outcome.succeeded, "\(attempt) went through")
                }
                #expect(try await stage.mount.status(of: "video.mp4").state == "completed")
            }
        }

        @Test func statusTheCommandShowsPeopleAndScriptsTheSame() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let table = try await run(BuildProducts.twelvefs, "status", stage.mount.path)
                #expect(table.succeeded, "\(table)")
                #expect(table.output.contains("video.mp4"), "\(table)")
                #expect(table.output.contains("completed"), "\(table)")
                let json = try await run(BuildProducts.twelvefs, "status", "--json", stage.mount.path)
                #expect(json.succeeded, "\(json)")
                _ = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
                #expect(json.output.contains("\"video.mp4\""), "\(json)")
            }
        }

        @Test func uploadsListsWhatThePlatformStillHoldsOpen() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                let id = try await eventually("a session is open") {
                    try await stage.mount.status(of: "video.mp4").uploadId
                }
                var tool = Tool(BuildProducts.twelvefs, ["uploads", "--api-url", stage.sandbox.apiURL])
                tool.environment = ["TWELVELABS_API_KEY": SandboxProcess.key]
                let open = try await run(tool)
                #expect(open.succeeded, "\(open)")
                #expect(open.output.contains(id), "\(open)")
                try await stage.sandbox.releaseUploads()
                #expect(try await copy.finished().succeeded)
                let done = try await run(tool)
                #expect(done.succeeded, "\(done)")
                #expect(!done.output.contains(id), "\(done)")
            }
        }
    }
}
