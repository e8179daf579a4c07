import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Size hints: the size that a file will have, looked for in what its writer reads.

extension ContentStore {
    /// Looks for the size that the file will have, in what its writer reads: at the first write, and once more when there
    /// is enough for a session. A close asks for it too, whether or not it is a hint. Asked while the writer waits for its write, so that it cannot open or close anything.
    func findSize(_ file: MountedFile, node: NodeID, pid: Int32, upTo end: Int64) {
        guard let version = file.beginHintSearch(isEnough: end >= Self.enoughForSession), let upload = version.upload,
            upload.inspect({ $0.hint?.source ?? .preallocated }) == .preallocated
        else { return }
        nameWriter(of: upload, pid: pid)
        // Nothing is sent under a name that does not tell the final one, so that no size is wanted before the rename.
        guard version.name != .temporary(final: nil), let path = namespace.path(of: node) else { return }
        let target = SourceTarget(name: namespace.finalName(for: path), inode: node.rawValue, written: end)
        guard let source = writers.source(of: pid, for: target) else { return }
        let size: Int64
        switch source.location {
        case .elsewhere(_, _, let found): size = found
        case .ownFile(let inode):
            guard let own = namespace.anyFile(NodeID(inode)) else { return }
            size = own.size
        }
        // Some close it before they close what they write.
        let held = source.isNamesake && source.kind == .read ? writers.hold(source) : nil
        file.hintWasFound(source, of: size, held: held)
        guard configuration.usesSizeHints else { return }
        upload.apply(.hinted(SizeHint(size: size, source: source.kind == .copied ? .copiedSource : .readSource)))
    }

    /// With fewer bytes no session is opened anyway.
    private static let enoughForSession: Int64 = 5 << 20

    private func nameWriter(of upload: Upload, pid: Int32) {
        guard let group = writers.threadGroup(of: pid), let command = writers.command(of: group) else {
            return upload.updateIdentity { $0.writer = "unknown" }
        }
        upload.updateIdentity { $0.writer = "\(String(decoding: command, as: UTF8.self)) (pid \(group))" }
    }
}
