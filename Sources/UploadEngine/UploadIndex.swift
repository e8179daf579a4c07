import Synchronization
import UploadCore

/// Which upload is behind a name in `.status`, so that whoever looks there meets the uploads of that name and no others:
/// by the name of a document, and by the path of a file as it is below `by-name`.
///
/// It holds numbers, and no uploads. Each of these tells what has changed of its names under its own lock, so that nobody sees a
/// name in an upload that does not lead to it.
public final class UploadIndex: Sendable {
    /// A directory below `by-name`: there are those in which there is something. Its number is never used again.
    public struct Directory: Sendable, Hashable {
        /// From 0, which is `by-name` itself.
        public let number: Int

        /// The directory of that number, whether or not there is one.
        public init(number: Int) { self.number = number }

        /// `by-name` itself, which is always there.
        public static let byName = Directory(number: 0)
    }

    /// What a name below `by-name` stands for.
    public enum Meaning: Sendable {
        case directory(Directory)
        case uploads(Bearers)
    }

    /// The uploads that bear a path, by their numbers.
    public struct Bearers: Sendable {
        /// Those that the path leads to, oldest first: a file that was renamed over another may have the older upload.
        fileprivate(set) var listed: [Int] = []
        /// Those that it led to.
        fileprivate(set) var others: [Int] = []

        /// In the order in which they count.
        public var inOrder: some Sequence<Int> { [listed, others].lazy.flatMap { $0.reversed() } }
        var isEmpty: Bool { listed.isEmpty && others.isEmpty }
    }

    /// What an upload is to be found by.
    package struct Names: Sendable {
        /// The ids of its sessions.
        package var sessions: [String]
        /// The path within the mount.
        package var path: [[UInt8]]
        /// Whether the path leads to it.
        package var isListed: Bool

        package init(sessions: [String], path: [[UInt8]], isListed: Bool) {
            self.sessions = sessions
            self.path = path
            self.isListed = isListed
        }
    }

    /// What an upload is filed under.
    struct Filed: Sendable {
        var documents: [[UInt8]] = []
        var place: (directory: Int, name: [UInt8])?
        var isListed = false
    }

    struct Content: Sendable {
        /// The directory that it is in, and its name there.
        var place: (directory: Int, name: [UInt8])?
        var entries = NameTable<Meaning>(firstCookie: UploadIndex.firstCookie)
    }

    struct State: Sendable {
        var filed: [Int: Filed] = [:]
        /// By the names of documents: those that bear one, oldest first.
        var documents: [[UInt8]: [Int]] = [:]
        var directories = [Directory.byName.number: Content()]
        var lastDirectory = Directory.byName.number
    }

    private let state = Mutex(State())

    package init() {}

    // MARK: What uploads tell

    /// An upload has come.
    package func add(_ number: Int, _ names: Names) {
        state.withLock { state in
            state.filed[number] = Filed()
            state.file(number, names)
        }
    }

    /// An upload that is there has other names.
    package func update(_ number: Int, _ names: Names) { state.withLock { $0.file(number, names) } }

    /// An upload is gone: nothing more is to be known of it.
    package func remove(_ number: Int) { state.withLock { $0.remove(number) } }

    // MARK: Looks

    /// The uploads whose document has, or had, this name, the newest first. Not those that are called `pending-<n>.json`.
    public func uploads(ofDocument name: [UInt8]) -> some Sequence<Int> & Sendable {
        state.withLock { $0.documents[name] ?? [] }.reversed()
    }

    /// What a name in a directory stands for; nil where there is no such name, or no such directory.
    public func meaning(of name: [UInt8], in directory: Directory) -> Meaning? {
        state.withLock { $0.directories[directory.number]?.entries[name] }
    }

    /// Whether there is such a directory.
    public func has(_ directory: Directory) -> Bool {
        state.withLock { $0.directories[directory.number] != nil }
    }

    /// So many entries of a directory after a cookie, in an order that holds while others come and go. Cookies are at least
    /// ``firstCookie``.
    public func entries(
        of directory: Directory, after cookie: Int64, atMost count: Int
    ) -> [(cookie: Int64, name: [UInt8], value: Meaning)] {
        state.withLock { $0.directories[directory.number]?.entries.entries(after: cookie, atMost: count) ?? [] }
    }

    /// The smallest cookie: smaller ones are left to `.` and `..`.
    public static let firstCookie: Int64 = 3

    /// The names that lead from `by-name` to a directory; nil where there is no such directory.
    public func names(of directory: Directory) -> [[UInt8]]? {
        state.withLock { state in
            var names: [[UInt8]] = []
            var current = directory.number
            while current != Directory.byName.number {
                guard let place = state.directories[current]?.place else { return nil }
                names.append(place.name)
                current = place.directory
            }
            return names.reversed()
        }
    }

    /// Calls `isWanted` with the uploads at or below a directory until it is: whether it was. Not under the index's lock.
    ///
    /// - Parameter mayEnter: whether there may be one in the directory of these names, or below it.
    public func contains(
        in directory: Directory, mayEnter: ([[UInt8]]) -> Bool, where isWanted: (Bearers) -> Bool
    ) -> Bool {
        guard let names = names(of: directory) else { return false }
        var left = [(directory: directory, names: names)]
        while let next = left.popLast() {
            guard mayEnter(next.names) else { continue }
            var cookie: Int64 = 0
            while true {
                let entries = entries(of: next.directory, after: cookie, atMost: Self.batch)
                guard let last = entries.last else { break }
                cookie = last.cookie
                for entry in entries {
                    switch entry.value {
                    case .directory(let below): left.append((below, next.names + [entry.name]))
                    case .uploads(let bearers): if isWanted(bearers) { return true }
                    }
                }
            }
        }
        return false
    }

    private static let batch = 64

    /// How many names, and directories of them, are held.
    public var size: (documents: Int, directories: Int) {
        state.withLock { ($0.documents.count, $0.directories.count) }
    }
}

extension UploadIndex.State {
    fileprivate mutating func file(_ number: Int, _ names: UploadIndex.Names) {
        guard var filed = filed[number] else { return }
        let documents = names.sessions.map { StatusNames.document(uploadID: $0) }
        for name in filed.documents where !documents.contains(name) { remove(number, document: name) }
        for name in documents where !filed.documents.contains(name) { self.documents[name, default: []].add(number) }
        filed.documents = documents
        let link = StatusNames.link(for: names.path)
        if let name = link.last {
            let directory = directory(link.dropLast())
            if let old = filed.place, old.directory != directory || old.name != name || filed.isListed != names.isListed
            {
                // After the new one is there: a directory that both are in stays.
                put(number, at: (directory, name), isListed: names.isListed)
                take(number, from: old, isListed: filed.isListed)
            } else if filed.place == nil {
                put(number, at: (directory, name), isListed: names.isListed)
            }
            filed.place = (directory, name)
        } else if let old = filed.place.take() {
            take(number, from: old, isListed: filed.isListed)
        }
        filed.isListed = names.isListed
        self.filed[number] = filed
    }

    fileprivate mutating func remove(_ number: Int) {
        guard let filed = filed.removeValue(forKey: number) else { return }
        for name in filed.documents { remove(number, document: name) }
        if let place = filed.place { take(number, from: place, isListed: filed.isListed) }
    }

    private mutating func remove(_ number: Int, document name: [UInt8]) {
        documents[name]?.removeAll { $0 == number }
        if documents[name]?.isEmpty == true { documents[name] = nil }
    }

    /// The number of a directory, which is made where there is none.
    private mutating func directory(_ path: some Sequence<[UInt8]>) -> Int {
        var current = UploadIndex.Directory.byName.number
        for name in path {
            if case .directory(let known)? = directories[current]?.entries[name] {
                current = known.number
                continue
            }
            lastDirectory += 1
            directories[lastDirectory] = UploadIndex.Content(place: (current, name))
            directories[current]?.entries[name] = .directory(UploadIndex.Directory(number: lastDirectory))
            current = lastDirectory
        }
        return current
    }

    private mutating func put(_ number: Int, at place: (directory: Int, name: [UInt8]), isListed: Bool) {
        change(place) { bearers in
            if isListed { bearers.listed.add(number) } else { bearers.others.add(number) }
        }
    }

    /// Takes an upload from a path, and the directories that are empty then.
    private mutating func take(_ number: Int, from place: (directory: Int, name: [UInt8]), isListed: Bool) {
        change(place) { bearers in
            if isListed {
                bearers.listed.removeAll { $0 == number }
            } else {
                bearers.others.removeAll { $0 == number }
            }
        }
        var current = place.directory
        while let content = directories[current], content.entries.isEmpty, let place = content.place {
            directories[current] = nil
            directories[place.directory]?.entries[place.name] = nil
            current = place.directory
        }
    }

    private mutating func change(
        _ place: (directory: Int, name: [UInt8]), _ change: (inout UploadIndex.Bearers) -> Void
    ) {
        var bearers = UploadIndex.Bearers()
        if case .uploads(let known)? = directories[place.directory]?.entries[place.name] { bearers = known }
        change(&bearers)
        directories[place.directory]?.entries[place.name] = bearers.isEmpty ? nil : .uploads(bearers)
    }
}

extension [Int] {
    /// Keeps the order; nearly always at the end.
    fileprivate mutating func add(_ number: Int) {
        var place = endIndex
        while place > startIndex, self[place - 1] > number { place -= 1 }
        if place > startIndex, self[place - 1] == number { return }
        insert(number, at: place)
    }
}
