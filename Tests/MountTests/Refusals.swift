import TestSupport
import Testing

extension Mounted {
    /// What the account may not do, and what it may not do today.
    @Suite struct Refusals {
        @Test(.shows("error-plan")) func aRefusedPlanIsToldAtOnceAndTheRestGoesOn() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_500_000)
                try await stage.sandbox.holdUploads()
                let beside = try await start(Tool("cp", [source, stage.mount.appending("beside.mp4")]))
                try await eventually("another copy is on its way") {
                    try await !stage.sandbox.journal().requests(.put).isEmpty
                }
                try await stage.sandbox.inject(Fault(on: .create, .refusal("api_allowed_for_paid_plan")))
                let refused = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(refused.errors.contains("Permission denied"), "\(refused)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "failed")
                #expect(status.error?.code == "api_allowed_for_paid_plan")
                #expect(status.error?.httpStatus == 403)
                #expect(status.error?.hint?.contains("twelvefs retry") == true)
                #expect(beside.isRunning)
                #expect(try await stage.mount.status(of: "beside.mp4").waitingFor == nil)
                try await stage.sandbox.releaseUploads()
                #expect(try await beside.finished().succeeded)

                let retried = try await run(
                    Tool(BuildProducts.twelvefs, ["retry", stage.mount.appending("video.mp4")]))
                #expect(retried.succeeded, "\(retried)")
                try await stage.mount.await("completed", of: "video.mp4")
                let sum = try await TestFile.sha256(of: source)
                let assets = try await stage.sandbox.completeAssets()
                #expect(Set(assets.map(\.filename)) == ["beside.mp4", "video.mp4"])
                #expect(assets.map(\.sha256) == [sum, sum])
            }
        }

        /// The account has made all its calls of the day when the mount begins, and may go on tomorrow.
        @Test(.shows("error-rate-limit")) func aLimitOfADayIsWaitedForAndLosesNothing() async throws {
            try await withScratch { scratch in
                try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                    let options = try mountOptions(
                        in: scratch, sandbox: sandbox, arguments: ["--stall-timeout", "1s"])
                    let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: 2_500_000)
                    for kind in [SandboxJournal.Request.Kind.list, .create, .urls, .report, .status, .assets, .asset] {
                        try await sandbox.inject(Fault(on: kind, count: 1000, .rateLimited(retryAfter: 40_000)))
                    }
                    try await withMount(options) { mount in
                        let copy = try await run("cp", source, mount.appending("video.mp4"))
                        #expect(copy.errors.contains("Input/output error"), "\(copy)")
                        let status = try await mount.status(of: "video.mp4")
                        #expect(status.state == "finishing")
                        #expect(status.waitingFor == "rate-limit")
                        #expect(status.retryAt != nil)
                        #expect(status.error?.message.contains("rate limit") == true)
                        let table = try await run(BuildProducts.twelvefs, "status", mount.path)
                        #expect(table.output.contains("rate limit until "), "\(table)")
                        // One call when the mount began, and one for the copy.
                        #expect(try await sandbox.journal().calls.map(\.kind) == [.list, .create])
                        try await mount.crash()
                    }
                    try await sandbox.clearFaults()
                    try await withMount(options) { mount in
                        try await mount.await("completed", of: "video.mp4")
                        let sum = try await TestFile.sha256(of: source)
                        #expect(try await sandbox.completeAssets().map(\.sha256) == [sum])
                    }
                }
            }
        }
    }
}
