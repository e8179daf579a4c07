import Glibc

/// A file system call that failed.
struct FileFailure: Error, CustomStringConvertible {
    var call: String
    var path: String
    var code: CInt

    var description: String { "\(call) \(path): \(String(cString: strerror(code)))" }
}

/// The few file calls that the stand-in needs. All of them block: they are made on the disk threads only.
enum PosixFile {
    static func open(_ path: String, _ flags: CInt) throws(FileFailure) -> CInt {
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFailure(call: "open", path: path, code: errno) }
        return descriptor
    }

    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt, path: String) throws(FileFailure) {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Glibc.write(descriptor, base, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileFailure(call: "write", path: path, code: errno)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    /// Fills as much of the buffer as the file has from the offset on, and answers how much.
    static func read(
        into buffer: UnsafeMutableRawBufferPointer, from descriptor: CInt, at offset: Int64, path: String
    ) throws(FileFailure) -> Int {
        var filled = 0
        while filled < buffer.count, let base = buffer.baseAddress {
            let count = pread(descriptor, base + filled, buffer.count - filled, off_t(offset) + off_t(filled))
            if count < 0 {
                if errno == EINTR { continue }
                throw FileFailure(call: "read", path: path, code: errno)
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    static func contents(of path: String) throws(FileFailure) -> [UInt8] {
        let descriptor = try open(path, O_RDONLY)
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else { throw FileFailure(call: "lseek", path: path, code: errno) }
        var failure: FileFailure?
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            do throws(FileFailure) {
                count = try read(into: UnsafeMutableRawBufferPointer(buffer), from: descriptor, at: 0, path: path)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// The file has either its old contents or the new ones, whenever the process ends.
    static func replace(_ path: String, with bytes: [UInt8]) throws(FileFailure) {
        let temporary = path + ".new"
        try write(bytes, to: temporary, flags: O_WRONLY | O_CREAT | O_TRUNC)
        try rename(temporary, to: path)
    }

    static func append(_ bytes: [UInt8], to path: String) throws(FileFailure) {
        try write(bytes, to: path, flags: O_WRONLY | O_CREAT | O_APPEND)
    }

    private static func write(_ bytes: [UInt8], to path: String, flags: CInt) throws(FileFailure) {
        let descriptor = try open(path, flags)
        defer { close(descriptor) }
        var failure: FileFailure?
        bytes.withUnsafeBytes { buffer in
            do throws(FileFailure) {
                try write(buffer, to: descriptor, path: path)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    static func rename(_ path: String, to target: String) throws(FileFailure) {
        guard Glibc.rename(path, target) == 0 else { throw FileFailure(call: "rename", path: path, code: errno) }
    }

    /// Nothing happens when there is no such file.
    static func remove(_ path: String) {
        unlink(path)
    }
}
