import ArgumentParser
import Formats
import Foundation
import Testing
import TwelveFSCommand
import UploadCore

@Suite struct MountOptionsTests {
    /// What `twelvefs mount` with these arguments is configured for.
    private func configuration(
        _ arguments: [String], environment: [String: String] = ["HOME": "/home/ada"]
    ) throws -> MountConfiguration {
        let command = try #require(try TwelveFS.command(for: ["mount"] + arguments) as? MountCommand)
        return try command.mountConfiguration(environment: environment)
    }

    /// The one line that is said about these arguments.
    private func refusal(_ arguments: [String]) throws -> CommandFailure {
        do {
            _ = try configuration(arguments)
        } catch {
            return TwelveFS.failure(from: error, ["mount"])
        }
        throw Unexpected(description: "\(arguments) were accepted")
    }

    private struct Unexpected: Error, CustomStringConvertible { var description: String }

    @Test func defaultsAreThoseOfTheDesign() throws {
        let mount = try configuration(["/mnt/twelvelabs"])
        #expect(mount.mountPoint == "/mnt/twelvelabs")
        #expect(mount.apiURL == "https://api.twelvelabs.io/v1.3")
        #expect(mount.stateDirectory == "/home/ada/.local/state/twelvefs/default")
        #expect(mount.logFile == "/home/ada/.local/state/twelvefs/default/twelvefs.log")
        #expect(mount.stallTimeout == .seconds(300))
        #expect(mount.drainTimeout == .seconds(60))
        #expect(mount.keepInterrupted == .seconds(24 * 3600))
        #expect(mount.uploadConcurrency == 4)
        #expect(mount.maxFileSize == .gibibytes(10))
        #expect(mount.spoolLimit == nil)
        #expect(mount.usesSizeHints)
        #expect(mount.assetType == .auto)
        #expect(mount.otherFiles == .refuse)
        #expect(mount.enableHLS == nil && mount.enableThumbnail == nil && mount.metadata.isEmpty)
        #expect(!mount.isReadOnly && !mount.allowsOther && !mount.isDebug)
        #expect(mount.unseenWriters == .refuse)
        #expect(!mount.unmountsItself)
        #expect(mount.uid == nil && mount.gid == nil)
        #expect(mount.fileMode == nil && mount.directoryMode == nil)
        #expect(mount.mountFlags.isEmpty)
    }

    @Test func everyOptionArrives() throws {
        let mount = try configuration([
            "/mnt/a", "-f", "--api-url", "http://127.0.0.1:8080/v1.3/", "--api-key-file", "/etc/key", "--state-dir",
            "/var/s",
            "--stall-timeout", "1m30s", "--drain-timeout", "0", "--upload-concurrency", "8", "--max-file-size", "10GB",
            "--run-ahead", "1GiB", "--spool-limit", "64MiB", "--size-hints", "off", "--keep-interrupted", "2h",
            "--asset-type", "audio",
            "--other-files",
            "keep", "--enable-hls", "--enable-thumbnail", "--metadata", "a=1", "--metadata", "b=x=y", "--metadata",
            "c:=5", "--read-only", "--unseen-writers", "allow",
            "--allow-other", "--uid", "7", "--gid", "8", "--file-mode", "640", "--dir-mode", "0750", "--ca-file",
            "/etc/ca.pem",
            "--log-file", "/var/log/t", "-d",
        ])
        #expect(mount.apiURL == "http://127.0.0.1:8080/v1.3")
        #expect(mount.apiKeyFile == "/etc/key")
        #expect(mount.stateDirectory == "/var/s")
        #expect(mount.stallTimeout == .seconds(90))
        #expect(mount.drainTimeout == .zero)
        #expect(mount.uploadConcurrency == 8)
        #expect(mount.maxFileSize == ByteCount(10_000_000_000))
        #expect(mount.spoolLimit == .mebibytes(64))
        #expect(mount.runAhead == .gibibytes(1))
        #expect(!mount.usesSizeHints)
        #expect(mount.keepInterrupted == .seconds(7200))
        #expect(mount.assetType == .audio)
        #expect(mount.otherFiles == .keep)
        #expect(mount.enableHLS == true && mount.enableThumbnail == true)
        #expect(
            mount.metadata == [
                .init(key: "a", value: .string("1")), .init(key: "b", value: .string("x=y")),
                .init(key: "c", value: .integer(5)),
            ])
        #expect(mount.isReadOnly && mount.allowsOther && mount.isDebug)
        #expect(mount.unseenWriters == .allow)
        #expect(mount.uid == 7 && mount.gid == 8)
        #expect(mount.fileMode == 0o640 && mount.directoryMode == 0o750)
        #expect(mount.logFile == "/var/log/t")
    }

    @Test func aDeadMountMayFreeItself() throws {
        #expect(try configuration(["/mnt/a", "--auto-unmount"]).unmountsItself)
        #expect(try configuration(["/mnt/a"] + MountOptionList.arguments(for: "auto_unmount")).unmountsItself)
    }

    @Test func writersMayBeHeldBackOrNot() throws {
        #expect(try configuration(["/mnt/a"]).runAhead == .mebibytes(64))
        #expect(try configuration(["/mnt/a", "--run-ahead", "0"]).runAhead == ByteCount(0))
        #expect(try configuration(["/mnt/a", "--run-ahead", "unlimited"]).runAhead == nil)
        #expect(try configuration(["/mnt/a", "-o", "run-ahead=1GiB"]).runAhead == .gibibytes(1))
    }

    @Test func foregroundLogsToStandardErrorUnlessToldOtherwise() throws {
        #expect(try configuration(["/mnt/a", "--foreground"]).logFile == nil)
        #expect(try configuration(["/mnt/a", "--foreground", "--log-file", "/l"]).logFile == "/l")
    }

    @Test func relativePathsAreMadeAbsolute() throws {
        let here = FileManager.default.currentDirectoryPath
        let mount = try configuration(["mnt", "--state-dir", "./x/../state", "--api-key-file", "key"])
        #expect(mount.mountPoint == "\(here)/mnt")
        #expect(mount.stateDirectory == "\(here)/state")
        #expect(mount.apiKeyFile == "\(here)/key")
    }

    @Test func environmentTellsWhatOptionsDoNot() throws {
        let environment = [
            "HOME": "/home/ada", "XDG_STATE_HOME": "/state", "TWELVELABS_BASE_URL": "https://example.com/v9",
        ]
        let mount = try configuration(["/mnt/a"], environment: environment)
        #expect(mount.apiURL == "https://example.com/v9")
        #expect(mount.stateDirectory == "/state/twelvefs/default")
        let told = try configuration(["/mnt/a", "--api-url", "https://example.org"], environment: environment)
        #expect(told.apiURL == "https://example.org")
        // The XDG specification has relative paths ignored.
        let relative = try configuration(["/mnt/a"], environment: ["HOME": "/home/ada", "XDG_STATE_HOME": "state"])
        #expect(relative.stateDirectory == "/home/ada/.local/state/twelvefs/default")
        #expect(throws: CommandFailure.self) { try configuration(["/mnt/a"], environment: [:]) }
    }

    @Test(arguments: [
        [], ["/mnt/a", "/mnt/b"], [""], ["/mnt/a", "--bogus"], ["/mnt/a", "--close-mode", "later"],
        ["/mnt/a", "--api-url", "nope"],
        ["/mnt/a", "--stall-timeout", "5"], ["/mnt/a", "--stall-timeout", "0"],
        ["/mnt/a", "--upload-concurrency", "0"],
        ["/mnt/a", "--upload-concurrency", "65"], ["/mnt/a", "--max-file-size", "0"],
        ["/mnt/a", "--max-file-size", "big"],
        ["/mnt/a", "--spool-limit", "0"], ["/mnt/a", "--size-hints", "yes"], ["/mnt/a", "--asset-type", "image"],
        ["/mnt/a", "--other-files", "drop"], ["/mnt/a", "--metadata", "novalue"], ["/mnt/a", "--metadata", "=v"],
        ["/mnt/a", "--metadata", "k=1", "--metadata", "k=2"], ["/mnt/a", "--uid", "root"],
        ["/mnt/a", "--file-mode", "888"],
        ["/mnt/a", "--file-mode", "1777"], ["/mnt/a", "--mount-flag", "suid"], ["/mnt/a", "-fo", "ro"],
    ])
    func senselessCommandLinesAreRefusedInOneLine(_ arguments: [String]) throws {
        let failure = try refusal(arguments)
        #expect(failure.status == .usage)
        #expect(failure.description.hasSuffix("(see 'twelvefs mount --help')"))
        #expect(!failure.description.contains("\n"))
    }

    @Test(arguments: [
        "https://proxy.example:3128", "socks4://p:1", "ftp://p", "p:0", "http://", "http://p/path", "no proxy",
    ])
    func proxiesThatCannotBeUsedAreRefused(_ proxy: String) throws {
        for arguments in [["/mnt/a", "--proxy", proxy], ["/mnt/a", "-o", "proxy=\(proxy)"]] {
            let failure = try refusal(arguments)
            #expect(failure.status == .usage)
            #expect(failure.message.contains("--proxy"))
            #expect(failure.description.contains("http://proxy.example:3128"))
        }
    }

    @Test(arguments: [
        "http://user:pr0xy@p:1", "user:pr0xy@p:1", "http://pr0xy@p:1", "socks5://user:pr0xy@p:1", "https://u:pr0xy@p",
        "u:pr0xy@",
    ])
    func passwordsAreNoArguments(_ proxy: String) throws {
        for arguments in [["/mnt/a", "--proxy", proxy], ["/mnt/a", "-o", "ro,proxy=\(proxy)"]] {
            let failure = try refusal(arguments)
            #expect(failure.status == .usage)
            #expect(failure.message.contains("--proxy-file") && failure.message.contains("$HTTPS_PROXY"))
            #expect(!failure.description.contains("pr0xy"))
        }
    }

    @Test func oneProxyIsEnough() throws {
        #expect(try refusal(["/mnt/a", "--proxy", "none", "--proxy-file", "/p"]).message.contains("not both"))
    }

    @Test func keyIsNoArgument() throws {
        #expect(try refusal(["/mnt/a", "--api-key", "tlk_1"]).message.contains("--api-key"))
    }

    @Test func helpNamesEveryOptionAndNoHiddenOne() {
        let help = MountCommand.helpMessage(columns: 80)
        for option in MountOptionList.ownOptions.union(MountOptionList.ownFlags).union(["foreground"]) {
            #expect(help.contains("--\(option)"), "\(option)")
        }
        #expect(!help.contains("mount-flag"))
        #expect(!TwelveFS.helpMessage().contains("serve "))
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 })
        #expect(TwelveFS.helpMessage(columns: 80).split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test func configurationSurvivesTheWayToTheBackground() throws {
        let mount = try configuration([
            "/mnt/a b", "--metadata", "k=ü\n", "--metadata", "i:=\(MetadataValue.integers.lowerBound)", "--metadata",
            "f:=1e-7", "--metadata",
            "g:=3.0", "--metadata", "b:=false", "--spool-limit", "1GiB", "--enable-hls", "--stall-timeout", "1.5s",
            "--file-mode", "600",
        ])
        #expect(try StateFile.decoded(MountConfiguration.self, from: StateFile.encoded(mount)) == mount)
    }
}
