import Foundation
import TestSupport
import Testing

extension Mounted {
    /// An rsync that is ended half-way leaves no asset, and the next one completes.
    @Suite struct RsyncKilled {
        /// Where the file comes from.
        enum Origin: Sendable, CaseIterable { case local, remote }

        @Test(
            .shows("asset-rsync-cut"),
            arguments: [["-a"], ["-aP"], ["-P"], ["-a", "--inplace"], ["-aP", "--inplace"]], Origin.allCases)
        func leavesNoAssetAndTheNextRunCompletes(options: [String], origin: Origin) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 24 << 20)
                let sum = try await TestFile.sha256(of: source)
                var from = source
                if origin == .remote {
                    from = "\(try await RsyncDaemon.start(serving: stage.scratch.path, on: stage).url)/video.mp4"
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for signal in [SIGINT, SIGTERM, SIGKILL] {
                        group.addTask { [from] in
                            try await Self.killHalfWay(options, from: from, by: signal, of: origin, on: stage)
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await stage.sandbox.completeAssets().isEmpty)

                for signal in [SIGINT, SIGTERM, SIGKILL] {
                    let target = stage.mount.appending("\(signal)")
                    let next = try await run(Tool("rsync", options + [from, "\(target)/"]))
                    #expect(next.succeeded, "\(next)")
                    #expect(try await stage.mount.list("\(signal)") == ["video.mp4"])
                    #expect(try await TestFile.sha256(of: "\(target)/video.mp4") == sum)
                    #expect(try await stage.mount.status(of: "\(signal)/video.mp4").state == "completed")
                }
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.map(\.filename) == Array(repeating: "video.mp4", count: 3))
                #expect(assets.allSatisfy { $0.sha256 == sum })
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }

        /// Ends an rsync into a folder named after the signal when it has written a quarter of the file.
        private static func killHalfWay(
            _ options: [String], from: String, by signal: Int32, of origin: Origin, on stage: Stage
        ) async throws {
            let folder = stage.mount.appending("\(signal)")
            let made = try await run("mkdir", folder)
            #expect(made.succeeded, "\(made)")
            // At this pace the whole takes two seconds and more: the end comes long before.
            let copy = try await start(Tool("rsync", options + ["--bwlimit=10000", from, "\(folder)/"]))
            try await eventually("rsync has written six megabytes") {
                let sizes = try await shell(#"find "$1" -type f -printf '%s\n'"#, folder)
                return sizes.output.split(separator: "\n").contains { Int($0) ?? 0 >= 6 << 20 }
            }
            switch origin {
            // The sender, which is the one that was started; the others have to notice.
            case .local: copy.signal(signal)
            // There is no sender here. The receiver would bring the file to its end without the one that was started.
            case .remote: kill(-copy.pid, signal)
            }
            let outcome = try await copy.finished()
            #expect(!outcome.succeeded, "\(outcome)")
            try await eventually("no rsync is left") { kill(-copy.pid, 0) != 0 }
            // What is kept for the next run is listed, as rsync wants it; nothing else is.
            let hasEndedByItself = signal != SIGKILL || origin == .local
            let kept = options.contains { $0.hasSuffix("P") } && !options.contains("--inplace") && hasEndedByItself
            try await eventually("only what rsync kept is listed") {
                try await stage.mount.list("\(signal)") == (kept ? ["video.mp4"] : [])
            }
            if kept || options.contains("--inplace") {
                try await stage.mount.await("interrupted", of: "\(signal)/video.mp4")
            }
        }
    }
}
