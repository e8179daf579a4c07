import FileTree
import Foundation
import FuseLowLevel
import NIOPosix
import UploadCore

/// One run: the same operations on the file system and on the model, compared after each.
final class ModelRun {
    /// An open file, with a process of its own.
    struct Handle {
        var number: UInt64
        var node: NodeID
        var file: ModelFile
        var canWrite: Bool
        var appends: Bool
        var pid: Int32
        /// Its close was not answered yet.
        var isClosing = false
    }

    /// A close that waits for the platform.
    struct Pending {
        var slot: Int
        var answer: ModelAnswer
        var verdict: ModelFile.Verdict
        /// How often its file had been changed.
        var changes: Int
    }

    let platform = ScriptedPlatform()
    let settings: ModelSettings
    private let folder: String
    private let threads: NIOThreadPool
    private(set) var lives = 0
    var mount: ModelMount

    var files: [[String]: ModelFile] = [:]
    var folders: Set<String> = []
    var handles: [Int: Handle] = [:]
    var pending: [Pending] = []
    var commits: [ModelCommit] = []
    let history = ModelHistory()
    var lastPid: Int32 = 1000
    private var lastStamp: UInt32 = 0

    init(_ settings: ModelSettings, in folder: String, threads: NIOThreadPool) throws {
        self.settings = settings
        self.folder = folder
        self.threads = threads
        let first = "\(folder)/0"
        try FileManager.default.createDirectory(atPath: first, withIntermediateDirectories: false)
        mount = try ModelMount(first, settings, platform: platform, threads: threads)
        for name in ["d", "e"] {
            try mount.makeDirectory(name, in: .root)
            folders.insert(name)
        }
    }

    /// Does all of it, and looks at what came of it in the end.
    ///
    /// - Returns: how many assets there are.
    /// - Throws: ``ModelFailure`` at the first difference.
    func run(_ operations: [ModelOperation]) throws -> Int {
        defer { mount.stop() }
        for (index, operation) in operations.enumerated() {
            try located("operation \(index + 1), \(operation)", index + 1) { try perform(operation) }
        }
        return try located("at the end") { try comeToAnEnd() }
    }

    private func located<Value>(
        _ place: String, _ operations: Int? = nil, _ body: () throws -> Value
    ) throws -> Value {
        do {
            return try body()
        } catch {
            var failure = ModelFailure((error as? ModelFailure)?.what ?? "\(error)", at: place)
            failure.operations = operations
            throw failure
        }
    }

    private func perform(_ operation: ModelOperation) throws {
        let slot = operation[0] % ModelPaths.handles
        switch operation.kind {
        case .open: try open(slot, path(operation[1]), how: operation[2])
        case .write: try write(slot, at: Int64(operation[1]), count: operation[2])
        case .read: try read(slot, at: Int64(operation[1]), count: operation[2])
        case .cut: try cut(slot, to: Int64(operation[1]))
        case .truncate: try truncate(path(operation[0]), to: Int64(operation[1]))
        case .allocate: try allocate(slot, operation[1], at: Int64(operation[2]), count: Int64(operation[3]))
        case .sync: try synchronize(slot)
        case .flush: try flush(slot)
        case .close: try close(slot)
        case .kill: try close(slot, isKilled: true)
        case .rename: try rename(path(operation[0]), to: path(operation[1]), how: operation[2])
        case .move: try rename([folder(operation[0])], to: [folder(operation[1])], how: operation[2])
        case .unlink: try unlink(path(operation[0]))
        case .mkdir: try makeDirectory(folder(operation[0]))
        case .rmdir: try removeDirectory(folder(operation[0]))
        case .hold: platform.hold()
        case .letgo: try letGo()
        case .fault: addFaults(operation)
        case .settle: try settle()
        case .crash: try crash(isAtRest: operation[0] == 0)
        case .remount: try remount()
        }
    }

    private func path(_ number: Int) -> [String] { ModelPaths.files[number % ModelPaths.files.count] }

    private func folder(_ number: Int) -> String { ModelPaths.folders[number % ModelPaths.folders.count] }

    private func addFaults(_ operation: ModelOperation) {
        let call = ScriptedPlatform.Call.allCases[operation[0] % 4]
        let fault = ScriptedPlatform.Fault.allCases[operation[1] % 4]
        for _ in 0..<min(operation[2], 3) { platform.add(fault, on: call) }
    }

    /// Bytes that are nowhere else.
    func stamp(_ count: Int) -> [UInt8] {
        lastStamp += 1
        let word = lastStamp &* 2_654_435_761
        return (0..<count).map { UInt8(truncatingIfNeeded: (word &+ UInt32($0 >> 2)) >> (8 * UInt32($0 & 3))) }
    }

    func check(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        if !condition { throw ModelFailure(what()) }
    }

    // MARK: Lives

    /// Another process takes over what `leave` leaves of this one.
    func live(after leave: (ModelMount, String) throws -> Void) throws {
        lives += 1
        let next = "\(folder)/\(lives)"
        try FileManager.default.createDirectory(atPath: next, withIntermediateDirectories: false)
        try leave(mount, next)
        mount = try ModelMount(next, settings, platform: platform, threads: threads)
        handles = [:]
        pending = []
        if lives > 1 { try? FileManager.default.removeItem(atPath: "\(folder)/\(lives - 2)") }
    }
}
