import ArgumentParser
import UploadCore

/// Where the bytes wait until the platform has them.
struct StorageOptions: ParsableArguments {
    @Option(
        name: .customLong("state-dir"),
        help: ArgumentHelp(
            "Directory for spooled bytes, lock and log, of mode 0700; for one mount at a time.",
            discussion: "By default $XDG_STATE_HOME/twelvefs/default, or else ~/.local/state/twelvefs/default.",
            valueName: "dir"),
        completion: .directory)
    var stateDirectory: String?

    @Option(
        name: .customLong("spool-limit"),
        help: ArgumentHelp(
            "The most that spooled bytes may take; by default a tenth of the disk, at least 1GiB, stays free.",
            valueName: "size"))
    var spoolLimit: Size?

    @Option(
        name: .customLong("keep-interrupted"),
        help: ArgumentHelp("Keep the bytes of files whose writer did not finish for so long.", valueName: "time"))
    var keepInterrupted = TimeSpan(.seconds(86400))

    func validate() throws {
        if let spoolLimit, spoolLimit.byteCount.bytes <= 0 {
            throw ValidationError("--spool-limit must be larger than 0")
        }
    }
}
