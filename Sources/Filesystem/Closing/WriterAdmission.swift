import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore

/// Lets writers in of which it can be told how they end, and refuses the others: what one leaves half-written could not be
/// told from what another has completed.
package final class WriterAdmission: Sendable {
    let writers: any WriterInspector
    /// Whether those are let in, too, of which nothing can be told.
    let takesUnseen: Bool
    /// How those end who are done with a file.
    let exits: WriterExits
    private let logger: Logger
    private let told = Mutex<RefusedWriters?>(nil)

    init(configuration: FilesystemConfiguration, writers: any WriterInspector, logger: Logger) {
        self.writers = writers
        self.logger = logger
        takesUnseen = configuration.takesUnseenWriters
        exits = WriterExits(logger: logger)
    }

    /// How many were refused since it was mounted, and why the last one was; nil when none was.
    var refusals: RefusedWriters? { told.withLock { $0 } }

    /// Throws for one that may not open a file for writing.
    func admit(_ pid: Int32) throws(FuseErrno) {
        switch writers.sight(of: pid) {
        case .whole, .endOnly: return
        case .unseen(let why):
            if takesUnseen { return }
            refuse(pid, why)
            throw FuseErrno(why.refusal)
        case .failed: throw FuseErrno(Self.tooMany)
        }
    }

    /// What is known of a process that writes; throws for one of which too little is.
    func writer(_ thread: Int32) throws(UploadFailure) -> VersionWriters.Writer {
        let process = writers.threadGroup(of: thread)
        let isFileServer = process.flatMap { writers.command(of: $0) }.map { FileServer.isOne($0) } ?? false
        switch writers.sight(of: thread) {
        case .whole:
            // Its end is seen when it closes its files; the watch is for one that hides itself before.
            let watched = process.flatMap { writers.watch($0, isVital: false) }
            return VersionWriters.Writer(process: process, watched: watched, isFileServer: isFileServer)
        case .endOnly:
            guard let process, let watched = writers.watch(process, isVital: true) else { throw Self.tooMany }
            return VersionWriters.Writer(process: process, watched: watched, isFileServer: isFileServer)
        case .unseen(let why):
            if takesUnseen { return VersionWriters.Writer(process: process, isFileServer: isFileServer) }
            refuse(thread, why)
            throw why.refusal
        case .failed: throw Self.tooMany
        }
    }

    private static let tooMany = UploadFailure(
        .spoolFailed, code: UploadFailure.outOfDescriptors,
        message: "there is no descriptor left to see how the writer ends",
        hint: "raise the limit of open files (ulimit -n), or write fewer files at a time")

    private func refuse(_ pid: Int32, _ why: UnseenWriter) {
        let count = told.withLock { told in
            let count = (told?.count ?? 0) + 1
            told = RefusedWriters(count: count, last: why)
            return count
        }
        // One for each would fill the log of a mount that a container's writers keep trying.
        guard count.nonzeroBitCount == 1 else { return }
        logger.error(
            "a writer was refused",
            metadata: [
                "reason": "\(why.refusal.message)", "hint": "\(why.hint)", "pid": "\(pid)", "refused": "\(count)",
            ])
    }
}
