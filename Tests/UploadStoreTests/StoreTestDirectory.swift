import Formats
import Foundation
import Glibc
import UploadCore
import UploadStore

/// A directory of its own for one test, gone with it; on request, with a small disk of its own mounted on it.
final class StoreTestDirectory {
    let path: String
    private let isMounted: Bool

    init() throws {
        path = try Self.make()
        isMounted = false
    }

    /// A disk in memory of `size`; nil where this process may not mount one.
    init?(diskOf size: ByteCount) throws {
        path = try Self.make()
        isMounted = mount("tmpfs", path, "tmpfs", 0, "size=\(size.bytes),mode=700") == 0
        if !isMounted { return nil }
    }

    deinit {
        if isMounted { umount2(path, Int32(MNT_DETACH)) }
        try? FileManager.default.removeItem(atPath: path)
    }

    static let canMount = (try? StoreTestDirectory(diskOf: .mebibytes(1))) != nil

    private static func make() throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/twelvefs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        return path
    }

    /// A spool in it that only `limit` bounds.
    func spool(limit: ByteCount? = nil) throws -> SpoolDirectory {
        try SpoolDirectory(stateDirectory: path, limit: limit, diskReserve: ByteCount(0))
    }

    func permissions(_ name: String) -> UInt32 {
        var status = stat()
        return stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o7777 : .max
    }

    /// In bytes; -1 where there is none.
    func size(of name: String) -> Int64 {
        var status = stat()
        return stat("\(path)/\(name)", &status) == 0 ? Int64(status.st_size) : -1
    }

    func names(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(directory)").sorted()
    }

    func put(_ text: String, at name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }

    func text(at name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")), as: UTF8.self)
    }
}

extension SpoolFile {
    func write(_ bytes: [UInt8], at offset: Int64) throws {
        try bytes.withUnsafeBytes { try write($0, at: offset) }
    }

    func read(_ count: Int, at offset: Int64) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        let moved = try bytes.withUnsafeMutableBytes { try read(at: offset, into: $0) }
        return Array(bytes.prefix(moved))
    }
}
