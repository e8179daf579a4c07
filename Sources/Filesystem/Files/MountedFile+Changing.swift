import FileTree
import Formats
import ProcessInspection
import UploadCore
import UploadEngine

// Changing a file's content: into the version that can be changed, or into another one, made beside it, that takes its
// place with the first change that succeeds.

extension MountedFile {
    /// Where a change goes.
    enum ChangePlace {
        /// Into this version, which is not committed before the change has ended.
        case version(FileVersion)
        /// Into a version that is to be made beside this one (nil: into the first). This one is kept whole meanwhile: to be
        /// ended with ``endUse(of:)``.
        case another(after: FileVersion?)
        /// Nowhere: a user has cancelled what is written.
        case cancelled
    }

    /// Begins a change.
    func beginChange() -> ChangePlace {
        door.withLock { state in
            if state.isCancelled { return .cancelled }
            guard let version = state.version else { return .another(after: nil) }
            switch state.version?.phase.apply(.change) {
            case .granted:
                if version.phase.awaitsRename {
                    state.version?.isReopened = true
                    state.unrecorded = nil
                }
                state.version?.changesUnderWay += 1
                state.version?.isCommittedForNow = false
                return state.version.map { .version($0) } ?? .another(after: nil)
            case .beginAnother, .refused, nil:
                state.version?.uses += 1
                return .another(after: version)
            }
        }
    }

    /// The journal knows that the version is changed again.
    func reopeningIsKnown(of begun: FileVersion) {
        door.withLock { state in
            if state.version?.spool === begun.spool { state.version?.isReopened = false }
        }
    }

    /// What waits for a name, and whose upload has failed, waits no more: what is written next is another version.
    func endFailedWait(of looked: FileVersion) {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked) else { return }
            _ = state.version?.phase.apply(.fail)
        }
    }

    /// Puts a version that was made beside another one into its place, with a change under way; false when somebody
    /// else's has that place by now.
    ///
    /// - Parameter end: its size, for one that was cut to that: what was refused beyond it is not missed.
    func install(_ next: FileVersion, after last: FileVersion?, cutAt end: Int64 = .max) -> Bool {
        door.withLock { state in
            guard state.version?.spool === last?.spool else { return false }
            if let upload = last?.upload { supersede(&state, upload.sessionLabel) }
            var installed = next
            installed.changesUnderWay = 1
            // Writers that have closed the file were told what was refused to them.
            if state.writeHandles > 0 {
                for range in state.refused.ranges { installed.refused.insert(range) }
                installed.refused.remove(end..<Int64.max)
                installed.refusal = installed.refusal ?? state.refusal
            }
            (state.refused, state.refusal) = (SegmentMap(), nil)
            // What was promised was promised of the last one.
            if last != nil { state.isPromised = false }
            state.version = installed
            if next.hasContent { state.modified = .now() }
            return true
        }
    }

    /// Gives an upload to the version that was looked at, unless it has one, is another version by now, or, where the upload knows
    /// what it held then, was changed since.
    ///
    /// - Parameter unlessChanged: whether a change since counts.
    /// - Returns: the upload that this version has; nil where it is not the file's any more. With it, where it was given
    ///   just now, the uploads that go on until it is safe.
    func attach(
        _ upload: Upload, to looked: FileVersion, unlessChanged: Bool = false
    ) -> (upload: Upload?, predecessors: [Upload]) {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked) else { return (nil, []) }
            if let other = version.upload { return (other, []) }
            if unlessChanged, version.changesUnderWay > 0 || version.events != looked.events { return (nil, []) }
            state.version?.upload = upload
            state.version?.predecessors = []
            return (upload, version.predecessors)
        }
    }

    /// Takes away the uploads of a version of which nothing is to be uploaded, once nobody can write it: one that is empty, and
    /// one that is to stay here, unless it lacks bytes. Gives its own, and those that went on until it would be safe.
    ///
    /// - Parameter partial: an upload that alone has some of its bytes.
    func detachNeedlessUploads(besides partial: Upload?) -> (own: Upload?, predecessors: [Upload]) {
        door.withLock { state in
            guard state.writeHandles == 0, let version = state.version, version.changesUnderWay == 0 else {
                return (nil, [])
            }
            let isEmpty =
                version.phase == .writing && version.size == 0 && version.taint == nil && version.refused.isEmpty
            let lacksBytes = partial != nil && version.upload === partial
            // One that was removed may go on until its successor is safe.
            let staysHere = !version.isToBeUploaded && !state.isRemoved && !lacksBytes
            guard isEmpty || staysHere, state.version?.phase.apply(.stayHere) == .granted else { return (nil, []) }
            state.version?.upload = nil
            state.version?.predecessors = []
            return (version.upload, version.predecessors)
        }
    }

    /// The write has ended; false when the file was truncated since it began, so that its bytes may be gone: then `begun` is
    /// the version as it is now, and the write is to be made once more.
    func endWrite(_ begun: inout FileVersion, written: Range<Int64>) -> Bool {
        let now = FileTime.now()
        let current = door.withLock { state -> FileVersion? in
            // Gone with its file.
            guard let version = state.version, version.isSame(as: begun) else { return nil }
            guard version.truncationsDone == begun.truncationsDone else { return version }
            state.version?.changesUnderWay -= 1
            state.version?.writesDone += 1
            state.version?.events += 1
            state.version?.refused.remove(written)
            state.version?.cutNamesake = nil
            state.version?.size = max(version.size, written.upperBound)
            state.version?.hasContent = true
            state.modified = now
            return nil
        }
        if let current { begun = current }
        return current == nil
    }

    /// The write was refused: what can be changed lacks these bytes until they are written after all. Where nothing can, the
    /// next version does, and a close tells it.
    ///
    /// - Parameter begun: the version in which the change was under way; nil where it had not come so far.
    func refuseWrite(_ begun: FileVersion?, of range: Range<Int64>, because reason: UploadFailure) {
        door.withLock { state in
            if let begun, let version = state.version, version.isSame(as: begun) {
                state.version?.changesUnderWay -= 1
            }
            guard state.version?.phase == .writing else {
                state.refused.insert(range)
                state.refusal = reason
                return
            }
            state.version?.refused.insert(range)
            state.version?.refusal = reason
            state.version?.hasContent = true
            state.version?.events += 1
        }
    }

    /// Whether a write was refused for which there was no version, and nothing was written since.
    var lacksWhatWasRefused: Bool { door.withLock { !$0.refused.isEmpty } }

    /// The truncation has ended; false when a write did since it began, so that bytes may lie beyond the end: then `begun`
    /// is the version as it is now, and the truncation is to be made once more.
    func endTruncation(_ begun: inout FileVersion, to size: Int64, by writer: VersionWriters.Writer) -> Bool {
        let now = FileTime.now()
        let (current, unwatched, released) = door.withLock { state -> (FileVersion?, WatchedProcess?, HeldSource?) in
            // Gone with its file.
            guard let version = state.version, version.isSame(as: begun) else { return (nil, nil, nil) }
            guard version.writesDone == begun.writesDone else { return (version, nil, nil) }
            state.version?.changesUnderWay -= 1
            state.version?.truncationsDone += 1
            state.version?.events += 1
            state.version?.cutNamesake = nil
            state.version?.size = size
            state.version?.refused.remove(size..<Int64.max)
            state.version?.awaitsFinalTruncation = false
            if size == 0 {
                state.version?.source = nil
                state.version?.heldSource = nil
                state.version?.hintSearch = .notTried
            }
            if size > 0 { state.version?.hasContent = true }
            state.modified = now
            let released = size == 0 ? version.heldSource : nil
            return (nil, state.version?.writers.writes(writer).unwatched, released)
        }
        withExtendedLifetime((unwatched, released)) {}
        if let current { begun = current }
        return current == nil
    }

    /// The change has come to nothing.
    func abandonChange(of begun: FileVersion) {
        door.withLock { state in
            guard state.version?.spool === begun.spool else { return }
            state.version?.changesUnderWay -= 1
        }
    }

    // MARK: Who writes

    /// What is known of the process that the thread belongs to which wrote last, if it is this one still: one that has ended
    /// has left its number to others.
    func writer(ofLastWriter thread: Int32) -> VersionWriters.Writer? {
        let last = door.withLock { state in state.lastWriter.flatMap { $0.thread == thread ? $0.writer : nil } }
        return last?.watched?.end == nil ? last : nil
    }

    /// Remembers which process the writing thread belongs to.
    func setLastWriter(thread: Int32, _ writer: VersionWriters.Writer) {
        let last = door.withLock { state in
            defer { state.lastWriter = (thread: thread, writer: writer) }
            return state.lastWriter
        }
        // What is no longer watched is released outside the lock.
        withExtendedLifetime(last) {}
    }

    /// Remembers who writes; tells whether it is somebody new.
    func addWriter(_ writer: VersionWriters.Writer) -> Bool {
        let (isNew, unwatched) = door.withLock { state -> (Bool, WatchedProcess?) in
            if state.version?.isWrittenInPlace == true { state.version?.awaitsFinalTruncation = true }
            return state.version?.writers.writes(writer) ?? (false, nil)
        }
        withExtendedLifetime(unwatched) {}
        return isNew
    }

    /// A process that wrote closes a descriptor, and goes on or has come to a good end.
    func closes(by process: Int32, _ handle: VersionWriters.Handle) {
        door.withLock { $0.version?.writers.closes(process, handle) }
    }

    /// A process that closed a descriptor was seen to have another one, or none.
    func looked(at process: Int32, hasAnother: Bool) {
        door.withLock { state in
            // The one that is being closed is one of them still.
            let mayBeOther = state.writeHandles > 1
            state.version?.writers.looked(at: process, hasAnother: hasAnother, mayBeOther: mayBeOther)
        }
    }

    /// Whether a writer is done with that version, as is known now.
    func standing(ofWriter process: Int32, in looked: FileVersion) -> VersionWriters.Standing {
        let version = version.flatMap { $0.isSame(as: looked) ? $0 : nil } ?? looked
        return version.writers.records[process]?.standing ?? .closed
    }

    /// An rsync writes into it under its final name.
    func isWrittenInPlace() {
        door.withLock { state in
            state.version?.isWrittenInPlace = true
            state.version?.awaitsFinalTruncation = true
        }
    }

    /// aria2 writes into it.
    func isWrittenByAria2() { door.withLock { $0.version?.isWrittenByAria2 = true } }

    // MARK: Size hints

    /// Whether a size is to be looked for now; gives the version that it is for.
    ///
    /// - Parameter isEnough: whether so much is written that a session would be opened for it.
    func beginHintSearch(isEnough: Bool) -> FileVersion? {
        door.withLock { state in
            guard let version = state.version, version.upload != nil else { return nil }
            switch version.hintSearch {
            case .notTried: state.version?.hintSearch = .missed
            case .missed where isEnough: state.version?.hintSearch = .done
            case .missed, .done: return nil
            }
            return version
        }
    }

    /// It was found to be the first part of a file of so many bytes.
    func isCut(_ looked: FileVersion, from whole: Int64) {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked), version.events == looked.events
            else { return }
            state.version?.cutNamesake = whole
        }
    }

    /// It is decided what became of the version, or nothing is to: its source is not needed any more.
    func releaseSource() {
        let released = door.withLock { state in state.writeHandles == 0 ? state.version?.heldSource.take() : nil }
        // Closed outside the lock.
        withExtendedLifetime(released) {}
    }

    /// A source was found, and may be kept open until it is decided what becomes of the version.
    ///
    /// - Parameter size: the source's, in bytes.
    func hintWasFound(_ source: FoundSource, of size: Int64, held: HeldSource?) {
        let before = door.withLock { state -> HeldSource? in
            defer { state.version?.heldSource = held }
            state.version?.hintSearch = .done
            state.version?.source = source
            state.version?.sourceSize = size
            return state.version?.heldSource
        }
        // Closed outside the lock.
        withExtendedLifetime(before) {}
    }
}
