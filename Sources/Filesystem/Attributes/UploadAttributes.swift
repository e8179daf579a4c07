import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine

// Extended attributes: what a program may want to know of a file's upload, without a look into `.status`, and the size
// that it may want to declare.
//
// A write handle bypasses the page cache, so that the kernel asks for no `security.capability` before each write.

/// The extended attributes of files.
enum FileAttribute: String, CaseIterable {
    /// The upload session's id.
    case uploadID = "user.twelvelabs.upload_id"
    /// The asset's id.
    case assetID = "user.twelvelabs.asset_id"
    /// The upload's state, as in its status document.
    case state = "user.twelvelabs.state"
    /// Where the platform serves the asset, once it says so.
    case assetURL = "user.twelvelabs.asset_url"
    /// Can be set: how many bytes the next version will have.
    case totalSize = "user.twelvelabs.total_size"

    init?(_ name: [UInt8]) {
        guard let known = Self.allCases.first(where: { Array($0.rawValue.utf8) == name }) else { return nil }
        self = known
    }
}

/// The extended attributes of files and documents: what they tell, and what is asked of an upload through them.
package final class UploadAttributes: Sendable {
    let configuration: FilesystemConfiguration
    let namespace: Namespace
    let status: StatusDirectory
    let reclaimer: SpoolReclaimer
    let logger: Logger

    init(
        configuration: FilesystemConfiguration, namespace: Namespace, status: StatusDirectory,
        reclaimer: SpoolReclaimer, logger: Logger
    ) {
        self.configuration = configuration
        self.namespace = namespace
        self.status = status
        self.reclaimer = reclaimer
        self.logger = logger
    }

    /// Sets what can be set: a control, a declared size, and of an access control list what a mode can say.
    package func set(
        _ name: [UInt8], to value: [UInt8], flags: ExtendedAttributeFlags, of inode: InodeNumber,
        context: FuseRequestContext
    ) throws(FuseErrno) {
        let controls = [UploadControl.attribute, UploadControl.documentAttribute]
        if controls.contains(where: { name.elementsEqual($0.utf8) }) {
            try control(inode, value, context: context)
        } else if let list = AccessControlList.Name(name) {
            try setAccessControlList(list, to: value, of: inode, context: context)
        } else {
            try setExtendedAttribute(name, to: value, flags: flags, of: inode)
        }
    }

    /// Takes a declared size back; `ENODATA` for everything else.
    func remove(_ name: [UInt8], of inode: InodeNumber) throws(FuseErrno) {
        guard FileAttribute(name) == .totalSize, let file = ownFile(inode) else { throw .noData }
        try namespace.checkWritable()
        guard let upload = file.undeclare() else { throw .noData }
        upload?.apply(.hinted(nil))
    }

    /// The value of an attribute; `ENODATA` where there is none, as for every name that is not ours.
    package func extendedAttribute(_ name: [UInt8], of inode: InodeNumber) throws(FuseErrno) -> [UInt8] {
        // None are shown, which tools take better than that there happens to be none.
        if AccessControlList.Name(name) != nil { throw .notSupported }
        guard let attribute = FileAttribute(name), let file = ownFile(inode),
            let value = value(of: attribute, file)
        else { throw .noData }
        return Array(value.utf8)
    }

    /// Declares a size, in bytes as decimal digits; nothing else can be set (`EOPNOTSUPP`).
    package func setExtendedAttribute(
        _ name: [UInt8], to value: [UInt8], flags: ExtendedAttributeFlags, of inode: InodeNumber
    ) throws(FuseErrno) {
        guard FileAttribute(name) == .totalSize, let file = ownFile(inode) else { throw .notSupported }
        try namespace.checkWritable()
        let digits = String(decoding: value, as: UTF8.self)
        guard value.allSatisfy({ (0x30...0x39).contains($0) }), let size = Int64(digits), size > 0 else {
            throw .invalidArgument
        }
        guard size <= configuration.maxFileSize else { throw .fileTooLarge }
        let upload: Upload?
        do throws(MountedFile.DeclarationRefusal) {
            upload = try file.declare(size, mustBeNew: flags.contains(.create), mustExist: flags.contains(.replace))
        } catch {
            switch error {
            case .exists: throw .fileExists
            case .isMissing: throw .noData
            }
        }
        upload?.apply(.hinted(SizeHint(size: size, source: .declared)))
    }

    /// Keeps of an access control list what a mode can say: a copy that brings one along (`cp -a`, `rsync -A`) does not fail
    /// for what the platform has no place for. New files inherit nothing.
    private func setAccessControlList(
        _ name: AccessControlList.Name, to value: [UInt8], of inode: InodeNumber, context: FuseRequestContext
    ) throws(FuseErrno) {
        if StatusDirectory.owns(inode) { throw .permissionDenied }
        let node = NodeID(inode.rawValue)
        guard let list = AccessControlList(value) else { throw .invalidArgument }
        let before = try namespace.attributes(of: node)
        guard context.uid == 0 || context.uid == before.uid else { throw .notPermitted }
        guard name == .access else { return }
        let permissions = before.permissions & 0o7000 | list.permissions
        _ = try namespace.setAttributes(of: node, FileAttributeChanges(permissions: permissions))
    }

    func ownFile(_ inode: InodeNumber) -> MountedFile? {
        StatusDirectory.owns(inode) ? nil : namespace.anyFile(NodeID(inode.rawValue))
    }

    private func value(of attribute: FileAttribute, _ file: MountedFile) -> String? {
        let look = file.look
        let (upload, declared) = (look.version?.upload, look.declaredSize)
        switch attribute {
        case .totalSize: return declared.map { String($0) }
        case .uploadID: return upload?.inspect { $0.uploadID }
        case .state: return upload?.currentState.rawValue
        case .assetID: return upload?.status().assetID
        case .assetURL: return upload?.status().assetURL
        }
    }
}
