import Foundation
import Synchronization

/// All that a mounted test needs: a temporary folder, a sandbox, and a mount that uploads to it.
package struct Stage: Sendable {
    package let scratch: Scratch
    package let sandbox: SandboxProcess
    package let mount: Mount

    package init(scratch: Scratch, sandbox: SandboxProcess, mount: Mount) {
        self.scratch = scratch
        self.sandbox = sandbox
        self.mount = mount
    }

    /// Makes a file of random bytes outside the mount and returns its path.
    package func source(_ name: String = "video.mp4", size: Int, seed: UInt64 = 12) async throws -> String {
        try await TestFile.random(at: scratch.appending(name), size: size, seed: seed)
    }

    /// The complete assets that bear a name.
    package func assets(named name: String) async throws -> [StoredAsset] {
        try await sandbox.completeAssets().filter { $0.filename == name }
    }

    /// Runs a tool with the mount's folder as its own.
    package func shellInMount(_ script: String, _ arguments: String...) async throws -> Outcome {
        var tool = Tool.shell(script, arguments)
        tool.workingDirectory = mount.path
        return try await run(tool)
    }
}

/// Runs `body` with a sandbox, which is gone afterwards.
package func withSandbox<Value: Sendable>(
    _ options: [String] = [], scratch: Scratch, body: (SandboxProcess) async throws -> Value
) async throws -> Value {
    let sandbox = try await SandboxProcess.start(options, folder: try scratch.folder("sandbox"))
    do {
        let value = try await body(sandbox)
        await sandbox.kill()
        return value
    } catch {
        await sandbox.kill()
        throw error
    }
}

/// Runs `body` with a mount, which is gone afterwards with its process, however `body` ends.
package func withMount<Value: Sendable>(
    _ options: MountOptions, body: (Mount) async throws -> Value
) async throws -> Value {
    let mount = try await Mount.start(options)
    do {
        let value = try await withTaskCancellationHandler {
            try await body(mount)
        } onCancel: {
            // Time is up. Whoever waits in the mount is woken by the end of its server.
            mount.killServer()
        }
        await mount.destroy()
        return value
    } catch {
        await mount.destroy()
        report(logOf: mount)
        throw error
    }
}

/// Runs `body` with a temporary folder, a sandbox and a mount that uploads to it. All are gone afterwards.
///
/// - Parameters:
///   - arguments: options of `twelvefs mount`.
///   - sandboxOptions: options of `twelvefs-sandbox`.
///   - asOrdinaryUser: whether the mount is an ordinary user's.
package func withMount<Value: Sendable>(
    _ arguments: [String] = [], sandbox sandboxOptions: [String] = [], asOrdinaryUser: Bool = false,
    body: (Stage) async throws -> Value
) async throws -> Value {
    try await withScratch { scratch in
        try await withSandbox(sandboxOptions, scratch: scratch) { sandbox in
            let options = try mountOptions(
                in: scratch, sandbox: sandbox, arguments: arguments, asOrdinaryUser: asOrdinaryUser)
            return try await withMount(options) { mount in
                try await body(Stage(scratch: scratch, sandbox: sandbox, mount: mount))
            }
        }
    }
}

/// The usual places in a temporary folder: `mnt`, `state`, `twelvefs.log`.
package func mountOptions(
    in scratch: Scratch, sandbox: SandboxProcess, arguments: [String] = [], asOrdinaryUser: Bool = false
) throws -> MountOptions {
    let home = try scratch.folder("user")
    var options = MountOptions(
        mountPoint: try scratch.folder("user/mnt"), apiURL: sandbox.apiURL, stateDirectory: "\(home)/state",
        logFile: "\(home)/twelvefs.log")
    options.arguments = arguments
    options.asOrdinaryUser = asOrdinaryUser
    if asOrdinaryUser, geteuid() == 0 {
        let user = uid_t(Tool.ordinaryUser)
        for folder in [home, options.mountPoint] { chown(folder, user, user) }
    }
    return options
}

/// Prints the end of a mount's log: a test that failed there is understood by it.
private func report(logOf mount: Mount) {
    guard let log = try? String(contentsOfFile: mount.logFile, encoding: .utf8) else { return }
    let tail = log.split(separator: "\n").suffix(60).joined(separator: "\n")
    print("the end of twelvefs's log:\n\(tail)")
}
