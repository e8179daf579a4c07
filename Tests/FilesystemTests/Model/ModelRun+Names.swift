import FileTree
import FuseLowLevel
import UploadCore

// What programs do with names. What the kernel answers by itself is not asked for.

extension ModelRun {
    private func isThere(_ path: [String]) -> Bool { files[path] != nil || isFolder(path) }

    private func isFolder(_ path: [String]) -> Bool { path.count == 1 && folders.contains(path[0]) }

    private func hasParent(_ path: [String]) -> Bool { path.count == 1 || folders.contains(path[0]) }

    func rename(_ path: [String], to new: [String], how: Int) throws {
        let flags: FileRenameFlags = how == 2 ? .noReplace : how == 3 ? .exchange : []
        guard hasParent(path), hasParent(new), isThere(path), path != new else { return }
        let isTaken = isThere(new)
        switch flags {
        case .noReplace: if isTaken { return }
        case .exchange: if !isTaken { return }
        default: if isTaken, isFolder(path) != isFolder(new) { return }
        }
        // Of what a small spool has released that cannot stay here.
        let mayLackBytes = [(files[path], new), (files[new], path)].contains { file, target in
            file?.hasUpload ?? false && !ModelFile.verdict(on: target).isToBeUploaded
        }
        if settings.spoolLimit != nil, mayLackBytes { return }
        if let file = files[path], file.completes(by: new, settings.closeMode) || file.isPerhapsStaged { try letGo() }
        let (parent, newParent) = (
            try mount.lookup(Array(path.dropLast())), try mount.lookup(Array(new.dropLast()))
        )
        let answer = mount.rename(
            path[path.count - 1], in: parent, to: new[new.count - 1], in: newParent, flags: flags)
        let errno = try answer.get()
        if flags == [], isTaken, isFolder(new), files.keys.contains(where: { $0.count == 2 && $0[0] == new[0] }) {
            return try check(errno == .directoryNotEmpty, "\(new) was replaced: \(errno.map { "\($0)" } ?? "")")
        }
        try check(errno == nil, "it was answered \(errno.map { "\($0)" } ?? "")")
        if let file = files[path], file.completes(by: new, settings.closeMode) {
            if file.phase != .sealed { commits.append(file.seal()) }
            file.commit?.isConfirmed = true
        }
        // FUSE's reply waits for that.
        try mount.journal.waitUntilWritten(durably: false)
        moved(path, to: new, isExchange: flags == .exchange)
    }

    private func moved(_ path: [String], to new: [String], isExchange: Bool) {
        let source = take(path)
        let target = take(new)
        if isExchange {
            put(target, at: path)
        } else {
            for (_, file) in target.files { file.remove() }
        }
        put(source, at: new)
        let changed = source.files.map(\.1) + (isExchange ? target.files.map(\.1) : [])
        for file in changed where file.phase != .none { file.name = ModelFile.verdict(on: file.path) }
        for file in changed {
            commitIfNamed(file)
            file.stayHere()
        }
    }

    /// Everything at or below a path, taken out of the tree.
    private func take(_ path: [String]) -> (isFolder: Bool, files: [([String], ModelFile)]) {
        let isFolder = folders.contains(path[0]) && path.count == 1
        let found = files.filter { $0.key.starts(with: path) }
        for key in found.keys { files[key] = nil }
        if isFolder { folders.remove(path[0]) }
        return (isFolder, found.map { (Array($0.key.dropFirst(path.count)), $0.value) })
    }

    private func put(_ taken: (isFolder: Bool, files: [([String], ModelFile)]), at path: [String]) {
        if taken.isFolder { folders.insert(path[0]) }
        for (rest, file) in taken.files {
            if file.isLocal, file.size > 0 { file.wasRenamedAsLocal = true }
            file.path = path + rest
            file.knownPath = nil
            files[path + rest] = file
        }
    }

    /// Content that waited for a name is committed.
    private func commitIfNamed(_ file: ModelFile) {
        guard file.writeHandles == 0, file.phase != .none, file.name == .upload, file.size > 0 else { return }
        guard file.phase == .writing && file.hasContent || file.phase == .staged || file.phase == .waiting else {
            return
        }
        lastWriterReleased(file)
    }

    func unlink(_ path: [String]) throws {
        guard let file = files[path] else { return }
        try mount.unlink(path[path.count - 1], in: try mount.lookup(Array(path.dropLast())))
        files[path] = nil
        file.remove()
    }

    func makeDirectory(_ name: String) throws {
        let outcome = Result { () throws(FuseErrno) in try mount.makeDirectory(name, in: .root) }
        guard !folders.contains(name) else { return try check(outcome.isFailure(.fileExists), "\(outcome)") }
        try outcome.get()
        folders.insert(name)
    }

    func removeDirectory(_ name: String) throws {
        let outcome = Result { () throws(FuseErrno) in try mount.removeDirectory(name, in: .root) }
        guard folders.contains(name) else { return try check(outcome.isFailure(.noSuchFileOrDirectory), "\(outcome)") }
        if files.keys.contains(where: { $0.count == 2 && $0[0] == name }) {
            return try check(outcome.isFailure(.directoryNotEmpty), "\(outcome)")
        }
        try outcome.get()
        folders.remove(name)
    }
}

extension ModelFile {
    /// Whether a rename commits what was sent, and is answered when that is confirmed.
    func completes(by new: [String], _ mode: CloseMode) -> Bool {
        guard mode == .upload, phase == .staged || phase == .sealed, name != .upload, writeHandles == 0 else {
            return false
        }
        guard Self.verdict(on: new) == .upload else { return false }
        return phase == .staged || commit.map { !$0.isConfirmed } ?? false
    }
}
