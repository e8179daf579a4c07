import Dispatch
import Filesystem
import Synchronization
import Testing

/// A disk that hangs holds up nobody but those who wait for it.
@Suite struct BackgroundWorkTests {
    @Test("Decisions and timers run while more disk work hangs than there are threads", .timeLimit(.minutes(2)))
    func decisionsAndTimersPassDiskWorkThatHangs() async {
        let disk = DispatchSemaphore(value: 0)
        // More than libdispatch has threads for: were they not bounded, nothing else would ever run.
        let jobs = 300
        let done = AsyncStream<Void>.makeStream()
        for _ in 0..<jobs {
            BackgroundWork.useDisk {
                disk.wait()
                done.continuation.yield()
            }
        }
        for _ in 0..<50 {
            await withCheckedContinuation { continuation in BackgroundWork.decide { continuation.resume() } }
        }
        await withCheckedContinuation { continuation in BackgroundWork.after(.milliseconds(1)) { continuation.resume() }
        }
        for _ in 0..<jobs { disk.signal() }
        var ended = 0
        for await _ in done.stream {
            ended += 1
            if ended == jobs { break }
        }
        #expect(ended == jobs)
    }

    @Test func noMoreDiskJobsRunAtATimeThanAreAllowed() async {
        let counts = Mutex((running: 0, most: 0))
        let done = AsyncStream<Void>.makeStream()
        let gate = DispatchSemaphore(value: 0)
        let jobs = 2 * DiskJobs.limit
        let disk = DiskJobs()
        for _ in 0..<jobs {
            disk.add {
                counts.withLock { counts in
                    counts.running += 1
                    counts.most = max(counts.most, counts.running)
                }
                gate.wait()
                counts.withLock { $0.running -= 1 }
                done.continuation.yield()
            }
        }
        for _ in 0..<jobs { gate.signal() }
        var ended = 0
        for await _ in done.stream {
            ended += 1
            if ended == jobs { break }
        }
        #expect(counts.withLock { $0.most } <= DiskJobs.limit)
    }
}
