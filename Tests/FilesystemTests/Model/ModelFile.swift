import UploadCore

/// What was decided to become an asset.
final class ModelCommit {
    let bytes: [UInt8]
    /// The platform has it: a close said so.
    var isConfirmed = false
    /// Something took its place, or a crash came, before that was known: it may have become an asset, or not.
    var isOptional = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// What files have held when they were closed.
final class ModelHistory {
    private var hashes: Set<Int> = []

    func add(_ bytes: [UInt8]) { hashes.insert(bytes.hashValue) }

    func contains(_ bytes: [UInt8]) -> Bool { hashes.contains(bytes.hashValue) }
}

/// One file, as the semantics have it: what it holds, and what is to become of that. The model knows nothing of spools,
/// sessions and locks.
final class ModelFile {
    enum Phase {
        /// Nothing was ever written.
        case none
        case writing, waiting, staged, sealed, interrupted
    }

    /// What a close comes to.
    enum Verdict {
        case answered(isError: Bool)
        /// The version is to become an asset now.
        case commits(ModelCommit)
        /// The version is sent, and becomes an asset with its rename.
        case stages
        /// It shares the fate of what was decided before.
        case joins(ModelCommit?)
    }

    /// A file as it was at some moment.
    struct Kept {
        var phase: Phase
        var bytes: [UInt8]
        var commit: ModelCommit?
        var isLocal: Bool
    }

    /// Nil when it was removed.
    var path: [String]?
    var bytes: [UInt8] = []
    var phase = Phase.none
    /// Whether anything was written into the version.
    var hasContent = false
    /// Whether the version is known to the platform's side at all.
    var hasUpload = false
    /// What the version's name says.
    var name: NamePolicy.Verdict = .keepLocally
    /// What was refused to the version and not made good, and what was refused when there was none to be changed.
    var refused = SegmentMap()
    var refusedBefore = SegmentMap()
    var isTainted = false
    /// What a writer announced, and what was written of that.
    var declared: Int64?
    var written = SegmentMap()
    var writers: Set<Int32> = []

    /// How often it was changed.
    var changes = 0
    var handles = 0
    var writeHandles = 0
    /// What became of the version, once it was decided.
    var commit: ModelCommit?
    /// The file as it was when it was last closed by all, or decided: what a crash may leave of it.
    var kept: Kept?

    /// It was emptied since it was last closed by all: a crash may leave just this.
    var wasEmptied = false
    /// It was staged, or waited for a name, when another process found it: that knows which, the model does not.
    var isPerhapsStaged = false
    /// It stayed here when it got another name: a kill may leave it as one that does, under any name.
    var wasRenamedAsLocal = false
    /// A kill came between the end of its spool file and the journal's knowing of it.
    var isPerhapsEvicted = false
    /// The path under which a close was answered for what it holds, so that it has to be found there after any crash.
    var knownPath: [String]?
    private let history: ModelHistory

    init(_ path: [String]?, _ history: ModelHistory) {
        self.path = path
        self.history = history
    }

    var size: Int64 { Int64(bytes.count) }
    var isLocal: Bool { !hasUpload || !name.isToBeUploaded }

    static let names = NamePolicy(otherFiles: .keep)

    static func verdict(on path: [String]?) -> NamePolicy.Verdict {
        guard let path, let last = path.last else { return .keepLocally }
        return names.verdict(on: Array(last.utf8), parents: path.dropLast().map { Array($0.utf8) })
    }

    // MARK: Changes

    /// Begins a version where there is none, or one beside what is decided, with the first `count` bytes of that.
    private func begin(keeping count: Int) {
        let isFirst = phase == .none
        if let commit, !commit.isConfirmed { commit.isOptional = true }
        name = Self.verdict(on: path)
        hasUpload = name.isToBeUploaded && path != nil && (isFirst || count > 0)
        phase = .writing
        bytes = Array(bytes.prefix(count))
        written = SegmentMap()
        written.insert(0..<size)
        (commit, declared, isTainted, writers) = (nil, nil, false, [])
        hasContent = count > 0
        refused = writeHandles > 0 ? refusedBefore : SegmentMap()
        refusedBefore = SegmentMap()
    }

    private var isDecided: Bool { phase == .sealed || phase == .interrupted }

    /// An upload is begun for what held nothing until now.
    private func startUploadOfNothing() {
        guard !hasUpload, name.isToBeUploaded, path != nil, bytes.isEmpty else { return }
        (hasUpload, declared, written) = (true, nil, SegmentMap())
    }

    /// How much of a write is taken; nil when it is refused for its size.
    ///
    /// - Parameter outcome: bytes that were written, or nil where it was refused for want of space.
    func write(_ data: [UInt8], at offset: Int64, by pid: Int32, outcome: Int?) -> Int? {
        let range = offset..<offset + Int64(data.count)
        changes += 1
        if phase == .none { begin(keeping: 0) }
        let isBeside = isDecided
        if !isBeside {
            phase = .writing
            startUploadOfNothing()
            writers.insert(pid)
        }
        let isLimited = isBeside ? Self.verdict(on: path).isToBeUploaded && path != nil && size > 0 : hasUpload
        let end = isLimited ? min(range.upperBound, ModelSettings.maxFileSize) : range.upperBound
        // A writer that means to write more than is taken is told so at once, though its file has no name any more.
        let isTooLarge = range.lowerBound >= end || !isBeside && hasUpload && declared ?? 0 > ModelSettings.maxFileSize
        guard !isTooLarge, outcome != nil else {
            if isBeside {
                refusedBefore.insert(range)
            } else {
                refused.insert(range)
                hasContent = true
            }
            return isTooLarge ? nil : Int(end - offset)
        }
        if isBeside { begin(keeping: bytes.count) }
        writers.insert(pid)
        resize(to: max(size, end))
        bytes.replaceSubrange(Int(offset)..<Int(end), with: data.prefix(Int(end - offset)))
        written.insert(offset..<end)
        refused.remove(offset..<end)
        hasContent = true
        return Int(end - offset)
    }

    /// Whether a new size is refused, for that alone.
    func refuses(size newSize: Int64) -> Bool {
        let name = phase == .none ? Self.verdict(on: path) : name
        return name.isToBeUploaded && newSize > size && newSize > ModelSettings.maxFileSize
    }

    /// Whether a new size changes nothing at all.
    func ignores(size newSize: Int64) -> Bool {
        phase == .none ? newSize == 0 : newSize == size && phase != .writing
    }

    func truncate(to newSize: Int64, by pid: Int32) {
        if ignores(size: newSize) { return }
        changes += 1
        if newSize == 0 { wasEmptied = true }
        if phase == .none { begin(keeping: 0) }
        guard !isDecided else {
            begin(keeping: Int(min(newSize, size)))
            resize(to: newSize)
            refused.remove(newSize..<Int64.max)
            hasContent = newSize > 0
            writers.insert(pid)
            return
        }
        phase = .writing
        let isFirst = !hasContent && bytes.isEmpty
        if newSize > 0 { startUploadOfNothing() }
        resize(to: newSize)
        written.remove(newSize..<Int64.max)
        refused.remove(newSize..<Int64.max)
        if newSize > 0 { hasContent = true }
        writers.insert(pid)
        guard hasUpload else { return }
        if newSize == 0 { declared = nil } else if isFirst || declared != nil { declared = newSize }
    }

    /// A writer guesses at the size.
    func preallocate(upTo end: Int64) {
        if phase == .none { begin(keeping: 0) }
        guard phase == .writing, hasUpload else { return }
        if let known = declared, known < size { declared = nil }
    }

    private func resize(to newSize: Int64) {
        let count = Int(newSize)
        if count < bytes.count { bytes.removeLast(bytes.count - count) }
        if count > bytes.count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
    }

    // MARK: Closes

    /// Whether a close has something to decide.
    private var isUndecided: Bool {
        if phase == .writing { return hasContent }
        return (phase == .waiting || phase == .staged) && name == .upload && hasUpload
    }

    /// Whether nothing but its size was set.
    var isOnlyPresized: Bool { phase == .writing && hasUpload && declared != nil && written.isEmpty }

    private var isUnfinished: Bool {
        if isTainted || !refused.isEmpty { return true }
        guard let declared, !isOnlyPresized else { return false }
        return size < declared || !written.covers(0..<declared)
    }

    /// A descriptor is closed.
    ///
    /// - Parameter isHeld: whether another process has the file open for writing.
    func flush(by pid: Int32, isDying: Bool, isHeld: Bool) -> Verdict {
        startUploadIfLacking()
        if isDying, writers.contains(pid), phase == .writing { isTainted = true }
        guard isUndecided else { return nothingToDecide(isDying) }
        if isHeld { return .answered(isError: false) }
        return decide() ?? nothingToDecide(isDying)
    }

    /// What got a name under which it is uploaded after it was begun.
    private func startUploadIfLacking() {
        guard phase == .writing, hasContent, !hasUpload, size > 0, name.isToBeUploaded, path != nil else { return }
        (hasUpload, declared, written) = (true, nil, SegmentMap())
        written.insert(0..<size)
    }

    /// What a close comes to that nobody hears of; nil where it decides nothing.
    func lastWriterReleased() -> Verdict? {
        startUploadIfLacking()
        if size == 0, phase == .writing, !isTainted, refused.isEmpty { hasUpload = false }
        stayHere()
        let verdict = isUndecided ? decide() : nil
        keep()
        return verdict
    }

    /// Nothing of what bears a name of those that are not uploaded is, once nobody can write it.
    func stayHere() {
        guard writeHandles == 0, path != nil, !name.isToBeUploaded else { return }
        switch phase {
        case .writing: hasUpload = false
        case .waiting, .staged:
            (phase, hasUpload, isPerhapsStaged) = (.writing, false, false)
            keep()
        case .none, .sealed, .interrupted: break
        }
    }

    private func nothingToDecide(_ isDying: Bool) -> Verdict {
        if !refusedBefore.isEmpty { return .answered(isError: true) }
        guard phase != .writing, phase != .none, path != nil, hasUpload, !isDying else {
            return .answered(isError: false)
        }
        if phase == .interrupted { return .answered(isError: true) }
        return .joins(phase == .sealed ? commit : nil)
    }

    private func decide() -> Verdict? {
        guard !isLocal else { return nil }
        if isUnfinished {
            phase = .interrupted
            return .answered(isError: true)
        }
        if size == 0 || isOnlyPresized { return nil }
        switch name {
        case .upload: return .commits(seal())
        case .temporary(.some):
            phase = .staged
            keep()
            return .stages
        case .temporary(nil):
            phase = .waiting
            keep()
            return .stages
        case .keepLocally, .refuse: return nil
        }
    }

    /// The version is to become an asset.
    func seal() -> ModelCommit {
        phase = .sealed
        declared = nil
        let commit = ModelCommit(bytes)
        self.commit = commit
        knownPath = nil
        keep()
        return commit
    }

    func keep() {
        wasEmptied = false
        let isNothing = isOnlyPresized && !isTainted && refused.isEmpty
        kept =
            isNothing
            ? Kept(phase: .none, bytes: [], commit: nil, isLocal: true)
            : Kept(phase: phase, bytes: bytes, commit: commit, isLocal: isLocal)
        history.add(bytes)
    }

    /// Another process has found it, and what it was closed with.
    func resume() {
        if isOnlyPresized { bytes = [] }
        // Of what stays here it is not written down what was refused.
        if !hasUpload { refused = SegmentMap() }
        if bytes.isEmpty { (phase, hasContent, hasUpload) = (.none, false, false) }
    }

    /// Whether it may be one hole: next time that is taken for what was evicted, and read from the platform.
    var looksEvicted: Bool { isPerhapsEvicted || bytes.allSatisfy { $0 == 0 } }

    /// Another process has found it, with these bytes.
    func resume(_ commit: ModelCommit?, isLocal: Bool) {
        (hasContent, hasUpload, isPerhapsEvicted) = (true, !isLocal, true)
        self.commit = commit
        if isLocal {
            phase = .writing
        } else if commit != nil {
            phase = .sealed
        } else {
            switch name {
            case .temporary: (phase, isPerhapsStaged) = (.waiting, true)
            case .upload, .keepLocally, .refuse: phase = .sealed
            }
        }
        keep()
    }

    /// Nobody finds it any more.
    func remove() {
        path = nil
        changes += 1
        name = .keepLocally
        if let commit, !commit.isConfirmed { commit.isOptional = true }
    }
}

extension NamePolicy.Verdict {
    var isToBeUploaded: Bool {
        switch self {
        case .upload, .temporary: true
        case .keepLocally, .refuse: false
        }
    }
}
