import Filesystem
import FuseLowLevel
import Synchronization
import Testing

/// A wait is answered once, and can be interrupted from the moment it begins.
@Suite struct CloseWaitTests {
    private final class Answers: Sendable {
        private let all = Mutex<[FuseErrno?]>([])
        var seen: [FuseErrno?] { all.withLock { $0 } }

        func wait() -> CloseWait {
            CloseWait(
                reply: { result in
                    self.all.withLock { all in
                        if case .failure(let errno) = result { all.append(errno) } else { all.append(nil) }
                    }
                }, whenInterrupted: { _ in })
        }
    }

    @Test func anInterruptBeforeAnythingIsDecidedIsTheAnswer() {
        let answers = Answers()
        let wait = answers.wait()
        wait.interrupt()
        #expect(wait.answer(.success(())) == false)
        #expect(answers.seen == [.interrupted])
        // What is decided only then is tidied up at once.
        let isTidy = Mutex(false)
        wait.afterInterrupt { isTidy.withLock { $0 = true } }
        #expect(isTidy.withLock { $0 })
    }

    @Test func anInterruptWhileItWaitsTidiesUpOnce() {
        let answers = Answers()
        let wait = answers.wait()
        let count = Mutex(0)
        wait.afterInterrupt { count.withLock { $0 += 1 } }
        wait.interrupt()
        wait.interrupt()
        #expect(count.withLock { $0 } == 1)
        #expect(answers.seen == [.interrupted])
    }

    @Test("What would tidy up after an interrupt goes with the answer, though it holds the wait")
    func anAnsweredWaitIsNotKept() {
        let answers = Answers()
        weak var forgotten: CloseWait?
        do {
            let wait = answers.wait()
            wait.afterInterrupt { _ = wait.answer(.success(())) }
            #expect(wait.answer(.success(())))
            forgotten = wait
        }
        do {
            let late = answers.wait()
            late.answer(.success(()))
            late.afterInterrupt { _ = late.answer(.success(())) }
        }
        #expect(forgotten == nil)
        #expect(answers.seen == [nil, nil])
    }

    @Test func anInterruptAfterTheAnswerChangesNothing() {
        let answers = Answers()
        let wait = answers.wait()
        let count = Mutex(0)
        wait.afterInterrupt { count.withLock { $0 += 1 } }
        wait.answer(.success(()))
        wait.interrupt()
        #expect(count.withLock { $0 } == 0)
        #expect(answers.seen == [nil])
    }
}
