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

    /// Makes what is missing of `path` (mode 0700), checks every step of it, and returns its real path.
    ///
    /// Nobody else may be able to read it, or to put another directory in its place: it must be a directory of ours with
    /// mode 0700 or less, not a symbolic link, and above it there may be neither a link of another user nor a directory
    /// that everybody may rename things in.
    /// - Throws: a ``CommandFailure``.
    package static func prepare(_ path: String) throws -> String {
        let path = FilePath(path)
        var step = FilePath("/")
        var remaining = path.components.count
        for component in path.components {
            step.append(component)
            remaining -= 1
            try prepareStep(step.string, isLast: remaining == 0, whole: path.string)
        }
        do {
            return try realPath(path.string)
        } catch {
            throw unusable(path.string, error)
        }
    }

    private static func prepareStep(_ step: String, isLast: Bool, whole: String) throws {
        let status: PathStatus
        do {
            if mkdir(step, 0o700) != 0 {
                let error = Errno(rawValue: errno)
                // A step that exists may answer anything (a read-only disk, no permission above it): lstat tells.
                guard (try? PathStatus(at: step, followingLinks: false)) != nil else { throw error }
            }
            status = try PathStatus(at: step, followingLinks: false)
        } catch let error as Errno {
            throw unusable(whole, error)
        }
        if isLast {
            try checkLast(status, step)
        } else if status.isSymbolicLink {
            guard isTrusted(status.owner) else {
                throw CommandFailure(
                    "the state directory \(whole) is not safe: \(step) is a symbolic link of another user",
                    hint: elsewhere)
            }
        } else if !isSafeParent(status) {
            throw CommandFailure(
                "the state directory \(whole) is not safe: every user can rename what is in \(step)", hint: elsewhere)
        }
    }

    private static func checkLast(_ status: PathStatus, _ path: String) throws {
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

    private static func isTrusted(_ user: uid_t) -> Bool { user == 0 || user == geteuid() }

    /// A directory above ours: in one that everybody may write to, the sticky bit must keep our entry ours (`/tmp`).
    private static func isSafeParent(_ status: PathStatus) -> Bool {
        status.mode & S_IWOTH == 0 || status.mode & mode_t(S_ISVTX) != 0
    }

    private static func unusable(_ path: String, _ error: Errno) -> CommandFailure {
        CommandFailure("the state directory \(path) cannot be used: \(error.words)", hint: elsewhere)
    }
}
