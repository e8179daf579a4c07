/// Why an operation on a ``FileTree`` was refused. The tree is then as it was before.
public enum TreeError: Error, Sendable, Hashable, CaseIterable {
    /// There is no such node or entry, or the directory that was to take an entry has been removed.
    case notFound
    /// The name is taken.
    case exists
    /// A directory was needed and this is a file.
    case notDirectory
    /// A file was needed and this is a directory.
    case isDirectory
    /// The directory still has entries.
    case notEmpty
    /// The name is empty, `.`, `..`, or contains `/` or NUL.
    case invalidName
    /// The name is longer than ``FileName/maximumLength``.
    case nameTooLong
    /// A directory would have come to lie below itself.
    case loop
}
