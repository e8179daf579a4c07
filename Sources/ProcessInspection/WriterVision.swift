import Formats
import Glibc

/// What this process will see of those that write, as far as it can be known before they come.
public struct WriterVision: Sendable, Equatable {
    /// `/proc` shows the processes of the own pid namespace.
    public var procIsOwn = true
    /// The own pid namespace is the machine's first one, which has every process.
    public var seesAllNamespaces = true
    /// `/proc` hides processes that may not be looked into (`hidepid`).
    public var procHides = false
    /// Other users' processes may be looked into (`CAP_SYS_PTRACE`).
    public var mayLookIntoAll = true
    /// The kernel tells how processes ended.
    public var tellsEnds = true

    /// Everything can be seen.
    public init() {}

    /// What holds on this machine for this process.
    public init(table: ProcessTable, ends: ProcessWatch) {
        procIsOwn = table.matchesOwnNamespace
        seesAllNamespaces = table.isInFirstNamespace
        tellsEnds = ends.isAvailable
        let proc = MountTable.current(root: table.root).topmostEntry(atMountPoint: Array("/proc".utf8))
        procHides =
            proc?.superOptions.split(separator: ",").contains { option in
                option.hasPrefix("hidepid=") && option != "hidepid=0" && option != "hidepid=off"
            } ?? false
        let capabilities = table.status(of: getpid())?["CapEff"].flatMap { UInt64(hexadecimal: $0) } ?? 0
        mayLookIntoAll = capabilities & Self.ptrace != 0
    }

    /// `CAP_SYS_PTRACE`
    private static let ptrace: UInt64 = 1 << 19
}
