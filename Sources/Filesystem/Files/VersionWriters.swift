import ProcessInspection

/// Who wrote into a version, and which of them are done with it: the one record, whoever tells of an end.
///
/// How a writer ended counts as long as it has not closed the file since it wrote last.
struct VersionWriters: Sendable {
    /// Whether a process is done with the file.
    enum Standing: Sendable, Equatable {
        /// It has written, and not closed the file since.
        case writing
        /// It has closed a descriptor since. Whether it has another one is not to be seen; its end would close that.
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
        /// Whether its change is a close as well: how it ends does not matter.
        var isDone = false

        /// What is known of it when it has just written.
        var record: Record { Record(standing: isDone ? .closed : .writing, watched: watched, isFileServer: isFileServer) }
    }

    /// One process that wrote.
    struct Record: Sendable {
        var standing: Standing
        /// Its end, where that is told.
        var watched: WatchedProcess?
        /// Whether it writes for others, and ends with the file open only where they are gone.
        var isFileServer = false
    }

    /// By the process's id.
    private(set) var records: [Int32: Record] = [:]
    /// Those that have ended without having closed the file, and whose ids others have by now.
    private(set) var earlier: [Record] = []
    /// Those that exited with the file open, and how they ended is not known yet.
    var awaited: Set<Int32> = []

    /// The ids of those that wrote.
    var processes: Set<Int32> { Set(records.keys) }

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
        if !writer.isDone, known.standing != .writing { records[process]?.standing = .writing }
        if known.watched == nil, let watched = writer.watched { records[process]?.watched = watched }
        return (false, nil)
    }

    /// A process closes a descriptor.
    mutating func closes(_ process: Int32) {
        if records[process]?.standing == .writing { records[process]?.standing = .closedOne }
    }

    /// It was looked, after it closed a descriptor, whether the process has another one. Where it has written since, it has.
    mutating func looked(at process: Int32, hasAnother: Bool) {
        guard records[process]?.standing == .closedOne else { return }
        records[process]?.standing = hasAnother ? .writing : .closed
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
