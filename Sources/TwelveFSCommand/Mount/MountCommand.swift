import ArgumentParser
import FoundationEssentials

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs mount`.
package struct MountCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Mount a directory that uploads what is copied into it.",
        discussion: """
            Returns once the mount is usable, and serves it in the background. A file's close returns 0 when the platform has \
            all of it, and an error when it has not. Progress and reasons are in MOUNTPOINT/.status, and in 'twelvefs status'.

            Sizes are written like 64MiB, 64M (the same) or 1.5GB; times like 90s, 5m or 1h30m.

            SIGTERM and SIGINT (Ctrl-C) unmount as 'twelvefs unmount' does; a second one stops at once, and what was not \
            uploaded is recovered by the next mount. SIGHUP reopens the log file.
            """)

    @Argument(help: ArgumentHelp("An empty directory.", valueName: "mountpoint"), completion: .directory)
    package var mountPoint: String

    @OptionGroup(title: "Platform") var platform: PlatformOptions
    @OptionGroup(title: "Uploads") var uploads: UploadOptions
    @OptionGroup(title: "Storage") var storage: StorageOptions
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Process") var process: RunOptions

    @Option(
        name: .customShort("o"),
        help: ArgumentHelp(
            "Options as /etc/fstab has them, separated by commas.",
            discussion: """
                ro, rw, noexec, noatime, dirsync, allow_other, uid=N, gid=N and every other option above as name or \
                name=value; those for mount(8) and systemd (_netdev, nofail, noauto, user, x-…) are accepted.
                """,
            valueName: "options"))
    package var mountOptions: [String] = []

    @Option(name: .customLong("mount-flag"), help: .private)
    package var mountFlags: [String] = []

    package init() {}

    package func validate() throws {
        guard mountOptions.isEmpty else {
            throw ValidationError("give -o on its own, not joined to other short options")
        }
        guard mountFlags.allSatisfy(MountOptionList.mountFlags.contains) else {
            throw ValidationError("unknown mount flag; use -o")
        }
        guard !mountPoint.isEmpty else { throw ValidationError("the mount point is empty") }
    }

    package func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let access = try platform.access(environment: environment)
        let configuration = try mountConfiguration(environment: environment)
        try FuseCheck.run(allowsOther: configuration.allowsOther, environment: environment)
        UnseenWriterNotes.tell(configuration)
        if process.isForeground {
            // From here on key and proxy are in our memory only; the children that FUSE starts do not inherit them.
            SecretVariables.forget()
            try MountSupervisor(service: PlatformMount()).serve(configuration, access: access, reportingTo: nil)
        } else {
            try BackgroundProcess.mount(configuration, access: access)
        }
    }

    /// What was asked for, with paths made absolute and defaults filled in.
    ///
    /// - Throws: a ``CommandFailure`` for what cannot be known from the option's text alone.
    package func mountConfiguration(environment: [String: String]) throws -> MountConfiguration {
        let stateDirectory =
            try storage.stateDirectory.map { try Self.absolute($0) } ?? StateDirectory.defaultPath(environment)
        let defaultLog = process.isForeground ? nil : "\(stateDirectory)/\(StateDirectory.logName)"
        return MountConfiguration(
            mountPoint: try Self.absolute(mountPoint),
            apiURL: try platform.baseURL(environment: environment),
            apiKeyFile: try platform.apiKeyFile.map(Self.absolute),
            stateDirectory: stateDirectory,
            spoolLimit: storage.spoolLimit?.byteCount,
            keepInterrupted: storage.keepInterrupted.duration,
            closeMode: uploads.closeMode, stallTimeout: uploads.stallTimeout.duration,
            drainTimeout: process.drainTimeout.duration,
            uploadConcurrency: uploads.uploadConcurrency,
            runAhead: uploads.runAhead.byteCount,
            maxFileSize: uploads.maxFileSize.byteCount,
            usesSizeHints: uploads.sizeHints == .on,
            assetType: uploads.assetType,
            otherFiles: uploads.otherFiles,
            enableHLS: uploads.enableHLS ? true : nil,
            enableThumbnail: uploads.enableThumbnail ? true : nil,
            metadata: uploads.metadata,
            isReadOnly: access.isReadOnly,
            allowsOther: access.allowsOther,
            unmountsItself: process.unmountsItself,
            unseenWriters: access.unseenWriters,
            uid: access.uid,
            gid: access.gid,
            fileMode: access.fileMode?.bits,
            directoryMode: access.directoryMode?.bits,
            mountFlags: mountFlags,
            logFile: try process.logFile.map(Self.absolute) ?? defaultLog,
            isDebug: process.isDebug)
    }

    private static func absolute(_ path: String) throws -> String {
        do {
            return try absolutePath(path)
        } catch {
            throw CommandFailure("the working directory cannot be told: \(error.words)", hint: "Use absolute paths")
        }
    }
}
