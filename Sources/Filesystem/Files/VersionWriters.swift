import ProcessInspection

/// Who wrote into a version, and which of them are done with it: the one record, whoever tells of an end.
///
/// How a writer ended counts as long as it has not closed the file since it wrote last.
struct VersionWriters: Sendable {
    /// What tells one open handle of a file from the others: descriptors that are duplicates or were inherited share one.
    typealias Handle = ObjectIdentifier

    /// Whether a process is done with the file.
    enum Standing: Sendable, Equatable {
        /// It has written, and not closed the file since.
        case writing
        /// It has closed, since, each handle through which it wrote. Whether it has a duplicate of one is not to be seen; its
        /// end would close that.
        case closedOne
        /// It has closed its last descriptor since.
        case closed
    }

    /// A process that writes.
    struct Writer: Sendable {
        /// Its id; nil for one that is not to be seen.
        var process: Int32?
        /// Its end, where that is told.
        var watched: WatchedProcess?
        /// Whether it writes for others, and ends with the file open only where they are gone.
        var isFileServer = false
        /// The handle through which it writes; nil for a change by path.
        var handle: Handle?
        /// Whether its change is a close as well: how it ends does not matter.
        var isDone = false

        /// What is known of it when it has just written.
        var record: Record {
            Record(
                standing: isDone ? .closed : .writing, watched: watched, isFileServer: isFileServer,
                handle: isDone ? nil : handle)
        }
    }

    /// One process that wrote.
    struct Record: Sendable {
        var standing: Standing
        /// Its end, where that is told.
        var watched: WatchedProcess?
        /// Whether it writes for others, and ends with the file open only where they are gone.
        var isFileServer = false
        /// The handles through which it wrote.
        var handles: Set<Handle> = []
        /// Those of them that it has not closed since it wrote last.
        var unclosed: Set<Handle> = []

        init(standing: Standing, watched: WatchedProcess? = nil, isFileServer: Bool = false, handle: Handle? = nil) {
            self.standing = standing
            self.watched = watched
            self.isFileServer = isFileServer
            writes(through: handle)
        }

        /// Whether it wrote through that handle, as far as is known: of one that only set the size it is not.
        func hasUsed(_ handle: Handle) -> Bool { handles.isEmpty || handles.contains(handle) }

        mutating func writes(through handle: Handle?) {
            guard let handle else { return }
            handles.insert(handle)
            unclosed.insert(handle)
        }
    }

    /// By the process's id.
    private(set) var records: [Int32: Record] = [:]
    /// Those that have ended without having closed the file, and whose ids others have by now.
    private(set) var earlier: [Record] = []
    /// Those that exited with the file open, and how they ended is not known yet.
    var awaited: Set<Int32> = []

    /// The ids of those that wrote.
    var processes: Set<Int32> { Set(records.keys) }

    /// Those whose end is told, and says something of what they closed. A file server's says that its client is gone.
    var telling: [WatchedProcess] { records.values.filter { !$0.isFileServer }.compactMap(\.watched) }

    func contains(_ process: Int32) -> Bool { records[process] != nil }

    /// A process writes; tells whether it is somebody new, and gives what is not watched any more, to be released outside the
    /// file's lock.
    mutating func writes(_ writer: Writer) -> (isNew: Bool, unwatched: WatchedProcess?) {
        guard let process = writer.process else { return (false, nil) }
        guard let known = records[process] else {
            records[process] = writer.record
            return (true, nil)
        }
        if let before = known.watched, let now = writer.watched, before !== now {
            // The process is another one, with the number of the first.
            if known.standing == .writing { earlier.append(known) }
            records[process] = writer.record
            return (true, before)
        }
        // Mostly nothing changes: then nothing is copied.
        if !writer.isDone {
            if known.standing != .writing { records[process]?.standing = .writing }
            if let handle = writer.handle, !known.unclosed.contains(handle) {
                records[process]?.writes(through: handle)
            }
        }
        if known.watched == nil, let watched = writer.watched { records[process]?.watched = watched }
        return (false, nil)
    }

    /// A process closes a descriptor of a handle. One that it only inherited, and did not write through, tells nothing.
    mutating func closes(_ process: Int32, _ handle: Handle) {
        guard let record = records[process], record.standing == .writing, record.hasUsed(handle) else { return }
        records[process]?.unclosed.remove(handle)
        if records[process]?.unclosed.isEmpty == true { records[process]?.standing = .closedOne }
    }

    /// It was looked, after it closed a descriptor, whether the process has another one. Where it has written since, it has.
    ///
    /// - Parameter mayBeOther: whether that one may be of a handle through which it did not write, as a worker has that
    ///   inherits the file and opens it for itself.
    mutating func looked(at process: Int32, hasAnother: Bool, mayBeOther: Bool) {
        guard let record = records[process], record.standing == .closedOne else { return }
        if !hasAnother {
            records[process]?.standing = .closed
        } else if !mayBeOther {
            records[process]?.standing = .writing
            records[process]?.unclosed = record.handles
        }
    }

    /// Whether the end of a process that closes a descriptor of a handle is that of a writer which is not done. One that has
    /// closed what it wrote through is done, as far as is to be seen, though it has another one.
    func isWriting(_ process: Int32, through handle: Handle) -> Bool {
        guard let record = records[process] else { return false }
        return record.standing != .closedOne || record.hasUsed(handle)
    }

    /// The process exits with the file open.
    mutating func exits(_ process: Int32) { records[process]?.standing = .writing }

    /// All that was written is decided: how its writers end does not count any more. Gives what is to be released outside the
    /// file's lock.
    mutating func settle() -> [WatchedProcess] {
        let unwatched = (records.values + earlier).compactMap(\.watched)
        for process in records.keys { records[process] = Record(standing: .closed) }
        earlier = []
        awaited = []
        return unwatched
    }
}
