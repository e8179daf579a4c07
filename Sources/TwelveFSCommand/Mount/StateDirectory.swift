import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// The state directory: made when missing, and refused when it is not ours alone.
package enum StateDirectory {
    /// The log's name in it.
    package static let logName = "twelvefs.log"

    /// `$XDG_STATE_HOME/twelvefs/default`, or else `~/.local/state/twelvefs/default`.
    ///
    /// - Throws: a ``CommandFailure`` when neither variable tells.
    package static func defaultPath(_ environment: [String: String]) throws -> String {
        // The XDG specification: what is not absolute is to be ignored.
        if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") {
            return FilePath(base).appending("twelvefs/default").lexicallyNormalized().string
        }
        guard let home = environment["HOME"], home.hasPrefix("/") else {
            throw CommandFailure(
                "no place for the state directory: $HOME is not set", hint: "Give one with --state-dir")
        }
        return FilePath(home).appending(".local/state/twelvefs/default").lexicallyNormalized().string
    }

    /// Makes what is missing of `path` (mode 0700), checks every step of it, and opens it.
    ///
    /// Nobody else may be able to read it, or to put another directory in its place: it must be a directory of ours with
    /// mode 0700 or less, not a symbolic link, and above it there may be neither a link nor a directory of another user, nor one
    /// that others may rename things in.
    /// - Throws: a ``CommandFailure``.
    package static func prepare(_ path: String) throws -> OpenDirectory {
        do {
            let whole = FilePath(path)
            guard let name = whole.lastComponent else { throw Errno.invalidArgument }
            let above = try PathWalk.directory(
                at: whole.removingLastComponent().string, steps: .trusted, making: true)
            let place = above.file(name.string)
            let directory = OpenDirectory(try place.openStep(making: true), path: place.path)
            try check(try directory.status(), path)
            return directory
        } catch let error as UntrustedPath {
            throw CommandFailure(
                "the state directory \(path) is not safe: \(error.words)",
                hint: error.remedy.map { "\($0), or give another one with --state-dir" } ?? elsewhere)
        } catch let error as Errno {
            throw unusable(path, error)
        }
    }

    private static func check(_ status: PathStatus, _ path: String) throws {
        guard !status.isSymbolicLink else {
            throw CommandFailure(
                "the state directory \(path) is a symbolic link", hint: "Name the directory itself with --state-dir")
        }
        guard status.isDirectory else {
            throw CommandFailure("the state directory \(path) is not a directory", hint: elsewhere)
        }
        guard status.owner == geteuid() else {
            throw CommandFailure(
                "the state directory \(path) belongs to another user (uid \(status.owner))", hint: elsewhere)
        }
        guard status.mode & 0o077 == 0 else {
            throw CommandFailure(
                "the state directory \(path) is open to other users (mode \(String(status.mode & 0o777, radix: 8)))",
                hint: "Run 'chmod 700 \(path)', or give another one with --state-dir")
        }
    }

    private static let elsewhere = "Give another one with --state-dir"

    private static func unusable(_ path: String, _ error: Errno) -> CommandFailure {
        CommandFailure("the state directory \(path) cannot be used: \(error.words)", hint: elsewhere)
    }
}
