import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// A file that holds one secret alone, on one line: the API key, or a proxy with its password.
struct SecretFile {
    /// What is in it, for messages: "API key".
    let content: String
    /// The option that names it.
    let option: String

    /// Far more than any secret has; what is longer is some other file.
    static let maximumLength = 4096

    /// What the file holds, and what the user should be warned of.
    struct Reading {
        var text: String
        var warning: String?
    }

    /// Reads it.
    ///
    /// One that is another user's, or that others may write to, is refused: they could have us send everything elsewhere, or into
    /// their account. One that others may read is warned of only, since containers hand secrets out that way.
    /// - Throws: a ``CommandFailure`` that says what is wrong with which file, and never shows what was read.
    func read(_ file: String) throws -> Reading {
        let bytes: [UInt8]
        let mode: mode_t
        do {
            let descriptor = try NamedFile.openForReading(file)
            (bytes, mode) = try descriptor.closeAfter {
                (try descriptor.readAll(atMost: Self.maximumLength + 1), try PathStatus(of: descriptor).mode)
            }
        } catch let error as UntrustedPath {
            throw CommandFailure(
                "the \(content) file \(file) is not safe: \(error.words)",
                hint: error.remedy ?? "Name a file of your own with \(option)")
        } catch let error as Errno {
            throw CommandFailure(
                "cannot read the \(content) from \(file): \(error.words)", hint: "Check \(option) and who may read it")
        }
        guard mode & (S_IWGRP | S_IWOTH) == 0 || mode & S_IFMT != S_IFREG else {
            throw CommandFailure(
                "the \(content) file \(file) can be changed by other users", hint: "Run 'chmod 600 \(file)'")
        }
        let oneLine = "It should hold the \(content) alone, on one line"
        guard bytes.count <= Self.maximumLength else {
            throw CommandFailure("the \(content) file \(file) is longer than any \(content)", hint: oneLine)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("the \(content) file \(file) is not text", hint: oneLine)
        }
        let isReadableByAll = mode & S_IROTH != 0 && mode & S_IFMT == S_IFREG
        return Reading(
            text: text,
            warning: isReadableByAll
                ? "the \(content) file \(file) can be read by every user (chmod 600 it)" : nil)
    }
}
