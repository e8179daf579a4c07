import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Where the status of one mount comes from: a process of our own that reads it, since a mount that never answers keeps whoever
/// asks it, even beyond SIGKILL.
final class StatusSource {
    let mountPoint: String
    private let patience: Duration
    private var reader: Reader?
    /// One that was killed and has not ended yet: it may be beyond any signal.
    private var stuck: pid_t?

    private struct Reader {
        let process: pid_t
        let input: FileDescriptor
        let output: FileDescriptor
        var received: [UInt8] = []
        let deadline: ContinuousClock.Instant
    }

    /// In bytes; a hundred thousand documents have less.
    private static let longestAnswer = 256 << 20

    /// - Parameter patience: how long each answer may take.
    init(mountPoint: String, patience: Duration = .seconds(10)) {
        self.mountPoint = mountPoint
        self.patience = patience
    }

    deinit {
        end()
    }

    /// What several mounts say, each by itself: one that cannot be read is a failure among them.
    static func read(_ sources: [StatusSource]) -> [Result<MountStatus, CommandFailure>] {
        let begun = sources.map { source in Result { try source.ask() } }
        return zip(sources, begun).map { source, begun in
            Result { try begun.flatMap { Result { try source.answer() } }.get() }
                .mapError { CommandFailure(wrapping: $0) }
        }
    }

    private func ask() throws {
        do {
            try reap()
            let process = try reader ?? start()
            reader = Reader(
                process: process.process, input: process.input, output: process.output,
                deadline: ContinuousClock.now + patience)
            // A reader that has ended says so by its silence.
            let formerly = signal(SIGPIPE, SIG_IGN)
            defer { signal(SIGPIPE, formerly) }
            _ = try? process.input.writeAll([UInt8(ascii: "\n")])
        } catch let error as Errno {
            throw CommandFailure("\(mountPoint) cannot be looked at: \(error.words)")
        }
    }

    private func start() throws -> Reader {
        let input = try ClosedPipe()
        let output = try ClosedPipe()
        var mask = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &mask)
        let process = try OwnProgram.spawn(
            [ReadStatusCommand.configuration.commandName ?? "", mountPoint], input: input.reading,
            output: output.writing, signalMask: mask)
        try input.reading.close()
        try output.writing.close()
        return Reader(process: process, input: input.writing, output: output.reading, deadline: .now)
    }

    private func answer() throws -> MountStatus {
        do {
            return try StatusAnswer.decoded(line()).get()
        } catch {
            // Whatever it is at: another one is asked the next time.
            end()
            throw error
        }
    }

    /// The next line that the reader says.
    private func line() throws -> [UInt8] {
        guard var reader else { throw CommandFailure("\(mountPoint) was not asked") }
        while true {
            if reader.received.last == UInt8(ascii: "\n") { return reader.received }
            let left = reader.deadline - .now
            var polled = pollfd(fd: reader.output.rawValue, events: Int16(POLLIN), revents: 0)
            guard left > .zero, reader.received.count < Self.longestAnswer else {
                throw silent
            }
            guard poll(&polled, 1, Int32(left.components.seconds * 1000 + 1000)) > 0 else { continue }
            let piece = try reader.output.readPiece()
            guard !piece.isEmpty else { throw CommandFailure("the mount on \(mountPoint) cannot be read") }
            reader.received += piece
        }
    }

    /// Nobody waits for it.
    private func end() {
        guard let ended = reader.take() else { return }
        try? ended.input.close()
        try? ended.output.close()
        kill(ended.process, SIGKILL)
        stuck = ended.process
    }

    /// Makes sure that there is no process of before: there is one at a time, however long it is kept.
    private func reap() throws {
        guard let process = stuck else { return }
        guard waitpid(process, nil, WNOHANG) != 0 else { throw silent }
        stuck = nil
    }

    private var silent: CommandFailure {
        CommandFailure("the mount on \(mountPoint) does not answer", hint: "Is its process stopped?")
    }
}

/// What the reading process says, one line of JSON each time it is asked.
struct StatusAnswer: Codable {
    private var mountPoint = ""
    private var summary: String?
    private var uploads: [String]?
    private var isPartial: Bool?
    private var failure: String?
    private var hint: String?

    init(_ result: Result<MountStatus, CommandFailure>) {
        switch result {
        case .success(let status):
            (mountPoint, summary, uploads) = (status.mountPoint, status.summaryText, status.uploadTexts)
            isPartial = status.isPartial
        case .failure(let failure):
            (self.failure, hint) = (failure.message, failure.hint)
        }
    }

    static func decoded(_ line: [UInt8]) -> Result<MountStatus, CommandFailure> {
        Result {
            let answer = try StateFile.decoded(StatusAnswer.self, from: line)
            if let failure = answer.failure { throw CommandFailure(failure, hint: answer.hint) }
            return try MountStatus(
                mountPoint: answer.mountPoint, summaryText: answer.summary ?? "", uploadTexts: answer.uploads ?? [],
                isPartial: answer.isPartial ?? false)
        }.mapError { CommandFailure(wrapping: $0) }
    }
}
