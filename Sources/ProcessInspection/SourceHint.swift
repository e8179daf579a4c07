import Formats

/// The file whose name and size are looked for among what its writer reads.
public struct SourceTarget: Sendable, Equatable {
    /// The base name that the file will have in the end: of `.clip.mp4.x1Y2z3`, rsync's temporary name, `clip.mp4`.
    public var name: [UInt8]
    /// Its inode number in the mount.
    public var inode: UInt64
    /// Where the first write ends, in bytes, the write under way included.
    public var written: Int64

    /// A file that somebody begins to write.
    public init(name: [UInt8], inode: UInt64, written: Int64) {
        self.name = name
        self.inode = inode
        self.written = written
    }
}

/// A file that a writer copies, or seems to.
public struct FoundSource: Sendable, Equatable {
    /// How much its size tells about the target's.
    public enum Kind: Sendable, Equatable {
        /// The writer is cp, mv or install: the target will be as long as this file, or the copy did not finish.
        case copied
        /// Any other writer, or rsync: a guess.
        case read
    }

    /// Where the file is.
    public enum Location: Sendable, Equatable {
        /// In the same mount: its size is known there. It was not asked for.
        case ownFile(inode: UInt64)
        /// Elsewhere. Device and inode tell it from another file that the descriptor may refer to later; the size is in bytes.
        case elsewhere(device: DeviceNumber, inode: UInt64, size: Int64)
    }

    /// How much its size tells.
    public var kind: Kind
    /// Where it is, and how long.
    public var location: Location
    /// The descriptor through which it was found.
    public var source: OpenSource
    /// Whether it bears the target's name, and the writer itself has it open.
    public var isNamesake: Bool

    /// A source.
    public init(kind: Kind, location: Location, source: OpenSource, isNamesake: Bool = false) {
        self.kind = kind
        self.location = location
        self.source = source
        self.isNamesake = isNamesake
    }
}

/// Finds the size of a file that is being written in what its writer has open for reading.
///
/// A hint, never a fact: the size is checked when the file is closed. Where several files could be meant, none is taken.
///
/// Asked at the first write, **while that waits for its answer**, so that the writer cannot open or close anything
/// meanwhile; not in CREATE, where the directory is locked: a file on a network may be waited for, 100 ms at most. The
/// first one that does not answer in time ends the search, and the thread that asks for it is left behind.
public struct SourceHintFinder: Sendable {
    /// How many files are asked for their size; whoever reads more at once is no copier.
    static let candidateLimit = 8

    let table: ProcessTable
    let mount: MountIdentity
    /// Its own, so that sources that hang do not hinder the search for whoever holds a file.
    package let threads = DisposableThreads()

    /// Finds sources for the files of a mount.
    public init(table: ProcessTable, mount: MountIdentity) {
        self.table = table
        self.mount = mount
    }

    /// The source that a writer copies into the target, or nil when it has none, or too many.
    public func source(of writer: Int32, for target: SourceTarget) -> FoundSource? {
        threads.run { [table, mount] steps in
            guard let command = table.command(of: writer) else { return nil }
            let search = Search(table: table, mount: mount, target: target, steps: steps)
            return switch Writer(command: command) {
            case .copier: search.copied(by: writer)
            case .rsync: search.sent(to: writer)
            case .other: search.read(by: writer, named: command)
            }
        } ?? nil
    }

    /// The size of a source that is still open, in bytes; nil when it is closed, another one, of the own mount, or does not answer.
    ///
    /// A copy is complete when it has as many bytes as its source had at the beginning **or** has at the end, whichever
    /// are fewer: a source that grows while it is copied is read to an end that it no longer has.
    public func currentSize(of found: FoundSource) -> Int64? {
        guard case .elsewhere(let device, let inode, _) = found.location else { return nil }
        return threads.run { [table, mount] steps in
            // The descriptor is looked at anew: it may be closed, and its number given to another file.
            guard let source = table.openSource(of: found.source.process, number: found.source.number) else {
                return nil
            }
            let search = Search(table: table, mount: mount, target: nil, steps: steps)
            guard case .elsewhere(device, inode, let size) = search.location(of: source) else { return nil }
            return size
        } ?? nil
    }

    private enum Writer {
        case copier, rsync, other

        init(command: [UInt8]) {
            switch String(decoding: command, as: UTF8.self) {
            case "cp", "mv", "install": self = .copier
            case "rsync": self = .rsync
            default: self = .other
            }
        }
    }
}
