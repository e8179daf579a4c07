/// What a `twelvefs` process asks of one that serves a mount.
///
/// Its order holds for as long as it listens for the answer: one that is interrupted has taken it back.
package enum ServerOrder: Codable, Equatable, Sendable {
    /// Ends the mount within `timeout`, nil for its own `--drain-timeout`; by force if somebody is in it then.
    case unmount(timeout: Duration?, isForced: Bool)
    /// Leaves the uploads to the new mount that asks. Only a process whose mount is gone does.
    case handOver
}

/// What is answered: any number of times how it fares, and then one of the others.
package enum ServerAnswer: Codable, Equatable, Sendable {
    /// It ends, and waits for these that are in the mount, in words.
    case waiting(users: [String])
    /// It serves on, since these are in the mount.
    case busy(users: [String])
    /// It has ended, and left this.
    case ended(DrainOutcome)
    /// It does not do that.
    case refused(reason: String)

    /// The first of the users, and how many others there are: an answer is sent at once, or not at all.
    static func told(_ users: [String]) -> [String] {
        var (told, length) = ([String](), 0)
        for user in users {
            length += user.utf8.count
            guard length <= longestList || told.isEmpty else { break }
            told.append(user)
        }
        let others = users.count - told.count
        return others > 0 ? told + ["\(others) more"] : told
    }

    /// In bytes.
    private static let longestList = 8 << 10
}

/// Who gave an order and waits for what comes of it.
public struct OrderClient: Sendable {
    package let id: Int
    /// Never waits.
    package let answer: @Sendable (ServerAnswer) -> Void

    package init(id: Int, answer: @escaping @Sendable (ServerAnswer) -> Void) {
        self.id = id
        self.answer = answer
    }
}

/// What the process that serves hears from others.
package enum OrderEvent: Sendable {
    case placed(ServerOrder, by: OrderClient)
    /// The client with this id listens no more.
    case withdrawn(Int)
}
