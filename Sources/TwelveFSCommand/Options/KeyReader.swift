import PlatformClient
import SystemPackage
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// Where the API key comes from: a file, or else the environment. Never an argument, which everybody can read in `ps`.
package enum KeyReader {
    /// The variable that the key is taken from when no file is given.
    package static let variable = "TWELVELABS_API_KEY"
    /// Far more than any key has; what is longer is some other file.
    package static let maximumLength = 4096

    /// The key, and what the user should be warned of.
    package struct Reading {
        package var key: APIKey
        package var warning: String?
    }

    /// Reads the key from `file`, or from `environment` when there is none.
    ///
    /// A file that others may write to is refused: they could make us upload into their account. One that others may read
    /// is warned of only, since containers hand secrets out that way.
    /// - Throws: a ``CommandFailure`` that says what is wrong with which source, and never shows what was read.
    package static func read(file: String?, environment: [String: String]) throws -> Reading {
        if let file { return try read(file: file) }
        guard let text = environment[variable], !text.isEmpty else {
            throw CommandFailure(
                "no API key", hint: "Set $\(variable), or name a file that holds it with --api-key-file")
        }
        return Reading(key: try key(text, from: "$\(variable)"), warning: nil)
    }

    private static func read(file: String) throws -> Reading {
        let bytes: [UInt8]
        let mode: mode_t
        do {
            let descriptor = try FileDescriptor.open(file, .readOnly, options: .closeOnExec)
            (bytes, mode) = try descriptor.closeAfter {
                let mode = try FileStatus(of: descriptor).mode
                guard mode & S_IFMT != S_IFDIR else { throw Errno.isDirectory }
                return (try descriptor.readAll(atMost: maximumLength + 1), mode)
            }
        } catch let error as Errno {
            throw CommandFailure(
                "cannot read the API key from \(file): \(error.words)", hint: "Check --api-key-file and who may read it"
            )
        }
        guard mode & (S_IWGRP | S_IWOTH) == 0 || mode & S_IFMT != S_IFREG else {
            throw CommandFailure(
                "the API key file \(file) can be changed by other users", hint: "Run 'chmod 600 \(file)'")
        }
        guard bytes.count <= maximumLength else {
            throw CommandFailure(
                "the API key file \(file) is longer than any key", hint: "It should hold the key alone, on one line")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure(
                "the API key file \(file) is not text", hint: "It should hold the key alone, on one line")
        }
        let isReadableByAll = mode & S_IROTH != 0 && mode & S_IFMT == S_IFREG
        return Reading(
            key: try key(text, from: file),
            warning: isReadableByAll ? "the API key file \(file) can be read by every user (chmod 600 it)" : nil)
    }

    private static func key(_ text: String, from source: String) throws -> APIKey {
        do {
            return try APIKey(text)
        } catch {
            throw CommandFailure(
                "\(source): \(error.message)", hint: error.hint ?? "It should hold the key alone, on one line")
        }
    }
}
