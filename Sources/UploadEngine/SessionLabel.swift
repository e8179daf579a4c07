import Synchronization

/// The platform's id of an upload's session, for those who tell of the upload and need not keep it: its bytes, and all that
/// is known of it, are forgotten before its id is.
public final class SessionLabel: Sendable {
    private let id = Mutex<String?>(nil)

    init() {}

    /// The session's id; nil while there is none.
    public var uploadID: String? { id.withLock { $0 } }

    func set(_ uploadID: String?) {
        id.withLock { if $0 != uploadID { $0 = uploadID } }
    }
}
