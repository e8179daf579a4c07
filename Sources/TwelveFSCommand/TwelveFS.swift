import ArgumentParser

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs`: the root of all commands, and what the executable runs.
public struct TwelveFS: ParsableCommand {
    /// The help's words and the commands.
    public static let configuration = CommandConfiguration(
        commandName: "twelvefs",
        abstract: "A directory that uploads: what is copied into it becomes an asset on TwelveLabs.",
        usage: """
            twelvefs mount MOUNTPOINT [options]
            twelvefs unmount MOUNTPOINT
            twelvefs status [MOUNTPOINT] [--all] [--watch] [--json]
            twelvefs wait PATH [--timeout TIME] [--ready]
            twelvefs retry PATH
            twelvefs cancel PATH
            twelvefs uploads [--json]
            """,
        discussion: """
            To begin:

                export TWELVELABS_API_KEY=…
                mkdir -p ~/twelvelabs
                twelvefs mount ~/twelvelabs
                cp video.mp4 ~/twelvelabs/      # 0 when the platform has all of it
                twelvefs status --watch
                twelvefs unmount ~/twelvelabs

            Exit status:

            \(ExitStatus.allCases.map { "    \(TerminalText.padded("\($0.rawValue)", to: 4))\($0.meaning)" }.joined(separator: "\n"))
            """,
        version: Self.version,
        subcommands: [
            MountCommand.self, UnmountCommand.self, StatusCommand.self, WaitCommand.self, RetryCommand.self,
            CancelCommand.self, UploadsCommand.self, ServeCommand.self, ReadStatusCommand.self,
        ])

    /// The version that `--version` and the User-Agent tell.
    public static let version = "0.1.0"

    /// For ArgumentParser.
    public init() {}

    /// Runs the command that the process was started with, and ends the process.
    public static func main() {
        Glibc.exit(run(program: CommandLine.arguments.first ?? "", Array(CommandLine.arguments.dropFirst())).rawValue)
    }

    /// Runs one command line; what is wrong goes to standard error as one line.
    package static func run(program: String = "twelvefs", _ arguments: [String]) -> ExitStatus {
        do {
            var command = try command(for: MountHelper.arguments(program: program, arguments) ?? arguments)
            try command.run()
            return .success
        } catch let status as ExitStatus {
            return status
        } catch {
            return report(error, arguments)
        }
    }

    /// The command that a command line means, `-o` included.
    package static func command(for arguments: [String]) throws -> any ParsableCommand {
        guard arguments.first == MountCommand.configuration.commandName else { return try parseAsRoot(arguments) }
        return try parseAsRoot(MountOptionList.expanding(arguments))
    }

    private static func report(_ error: any Error, _ arguments: [String]) -> ExitStatus {
        if exitCode(for: error).isSuccess {
            // Help, version or a completion script: asked for, hence on standard output.
            print(fullMessage(for: error))
            return .success
        }
        let failure = failure(from: error, arguments)
        Terminal.complain(failure.description)
        return failure.status
    }

    /// One line for any error: ours as it is, ArgumentParser's without its usage text.
    package static func failure(from error: any Error, _ arguments: [String]) -> CommandFailure {
        // What a command throws is ours or another module's; what parsing throws, ArgumentParser alone can put into words.
        guard exitCode(for: error) == .validationFailure else { return CommandFailure(wrapping: error) }
        let name = configuration.subcommands.first { command in
            command.configuration.shouldDisplay && command.configuration.commandName == arguments.first
        }?.configuration.commandName
        let command = ["twelvefs", name].compactMap(\.self).joined(separator: " ")
        return CommandFailure("\(message(for: error)) (see '\(command) --help')", status: .usage)
    }
}

extension ExitStatus: Error {}
