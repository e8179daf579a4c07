import Formats
import FuseLowLevel
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// The state directory that a mount names as its source. Whoever mounted it wrote that name, and what is in the directory: so
/// nothing of it is believed before it is known to be theirs, and nothing is written there.
package struct ServedDirectory {
    /// Held open.
    let directory: OpenDirectory
    /// Who mounted, and whose it is.
    let owner: uid_t

    /// - Returns: nil when there is none any more.
    /// - Throws: ``UntrustedPath``, `Errno` (`permissionDenied`: it belongs to another user), ``CommandFailure``.
    package init?(of mount: MountTable.Entry) throws {
        guard let owner = mount.userID, mount.source.hasPrefix("/") else {
            throw UntrustedPath("the mount does not tell whose it is")
        }
        do {
            directory = try PathWalk.directory(at: mount.source, steps: .any)
        } catch Errno.noSuchFileOrDirectory {
            return nil
        }
        let found = try directory.status().owner
        guard found == owner else {
            throw UntrustedPath(
                "the state directory \(mount.source) belongs to another user (uid \(found)) than the mount (uid \(owner))"
            )
        }
        self.owner = owner
    }
}
