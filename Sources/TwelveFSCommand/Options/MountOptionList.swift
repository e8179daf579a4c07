import ArgumentParser

/// `-o OPTIONS`, as mount(8) and `/etc/fstab` pass them: turned into the long options of `twelvefs mount` before anything is
/// parsed, so that each option has one meaning and one check however it is given.
package enum MountOptionList {
    /// `arguments` of `twelvefs mount` with every `-o LIST` replaced by what the list says, in its place.
    ///
    /// - Throws: `ValidationError` for an option that nobody knows, and for `-o` without a list.
    package static func expanding(_ arguments: [String]) throws -> [String] {
        var expanded: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                expanded.append(argument)
                expanded.append(contentsOf: rest)
                break
            } else if argument == "-o" {
                guard let list = rest.popFirst() else { throw ValidationError("-o needs options after it") }
                expanded.append(contentsOf: try self.arguments(for: list))
            } else if argument.hasPrefix("-o"), argument.utf8.count > 2 {
                expanded.append(contentsOf: try self.arguments(for: String(argument.dropFirst(2))))
            } else {
                expanded.append(argument)
            }
        }
        return expanded
    }

    /// The long options that one comma-separated list stands for.
    package static func arguments(for list: String) throws -> [String] {
        var arguments: [String] = []
        for option in split(list) where !option.isEmpty {
            let name = String(option.prefix { $0 != "=" })
            let value = option.contains("=") ? String(option.dropFirst(name.count + 1)) : nil
            switch try meaning(of: name, hasValue: value != nil) {
            case .mountProgram: break
            case .takingBack(let earlier): arguments.removeAll { $0 == earlier }
            case .flag(let flag): arguments.append(flag)
            case .option(let option): arguments.append("\(option)=\(value ?? "")")
            case .mountFlag: arguments.append("--mount-flag=\(name)")
            }
        }
        return arguments
    }

    /// What one option of a list is for.
    private enum Meaning {
        /// For mount(8) or systemd, which have acted on it (or will): nothing to do for a file system.
        case mountProgram
        /// `rw`, `exec`, `atime`: the default, which takes an earlier `ro`, `noexec`, `noatime` of the same list back.
        case takingBack(String)
        /// A flag of ours.
        case flag(String)
        /// An option of ours that takes a value.
        case option(String)
        /// A flag of the mount itself, for the kernel.
        case mountFlag
    }

    private static func meaning(of name: String, hasValue: Bool) throws -> Meaning {
        if name.hasPrefix("x-") || name.hasPrefix("X-") || name == "comment" || name == "user" { return .mountProgram }
        let long = name.replacing("_", with: "-")
        switch (hasValue, long) {
        case (true, _) where ownOptions.contains(long): return .option("--\(long)")
        case (false, _) where ownOptions.contains(long): throw ValidationError("-o \(name) needs a value: \(name)=…")
        case (true, _) where ownFlags.contains(long): throw ValidationError("-o \(name) takes no value")
        case (false, _) where ownFlags.contains(long): return .flag("--\(long)")
        case (false, "ro"): return .flag("--read-only")
        case (false, "rw"): return .takingBack("--read-only")
        case (false, "exec"): return .takingBack("--mount-flag=noexec")
        case (false, "atime"): return .takingBack("--mount-flag=noatime")
        case (false, _) where forMountProgram.contains(name) || alwaysInForce.contains(name): return .mountProgram
        case (false, _) where mountFlags.contains(name): return .mountFlag
        default: throw ValidationError("unknown option in -o: '\(name)'; 'twelvefs mount --help' lists them")
        }
    }

    /// The options of `twelvefs mount` that take a value.
    package static let ownOptions: Set<String> = [
        "api-url", "api-key-file", "ca-file", "proxy", "proxy-file", "state-dir", "spool-limit", "keep-interrupted",
        "asset-type",
        "other-files",
        "metadata", "upload-concurrency", "run-ahead", "max-file-size", "size-hints", "close-mode", "stall-timeout",
        "drain-timeout",
        "unseen-writers", "uid", "gid",
        "file-mode", "dir-mode", "log-file",
    ]
    /// The flags of `twelvefs mount` that make sense in a table of file systems (`foreground` does not: it would never boot).
    package static let ownFlags: Set<String> = [
        "read-only", "allow-other", "auto-unmount", "enable-hls", "enable-thumbnail", "debug",
    ]
    /// Who may mount, and when: mount(8)'s business and systemd's.
    package static let forMountProgram: Set<String> = [
        "defaults", "auto", "noauto", "nouser", "users", "owner", "group", "nofail", "_netdev", "async", "relatime",
    ]
    /// What every FUSE mount of ours has anyway.
    package static let alwaysInForce: Set<String> = ["nosuid", "nodev", "default_permissions"]
    /// What the kernel does for any file system; known to libfuse and `fusermount3`.
    package static let mountFlags: Set<String> = ["noexec", "noatime", "dirsync"]

    /// The options between the commas; `\,` and `\\` stand for the characters themselves.
    private static func split(_ list: String) -> [String] {
        var options = [""]
        var isEscaped = false
        for character in list {
            switch character {
            case "\\" where !isEscaped:
                isEscaped = true
                continue
            case "," where !isEscaped: options.append("")
            case ",", "\\": options[options.count - 1].append(character)
            default: options[options.count - 1].append(contentsOf: isEscaped ? "\\\(character)" : "\(character)")
            }
            isEscaped = false
        }
        if isEscaped { options[options.count - 1].append("\\") }
        return options
    }
}
