/// Flags of `open` that the Glibc module lacks.
public enum OpenFlags {
    /// `O_PATH`: opens a place in the tree and not what is there (open(2)). The same on every architecture that Swift runs on
    /// (`asm-generic/fcntl.h`).
    public static let path: Int32 = 0o10_000_000
}
