import ArgumentParser

/// `twelvefs read-status`: the process behind ``StatusSource``, never started by people. Reads the status once for each line on its
/// standard input, and ends with that.
struct ReadStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read-status", abstract: "Read a mount's status; started by 'twelvefs status'.",
        shouldDisplay: false)

    @Argument var mountPoint: String

    func run() throws {
        var reader = StatusReader(mountPoint: mountPoint)
        while readLine() != nil {
            let result = Result { try reader.read() }.mapError { CommandFailure(wrapping: $0) }
            Terminal.say(String(decoding: try StateFile.encoded(StatusAnswer(result)), as: UTF8.self))
        }
    }
}
