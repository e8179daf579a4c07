import FuseLowLevel
import Glibc
import Testing

/// A file system that is mounted for the length of a test.
struct Mounted {
    let filesystem: MemoryFilesystem
    let session: FuseSession
    let path: String

    func path(_ name: String) -> String { "\(path)/\(name)" }
}

/// For how long a test waits for what must come; longer than any machine needs, so that only a hang fails.
let patience = Duration.seconds(60)

/// Mounts for real, runs a test, and takes the mount away again however the test ends.
func withMount(
    hooks: MemoryFilesystem.Hooks = MemoryFilesystem.Hooks(), options: FuseMountOptions = testOptions,
    workerCount: Int = 4, _ test: (Mounted) throws -> Void
) throws {
    try withTemporaryDirectory { directory in
        let filesystem = MemoryFilesystem(hooks: hooks)
        let session = try FuseSession(
            mountpoint: directory, options: options, operations: filesystem, workerCount: workerCount,
            log: { level, message in print("libfuse \(level): \(message)") })
        defer {
            session.stop()
            #expect(throws: Never.self) { try session.unmount(lazily: true) }
        }
        try session.mount()
        try session.start()
        try test(Mounted(filesystem: filesystem, session: session, path: session.mountpoint))
    }
}

/// A test process that dies leaves a dead mount, which the test of the next run does not meet since each has a directory of
/// its own.
var testOptions: FuseMountOptions { FuseMountOptions() }

func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/twelvefs-fuse-XXXXXX".utf8CString)
    let created = mkdtemp(&template) != nil
    try #require(created, "no temporary directory: \(SystemCallError(errno))")
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { rmdir(path) }
    try body(path)
}

/// A system call that failed.
struct SystemCallError: Error, Equatable, CustomStringConvertible {
    let number: Int32

    init(_ number: Int32) {
        self.number = number
    }

    var description: String { String(cString: strerror(number)) }
}

/// A system call's answer, or its error.
@discardableResult
func check<Result: SignedInteger>(_ result: Result) throws -> Result {
    if result == -1 { throw SystemCallError(errno) }
    return result
}

func fileStatus(_ path: String) throws -> stat {
    var status = stat()
    try check(stat(path, &status))
    return status
}

/// Runs a body with an open descriptor.
@discardableResult
func withOpenFile<Result>(
    _ path: String, _ flags: Int32, mode: mode_t = 0o644, _ body: (Int32) throws -> Result
) throws -> Result {
    let descriptor = try check(open(path, flags, mode))
    defer { close(descriptor) }
    return try body(descriptor)
}

func writeFile(_ path: String, _ bytes: [UInt8], chunk: Int = 1 << 20) throws {
    try withOpenFile(path, O_CREAT | O_WRONLY | O_TRUNC) { descriptor in
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = try rest.prefix(chunk).withUnsafeBytes {
                try check(write(descriptor, $0.baseAddress, $0.count))
            }
            rest = rest.dropFirst(count)
        }
    }
}

func readFile(_ path: String) throws -> [UInt8] {
    try withOpenFile(path, O_RDONLY) { descriptor in
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let count = try check(read(descriptor, &buffer, buffer.count))
            if count == 0 { return bytes }
            bytes += buffer.prefix(count)
        }
    }
}

/// Names in a directory, as bytes, without "." and "..".
func names(in path: String) throws -> [[UInt8]] {
    guard let directory = opendir(path) else { throw SystemCallError(errno) }
    defer { closedir(directory) }
    var names: [[UInt8]] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
            name.withMemoryRebound(to: UInt8.self, capacity: 256) { name in
                [UInt8](
                    UnsafeBufferPointer(
                        start: name, count: strnlen(UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self), 256)))
            }
        }
        if name != [0x2e] && name != [0x2e, 0x2e] { names.append(name) }
    }
    return names
}
