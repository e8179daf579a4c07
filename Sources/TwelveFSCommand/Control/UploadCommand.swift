import CXattr
import Filesystem
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Asks something of an upload, through the extended attribute of its status document.
enum UploadCommand {
    /// - Parameters:
    ///   - command: what is to be done.
    ///   - path: a file in a mount, or its status document.
    /// - Throws: a ``CommandFailure`` when it is refused.
    static func give(_ command: UploadControl, about path: String) throws {
        let document = try UploadLocator.document(named: path)
        let value = Array(command.rawValue.utf8)
        guard setxattr(document, UploadControl.documentAttribute, value, value.count, 0) != 0 else { return }
        let error = Errno(rawValue: errno)
        switch error {
        case .noSuchFileOrDirectory, .notDirectory:
            throw CommandFailure.noUpload(of: path, document: document)
        case .permissionDenied, .notPermitted:
            throw CommandFailure(
                "\(path): \(Errno.notPermitted.words)", hint: "only the owner of the mount may do this")
        case .resourceBusy:
            throw CommandFailure("\(path) is on its way already", hint: "'twelvefs status' shows how far it is")
        case .readOnlyFileSystem:
            throw CommandFailure(
                "\(path): the mount is read-only, or about to end", hint: "Mount again, and writable, first")
        case .invalidArgument:
            throw CommandFailure("\(path): \(try refusal(of: command, UploadDocument.read(document, of: path)))")
        default:
            throw CommandFailure("\(path): \(error.words)")
        }
    }

    /// Why an upload in its state cannot be told so.
    private static func refusal(of command: UploadControl, _ upload: UploadDocument) -> String {
        switch (upload.state, command) {
        case ("completed", .retry): return "the platform has it"
        case ("completed", .cancel): return "the platform has it. To take it out of the directory, remove it"
        case ("cancelled", _): return "it was removed, replaced or cancelled"
        case ("interrupted", .retry):
            return "its writer did not finish, and had not put all of it on disk (fsync). Copy the file again"
        default: return "not all of its bytes are there any more. Copy the file again"
        }
    }
}
