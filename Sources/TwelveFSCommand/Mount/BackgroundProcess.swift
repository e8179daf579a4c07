import ArgumentParser
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Serving in the background: a second process of ourselves, since a process that has threads must not go on after fork.
///
/// `posix_spawn` rather than Foundation's `Process`: it needs no run loop and no thread, and closes exactly what it is told to.
/// The child's standard input is a pipe that brings it configuration, key and proxy; its standard output another, on which it says
/// that the mount is usable, or why not. Nothing else of ours is open in it: a shell that waits for our output
/// (`$(twelvefs mount …)`) sees its end when we exit.
enum BackgroundProcess {
    /// Starts the serving process and returns when the mount is usable.
    ///
    /// - Throws: the ``CommandFailure`` that the child gave as its reason, or one that says how it ended without a word.
    static func mount(_ configuration: MountConfiguration, access: PlatformAccess) throws {
        do {
            let handover = try ClosedPipe()
            let readiness = try ClosedPipe()
            let interrupt = try StartInterrupt()
            let child = try OwnProgram.spawn(
                [ServeCommand.configuration.commandName ?? "", configuration.mountPoint], input: handover.reading,
                output: readiness.writing, signalMask: interrupt.formerMask)
            interrupt.begin(child)
            try handover.reading.close()
            try readiness.writing.close()
            // A child that has ended already does not read; its word, or its status, says why.
            signal(SIGPIPE, SIG_IGN)
            _ = try? handover.writing.writeAll(
                StateFile.encoded(Handover(configuration: configuration, access: access)))
            try handover.writing.close()
            let word = try readiness.reading.readAll(atMost: 1 << 20)
            interrupt.end()
            do {
                try Readiness.decoded(word, orEndOf: child, logFile: configuration.logFile)
            } catch {
                // Whoever reads that it failed finds nothing running: the child has said why, and is on its way out.
                waitpid(child, nil, 0)
                throw error
            }
        } catch let error as Errno {
            throw CommandFailure("the serving process cannot be started: \(error.words)", hint: "Try --foreground")
        }
    }
}
