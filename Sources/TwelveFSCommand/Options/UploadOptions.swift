import ArgumentParser
import UploadCore

/// How files become assets.
struct UploadOptions: ParsableArguments {
    @Option(
        name: .customLong("asset-type"),
        help: ArgumentHelp(
            "What the platform is told that files are.",
            discussion: """
                auto: what the name's extension says; video, audio: always that. Where the platform takes no audio, it is \
                sent as video, and the status says so.
                """,
            valueName: "type"))
    var assetType = AssetTypeChoice.auto

    @Option(
        name: .customLong("other-files"),
        help: ArgumentHelp(
            "What to do with names that are neither a video's nor an audio's.",
            discussion:
                "refuse: they cannot be created; keep: they stay local; upload: they are uploaded like the rest.",
            valueName: "policy"))
    var otherFiles = NamePolicy.OtherFiles.refuse

    @Flag(name: .customLong("enable-hls"), help: "Ask for HLS streaming of new assets.")
    var enableHLS = false

    @Flag(name: .customLong("enable-thumbnail"), help: "Ask for thumbnails of new assets.")
    var enableThumbnail = false

    @Option(
        name: .customLong("metadata"),
        help: ArgumentHelp(
            "User metadata for new assets; may be given several times.",
            discussion: """
                KEY=VALUE gives a text, whatever it looks like; KEY:=JSON a number, true or false: batch:=5, rating:=9.3.
                """,
            valueName: "key=value"),
        transform: MetadataArgument.entry)
    var metadata: [MountConfiguration.MetadataEntry] = []

    @Option(
        name: .customLong("upload-concurrency"),
        help: ArgumentHelp("Chunks uploaded at a time, for the whole mount (1-64).", valueName: "n"))
    var uploadConcurrency = 4

    @Option(
        name: .customLong("run-ahead"),
        help: ArgumentHelp(
            "How far a writer may be ahead of what is uploaded, when the size is known: so tools show the network's pace.",
            discussion: "Never less than one chunk more than are uploaded at a time; \"unlimited\" holds nobody back.",
            valueName: "size"))
    var runAhead = RunAhead(.mebibytes(64))

    @Option(
        name: .customLong("max-file-size"),
        help: ArgumentHelp(
            "Refuse to write files larger than this.",
            discussion: "What the platform refuses below it is refused as well, in its words.", valueName: "size"))
    var maxFileSize = Size(.gibibytes(10))

    @Option(
        name: .customLong("size-hints"),
        help: ArgumentHelp(
            "Learn a file's size from its writer, so that chunks are sent while it writes.", valueName: "on|off"))
    var sizeHints = Switch.on

    @Option(
        name: .customLong("close-mode"),
        help: ArgumentHelp(
            "When close returns.",
            discussion:
                "upload: when the platform has confirmed the whole file; spool: when the file is safe on this machine's disk, and the upload goes on by itself.",
            valueName: "mode"))
    var closeMode = CloseMode.upload

    @Option(
        name: .customLong("stall-timeout"),
        help: ArgumentHelp(
            "Let close fail after so long without any progress; the upload goes on.", valueName: "time"))
    var stallTimeout = TimeSpan(.seconds(300))

    func validate() throws {
        guard (1...64).contains(uploadConcurrency) else {
            throw ValidationError("--upload-concurrency must be between 1 and 64, not \(uploadConcurrency)")
        }
        guard maxFileSize.byteCount.bytes > 0 else { throw ValidationError("--max-file-size must be larger than 0") }
        guard stallTimeout.duration > .zero else { throw ValidationError("--stall-timeout must be longer than 0") }
        var keys: Set<String> = []
        for entry in metadata where !keys.insert(entry.key).inserted {
            throw ValidationError("--metadata gives '\(entry.key)' twice")
        }
    }
}
