import Formats
import UploadCore

/// Who has how much of the spool: a value that decides whether a version may have more space.
///
/// Two things bound it: a limit on what all versions have together, and the space that is to stay free on the disk. The
/// disk is not asked each time: what it had to give at the last measurement is given out, up to ``allowanceLimit``,
/// before it is asked again, since others write to it too.
package struct SpaceLedger: Sendable {
    /// What a request for space came to.
    package enum Answer: Equatable {
        case granted
        case refused
        /// How much the disk has free is to be measured, and the request repeated with it.
        case measureFirst
    }

    /// Bytes given out after one measurement before the next.
    package static let allowanceLimit: Int64 = 64 << 20

    /// Bytes that all versions may have together; nil when only the disk bounds them.
    package let limit: Int64?
    /// Bytes of the disk that are to stay free.
    package let diskReserve: Int64
    /// Bytes that have been granted and not been released.
    package private(set) var granted: Int64 = 0
    /// Those of them that have not been written yet, so that the disk still counts them as free.
    package private(set) var unwritten: Int64 = 0
    /// Bytes that may be granted before the disk is measured again.
    private var allowance: Int64 = 0

    package init(limit: Int64?, diskReserve: Int64) {
        self.limit = limit
        self.diskReserve = diskReserve
    }

    /// Grants `bytes` more, or not; `diskFree` is what the disk has free, if it was just measured.
    package mutating func reserve(_ bytes: Int64, diskFree: Int64? = nil) -> Answer {
        if let limit, bytes > limit - granted { return .refused }
        if let diskFree {
            let spare = spare(ofDiskFree: diskFree)
            guard bytes <= spare else {
                allowance = 0
                return .refused
            }
            allowance = min(spare, max(bytes, Self.allowanceLimit))
        }
        guard bytes <= allowance else { return .measureFirst }
        allowance -= bytes
        granted = granted.addingClamped(bytes)
        unwritten += bytes
        return .granted
    }

    /// Counts bytes that lie on the disk already, whether or not they are within the limit.
    package mutating func adopt(_ bytes: Int64) {
        granted = granted.addingClamped(bytes)
    }

    /// Some of what was granted is being written: from now on the disk itself counts it.
    package mutating func wrote(_ bytes: Int64) {
        unwritten -= bytes
    }

    /// Takes back what was granted; `unwritten` bytes of it were never written.
    package mutating func release(_ bytes: Int64, unwritten: Int64) {
        granted = granted.subtractingClamped(bytes)
        self.unwritten -= unwritten
    }

    /// What could be granted now, with so much free on the disk.
    package func space(diskFree: Int64) -> SpoolSpace {
        let free = max(0, min(spare(ofDiskFree: diskFree), limit.map { $0 - granted } ?? .max))
        return SpoolSpace(
            capacity: ByteCount(granted.addingClamped(free)), free: ByteCount(free), used: ByteCount(granted))
    }

    private func spare(ofDiskFree diskFree: Int64) -> Int64 {
        diskFree - diskReserve - unwritten
    }
}

/// The space in the spool, as `statfs` on the mount tells it.
public struct SpoolSpace: Sendable, Hashable {
    /// `free` and `used` together.
    public let capacity: ByteCount
    /// What versions can still get.
    public let free: ByteCount
    /// What versions have, in whole blocks: somewhat more than they have written.
    public let used: ByteCount
}
