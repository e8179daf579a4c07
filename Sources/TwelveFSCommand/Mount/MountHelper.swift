import ArgumentParser

/// What mount(8) runs for a line of `/etc/fstab` whose type is `twelvefs`: this program under the name `mount.twelvefs`
/// (a symbolic link in `/sbin`), as `mount.twelvefs SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`.
package enum MountHelper {
    /// The arguments of `twelvefs` that mean the same, or nil when the program was not started by that name.
    ///
    /// - Parameters:
    ///   - program: the name that the program was started by, with or without its directory.
    ///   - arguments: those after it.
    /// - Throws: `ValidationError` for what mount(8) never passes.
    package static func arguments(program: String, _ arguments: [String]) throws -> [String]? {
        guard program.split(separator: "/").last == "mount.twelvefs" else { return nil }
        var operands: [String] = []
        var mount = ["mount"]
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-o":
                guard let options = rest.popFirst() else { throw ValidationError("-o needs options after it") }
                mount += ["-o", options]
            // The type is known, and a namespace has been entered by mount(8) itself.
            case "-t", "-N": _ = rest.popFirst()
            // Verbose, and without an entry in /etc/mtab, which is a link to the kernel's own table today.
            case "-v", "-n": break
            case _ where argument.hasPrefix("-"): throw ValidationError("mount.twelvefs does not know \(argument)")
            default: operands.append(argument)
            }
        }
        guard operands.count == 2 else {
            throw ValidationError("mount.twelvefs is run by mount(8), as SPEC DIR [-o OPTIONS]")
        }
        guard ["none", "twelvefs"].contains(operands[0]) else {
            throw ValidationError(
                "the first field of the fstab line must be 'none' or 'twelvefs', not '\(operands[0])'")
        }
        return mount + ["--", operands[1]]
    }
}
