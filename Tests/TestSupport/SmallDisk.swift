import Foundation

/// A disk of a test's own, in memory, small enough to be filled.
package struct SmallDisk: Sendable {
    /// Where it is mounted.
    package let path: String

    private var filler: String { "\(path)/filler" }

    /// Takes all the space that is left, as another program on the same disk would.
    package func fill() async throws {
        let filling = try await shell(#"cat /dev/zero >> "$1""#, filler)
        guard filling.errors.contains("No space left on device") else { throw ToolFailed(outcome: filling) }
    }

    /// Gives that space back.
    package func makeSpace() {
        unlink(filler)
    }
}

/// Runs `body` with a small disk, which is gone afterwards, however `body` ends. Needs root.
///
/// - Parameter size: as `mount -t tmpfs -o size=` takes it.
package func withSmallDisk<Value: Sendable>(
    _ size: String, in scratch: Scratch, body: (SmallDisk) async throws -> Value
) async throws -> Value {
    let disk = SmallDisk(path: try scratch.folder("disk"))
    let mounting = try await run("mount", "-t", "tmpfs", "-o", "size=\(size),mode=755", "twelvefs-test", disk.path)
    guard mounting.succeeded else { throw ToolFailed(outcome: mounting) }
    RunRegister.mount(disk.path)
    // A system call rather than a tool: it is done even when the test was cancelled.
    defer { umount2(disk.path, Int32(MNT_DETACH)) }
    return try await body(disk)
}
