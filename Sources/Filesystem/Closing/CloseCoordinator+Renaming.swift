import Dispatch
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine

// Renames that wait for the platform, and the removal of a file that says the same.

extension CloseCoordinator {
    /// Completes an upload that has been sent already, or will be soon, and then does what follows from it.
    ///
    /// The directory stands still meanwhile, hence the bound. Past it this machine's disk answers, and the upload goes on: an
    /// error would have whoever renames throw the file away, of which there may be an asset by then.
    func confirm(
        _ upload: Upload, _ wait: CloseWait,
        then finish: @escaping @Sendable () throws(FuseErrno) -> Void
    ) {
        hold(wait)
        let waiter = upload.whenAnswered(stagedIsEnough: false) { result in
            guard case .failure(let failure) = result else {
                return self.answer(wait) { Result(finish) }
            }
            // Nothing moves at present, and nothing is known to be wrong with the file.
            if upload.stateToKeep.isUnderWay {
                return self.answerFromDisk(for: upload, wait, then: finish)
            }
            self.answer(wait) { .failure(FuseErrno(failure)) }
        }
        BackgroundWork.after(DispatchTimeInterval(configuration.renameLimit)) {
            if wait.isOver { return }
            self.answerFromDisk(for: upload, wait) { () throws(FuseErrno) in
                if let waiter { upload.stopWaiting(waiter) }
                try finish()
            }
        }
        upload.apply(.committed(.whole))
    }

    private func answer(_ wait: CloseWait, _ outcome: () -> Result<Void, FuseErrno>) {
        letGo(wait)
        wait.answer(outcome)
    }

    /// Answers when bytes, name and journal are on the disk.
    private func answerFromDisk(
        for upload: Upload, _ wait: CloseWait, then finish: @escaping @Sendable () throws(FuseErrno) -> Void
    ) {
        BackgroundWork.useDisk {
            self.durability.promise(upload.spool, of: upload) { promise in
                // Not on the journal's thread, which is waited for.
                BackgroundWork.useDisk {
                    self.answer(wait) { Result { () throws(FuseErrno) in try self.keep(upload, promise, finish) } }
                }
            }
        }
    }

    /// What could not be put on the disk is an error, unless the platform has it, or may have it.
    private func keep(
        _ upload: Upload, _ promise: Result<Void, UploadFailure>, _ finish: () throws(FuseErrno) -> Void
    ) throws(FuseErrno) {
        let (state, failure, mayBeAnAsset) = upload.inspect {
            ($0.standingToKeep.state, $0.standingToKeep.failure, $0.mayBeAnAsset)
        }
        switch state {
        case .completed: return try finish()
        // Known by now, while the disk was waited for.
        case .failed, .interrupted, .cancelled: throw failure.map { FuseErrno($0) } ?? .ioError
        case .open, .staged, .finishing: break
        }
        if case .failure = promise, !mayBeAnAsset { throw .ioError }
        try finish()
        do throws(UploadFailure) {
            try durability.waitForJournal(durably: true)
        } catch {
            // It has its name, and the journal knows it under the one before.
            logger.error("a rename could not be written down", metadata: ["reason": "\(error.message)"])
        }
        logger.warning(
            "a rename was answered before the platform had confirmed the file, which took too long; the upload goes on",
            metadata: ["filename": "\(upload.identity.filename)"])
    }
}

extension Result where Success == Void, Failure == FuseErrno {
    fileprivate init(_ body: () throws(FuseErrno) -> Void) {
        do throws(FuseErrno) {
            try body()
            self = .success(())
        } catch {
            self = .failure(error)
        }
    }
}
