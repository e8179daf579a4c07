import Descriptors
import Dispatch
import Formats
import Glibc

/// The source of a copy, kept open by this process: it can be looked at and compared after the copier has closed it.
///
/// As long as it is held its file system cannot be unmounted: it is to be released when the copy is decided.
public final class HeldSource: Sendable {
    /// Its size when the copy began, in bytes.
    public let firstSize: Int64
    private let descriptor: Int32
    private let threads: DisposableThreads
    private let patience: DispatchTimeInterval

    /// Takes over a descriptor of a regular file.
    package init(
        _ descriptor: Int32, firstSize: Int64, threads: DisposableThreads = DisposableThreads(),
        patience: DispatchTimeInterval = .seconds(3)
    ) {
        self.descriptor = descriptor
        self.firstSize = firstSize
        self.threads = threads
        self.patience = patience
    }

    deinit {
        // A network may be asked for that.
        let left = descriptor
        if !DetachedThread.start({ close(left) }) { close(left) }
    }

    /// Its size now, in bytes; nil when its file system does not answer.
    public var size: Int64? {
        let size = threads.run(sharesDescriptors: true) { [self] steps -> Int64? in
            steps.next(within: patience)
            var status = stat()
            return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : nil
        }
        return size ?? nil
    }

    /// Some of its bytes; nil when it has not so many, or they cannot be read.
    public func bytes(_ range: Range<Int64>) -> [UInt8]? {
        let bytes = threads.run(sharesDescriptors: true) { [self] steps -> [UInt8]? in
            var bytes = [UInt8](repeating: 0, count: range.count)
            var done = 0
            while done < bytes.count {
                steps.next(within: patience)
                let (start, offset) = (done, off_t(range.lowerBound) + off_t(done))
                let count = bytes.withUnsafeMutableBytes { buffer in
                    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[start...])
                    return pread(descriptor, rest.baseAddress, rest.count, offset)
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return nil }
                done += count
            }
            return bytes
        }
        return bytes ?? nil
    }
}

extension SourceHintFinder {
    /// Opens a source for this process while its reader waits; nil where that is not possible, or takes too long.
    public func hold(_ found: FoundSource) -> HeldSource? {
        guard case .elsewhere(let device, let inode, let size) = found.location else { return nil }
        let held = threads.run(sharesDescriptors: true) { [self] steps -> HeldSource? in
            let search = Search(table: table, mount: mount, target: nil, steps: steps)
            let patience = search.patience(for: found.source)
            // Looked at before it is opened: that could do something to a device.
            steps.next(within: patience)
            let path = table.path(found.source.process, "fd/\(found.source.number)")
            let link = open(path, DescriptorInfo.pathOnly | O_CLOEXEC)
            guard link >= 0 else { return nil }
            defer { close(link) }
            var status = stat()
            guard fstat(link, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
                DeviceNumber(status.st_dev) == device, UInt64(status.st_ino) == inode
            else { return nil }
            steps.next(within: patience)
            let descriptor = open("/proc/self/fd/\(link)", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
            guard descriptor >= 0 else { return nil }
            steps.next()
            guard DescriptorReserve.ofProcess.allows(descriptor, for: .watch) else {
                close(descriptor)
                return nil
            }
            return HeldSource(descriptor, firstSize: size, threads: threads)
        }
        return held ?? nil
    }
}
