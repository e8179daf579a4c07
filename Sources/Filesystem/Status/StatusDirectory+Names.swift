import FileTree
import FuseLowLevel
import Synchronization
import UploadCore
import UploadEngine

// What is called how in `.status`, for one who looks into it.

extension StatusDirectory {
    /// An entry of a listing.
    package struct Entry: Sendable {
        package var name: [UInt8]
        package var node: Node
        /// Where a listing goes on after it; at least 3.
        package var cookie: Int64
    }

    package func lookup(_ name: [UInt8], in parent: Node, for visitor: StatusVisitor) throws(FuseErrno) -> Node {
        switch parent {
        case .root: try entry(named: name, for: visitor)
        case .byName(let directory):
            try engine.index.meaning(of: name, in: directory).flatMap { node(of: $0, for: visitor) }
                .orThrow(.noSuchFileOrDirectory)
        case .summary, .metrics, .document, .alias, .link: throw .notDirectory
        }
    }

    private func entry(named name: [UInt8], for visitor: StatusVisitor) throws(FuseErrno) -> Node {
        let upload: Upload?
        switch StatusNames.entry(named: name) {
        case .summary: return .summary
        case .metrics: return .metrics
        case .byName: return .byName(.byName)
        case .pending(let number): upload = try self.upload(Int(clamping: number), seenBy: visitor)
        case .document: upload = first(of: engine.index.uploads(ofDocument: name), seenBy: visitor)
        case nil: upload = nil
        }
        guard let upload else { throw .noSuchFileOrDirectory }
        return documentName(of: upload) == name ? .document(upload.number) : .alias(upload.number)
    }

    /// What a name below `by-name` stands for; nil where the visitor may see nothing of it.
    private func node(of meaning: UploadIndex.Meaning, for visitor: StatusVisitor) -> Node? {
        switch meaning {
        case .uploads(let bearers):
            return first(of: bearers.inOrder, seenBy: visitor).map { .link($0.number) }
        case .directory(let directory):
            let isThere =
                visitor.seesEverything
                || engine.index.contains(in: directory, mayEnter: visitor.mayEnter) {
                    first(of: $0.inOrder, seenBy: visitor) != nil
                }
            return isThere ? .byName(directory) : nil
        }
    }

    // MARK: Listings

    /// Gives `take` the entries of a directory after a cookie until it wants no more, in an order that holds while entries come
    /// and go.
    package func list(
        _ directory: Node, after cookie: Int64, for visitor: StatusVisitor, _ take: (Entry) -> Bool
    ) throws(FuseErrno) {
        switch directory {
        case .root: listDocuments(after: cookie, for: visitor, take)
        case .byName(let directory):
            let names = try engine.index.names(of: directory).orThrow(.noSuchFileOrDirectory)
            if visitor.mayEnter(names) { listLinks(in: directory, after: cookie, for: visitor, take) }
        case .summary, .metrics, .document, .alias, .link: throw .notDirectory
        }
    }

    private func listLinks(
        in directory: UploadIndex.Directory, after cookie: Int64, for visitor: StatusVisitor, _ take: (Entry) -> Bool
    ) {
        var last = cookie
        while true {
            let entries = engine.index.entries(of: directory, after: last, atMost: Self.batch)
            if entries.isEmpty { return }
            for entry in entries {
                last = entry.cookie
                guard let node = node(of: entry.value, for: visitor) else { continue }
                if !take(Entry(name: entry.name, node: node, cookie: entry.cookie)) { return }
            }
        }
    }

    private func listDocuments(after cookie: Int64, for visitor: StatusVisitor, _ take: (Entry) -> Bool) {
        let fixed: [(name: [UInt8], node: Node)] = [
            (StatusNames.byName, .byName(.byName)), (StatusNames.summary, .summary), (StatusNames.metrics, .metrics),
        ]
        for (index, entry) in fixed.enumerated() {
            let own = UploadIndex.firstCookie + Int64(index)
            if own > cookie, !take(Entry(name: entry.name, node: entry.node, cookie: own)) { return }
        }
        var next = Int(cookie >> Self.namesBits)
        while true {
            let uploads = engine.uploads(from: next, atMost: Self.batch)
            guard let last = uploads.last else { return }
            next = last.number + 1
            looks.add(uploads.count, ordering: .relaxed)
            for upload in uploads where visitor.maySee(upload) {
                let current = documentName(of: upload)
                for (index, name) in names(of: upload, for: visitor).enumerated().prefix(1 << Self.namesBits) {
                    let own = Int64(upload.number) << Self.namesBits + Int64(index)
                    let node: Node = name == current ? .document(upload.number) : .alias(upload.number)
                    if own > cookie, !take(Entry(name: name, node: node, cookie: own)) { return }
                }
            }
        }
    }

    /// How many uploads are looked at at a time, until a page is full.
    private static let batch = 64
    /// Cookies of documents are an upload's number, and which of its names it is. Numbers begin with 1, so that they are
    /// greater than the fixed ones.
    private static let namesBits: Int64 = 12

    /// All names by which an upload's document is found: sessions that were abandoned still lead to it. Nobody hinders a
    /// platform from giving one id to two uploads: the newer has the name then.
    private func names(of upload: Upload, for visitor: StatusVisitor) -> [[UInt8]] {
        let ids = upload.inspect { machine in machine.abandonedUploadIDs + (machine.uploadID.map { [$0] } ?? []) }
        var names = [StatusNames.pending(UInt64(upload.number))]
        for name in ids.map({ StatusNames.document(uploadID: $0) }) where !names.contains(name) {
            if first(of: engine.index.uploads(ofDocument: name), seenBy: visitor) === upload { names.append(name) }
        }
        return names
    }

    // MARK: Links

    /// Where a link leads to.
    package func target(of node: Node, for visitor: StatusVisitor) throws(FuseErrno) -> [UInt8] {
        switch node {
        case .alias(let number): return documentName(of: try upload(number, seenBy: visitor))
        case .link(let number):
            let upload = try upload(number, seenBy: visitor)
            return StatusNames.linkTarget(
                depth: upload.identity.path.count, document: documentName(of: upload))
        case .root, .byName, .summary, .metrics, .document: throw .invalidArgument
        }
    }
}
