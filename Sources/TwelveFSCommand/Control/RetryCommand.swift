import ArgumentParser

/// `twelvefs retry`.
struct RetryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Try an upload once more that failed.",
        discussion: """
            PATH is a file in a mount, or its document in .status. What failed goes on where it stopped. What was interrupted can be \
            tried when its writer had put it on disk (fsync): it is uploaded as it is, and listed again. 'twelvefs wait' tells how it \
            ends.
            """)

    @Argument(help: ArgumentHelp("A file in a mount, or its status document.", valueName: "path"))
    var path: String

    func run() throws { try UploadCommand.give(.retry, about: path) }
}
