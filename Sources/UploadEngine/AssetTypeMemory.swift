import Synchronization
import UploadCore

/// What the uploads of a mount find out about the types that the platform takes, so that not each has to.
final class AssetTypeMemory: Sendable {
    private let refusals = Mutex(TypeRefusals())

    /// How the platform would refuse a session of this type; nil where it is to be asked.
    func refusal(of type: AssetKind, at now: Instant) -> UploadFailure? {
        refusals.withLock { $0.refusal(of: type, at: now) }
    }

    /// A session was refused.
    func refused(_ failure: UploadFailure, at now: Instant) {
        guard failure.kind == .typeRefused else { return }
        refusals.withLock { $0.refused(failure, at: now) }
    }

    /// A session was opened as `type` for a file that its name says to be of the kind `wanted`.
    func opened(as type: AssetKind, for wanted: AssetKind) {
        refusals.withLock { $0.opened(as: type, for: wanted) }
    }
}
