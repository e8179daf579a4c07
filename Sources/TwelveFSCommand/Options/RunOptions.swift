import ArgumentParser

/// How the serving process runs.
struct RunOptions: ParsableArguments {
    @Flag(
        name: [.customShort("f"), .customLong("foreground")], help: "Stay in the foreground and log to standard error.")
    var isForeground = false

    @Option(
        name: .customLong("drain-timeout"),
        help: ArgumentHelp("How long unmounting waits for uploads under way.", valueName: "time"))
    var drainTimeout = TimeSpan(.seconds(60))

    @Option(
        name: .customLong("log-file"),
        help: ArgumentHelp(
            "Append the log to this file.",
            discussion: "By default twelvefs.log in the state directory, or standard error in the foreground.",
            valueName: "file"),
        completion: .file())
    var logFile: String?

    @Flag(name: [.customShort("d"), .customLong("debug")], help: "Log details.")
    var isDebug = false
}
