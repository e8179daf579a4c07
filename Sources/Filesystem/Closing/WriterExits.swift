import Dispatch
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine

/// How those end who have closed a file that is committed: a program that fails afterwards may have closed less than it was
/// to write. Nothing follows for the file; whoever looks after it is told.
///
/// Of each process the last file counts, until it writes another one: one that copies many may fail for any of them.
final class WriterExits: Sendable {
    private struct Entry: Sendable {
        /// Kept, so that its end is told.
        let watched: WatchedProcess
        var upload: Upload?
        /// Counts the files, so that a wait that is over for one does not end that for the next.
        var number = 0
    }

    /// How long after an upload the end of its writer still counts.
    private static let patience = Duration.seconds(60)

    private let entries = Mutex<[Int32: Entry]>([:])
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// A file that these processes wrote is committed.
    func committed(_ upload: Upload, by writers: VersionWriters) {
        for watched in writers.telling { committed(upload, by: watched) }
    }

    private func committed(_ upload: Upload, by watched: WatchedProcess) {
        let (number, replaced) = entries.withLock { entries -> (Int, Entry?) in
            let known = entries[watched.pid]
            var entry = known.flatMap { $0.watched === watched ? $0 : nil } ?? Entry(watched: watched)
            entry.upload = upload
            entry.number += 1
            entries[watched.pid] = entry
            return (entry.number, known)
        }
        // Another process's, with the same number, is released outside the lock.
        if replaced?.watched !== watched {
            watched.whenEnded { [weak self, pid = watched.pid] in self?.ended(pid, $0) }
        }
        upload.whenEnded { [pid = watched.pid] _ in
            BackgroundWork.after(DispatchTimeInterval(Self.patience)) { [weak self] in self?.forget(pid, number) }
        }
    }

    /// A process begins to write into a file: its end tells nothing of the last one any more.
    func writesAnother(_ process: Int32) {
        let last = entries.withLock { entries in
            defer { entries[process]?.upload = nil }
            return entries[process]?.upload
        }
        withExtendedLifetime(last) {}
    }

    private func forget(_ process: Int32, _ number: Int) {
        let forgotten = entries.withLock { entries in
            entries[process]?.number == number ? entries.removeValue(forKey: process) : nil
        }
        withExtendedLifetime(forgotten) {}
    }

    private func ended(_ process: Int32, _ end: ProcessEnd) {
        let entry = entries.withLock { entries in
            entries[process]?.watched.end == nil ? nil : entries.removeValue(forKey: process)
        }
        guard let upload = entry?.upload, let words = end.wordsOfFailure else { return }
        upload.updateIdentity { $0.writerExit = words }
        logger.warning(
            "a program failed after it had closed a file, which is uploaded as it was closed: it may not be whole",
            metadata: [
                "filename": "\(upload.identity.filename)", "writer": "\(upload.identity.writer ?? "unknown")",
                "writer_exit": "\(words)",
            ])
    }
}

extension ProcessEnd {
    /// How it failed, for the status document; nil where it did not, or nobody could tell.
    var wordsOfFailure: String? {
        switch self {
        case .exited(status: 0), .unknown: nil
        case .exited(let status): "status \(status)"
        case .killed(let signal): "signal \(signal)"
        }
    }
}
