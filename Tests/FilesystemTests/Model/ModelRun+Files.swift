import FileTree
import FuseLowLevel
import UploadCore

// What programs do with files.

extension ModelRun {
    /// Opens a file as `open(2)` does: the kernel looks the name up, and makes the file where that is wanted.
    func open(_ slot: Int, _ path: [String], how: Int) throws {
        guard handles[slot] == nil else { return }
        let (write, creates) = (how != 0, how > 3)
        let (truncates, isExclusive, appends) = (how == 3 || how == 6 || how == 7, how == 9, how == 8)
        lastPid += 1
        let known = files[path]
        let parent = Result { () throws(FuseErrno) in try mount.lookup(Array(path.dropLast())) }
        guard path.count == 1 || folders.contains(path[0]) else {
            return try check(parent.isFailure(.noSuchFileOrDirectory), "\(path[0]) is there")
        }
        let found = Result { () throws(FuseErrno) in try mount.lookup(path) }
        try check(found.isFailure(.noSuchFileOrDirectory) == (known == nil), "\(path) is \(found), \(known == nil)")
        if let known {
            if isExclusive && creates { return }
            let outcome = Result { () throws(FuseErrno) in
                try mount.open(try found.get(), write: write, truncate: truncates && write, by: lastPid)
            }
            known.opened(write)
            if truncates, write { known.truncate(to: 0, by: lastPid) }
            handles[slot] = Handle(
                number: try outcome.get(), node: try found.get(), file: known, canWrite: write, appends: appends,
                pid: lastPid)
        } else if creates {
            let file = ModelFile(path, history)
            let made = try mount.create(path[path.count - 1], in: try parent.get(), by: lastPid)
            file.opened(true)
            files[path] = file
            handles[slot] = Handle(
                number: made.handle, node: made.node, file: file, canWrite: true, appends: appends, pid: lastPid)
        }
    }

    private func usable(_ slot: Int) -> Handle? { handles[slot].flatMap { $0.isClosing ? nil : $0 } }

    func write(_ slot: Int, at wanted: Int64, count: Int) throws {
        // By any other handle the kernel sends no write: `RefusedWriteTests` has what comes of one that it did send.
        guard let handle = usable(slot), handle.canWrite, count > 0 else { return }
        let file = handle.file
        let offset = handle.appends ? file.size : wanted
        let data = stamp(count)
        let outcome = Result { () throws(FuseErrno) in
            try mount.write(data, to: handle.number, at: offset, by: handle.pid)
        }
        let isCopied = file.phase == .sealed
        let looksEvicted = file.looksEvicted
        let taken = file.write(data, at: offset, by: handle.pid, outcome: try? outcome.get())
        switch outcome {
        case .success(let count): try check(count == taken, "\(count) bytes were taken, not \(taken ?? -1)")
        case .failure(.fileTooLarge): try check(taken == nil, "it was refused for its size")
        case .failure(.ioError) where isCopied && looksEvicted: break
        case .failure(let errno): try check(isForSpace(errno, isCopied: isCopied), "it was refused: \(errno)")
        }
    }

    /// Whether an error is one that a small spool excuses: there is no space, or what is to be kept has been evicted.
    private func isForSpace(_ errno: FuseErrno, isCopied: Bool) throws -> Bool {
        guard settings.spoolLimit != nil else { return false }
        if errno == .ioError { return isCopied || hasReleased }
        guard errno == .noSpace else { return false }
        // A file has at most so much, and a copy of it as much again; blocks are reserved by 64 KiB.
        return try mount.spool.space().free.bytes < 2 * 64 << 10
    }

    /// Whether bytes of an unfinished file were released for others: nobody reads them any more, and nobody writes there.
    private var hasReleased: Bool { mount.engine.uploads.contains { $0.hasReleased(0..<Int64.max) } }

    func read(_ slot: Int, at offset: Int64, count: Int) throws {
        guard let handle = usable(slot) else { return }
        let outcome = Result { () throws(FuseErrno) in try mount.read(handle.number, at: offset, count: count) }
        if settings.spoolLimit != nil, outcome.isFailure(.ioError), hasReleased { return }
        let bytes = try outcome.get()
        let all = handle.file.bytes
        let start = min(Int(offset), all.count)
        let expected = all[start..<min(all.count, start + count)]
        try check(bytes.elementsEqual(expected), "\(Self.difference(bytes, expected)) in \(handle.file.path ?? [])")
    }

    static func difference(_ bytes: [UInt8], _ expected: some Collection<UInt8>) -> String {
        let first = zip(bytes, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        return "\(bytes.count) bytes for \(expected.count), different from \(first.map { "\($0)" } ?? "the end") on"
    }

    func cut(_ slot: Int, to size: Int64) throws {
        guard let handle = usable(slot), handle.canWrite else { return }
        let outcome = Result { () throws(FuseErrno) in
            try mount.truncate(handle.node, to: size, handle: handle.number, by: handle.pid)
        }
        try truncated(handle.file, to: size, by: handle.pid, outcome)
    }

    func truncate(_ path: [String], to size: Int64) throws {
        guard let file = files[path] else { return }
        lastPid += 1
        let node = try mount.lookup(path)
        let outcome = Result { () throws(FuseErrno) in
            try mount.truncate(node, to: size, handle: nil, by: lastPid)
        }
        // It is closed by that, and told what that comes to.
        if outcome.isFailure(.ioError), file.writeHandles == 0, file.phase != .sealed {
            try truncated(file, to: size, by: lastPid, .success(()))
            lastWriterReleased(file)
            return try check(file.phase == .interrupted, "it was answered with an error")
        }
        try truncated(file, to: size, by: lastPid, outcome)
        if case .success = outcome, file.writeHandles == 0 {
            lastWriterReleased(file)
            try check(file.phase != .interrupted, "it was answered with success")
        }
    }

    private func truncated(
        _ file: ModelFile, to size: Int64, by pid: Int32, _ outcome: Result<Void, FuseErrno>
    ) throws {
        let isCopied = file.phase == .sealed
        switch outcome {
        case .success:
            try check(!file.refuses(size: size) || file.ignores(size: size), "\(size) bytes are too many")
            file.truncate(to: size, by: pid)
        case .failure(.fileTooLarge): try check(file.refuses(size: size), "\(size) bytes were refused")
        case .failure(.ioError) where isCopied && file.looksEvicted: break
        case .failure(let errno): try check(isForSpace(errno, isCopied: isCopied), "it was refused: \(errno)")
        }
    }

    func allocate(_ slot: Int, _ how: Int, at offset: Int64, count: Int64) throws {
        guard let handle = usable(slot), handle.canWrite, count > 0 else { return }
        let modes: [FileAllocationMode] = [[], .keepSize, [.punchHole, .keepSize], .zeroRange]
        let mode = modes[how % modes.count]
        // What a full spool leaves of it half done is another story.
        if settings.spoolLimit != nil, mode.contains(.punchHole) || mode.contains(.zeroRange) { return }
        let outcome = Result { () throws(FuseErrno) in
            try mount.allocate(handle.number, mode, at: offset, count: count, by: handle.pid)
        }
        let (file, end) = (handle.file, offset + count)
        switch mode {
        case []:
            if end > file.size { try truncated(file, to: end, by: handle.pid, outcome) } else { try outcome.get() }
        case .keepSize:
            try outcome.get()
            if end <= ModelSettings.maxFileSize { file.preallocate(upTo: end) }
        default:
            // It can be written only as a whole.
            if outcome.isFailure(.ioError), file.phase == .sealed, file.looksEvicted {
                // A size that is refused changes nothing, and a close has nothing to tell of it.
                if mode == .zeroRange, end > file.size { return }
                return file.refusedBefore.insert(offset..<end)
            }
            var isRefused = false
            if mode == .zeroRange, end > file.size {
                isRefused = file.refuses(size: end)
                if !isRefused { file.truncate(to: end, by: handle.pid) }
            }
            let stop = mode == .zeroRange ? end : min(end, max(offset, file.size))
            var position = offset
            while !isRefused, position < stop {
                let zeros = [UInt8](repeating: 0, count: Int(stop - position))
                let taken = file.write(zeros, at: position, by: handle.pid, outcome: zeros.count)
                isRefused = taken == nil
                position += Int64(taken ?? 0)
            }
            try check(outcome.isFailure(.fileTooLarge) == isRefused, "\(outcome)")
        }
    }

    func synchronize(_ slot: Int) throws {
        guard let handle = usable(slot) else { return }
        let errno = try mount.synchronize(handle.number).get()
        try check(errno == nil, "\(errno.map { "\($0)" } ?? "")")
    }
}

extension ModelFile {
    func opened(_ canWrite: Bool) {
        handles += 1
        guard canWrite else { return }
        if writeHandles == 0 { refusedBefore = SegmentMap() }
        writeHandles += 1
    }
}

extension Result where Failure == FuseErrno {
    func isFailure(_ errno: FuseErrno) -> Bool {
        if case .failure(let found) = self { found == errno } else { false }
    }
}

extension Result where Failure == FuseErrno {
    /// `Result.init(catching:)` with an error of this type.
    init(_ body: () throws(FuseErrno) -> Success) {
        do throws(FuseErrno) { self = .success(try body()) } catch { self = .failure(error) }
    }
}
