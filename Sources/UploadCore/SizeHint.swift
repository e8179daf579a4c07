/// What is believed of a file's final size before its writer has finished, and why.
///
/// The platform wants the total size before the first byte; a file system learns it at the last. A hint lets the
/// session open early. It is verified when the version is committed: a wrong one costs time, never bytes.
public struct SizeHint: Sendable, Equatable {
    /// Where a hint comes from, strongest first.
    public enum Source: String, Sendable, CaseIterable, Comparable {
        /// `ftruncate` up before any write, `fallocate`, or the extended attribute for it.
        case declared
        /// The one regular file that a cp, mv or install has open for reading.
        case copiedSource = "copied-source"
        /// A file that any other writer has open for reading.
        case readSource = "read-source"
        /// `fallocate` that keeps the size: rsync's is off by one on purpose.
        case preallocated

        /// A smaller source is a weaker one.
        public static func < (one: Source, other: Source) -> Bool { one.strength < other.strength }

        private var strength: Int {
            switch self {
            case .declared: 3
            case .copiedSource: 2
            case .readSource: 1
            case .preallocated: 0
            }
        }

        /// Whether the writer itself said so: a shorter file then means that it did not finish.
        public var isExact: Bool {
            switch self {
            case .declared, .copiedSource: true
            case .readSource, .preallocated: false
            }
        }
    }

    /// The believed size, in bytes.
    public var size: Int64
    /// Where the belief comes from.
    public var source: Source

    /// A hint of `size` bytes.
    public init(size: Int64, source: Source) {
        self.size = size
        self.source = source
    }
}
