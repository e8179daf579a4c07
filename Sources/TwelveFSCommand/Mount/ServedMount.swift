import Dispatch
import Filesystem
import FuseLowLevel
import UploadCore
import UploadEngine

/// A mount at work, and how it comes to its end.
struct ServedMount: RunningMount {
    let session: FuseSession
    let parts: MountParts

    func untilDetached() async {
        let (ended, end) = AsyncStream<Never>.makeStream()
        DispatchQueue.global().async {
            _ = session.waitUntilEnded()
            end.finish()
        }
        for await _ in ended {}
    }

    func drainAndStop(within timeout: Duration) async -> DrainOutcome {
        parts.filesystem.refuseWriting()
        await drain(within: timeout)
        // What is confirmed is answered when the journal knows it: let that come first.
        try? await parts.journal.written(durably: false)
        parts.filesystem.answerWaitingCloses(
            UploadFailure(.stalled, message: "the mount ended before the platform had confirmed the file"))
        await offPool {
            session.stop()
            do throws(FuseError) {
                // Lazily: a shell that stands in it, or a file that somebody reads, does not keep the mount.
                try session.unmount(lazily: true)
            } catch {
                parts.logger.error("the mount point could not be freed", metadata: ["reason": "\(error)"])
            }
        }
        let outcome = leftBehind()
        await parts.engine.stop()
        // What the next mount recovers may have to outlive the machine.
        await offPool { parts.filesystem.putLeftoversOnDisk() }
        await parts.stop()
        return outcome
    }

    /// Waits until no upload is on its way, at most so long.
    private func drain(within timeout: Duration) async {
        await withTaskGroup { group in
            group.addTask { await parts.engine.untilIdle() }
            group.addTask { try? await Task.sleep(for: timeout, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
    }

    private func leftBehind() -> DrainOutcome {
        var outcome = DrainOutcome()
        for upload in parts.engine.uploads {
            switch upload.currentState {
            case .completed, .cancelled: break
            case .finishing: outcome.resumable += 1
            // What is staged waits for a rename, and nothing continues it by itself.
            case .staged, .open, .failed, .interrupted: outcome.unfinished += 1
            }
        }
        return outcome
    }
}
