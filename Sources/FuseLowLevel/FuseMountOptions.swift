/// How to mount.
public struct FuseMountOptions: Sendable, Hashable {
    /// What `mount` and `df` show as the device.
    public var fsname = "twelvefs"
    /// The file system's type becomes `fuse.` and this.
    public var subtype = "twelvefs"
    /// Other users, root included, may enter. For ordinary users `/etc/fuse.conf` has to allow it.
    public var allowOther = false
    /// The kernel checks owner and mode bits. Without it, everyone who may enter may do everything.
    public var defaultPermissions = true
    /// When the process dies, however it dies, the mount goes with it, and whoever writes writes into the directory beneath.
    /// Without it a dead mount stays, where every call fails with `ENOTCONN`. See ``FuseSession/mount()``.
    public var autoUnmount = false
    /// Nothing can be changed through the mount.
    public var readOnly = false
    /// The largest READ in bytes; the kernel's choice when nil.
    public var maximumRead: UInt32?
    /// Has libfuse tell its log handler of each request.
    public var tracesRequests = false
    /// Options of fusermount3 and mount(8) as they are given with `-o`: `noexec`, `noatime`, `context=…`
    public var extra: [String] = []

    /// The defaults above.
    public init() {}

    /// All of it as fusermount3 takes it.
    func argument() -> String {
        var options = [readOnly ? "ro" : "rw", "nosuid", "nodev"]
        options.append("fsname=" + Self.escaped(fsname))
        options.append("subtype=" + Self.escaped(subtype))
        if allowOther { options.append("allow_other") }
        if defaultPermissions { options.append("default_permissions") }
        if autoUnmount { options.append("auto_unmount") }
        if let maximumRead { options.append("max_read=\(maximumRead)") }
        options += extra
        return options.joined(separator: ",")
    }

    /// fusermount3 separates options at commas that no backslash precedes.
    private static func escaped(_ value: String) -> String {
        String(value.flatMap { $0 == "," || $0 == "\\" ? ["\\", $0] : [$0] })
    }
}
