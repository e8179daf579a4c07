import Foundation

/// What `/proc` tells about other processes.
package enum RunningProcesses {
    /// The ids of all visible processes.
    package static func all() -> [pid_t] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }
    }

    /// The arguments a process was started with; empty when it is gone or a zombie.
    package static func arguments(of pid: pid_t) -> [String] {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return [] }
        return data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The short name of a process.
    package static func name(of pid: pid_t) -> String? {
        let name = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)
        return name?.trimmingCharacters(in: .newlines)
    }

    /// When a process was started, in clock ticks since boot: with it a pid names one process only.
    package static func startTime(of pid: pid_t) -> UInt64? {
        field(22, of: pid).flatMap { UInt64($0) }
    }

    /// Whether a process runs: it exists, and is not a zombie that nobody has waited for yet.
    package static func isRunning(_ pid: pid_t) -> Bool {
        field(3, of: pid).map { $0 != "Z" && $0 != "X" } ?? false
    }

    /// The process that serves a mount point: it is named `twelvefs` and has the mount point among its arguments.
    package static func server(of mountPoint: String) -> pid_t? {
        all().first { pid in
            name(of: pid) == "twelvefs" && arguments(of: pid).contains(mountPoint) && isRunning(pid)
        }
    }

    /// A field of `/proc/<pid>/stat` by its number in proc(5), from 3 on. Fields are counted after the name, which may hold spaces and parentheses.
    private static func field(_ number: Int, of pid: pid_t) -> String? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        return fields.indices.contains(number - 3) ? String(fields[number - 3]) : nil
    }
}

/// What the kernel says is mounted.
package enum MountedPaths {
    /// Whether something is mounted exactly there.
    package static func contains(_ mountPoint: String) -> Bool {
        let table = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
        // Spaces are escaped in the table; the tests' mount points have none.
        return table.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 1 && fields[1] == mountPoint
        }
    }
}
