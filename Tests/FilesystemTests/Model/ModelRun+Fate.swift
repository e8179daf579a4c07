import FileTree
import Foundation
import FuseLowLevel
import UploadCore

// Crashes, unmounts, and what has to hold whenever everything is at rest.

extension ModelRun {
    // MARK: At rest

    /// Everything comes to rest, and is looked at.
    func settle() throws {
        try letGo()
        try mount.becomeIdle()
        try compareTree()
        try compareAssets()
        try checkLedger()
    }

    func compareTree() throws {
        for path in ModelPaths.all {
            let found = Result { () throws(FuseErrno) in try mount.lookup(path) }
            guard let file = files[path] else {
                try check(found.isFailure(.noSuchFileOrDirectory), "\(path) is there: \(found)")
                continue
            }
            guard case .success(let node) = found else { throw ModelFailure("\(path) is not there: \(found)") }
            try check(mount.size(node) == file.size, "\(path) has not the size \(file.size)")
            let read = Result { () throws(FuseErrno) in try content(node) }
            if read.isFailure(.ioError), lives > 0, file.phase == .sealed, file.looksEvicted { continue }
            guard case .success(let bytes) = read else {
                throw ModelFailure("\(path), \(file.phase), cannot be read: \(read) \(uploads)")
            }
            try check(bytes == file.bytes, "\(Self.difference(bytes, file.bytes)) in \(path)")
            // What came to nothing leaves the listing when it is closed.
            if file.phase == .interrupted, file.handles == 0 { drop(file, path) }
        }
        for name in ModelPaths.folders {
            let found = Result { () throws(FuseErrno) in try mount.lookup([name]) }
            try check(found.isFailure(.noSuchFileOrDirectory) == !folders.contains(name), "\(name) is \(found)")
        }
    }

    private func content(_ node: NodeID) throws(FuseErrno) -> [UInt8] {
        lastPid += 1
        let handle = try mount.open(node, write: false, truncate: false, by: lastPid)
        defer { mount.release(handle) }
        return try mount.read(handle, at: 0, count: 1 << 20)
    }

    /// Each asset is a version that was committed, and each such version that nothing took the place of is an asset.
    func compareAssets() throws {
        try check(platform.violations.isEmpty, "\(platform.violations)")
        var assets: [[UInt8]: Int] = [:]
        for asset in platform.assets { assets[asset, default: 0] += 1 }
        for commit in commits {
            let count = assets[commit.bytes] ?? 0
            if count > 0 { assets[commit.bytes] = count - 1 }
            let isMissing = count == 0 && (commit.isConfirmed || !commit.isOptional)
            try check(!isMissing, "an asset of \(commit.bytes.count) bytes is missing \(platform.summary) \(uploads)")
        }
        for (bytes, count) in assets where count > 0 {
            throw ModelFailure("nobody committed the \(bytes.count) bytes of an asset")
        }
    }

    /// What the engine has to say, for whoever looks for a fault.
    private var uploads: [String] {
        mount.engine.uploads.map { upload in
            let status = upload.status()
            return "\(upload.number) \(upload.spool.name) \(status.path) \(status.state) \(status.error?.message ?? "")"
        }
    }

    /// No byte is on the disk that is not accounted for.
    func checkLedger() throws {
        let onDisk = try SparseCopy.bytesOnDisk(in: "\(mount.stateDirectory)/spool")
        let used = try mount.spool.space().used.bytes
        try check(onDisk <= used, "\(onDisk) bytes are on the disk, \(used) in the ledger")
    }

    // MARK: Lives

    /// The process is killed. Where the journal was at rest, what the next one finds is known; else it is only known what
    /// cannot be.
    func crash(isAtRest: Bool) throws {
        if isAtRest { try mount.journal.waitUntilWritten(durably: false) }
        try live { mount, next in try mount.crash(leaving: next) }
        platform.letGo()
        for commit in commits where !commit.isConfirmed && !isAtRest { commit.isOptional = true }
        if isAtRest { try takeOver() } else { try takeOverWhatIsThere() }
    }

    func remount() throws {
        try closeAll()
        try mount.becomeIdle()
        try live { mount, next in try mount.unmount(leaving: next) }
        try takeOver()
    }

    func closeAll() throws {
        try letGo()
        for slot in handles.keys.sorted() { try close(slot) }
    }

    /// What the journal knew: closed files as they were, and nothing of what was being written.
    private func takeOver() throws {
        for (path, file) in files {
            let isOpen = file.writeHandles > 0
            (file.handles, file.writeHandles) = (0, 0)
            file.refusedBefore = SegmentMap()
            let isThere = (try? mount.lookup(path)) != nil
            if file.phase == .interrupted {
                try check(!isThere, "\(path) is there, and was interrupted")
                drop(file, path)
            } else if isOpen, file.phase == .writing || file.phase == .none {
                guard isThere else {
                    drop(file, path)
                    continue
                }
                try restore(file, path)
            } else {
                // What a kill has left half removed need not be there for long.
                if !isThere, file.isPerhapsEvicted {
                    drop(file, path)
                    continue
                }
                try check(isThere, "\(path) is gone, \(file.phase)")
                file.resume()
            }
        }
        try compareTree()
    }

    private func drop(_ file: ModelFile, _ path: [String]) {
        files[path] = nil
        file.remove()
    }

    /// A file that was being written is as it was when it was last closed; one that stays here may hold anything.
    private func restore(_ file: ModelFile, _ path: [String]) throws {
        let kept = file.kept ?? ModelFile.Kept(phase: .none, bytes: [], commit: nil, isLocal: true)
        let found = Result { () throws(FuseErrno) in try content(try mount.lookup(path)) }
        // Of what another version was taking the place of, the bytes may have gone before the journal was told.
        if found.isFailure(.ioError), kept.commit != nil { return try unlink(path) }
        let bytes = try found.get()
        if kept.commit != nil, bytes == kept.bytes {
            resume(file, as: kept)
        } else if file.isLocal || kept.isLocal {
            // Whether that is written down already is not known; and what was written under a name of those that are uploaded
            // comes to nothing.
            if file.isTainted || !isKnownLocal(path) { return try unlink(path) }
            file.bytes = bytes
            file.hasContent = !bytes.isEmpty
            file.phase = bytes.isEmpty ? .none : .writing
            file.hasUpload = false
            file.resume()
        } else if file.wasEmptied || kept.phase == .interrupted, bytes.isEmpty {
            resume(file, as: ModelFile.Kept(phase: .none, bytes: [], commit: nil, isLocal: true))
        } else {
            try check(bytes == kept.bytes, "\(Self.difference(bytes, kept.bytes)) in \(path), which was being written")
            resume(file, as: kept)
        }
    }

    private func resume(_ file: ModelFile, as kept: ModelFile.Kept) {
        (file.phase, file.bytes, file.commit, file.hasUpload) = (kept.phase, kept.bytes, kept.commit, !kept.isLocal)
        file.refused = SegmentMap()
        file.resume()
    }

    /// After a kill at any moment: whatever is there is something that was there, and what a close was answered for is.
    private func takeOverWhatIsThere() throws {
        for (path, file) in files where file.knownPath == path && file.phase == .sealed && !file.isPerhapsEvicted {
            try check((try? mount.lookup(path)) != nil, "\(path) is gone, though its close was answered")
        }
        folders = Set(ModelPaths.folders.filter { (try? mount.lookup([$0])) != nil })
        let known = files
        files = [:]
        for path in ModelPaths.all {
            guard let node = try? mount.lookup(path) else { continue }
            let isSent = if case .temporary = ModelFile.verdict(on: path) { true } else { false }
            let found = Result { () throws(FuseErrno) in try content(node) }
            // What waits for its name, or waited for one, is changed in place: of that anything may be left.
            let isUnreadable = found.isFailure(.ioError) && known[path]?.knownPath != path
            if isUnreadable || isSent && (try? found.get()).map({ !history.contains($0) }) ?? true {
                // What came to nothing is gone already, when it was read.
                try? mount.unlink(path[path.count - 1], in: try mount.lookup(Array(path.dropLast())))
                continue
            }
            let bytes = try found.get()
            if let file = known[path], file.knownPath == path, file.phase == .sealed {
                try check(bytes == file.bytes, "\(Self.difference(bytes, file.bytes)) in \(path)")
            }
            let file = ModelFile(path, history)
            files[path] = file
            file.bytes = bytes
            file.name = ModelFile.verdict(on: path)
            guard !bytes.isEmpty else { continue }
            // One that stayed here until it got this name is there as it is on the disk.
            if !isKnownLocal(path),
                known[path].map({ $0.isLocal || $0.kept?.isLocal ?? false || $0.wasRenamedAsLocal }) ?? false
            {
                try unlink(path)
                continue
            }
            if !isKnownLocal(path) {
                try check(history.contains(bytes), "\(path) has \(bytes.count) bytes that it never had")
            }
            let commit = commits.last { $0.bytes == bytes }
            // A rename may have been lost, and with it what the name meant.
            if isDoubtful(known[path], commit, path, bytes) {
                try unlink(path)
            } else {
                file.resume(commit, isLocal: isKnownLocal(path))
            }
        }
    }

    private func isDoubtful(_ known: ModelFile?, _ commit: ModelCommit?, _ path: [String], _ bytes: [UInt8]) -> Bool {
        switch ModelFile.verdict(on: path) {
        case .upload: commit == nil
        case .temporary: commit != nil || known?.bytes != bytes || known?.phase != .staged && known?.phase != .waiting
        case .keepLocally, .refuse:
            commit != nil || known?.phase != .writing || known?.hasUpload != false || known?.isTainted ?? false
        }
    }

    private func isKnownLocal(_ path: [String]) -> Bool { !ModelFile.verdict(on: path).isToBeUploaded }

    // MARK: The end

    func comeToAnEnd() throws -> Int {
        platform.clearFaults()
        try closeAll()
        try settle()
        let assets = platform.assets.count
        for path in Array(files.keys) { try unlink(path) }
        for name in folders { try removeDirectory(name) }
        try mount.becomeIdle()
        try compareAssets()
        let spool = "\(mount.stateDirectory)/spool"
        try eventually("the spool is empty", else: leftovers(in: spool)) {
            // What was interrupted is kept for a while, or for good where it was promised to be on disk. With a small spool,
            // where that is a day, a few cancelled ones lie there as well.
            let isKeptLong = settings.spoolLimit != nil
            let kept = Set(
                mount.engine.uploads.filter {
                    $0.currentState == .interrupted || isKeptLong && $0.currentState == .cancelled
                }.map(\.spool.name))
            let left = try FileManager.default.contentsOfDirectory(atPath: spool)
            guard left.allSatisfy({ kept.contains($0) }) else { return false }
            return try !left.isEmpty || mount.spool.space().used.bytes == 0
        }
        try check(openFiles(in: spool) <= 16, "\(openFiles(in: spool)) descriptors are open in the spool")
        return assets
    }

    private func openFiles(in folder: String) -> Int {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return all.count { number in
            let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
            return path?.hasPrefix(folder + "/") ?? false
        }
    }

    private func leftovers(in spool: String) -> String {
        let left = (try? FileManager.default.contentsOfDirectory(atPath: spool)) ?? []
        return "\(left) \((try? mount.spool.space().used.bytes) ?? -1) \(uploads)"
    }

    private func eventually(
        _ what: String, else detail: @autoclosure () -> String, _ condition: () throws -> Bool
    ) throws {
        let end = ContinuousClock.now + .seconds(5)
        while try !condition() {
            try check(ContinuousClock.now < end, "waited in vain until \(what): \(detail())")
            usleep(500)
        }
    }
}
