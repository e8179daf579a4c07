import FileTree
import Formats
import TestSupport
import Testing

/// Random operations on a tree and on the plainest thing that could do the same: a dictionary from path to content.
struct TreeModelTests {
    @Test func behavesAsADictionaryOfPaths() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        for round in 0..<20 { try run(operations: 2000, seed: seed &+ UInt64(round)) }
    }

    private func run(operations: Int, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var model = PathModel()
        var tree = FileTree<Int>(root: attributes(0))
        var listing = Listing()

        for step in 0..<operations {
            let place = "seed \(seed), step \(step)"
            let operation = Operation.random(step, using: &random)
            let expected = model.perform(operation)
            let result = perform(operation, on: &tree)
            try #require(result == expected, "\(place): \(operation)")
            try listing.advance(tree, model, using: &random, place: place)
            if step.isMultiple(of: 50) || step == operations - 1 {
                try #require(contents(of: tree) == model.contents, "\(place)")
                try checkLinks(of: tree, place: place)
            }
        }
    }

    private func attributes(_ time: Int64) -> NodeAttributes {
        NodeAttributes(mode: 0o755, userID: 0, groupID: 0, time: FileTime(seconds: time))
    }

    private func perform(_ operation: Operation, on tree: inout FileTree<Int>) -> TreeError? {
        do throws(TreeError) {
            let time = FileTime(seconds: 1)
            switch operation {
            case .makeDirectory(let path):
                let (name, parent) = try place(of: path, in: tree)
                _ = try tree.makeDirectory(name, in: parent, attributes: attributes(1), at: time)
            case .createFile(let path, let content):
                let (name, parent) = try place(of: path, in: tree)
                _ = try tree.createFile(name, in: parent, attributes: attributes(1), file: content, at: time)
            case .removeFile(let path):
                let (name, parent) = try place(of: path, in: tree)
                tree.discard(try tree.removeFile(name, in: parent, at: time))
            case .removeDirectory(let path):
                let (name, parent) = try place(of: path, in: tree)
                tree.discard(try tree.removeDirectory(name, in: parent, at: time))
            case .rename(let old, let new, let rule):
                let (name, parent) = try place(of: old, in: tree)
                let (newName, newParent) = try place(of: new, in: tree)
                let result = try tree.rename(name, in: parent, to: newName, in: newParent, rule: rule, at: time)
                if let replaced = result.replaced { tree.discard(replaced) }
            }
            return nil
        } catch {
            return error
        }
    }

    private func place(of path: [String], in tree: FileTree<Int>) throws(TreeError) -> (FileName, NodeID) {
        let parent = try tree.lookup(path: path.dropLast().map { Array($0.utf8) })
        guard try tree.node(parent).isDirectory else { throw .notDirectory }
        return (try FileName(path.last ?? ""), parent)
    }

    private func contents(of tree: FileTree<Int>) -> [[String]: PathModel.Content] {
        var contents: [[String]: PathModel.Content] = [:]
        for node in tree.allNodes where node.id != .root {
            let path = tree.path(of: node.id)?.map { String(decoding: $0, as: UTF8.self) }
            contents[path ?? ["not listed"]] = node.file.map { .file($0) } ?? .directory
        }
        return contents
    }

    private func checkLinks(of tree: FileTree<Int>, place: String) throws {
        for node in tree.allNodes where node.isDirectory {
            let entries = Array(try tree.entries(in: node.id))
            let subdirectories = entries.count(where: \.isDirectory)
            try #require(node.linkCount == 2 + UInt32(subdirectories), "\(place)")
            try #require(zip(entries, entries.dropFirst()).allSatisfy { $0.cookie < $1.cookie }, "\(place)")
            for entry in entries {
                try #require(try tree.lookup(entry.name, in: node.id) == entry.node, "\(place)")
                try #require(try tree.node(entry.node).isDirectory == entry.isDirectory, "\(place)")
            }
        }
    }
}

/// A listing of the root that goes on between the operations: a name that was there all the time is met exactly once.
private struct Listing {
    private var cookie: UInt64 = 0
    private var steadfast: Set<String> = []
    private var met: [String] = []

    mutating func advance(
        _ tree: FileTree<Int>, _ model: PathModel, using random: inout SplitMix64, place: String
    ) throws {
        let present = Set(model.contents.keys.filter { $0.count == 1 }.map { $0[0] })
        steadfast.formIntersection(present)
        guard random.below(3) == 0 else { return }
        let batch = Array(try tree.entries(in: .root, after: cookie).prefix(1 + random.below(3)))
        met += batch.map(\.name.description)
        if let last = batch.last {
            cookie = last.cookie
            return
        }
        for name in steadfast {
            try #require(met.count { $0 == name } == 1, "\(place): \(name) in \(met)")
        }
        self = Listing()
        steadfast = present
    }
}

private enum Operation {
    case makeDirectory([String])
    case createFile([String], Int)
    case removeFile([String])
    case removeDirectory([String])
    case rename([String], [String], RenameRule)

    static func random(_ step: Int, using random: inout SplitMix64) -> Operation {
        switch random.below(10) {
        case 0, 1: .makeDirectory(random.path())
        case 2, 3: .createFile(random.path(), step)
        case 4: .removeFile(random.path())
        case 5: .removeDirectory(random.path())
        default: .rename(random.path(), random.path(), RenameRule.allCases[random.below(RenameRule.allCases.count)])
        }
    }
}

private struct PathModel {
    enum Content: Equatable {
        case directory
        case file(Int)
    }

    private(set) var contents: [[String]: Content] = [:]

    private subscript(path: [String]) -> Content? { path.isEmpty ? .directory : contents[path] }

    mutating func perform(_ operation: Operation) -> TreeError? {
        switch operation {
        case .makeDirectory(let path): return add(path, .directory)
        case .createFile(let path, let content): return add(path, .file(content))
        case .removeFile(let path):
            if let error = parentError(of: path) { return error }
            guard let content = self[path] else { return .notFound }
            if content == .directory { return .isDirectory }
            contents[path] = nil
        case .removeDirectory(let path):
            if let error = parentError(of: path) { return error }
            guard let content = self[path] else { return .notFound }
            guard content == .directory else { return .notDirectory }
            if hasEntries(path) { return .notEmpty }
            contents[path] = nil
        case .rename(let old, let new, let rule): return rename(old, to: new, rule)
        }
        return nil
    }

    private mutating func add(_ path: [String], _ content: Content) -> TreeError? {
        if let error = parentError(of: path) { return error }
        if self[path] != nil { return .exists }
        contents[path] = content
        return nil
    }

    private mutating func rename(_ old: [String], to new: [String], _ rule: RenameRule) -> TreeError? {
        if let error = parentError(of: old) ?? parentError(of: new) { return error }
        guard let source = self[old] else { return .notFound }
        let target = self[new]
        let isLoop = new.count > old.count && new.starts(with: old)
        switch rule {
        case .noReplace:
            if target != nil { return .exists }
            if isLoop { return .loop }
        case .exchange:
            if target == nil { return .notFound }
            if isLoop || (old.count > new.count && old.starts(with: new)) { return .loop }
            let moved = taken(from: old)
            move(new, to: old)
            for (path, content) in moved { contents[new + path] = content }
            return nil
        case .replace:
            if isLoop { return .loop }
            if old == new { return nil }
            switch (source, target) {
            case (_, nil), (.file, .file): break
            case (.directory, .file): return .notDirectory
            case (.file, .directory): return .isDirectory
            case (.directory, .directory): if hasEntries(new) { return .notEmpty }
            }
        }
        move(old, to: new)
        return nil
    }

    private func parentError(of path: [String]) -> TreeError? {
        for length in 0..<path.count {
            switch self[Array(path[..<length])] {
            case nil: return .notFound
            case .file: return .notDirectory
            case .directory: continue
            }
        }
        return nil
    }

    private func hasEntries(_ path: [String]) -> Bool {
        contents.keys.contains { $0.count > path.count && $0.starts(with: path) }
    }

    /// Takes `path` and everything below it out; the result's paths are relative to it.
    private mutating func taken(from path: [String]) -> [[String]: Content] {
        var taken: [[String]: Content] = [:]
        for (other, content) in contents where other.starts(with: path) {
            contents[other] = nil
            taken[Array(other.dropFirst(path.count))] = content
        }
        return taken
    }

    private mutating func move(_ old: [String], to new: [String]) {
        for (path, content) in taken(from: old) { contents[new + path] = content }
    }
}

extension SplitMix64 {
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    /// Few names, so that operations meet.
    mutating func path() -> [String] {
        (0...below(3)).map { _ in ["a", "b", "c", "d", "e"][below(5)] }
    }
}
