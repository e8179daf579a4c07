import Foundation

/// Tells `scripts/test.sh` what this run started, so that it can sweep after a test run that was itself killed.
///
/// Only what is written here is ever swept: a process by its id *and* start time, a mount by its path.
package enum RunRegister {
    private static let folder = ProcessInfo.processInfo.environment["TWELVEFS_TEST_RUN_DIR"]

    /// Records a process.
    package static func process(_ pid: pid_t) {
        guard let start = RunningProcesses.startTime(of: pid) else { return }
        append("\(pid) \(start)", to: "processes")
    }

    /// Records a mount point.
    package static func mount(_ path: String) {
        append(path, to: "mounts")
    }

    private static func append(_ line: String, to name: String) {
        guard let folder else { return }
        let descriptor = open("\(folder)/\(name)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array("\(line)\n".utf8)
        // One write of a line: O_APPEND keeps lines of parallel tests apart.
        _ = write(descriptor, bytes, bytes.count)
    }
}
