import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Whether this machine can mount FUSE file systems at all: asked before anything is begun, so that the answer is one line
/// rather than libfuse's.
package enum FuseCheck {
    /// - Throws: a ``CommandFailure`` that says which part is missing and how to get it.
    package static func run(allowsOther: Bool, environment: [String: String]) throws {
        try checkDevice()
        guard program(named: "fusermount3", environment) != nil else {
            throw CommandFailure("fusermount3 is missing", hint: "Install it: apt-get install fuse3")
        }
        if allowsOther, geteuid() != 0, !allowsOthers(configuration: "/etc/fuse.conf") {
            throw CommandFailure(
                "--allow-other is not permitted to ordinary users",
                hint: "Add the line user_allow_other to /etc/fuse.conf")
        }
    }

    private static func checkDevice() throws {
        do {
            try FileDescriptor.open("/dev/fuse", .readWrite, options: .closeOnExec).close()
        } catch Errno.noSuchFileOrDirectory {
            throw CommandFailure(
                "there is no /dev/fuse", hint: "Load it with 'modprobe fuse'; a container needs '--device /dev/fuse'")
        } catch let error as Errno {
            throw CommandFailure(
                "/dev/fuse cannot be opened: \(error.words)",
                hint: "It must be readable and writable for you; a container needs '--device /dev/fuse'")
        }
    }

    /// Where libfuse would find `name`: where Debian puts it, or in the search path.
    package static func program(named name: String, _ environment: [String: String]) -> String? {
        let directories = ["/usr/bin", "/bin"] + (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return directories.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Whether the line that allows it stands in fusermount's configuration.
    package static func allowsOthers(configuration: String) -> Bool {
        guard let descriptor = try? FileDescriptor.open(configuration, .readOnly, options: .closeOnExec),
            let bytes = try? descriptor.closeAfter({ try descriptor.readAll(atMost: 1 << 16) })
        else { return false }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
            .contains { $0.trimmingPrefix { $0.isWhitespace }.hasPrefix("user_allow_other") }
    }
}
