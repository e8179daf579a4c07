#if canImport(Glibc)
import Glibc
#endif

/// What `twelvefs unmount` asks of the serving process, beside the SIGTERM that says "now".
package struct DrainRequest: Codable, Equatable {
    /// The process that is meant.
    package var pid: Int32
    /// How long it is to wait, instead of its own `--drain-timeout`; nil for just that.
    package var timeout: Duration?
    /// Whether it is to end though somebody is in the mount when that time is over.
    package var isForced: Bool
    /// What it is asked by: told again with the news.
    package var id: String

    package init(pid: Int32, timeout: Duration?, isForced: Bool = false, id: String = "") {
        self.pid = pid
        self.timeout = timeout
        self.isForced = isForced
        self.id = id
    }

    package static func path(in stateDirectory: String) -> String { "\(stateDirectory)/drain-request.json" }

    /// The request to this process, if there is one; whatever lies there is gone afterwards.
    package static func take(from stateDirectory: String) -> DrainRequest? {
        let path = path(in: stateDirectory)
        let request = StateFile.read(DrainRequest.self, from: path)
        unlink(path)
        return request?.pid == getpid() ? request : nil
    }
}

/// How the end of a mount fares, for `twelvefs unmount` to tell.
package struct DrainNews: Codable, Equatable, Sendable {
    /// Who asked for it.
    package var requests: [String]
    /// Who is in the mount, in words.
    package var users: [String]
    /// Whether it does not end because of them.
    package var isBusy: Bool

    package init(requests: [String], users: [String], isBusy: Bool) {
        self.requests = requests
        self.users = users
        self.isBusy = isBusy
    }

    package static func path(in stateDirectory: String) -> String { "\(stateDirectory)/drain-news.json" }
}

/// How the last serving process ended, for `twelvefs unmount` to tell: the exit status of a process that is not a child
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

    package static func path(in stateDirectory: String) -> String { "\(stateDirectory)/last-stop.json" }

    /// The status that mount, in the foreground, and unmount exit with.
    package var status: ExitStatus { outcome.resumable == 0 ? .success : .resumable }
}
