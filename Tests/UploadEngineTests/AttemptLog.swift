import Logging
import Synchronization

/// Counts what the client says of each attempt that came to nothing, by what became of it.
final class AttemptLog: LogHandler, Sendable {
    /// A request that was made, or tried.
    struct Attempt: Sendable, Hashable {
        /// Whether it was a chunk's, else a call of the API.
        var isPut: Bool
        /// The kind of its failure.
        var failure: String
    }

    private let attempts = Mutex<[Attempt]>([])
    private let lines = Mutex<[String]>([])
    private let listener = Mutex<(@Sendable (String) -> Void)?>(nil)

    /// Calls `listener` with each message, while whoever logs it waits.
    func listen(_ listener: @escaping @Sendable (String) -> Void) { self.listener.withLock { $0 = listener } }

    /// The attempts that failed so, of the API or of the store.
    func count(_ failure: String, isPut: Bool) -> Int {
        attempts.withLock { $0.count { $0 == Attempt(isPut: isPut, failure: failure) } }
    }

    /// Everything that was said, a line each: the level, the message and what comes with it.
    var text: [String] { lines.withLock { $0 } }

    func log(event: LogEvent) {
        let metadata = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
        lines.withLock { $0.append("\(event.level) \(event.message) \(metadata)") }
        listener.withLock { $0 }?(event.message.description)
        guard case .string(let failure)? = event.metadata?["failure"] else { return }
        let isPut = event.message == "put failed"
        attempts.withLock { $0.append(Attempt(isPut: isPut, failure: failure)) }
    }

    var logLevel: Logger.Level {
        get { .debug }
        set {}
    }

    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
}
