import SystemPackage

/// Finds the status document of a file in a mount.
package enum UploadLocator {
    /// The document that tells of `path`: of the file, which may be gone by now, or of the document itself.
    ///
    /// - Parameters:
    ///   - path: absolute, its directory resolved.
    ///   - mounts: where twelvefs is mounted.
    /// - Throws: a ``CommandFailure`` when `path` is in none of them.
    package static func document(for path: String, mounts: [String]) throws -> String {
        let inside = mounts.filter { path.hasPrefix($0 + "/") }
        guard let mount = inside.max(by: { $0.utf8.count < $1.utf8.count }) else {
            throw CommandFailure("\(path) is not in a twelvefs mount", hint: "'twelvefs status' lists the mounts")
        }
        let name = path.dropFirst(mount.utf8.count + 1)
        if name.hasPrefix(".status/") { return path }
        return "\(mount)/.status/by-name/\(name).json"
    }

    /// The document of what a user names on the command line.
    static func document(named path: String) throws -> String {
        guard let name = FilePath(path).lastComponent else {
            throw CommandFailure("\(path) is not a file", hint: "Name a file in a mount")
        }
        let folder = FilePath(path).removingLastComponent()
        let real: String
        do {
            real = try MountPoint.resolved(folder.isEmpty ? "." : folder.string)
        } catch {
            throw CommandFailure("\(path) cannot be reached: \(error.words)")
        }
        let mounts = try MountPoint.everyones().map(\.path)
        return try document(for: FilePath(real).appending(name).string, mounts: mounts)
    }
}
