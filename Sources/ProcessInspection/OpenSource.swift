import Glibc

/// A file that a process has open for reading only: what it may be copying from.
public struct OpenSource: Sendable, Equatable {
    /// The process or thread.
    public var process: Int32
    /// The descriptor's number.
    public var number: Int32
    /// The mount it was opened through.
    public var mountID: Int32
    /// The inode that `fdinfo` tells; nil on kernels that do not.
    public var inode: UInt64?
    /// How far it has been read by calls that move the position.
    public var position: Int64
    /// It was opened close-on-exec: by this program itself, then, not inherited.
    public var closesOnExec: Bool
    /// Its path as the kernel tells it, with ` (deleted)` behind it when that is so.
    public var path: [UInt8]

    package init(
        process: Int32, number: Int32, mountID: Int32, inode: UInt64?, position: Int64, closesOnExec: Bool,
        path: [UInt8]
    ) {
        self.process = process
        self.number = number
        self.mountID = mountID
        self.inode = inode
        self.position = position
        self.closesOnExec = closesOnExec
        self.path = path
    }

    /// Whether its last path component is that name, also after it was deleted.
    func hasBaseName(_ name: [UInt8]) -> Bool {
        let base = path.baseName
        return base.elementsEqual(name) || base.elementsEqual(name + Array(" (deleted)".utf8))
    }
}

extension ProcessTable {
    /// The files that a process has open for reading only, by descriptor number.
    ///
    /// Whether they are regular files is not known yet: that would mean to ask their file systems. What was opened as a
    /// directory is left out, and what has no path.
    ///
    /// The links may make the reader wait while the process is in the middle of `exec`, which a process cannot be that
    /// waits for the answer of a WRITE. Of others, to be read on a disposable thread.
    ///
    /// Empty for a process with more than 4096 descriptors: whatever would be told of that one is no hint.
    public func openSources(of pid: Int32) -> [OpenSource] {
        guard pid > 0 else { return [] }
        var sources: [OpenSource] = []
        var count = 0
        eachDescriptor(of: pid) { holder, number in
            count += 1
            if let source = openSource(holder, process: pid, number: number) { sources.append(source) }
            return count <= 4096
        }
        return count > 4096 ? [] : sources.sorted { $0.number < $1.number }
    }

    /// The file behind one descriptor, if that is open for reading only.
    func openSource(of pid: Int32, number: Int32) -> OpenSource? {
        openSource("\(root)/\(pid)", process: pid, number: number)
    }

    /// What `fdinfo` says of one descriptor; unlike its link it can be read at any time.
    func descriptorInfo(of pid: Int32, number: Int32) -> DescriptorInfo? {
        descriptorInfo("\(root)/\(pid)", number)
    }

    private func descriptorInfo(_ holder: String, _ number: Int32) -> DescriptorInfo? {
        RawFile.start(of: "\(holder)/fdinfo/\(number)", count: 512).flatMap { DescriptorInfo(parsing: $0) }
    }

    private func openSource(_ holder: String, process: Int32, number: Int32) -> OpenSource? {
        // Sockets, pipes and the like have no slash in front. Their `fdinfo` need not be read, then.
        guard let path = RawFile.link(at: "\(holder)/fd/\(number)"), path.first == UInt8(ascii: "/"),
            let info = descriptorInfo(holder, number), info.isReadOnly, !info.isDirectory
        else { return nil }
        return OpenSource(
            process: process, number: number, mountID: info.mountID, inode: info.inode, position: info.position,
            closesOnExec: info.closesOnExec, path: path)
    }
}
