import Logging
import PlatformClient
import Synchronization

/// Looks for another API key where the mount's key came from, for as long as the platform refuses that one.
package final class KeyWatch: Sendable {
    private struct State {
        /// The file as it was when it was last read here.
        var read: PathStatus?
        var hasTold = false
    }

    private let file: String?
    private let source: APIKeySource
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - file: the key file, with an absolute path; nil when the key came from the environment, which cannot change.
    ///   - source: what calls take the key from.
    package init(file: String?, source: APIKeySource, logger: Logger) {
        self.file = file
        self.source = source
        self.logger = logger
    }

    /// Reads the file if it has changed since it was last read here. Blocks on the disk.
    ///
    /// - Returns: whether calls carry another key from now on.
    package func look() -> Bool {
        let isFirst = state.withLock { state in
            defer { state.hasTold = true }
            return !state.hasTold
        }
        guard let file else {
            if isFirst {
                logger.warning(
                    "the API key is refused: uploads wait until it is accepted again",
                    metadata: [
                        "hint":
                            "a key from the environment cannot be changed while mounted: mount with --api-key-file"
                    ])
            }
            return false
        }
        if isFirst {
            logger.warning(
                "the API key is refused: uploads wait until it is accepted again, or the key file holds another",
                metadata: ["file": "\(file)"])
        }
        // What the caller had handed over (a pipe, a terminal) gave its key once.
        guard !NamedFile.isHandedOver(file), let status = try? PathStatus(at: file), status.isRegular else {
            return false
        }
        let isNew = state.withLock { state in
            defer { state.read = status }
            return state.read != status
        }
        guard isNew else { return false }
        return read(file)
    }

    private func read(_ file: String) -> Bool {
        do {
            let reading = try KeyReader.read(file: file, environment: [:])
            if let warning = reading.warning {
                logger.warning("the API key file should be yours alone", metadata: ["reason": "\(warning)"])
            }
            guard source.replace(with: reading.key) else { return false }
        } catch {
            // Perhaps it is just being written.
            logger.warning(
                "the API key file cannot be used", metadata: ["reason": "\(CommandFailure(wrapping: error).message)"])
            return false
        }
        state.withLock { $0.hasTold = false }
        logger.notice("the API key file holds another key, which is used from now on", metadata: ["file": "\(file)"])
        return true
    }
}
