#if canImport(Glibc)
import Glibc
#endif

/// How a new mount gets the uploads of a process whose mount is gone and that continues them.
///
/// It is asked as people ask it: a first SIGTERM has it finish, a second one has it stop at once, without loss. What it
/// leaves, the new mount continues.
enum UploadHandover {
    /// How long the other process may take to put on disk what it leaves.
    private static let patience: Duration = .seconds(60)
    private static let interval: Duration = .milliseconds(250)

    /// Whether a process that holds a state directory's lock serves nobody any more.
    static func isPossible(_ holder: ServerRecord, _ stateDirectory: String) throws -> Bool {
        guard holder.isRunning, holder.wasMounted == true else { return false }
        let mount = try MountPoint.mount(at: holder.mountPoint)
        return mount?.source != stateDirectory
    }

    /// Asks until `isFree`; false when the process keeps what it has.
    static func request(_ holder: ServerRecord, isFree: () throws -> Bool) throws -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + patience
        var next = clock.now
        while holder.isRunning, clock.now < end {
            if try isFree() { return true }
            if clock.now >= next {
                kill(holder.pid, SIGTERM)
                next = clock.now + interval
            }
            // The lock of another process can only be tried.
            usleep(10_000)
        }
        return try isFree()
    }
}
