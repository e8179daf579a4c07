import Dispatch
import Filesystem
import Formats
import FuseLowLevel
import Glibc
import Synchronization
import UploadCore
import UploadEngine

/// A mount at work, and how it comes to its end.
final class ServedMount: RunningMount {
    let session: FuseSession
    let parts: MountParts
    private let isDetached = Atomic(false)

    init(session: FuseSession, parts: MountParts) {
        self.session = session
        self.parts = parts
    }

    func untilDetached() async {
        let (ended, end) = AsyncStream<Never>.makeStream()
        DispatchQueue.global().async {
            _ = self.session.waitUntilEnded()
            self.isDetached.store(true, ordering: .relaxed)
            end.finish()
        }
        for await _ in ended {}
    }

    var isMounted: Bool {
        guard let id = session.mountID else { return false }
        // A table that cannot be read does not say that it is gone.
        return (try? MountTable()).map { $0.entries.contains { $0.id == id } } ?? true
    }

    func drainAndStop(_ agenda: DrainAgenda) async -> DrainEnd {
        parts.filesystem.beginEnding()
        if let users = await untilUnused(agenda) {
            parts.filesystem.resumeServing()
            return .servesOn(users)
        }
        return .ended(await stop())
    }

    /// Waits until the mount is taken away, or it is time to do so by force; gives those who keep it.
    private func untilUnused(_ agenda: DrainAgenda) async -> [String]? {
        while true {
            let filesystem = parts.filesystem
            var users = isGone ? [] : await offPool { filesystem.users().map(\.words) }
            let undecided = await offPool { filesystem.undecided }
            let isIdle = isIdle && undecided.isEmpty
            var step = agenda.step(users: users, isIdle: isIdle)
            if step == .detach, await !detach() {
                users = [Self.unknown]
                step = agenda.step(users: users, isIdle: isIdle)
            }
            switch step {
            case .detach: return nil
            case .stayBusy: return users
            case .force:
                await endUse()
                return nil
            case .wait: try? await Task.sleep(for: agenda.pause(atMost: Self.pause), clock: .continuous)
            }
        }
    }

    private static let pause: Duration = .milliseconds(200)
    private static let unknown = "something that only the kernel knows ('fuser -vm' may tell more)"

    private var isGone: Bool { isDetached.load(ordering: .relaxed) }

    private var isIdle: Bool { !parts.engine.uploads.contains { $0.currentState == .finishing } }

    /// Takes the mount away; false where somebody is in it.
    private func detach() async -> Bool {
        await offPool { [session, parts] in
            do throws(FuseError) {
                try session.unmount(lazily: false)
                return true
            } catch {
                if error.kind != .busy {
                    parts.logger.error("the mount point could not be freed", metadata: ["reason": "\(error)"])
                }
                return error.kind != .busy
            }
        }
    }

    /// Refuses everything to those who write, and gives them a moment to hear of it: what they ask once the mount is gone is
    /// answered by the kernel, which tells less.
    private func endUse() async {
        parts.filesystem.endWriting()
        await answerWaiting()
        let deadline = ContinuousClock.now + .seconds(1)
        while !parts.filesystem.isUnused, ContinuousClock.now < deadline {
            // Not cut short by a cancelled task.
            _ = await offPool { usleep(20_000) }
        }
    }

    private func answerWaiting() async {
        // What is confirmed is answered when the journal knows it: let that come first.
        try? await parts.journal.written(durably: false)
        parts.filesystem.answerWaitingCloses(
            UploadFailure(.stalled, message: "the mount ended before the platform had confirmed the file"))
    }

    /// Ends everything that was started.
    private func stop() async -> DrainOutcome {
        parts.filesystem.endWriting()
        await answerWaiting()
        await offPool { [session, parts] in
            session.stop()
            do throws(FuseError) {
                // Lazily: a shell that stands in it, or a file that somebody reads, does not keep the mount.
                try session.unmount(lazily: true)
            } catch {
                parts.logger.error("the mount point could not be freed", metadata: ["reason": "\(error)"])
            }
        }
        let outcome = await offPool { self.leftBehind() }
        for file in outcome.undecided ?? [] {
            parts.logger.warning("what becomes of a file was not decided at the end", metadata: ["file": "\(file)"])
        }
        await parts.engine.stop()
        // What the next mount recovers may have to outlive the machine.
        await offPool { [parts] in parts.filesystem.putLeftoversOnDisk() }
        await parts.stop()
        return outcome
    }

    private func leftBehind() -> DrainOutcome {
        var outcome = DrainOutcome(undecided: parts.filesystem.undecided)
        for upload in parts.engine.uploads {
            switch upload.stateToKeep {
            case .completed, .cancelled: break
            case .finishing: outcome.resumable += 1
            // What is staged waits for a rename, and nothing continues it by itself.
            case .staged, .open, .failed, .interrupted: outcome.unfinished += 1
            }
        }
        return outcome
    }
}
