import Glibc

/// The names in a directory, without `.` and `..`.
///
/// Ours are ASCII. A stranger's that is not UTF-8 is left out: it cannot be one of ours, and moving it under a mended
/// name would not find it.
enum DirectoryNames {
    static func list(_ directory: Int32) throws(SpoolError) -> [String] {
        // A descriptor of its own: a listing moves its descriptor's offset.
        let descriptor = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SpoolError(errno: errno, operation: "open") }
        guard let stream = fdopendir(descriptor) else {
            let code = errno
            close(descriptor)
            throw SpoolError(errno: code, operation: "opendir")
        }
        defer { closedir(stream) }

        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw SpoolError(errno: errno, operation: "readdir") }
                return names.sorted()
            }
            if let name = name(of: entry), name != ".", name != ".." { names.append(name) }
        }
    }

    private static func name(of entry: UnsafeMutablePointer<dirent>) -> String? {
        withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
