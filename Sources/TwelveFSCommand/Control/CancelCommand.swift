import ArgumentParser

/// `twelvefs cancel`.
struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel an upload that is not completed.",
        discussion: """
            PATH is a file in a mount, or its document in .status. The file is removed with the bytes that wait for the platform, no \
            asset comes of it, and a program that waits in close gets 'Input/output error'.
            """)

    @Argument(help: ArgumentHelp("A file in a mount, or its status document.", valueName: "path"))
    var path: String

    func run() throws { try UploadCommand.give(.cancel, about: path) }
}
