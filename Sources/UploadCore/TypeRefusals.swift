/// Whether the platform is known to take no sessions but a video's: found out by one upload, for all of a mount.
///
/// Older versions of the platform know only `video`. Were each upload to find that out for itself, every audio file would
/// cost a call in vain, of which an account may have no more than 50 a day. But platforms are brought up to date, and
/// audio that is sent as a video may not become usable: so after a day it is tried again.
///
/// A refusal counts only once the same file was accepted as a video: then it was the type that was refused.
public struct TypeRefusals: Sendable {
    private enum Knowledge: Sendable {
        case nothing
        /// Refused at that moment; whether that was for its type is not known yet.
        case suspected(UploadFailure, at: Instant)
        /// Refused at that moment, and accepted as a video.
        case known(UploadFailure, at: Instant)
    }

    private var knowledge = Knowledge.nothing
    /// How long a refusal is remembered.
    public static let lifetime: Duration = .seconds(24 * 3600)

    /// Nothing is known.
    public init() {}

    /// How the platform would refuse a session of this type, in the words in which it did before; nil where it is to be
    /// asked.
    public func refusal(of type: AssetKind, at now: Instant) -> UploadFailure? {
        guard type != .video, case .known(let refusal, let moment) = knowledge, now < moment + Self.lifetime else {
            return nil
        }
        return refusal
    }

    /// The platform has just refused a session for its type.
    public mutating func refused(_ refusal: UploadFailure, at now: Instant) {
        knowledge = .suspected(refusal, at: now)
    }

    /// A session was opened as `type` for a file that its name says to be of the kind `wanted`.
    public mutating func opened(as type: AssetKind, for wanted: AssetKind) {
        switch knowledge {
        case .nothing: break
        case .suspected(let refusal, let moment) where type == .video && wanted != .video:
            knowledge = .known(refusal, at: moment)
        case .suspected, .known:
            if type != .video { knowledge = .nothing }
        }
    }
}
