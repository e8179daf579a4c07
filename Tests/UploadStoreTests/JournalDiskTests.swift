import Glibc
import Synchronization
import Testing
import UploadCore
import UploadStore

/// Who waits for the journal's disk, and who does not.
@Suite struct JournalDiskTests {
    @Test(
        "What is written down is told while the disk takes its time with what was written before",
        .timeLimit(.minutes(1)))
    func onlyThoseWaitForTheDiskWhoAskForIt() async throws {
        let directory = try StoreTestDirectory()
        let disk = Gate()
        let journal = try directory.journal { descriptor in
            disk.wait()
            return fsync(descriptor)
        }
        journal.enqueue { [.putUpload(JournalFixture.upload())] }
        let durable = Mutex(false)
        let isDurable = AsyncStream<Void>.makeStream()
        journal.whenWritten(durably: true) { result in
            durable.withLock { $0 = (try? result.get()) != nil }
            isDurable.continuation.finish()
        }
        try await disk.arrival()
        for number in 2...5 {
            journal.enqueue { [.putUpload(JournalFixture.upload(Int64(number)))] }
            try await journal.written(durably: false)
        }
        #expect(!durable.withLock { $0 })
        disk.open()
        for await _ in isDurable.stream {}
        #expect(durable.withLock { $0 })
        journal.close()
        #expect(try directory.journalContents().uploads.count == 5)
    }

    @Test("What is told before a mount has succeeded is written when it has, and not where it never does")
    func whatIsHeldIsNotWritten() async throws {
        let directory = try StoreTestDirectory()
        let failed = try directory.journal { fsync($0) }
        failed.hold()
        failed.enqueue { [.putUpload(JournalFixture.upload())] }
        failed.close()
        #expect(try directory.journalContents().uploads.isEmpty)
        let journal = try directory.journal { fsync($0) }
        journal.hold()
        journal.enqueue { [.putUpload(JournalFixture.upload())] }
        // Its thread has found that it is held: it has to be woken afterwards.
        journal.settle()
        journal.begin()
        try await journal.written(durably: false)
        journal.close()
        #expect(try directory.journalContents().uploads.count == 1)
    }

    @Test("A log that could not be put on disk is not believed a second time, but emptied into the database")
    func aFailedDiskIsToldAndMadeGoodByMovingTheLog() async throws {
        let directory = try StoreTestDirectory()
        let failures = Mutex(1)
        let asked = Mutex(0)
        let journal = try directory.journal { descriptor in
            asked.withLock { $0 += 1 }
            let fails = failures.withLock { left in
                defer { left = max(0, left - 1) }
                return left > 0
            }
            guard fails else { return fsync(descriptor) }
            errno = EIO
            return -1
        }
        journal.enqueue { [.putUpload(JournalFixture.upload())] }
        await #expect(throws: JournalError.self) { try await journal.written(durably: true) }
        #expect(journal.failure != nil)
        // Nothing counts as written meanwhile that is not known to be on disk: here it is by now.
        try await journal.written(durably: false)
        #expect(journal.failure == nil)
        #expect(asked.withLock { $0 } == 1)
        #expect(directory.size(of: "journal.sqlite-wal") == 0)
        journal.enqueue { [.putUpload(JournalFixture.upload(2))] }
        try await journal.written(durably: true)
        #expect(asked.withLock { $0 } == 2)
        journal.close()
        #expect(try directory.journalContents().uploads.count == 2)
    }

    /// Lets nobody pass until it is opened.
    private final class Gate: Sendable {
        private struct State: Sendable {
            var hasArrived = false
            var isOpen = false
        }
        private let state = Mutex(State())

        func wait() {
            state.withLock { $0.hasArrived = true }
            while !state.withLock({ $0.isOpen }) { usleep(1000) }
        }

        func open() { state.withLock { $0.isOpen = true } }

        func arrival() async throws {
            while !state.withLock({ $0.hasArrived }) { try await Task.sleep(for: .milliseconds(1)) }
        }
    }
}
