import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// A connection to the process that serves a mount. Its end, also that of the process that has it, takes back what was ordered.
package final class ServerLine {
    /// What is to be heard on it.
    package enum Word: Equatable {
        case answer(ServerAnswer)
        /// Nothing for the moment.
        case silence
        /// The process says no more.
        case end
    }

    private let descriptor: Int32
    /// Who listens, as the kernel knows it.
    let peer: UnixSocket.Peer?
    private var server: pid_t? { peer?.process }
    private var received: [UInt8] = []
    private var stoppedSince: ContinuousClock.Instant?

    /// How long one listens before something else is looked at.
    private static let pause: Int32 = 100
    /// Answers that have not been taken yet; one has some kilobytes.
    private static let longestAnswer = 1 << 20
    /// A process that is stopped for a moment is waited for.
    private static let patience: Duration = .seconds(3)
    /// How long it may say nothing at all: it answers at once, unless it is frozen, or its machine is.
    private let longestSilence: Duration
    /// Since when it has been silent; nil once it has spoken.
    private var silentSince: ContinuousClock.Instant? = .now

    /// - Throws: `noSuchFileOrDirectory` or `connectionRefused` where nobody listens.
    package init(to stateDirectory: OpenDirectory, longestSilence: Duration = .seconds(30)) throws(Errno) {
        self.longestSilence = longestSilence
        descriptor = try UnixSocket.connected(to: OrderSocket.name, in: stateDirectory)
        peer = UnixSocket.peer(of: descriptor)
    }

    deinit {
        close(descriptor)
    }

    /// Gives an order, the only one on this connection.
    package func give(_ order: ServerOrder) throws {
        try send(StateFile.encoded(order))
    }

    /// One line, whatever it says.
    package func send(_ line: [UInt8]) throws(Errno) {
        guard UnixSocket.send(line, to: descriptor) else { throw Errno(rawValue: errno) }
    }

    /// Listens for a moment.
    ///
    /// - Throws: a ``CommandFailure`` when the other process has been stopped for some seconds, or never answers.
    package func listen() throws -> Word {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(received[..<end])
                received.removeSubrange(...end)
                stoppedSince = nil
                silentSince = nil
                return .answer(
                    (try? StateFile.decoded(ServerAnswer.self, from: line))
                        ?? .refused(reason: "another version of twelvefs serves it, whose answer makes no sense here"))
            }
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, Self.pause) > 0 else {
                try checkNotStopped()
                try checkNotFrozen()
                return .silence
            }
            var piece = [UInt8](repeating: 0, count: 4096)
            let count = read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return .end }
            received += piece[..<count]
            guard received.count <= Self.longestAnswer else {
                throw CommandFailure(
                    "what the serving process answers has no end", hint: "Is another program listening in its place?")
            }
        }
    }

    private func checkNotStopped() throws {
        guard let server, ProcessClock.isStopped(server) else {
            stoppedSince = nil
            return
        }
        let since = stoppedSince ?? .now
        stoppedSince = since
        guard .now - since >= Self.patience else { return }
        throw CommandFailure(
            "the serving process is stopped (pid \(server))",
            hint: "Let it continue with 'kill -CONT \(server)', and try again")
    }

    private func checkNotFrozen() throws {
        guard let silentSince, .now - silentSince >= longestSilence else { return }
        let words = server.map { " (pid \($0))" } ?? ""
        throw CommandFailure("the serving process\(words) does not answer", hint: "Is it, or its container, paused?")
    }
}
