import ArgumentParser
import UploadCore

/// Who may do what in the mount.
struct AccessOptions: ParsableArguments {
    @Flag(name: .customLong("read-only"), help: "Refuse all writing.")
    var isReadOnly = false

    @Flag(
        name: .customLong("allow-other"),
        help: "Let other users in; needs user_allow_other in /etc/fuse.conf unless you are root.")
    var allowsOther = false

    @Option(
        name: .customLong("unseen-writers"),
        help: ArgumentHelp(
            "What to do with writers that cannot be seen: in another pid namespace, or hidden.",
            discussion: """
                refuse: they may not open files for writing, since one that is killed half-way could not be told from one that \
                is done; allow: they may, and what a killed one leaves becomes an asset.
                """,
            valueName: "policy"))
    var unseenWriters = UnseenWriterPolicy.refuse

    @Option(
        name: .customLong("uid"),
        help: ArgumentHelp("Owner of all files (default: whoever makes them).", valueName: "n"))
    var uid: UInt32?

    @Option(
        name: .customLong("gid"),
        help: ArgumentHelp("Group of all files (default: that of whoever makes them).", valueName: "n"))
    var gid: UInt32?

    @Option(
        name: .customLong("file-mode"),
        help: ArgumentHelp("Permissions of new files in octal (default: as their writer asks).", valueName: "mode"))
    var fileMode: FileMode?

    @Option(
        name: .customLong("dir-mode"),
        help: ArgumentHelp("Permissions of new directories in octal (default: as their maker asks).", valueName: "mode")
    )
    var directoryMode: FileMode?
}
