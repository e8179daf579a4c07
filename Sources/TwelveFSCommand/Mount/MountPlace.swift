import Formats
import FuseLowLevel
import Synchronization
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// The directory that something is to be mounted on, held from when it was looked at: between that and the mount the platform is
/// asked, which takes its time, and others may be at work on the path.
package final class MountPlace: Sendable {
    /// Without links, as the kernel's table of mounts has it.
    package let path: String
    /// Nothing is held any more once the mount is there: it would keep the disk beneath busy.
    private let held: Mutex<Held?>

    private struct Held {
        let location: FileLocation
        /// Nil beneath a dead mount of ours, which stays until ``makeFree()``: it keeps programs from writing into the directory
        /// beneath, which can be looked at only then.
        var directory: OpenDirectory?
    }

    /// Makes sure that a file system can be attached at `path`.
    ///
    /// - Throws: a ``CommandFailure``.
    package init(checking path: String) throws {
        let real: String
        do {
            real = try MountPoint.resolved(path)
        } catch .noSuchFileOrDirectory {
            throw CommandFailure("the mount point \(path) does not exist", hint: "Make it first: mkdir -p \(path)")
        } catch {
            throw CommandFailure("the mount point \(path) cannot be reached: \(error.words)")
        }
        self.path = real
        let location = try Self.location(real)
        let directory = try MountPoint.deadMount(at: real) == nil ? try Self.bareDirectory(location) : nil
        held = Mutex(Held(location: location, directory: directory))
    }

    private static func location(_ real: String) throws -> FileLocation {
        guard let name = FilePath(real).lastComponent else {
            throw CommandFailure("the mount point \(real) is not empty", hint: "Name an empty directory")
        }
        let above = FilePath(real).removingLastComponent().string
        do {
            // fusermount3 looks for an ordinary user whether he may mount there; root may everywhere.
            let parent = try PathWalk.directory(at: above, steps: geteuid() == 0 ? .trusted : .any)
            return parent.file(name.string)
        } catch let error as UntrustedPath {
            throw CommandFailure(
                "the mount point \(real) could be exchanged for another directory: \(error.words)",
                hint: "Mount as that user, or name a directory below one that is root's alone")
        } catch let error as Errno {
            throw CommandFailure("the mount point \(real) cannot be reached: \(error.words)")
        }
    }

    /// Clears a dead mount away: the last step before another one takes its place.
    ///
    /// - Throws: a ``CommandFailure``, also for what the dead mount had hidden, or what has changed since it was looked at.
    package func makeFree() throws {
        while let mount = try MountPoint.deadMount(at: path) { try MountPoint.clear(mount) }
        try held.withLock { held in
            guard let location = held?.location else { return }
            let now = try Self.bareDirectory(location)
            guard try held?.directory.map({ try Self.areSame($0, now) }) ?? true else { throw exchanged }
            held?.directory = now
        }
    }

    private static func areSame(_ one: OpenDirectory, _ other: OpenDirectory) throws(Errno) -> Bool {
        let (one, other) = (try one.status(), try other.status())
        return one.device == other.device && one.inode == other.inode
    }

    /// Makes sure that the mount with the id `mount` is where it was to be, and that nothing has come into the directory before that:
    /// nobody would find it there.
    ///
    /// - Throws: a ``CommandFailure``; the mount is to be taken away then.
    package func check(mount: Int32?) throws {
        guard let held = held.withLock({ $0.take() }) else { return }
        do {
            let found = try held.location.openStep(making: false)
            let id = try found.closeAfter { MountTable.mountID(of: found.rawValue) }
            // Where `/proc` tells of none, it does not tell of another either.
            guard id == mount else { throw exchanged }
            if let directory = held.directory, try !directory.isEmpty {
                throw CommandFailure(
                    "something was written into the mount point \(path) just before it was mounted",
                    hint: "Move it away, and mount again")
            }
        } catch let error as Errno {
            throw CommandFailure("the mount point \(path) cannot be reached any more: \(error.words)")
        }
    }

    private var exchanged: CommandFailure {
        CommandFailure(
            "the mount point \(path) was exchanged for another directory while the mount began",
            hint: "Look who did that, and mount again")
    }

    private static func bareDirectory(_ location: FileLocation) throws -> OpenDirectory {
        let path = location.path
        do {
            guard try location.status().isDirectory else {
                throw CommandFailure("the mount point \(path) is not a directory", hint: "Name an empty directory")
            }
            let directory = OpenDirectory(try location.open(O_RDONLY | O_DIRECTORY), path: path)
            guard try directory.isEmpty else {
                throw CommandFailure("the mount point \(path) is not empty", hint: "Name an empty directory")
            }
            // For root, fusermount3 asks for no permission either: an immutable mount point takes nothing while nothing is mounted.
            guard geteuid() == 0 || location.isWritable else {
                throw CommandFailure(
                    "you may not write to the mount point \(path)", hint: "Name an empty directory of your own")
            }
            return directory
        } catch let error as Errno {
            throw CommandFailure("the mount point \(path) cannot be used: \(error.words)")
        }
    }
}
