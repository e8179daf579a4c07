/// A point in time as files bear it, and as a `timespec` gives it: since 1970-01-01T00:00:00Z, negative before.
public struct FileTime: Sendable, Hashable, Comparable {
    /// Whole seconds, rounded down.
    public var seconds: Int64
    /// Nanoseconds above `seconds`: 0 to 999 999 999.
    public var nanoseconds: Int64

    /// The time `seconds` + `nanoseconds`.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The earlier is the smaller.
    public static func < (left: FileTime, right: FileTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}
