import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Follows a path from the root, each step opened from the one before: what was looked at is what is gone through, and no link
/// is followed but by its text, once its owner is known.
struct PathWalk {
    /// Whom the directories on the way may belong to.
    enum Steps {
        /// Only links are looked at: what comes in the end is judged by itself.
        case any
        /// To root or to us, and nobody else may rename what is in them.
        case trusted
    }

    private let steps: Steps
    private var directory: OpenDirectory
    private var rest: [String]
    private var linkCount = 0

    /// As the kernel has it.
    private static let longestChain = 40

    private init(_ path: String, steps: Steps) throws {
        self.steps = steps
        directory = try OpenDirectory(at: "/")
        rest = Self.names(of: path)
        try check(directory)
    }

    /// The directory at `path`, which is absolute.
    ///
    /// - Parameter making: whether directories that are missing are made, with mode 0700.
    /// - Throws: ``UntrustedPath``, `Errno`.
    static func directory(
        at path: String, steps: Steps, making: Bool = false
    ) throws -> OpenDirectory {
        var walk = try PathWalk(path, steps: steps)
        while let name = walk.next() { try walk.enter(name, making: making) }
        return walk.directory
    }

    /// The file at `path`, which is absolute; it may be missing. Links in its place are followed as those on the way.
    ///
    /// - Throws: ``UntrustedPath``, `Errno`.
    static func file(at path: String, steps: Steps) throws -> FileLocation {
        var walk = try PathWalk(path, steps: steps)
        while let name = walk.next() {
            let file = walk.directory.file(name)
            if walk.rest.isEmpty, name != "..", try walk.isNoLink(file) { return file }
            try walk.enter(name, making: false)
        }
        throw Errno.isDirectory
    }

    private static func names(of path: String) -> [String] {
        path.split(separator: "/").filter { $0 != "." }.map(String.init)
    }

    private mutating func next() -> String? { rest.isEmpty ? nil : rest.removeFirst() }

    /// Whether what is there is to be opened, or made, as it is.
    private func isNoLink(_ file: FileLocation) throws -> Bool {
        do {
            return try !step(file, making: false).status().isSymbolicLink
        } catch Errno.noSuchFileOrDirectory {
            return true
        }
    }

    /// What is at the next place, once it is known that whoever serves it may be asked.
    private func step(_ file: FileLocation, making: Bool) throws -> OpenDirectory {
        let path = file.name == ".." ? FilePath(directory.path).removingLastComponent().string : file.path
        let next = OpenDirectory(try file.openStep(making: making), path: path)
        try PathTrust.checkServer(of: next, enteredFrom: directory)
        return next
    }

    /// Goes on to `name`, or to where the link of that name leads.
    private mutating func enter(_ name: String, making: Bool) throws {
        let next = try step(directory.file(name), making: making)
        let status = try next.status()
        if status.isSymbolicLink {
            try follow(next, status)
        } else if status.isDirectory {
            try check(next)
            directory = next
        } else {
            throw Errno.notDirectory
        }
    }

    private mutating func follow(_ link: OpenDirectory, _ status: PathStatus) throws {
        guard PathTrust.isTrusted(status.owner) else {
            throw UntrustedPath("\(link.path) is a symbolic link of another user (uid \(status.owner))")
        }
        linkCount += 1
        guard linkCount <= Self.longestChain else { throw Errno.tooManySymbolicLinkLevels }
        let text = try Self.text(of: link)
        if text.hasPrefix("/") { directory = try OpenDirectory(at: "/") }
        rest = Self.names(of: text) + rest
    }

    private static func text(of link: OpenDirectory) throws(Errno) -> String {
        var text = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlinkat(link.descriptor.rawValue, "", &text, text.count)
        guard length >= 0 else { throw Errno(rawValue: errno) }
        let bytes = text[..<length].map { UInt8(bitPattern: $0) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .illegalByteSequence }
        return text
    }

    private func check(_ directory: OpenDirectory) throws {
        guard steps == .trusted else { return }
        try PathTrust.check(directory)
    }
}
