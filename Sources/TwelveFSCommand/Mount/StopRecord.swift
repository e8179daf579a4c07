/// How the last serving process ended, for whoever could not hear it say so: the exit status of a process that is not a child
/// cannot be waited for.
package struct StopRecord: Codable, Equatable {
    /// The process that ended.
    package var pid: Int32
    package var startTime: UInt64
    package var outcome: DrainOutcome

    package init(pid: Int32, startTime: UInt64, outcome: DrainOutcome) {
        self.pid = pid
        self.startTime = startTime
        self.outcome = outcome
    }

    package static func file(in stateDirectory: OpenDirectory) -> FileLocation {
        stateDirectory.file("last-stop.json")
    }
}

extension DrainOutcome {
    /// The status that mount, in the foreground, and unmount exit with.
    package var status: ExitStatus { isClean ? .success : .resumable }
}
