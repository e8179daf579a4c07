import ArgumentParser
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs serve`: what the process in the background runs. Started by `twelvefs mount`, never by people.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve a mount; started by 'twelvefs mount'.", shouldDisplay: false)

    /// Here for people who look at `ps`; what counts is in the handover.
    @Argument var mountPoint: String

    func run() throws {
        guard let input = try? PathStatus(of: .standardInput), input.mode & S_IFMT == S_IFIFO,
            let bytes = try? FileDescriptor.standardInput.readAll(atMost: 16 << 20),
            let handover = try? StateFile.decoded(Handover.self, from: bytes), let access = try? handover.access()
        else {
            throw CommandFailure(
                "'serve' is started by 'twelvefs mount', not by hand", hint: "Use 'twelvefs mount --foreground'",
                status: .usage)
        }
        let readiness: Readiness
        do {
            readiness = try Readiness.takingStandardOutput()
        } catch {
            throw CommandFailure("the serving process cannot be set up")
        }
        // A session of its own, so that no terminal's hang-up reaches it, and no directory that it would keep busy.
        setsid()
        guard chdir("/") == 0 else { throw CommandFailure("the serving process cannot be set up") }
        try MountSupervisor(service: PlatformMount()).serve(
            handover.configuration, access: access, reportingTo: readiness)
    }
}
