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

    @Flag(
        name: .customLong("auto-unmount"),
        help: ArgumentHelp(
            "When the serving process dies, free the mount point.",
            discussion: """
                Without it the dead mount stays, and nothing can be written into the directory beneath by mistake. 'twelvefs \
                mount' and 'twelvefs unmount' clear it away.
                """))
    var unmountsItself = false

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
