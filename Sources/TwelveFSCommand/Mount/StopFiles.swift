import UploadCore

/// What `twelvefs unmount` asks of the serving process, beside the SIGTERM that says "now".
struct DrainRequest: Codable, Equatable {
    /// The process that is meant.
    var pid: Int32
    /// How long it is to wait for uploads under way, instead of its own `--drain-timeout`.
    var timeout: Duration

    static func path(in stateDirectory: String) -> String { "\(stateDirectory)/drain-request.json" }
}

/// How the last serving process ended, for `twelvefs unmount` to tell: the exit status of a process that is not a child
/// cannot be waited for.
struct StopRecord: Codable, Equatable {
    /// The process that ended.
    var pid: Int32
    var startTime: UInt64
    var outcome: DrainOutcome

    static func path(in stateDirectory: String) -> String { "\(stateDirectory)/last-stop.json" }

    /// The status that mount, in the foreground, and unmount exit with.
    var status: ExitStatus { outcome.resumable == 0 ? .success : .resumable }
}
