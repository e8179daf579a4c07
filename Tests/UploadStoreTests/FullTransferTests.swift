import Glibc
import Testing
import UploadStore

private func failed(_ code: Int32) -> FullTransfer.Step { .failure(FullTransfer.CallError(code: code)) }

/// Calls that end as they are told, one after the other, and remember from where they were to go on.
private final class ScriptedCalls {
    private var endings: [FullTransfer.Step]
    private(set) var offsets: [Int] = []

    init(_ endings: [FullTransfer.Step]) {
        self.endings = endings.reversed()
    }

    func next(_ done: Int) -> FullTransfer.Step {
        offsets.append(done)
        return endings.popLast() ?? failed(EBADF)
    }
}

struct FullTransferTests {
    @Test func writingGoesOnAfterShortCountsAndInterruptions() throws {
        let calls = ScriptedCalls([.success(3), failed(EINTR), .success(4), failed(EINTR), failed(EINTR), .success(3)])
        try FullTransfer.write(10, using: calls.next)
        #expect(calls.offsets == [0, 3, 3, 7, 7, 7])
    }

    @Test func writingNothingCallsNothing() throws {
        let calls = ScriptedCalls([])
        try FullTransfer.write(0, using: calls.next)
        #expect(calls.offsets == [])
    }

    @Test(arguments: [ENOSPC, EIO, EFBIG])
    func aFailureEndsTheWriting(code: Int32) {
        let calls = ScriptedCalls([.success(3), failed(code), .success(7)])
        #expect(throws: FullTransfer.CallError(code: code)) { try FullTransfer.write(10, using: calls.next) }
        #expect(calls.offsets == [0, 3])
    }

    @Test func aWriteThatMovesNothingIsAnError() {
        let calls = ScriptedCalls([.success(3), .success(0), .success(7)])
        #expect(throws: FullTransfer.CallError(code: EIO)) { try FullTransfer.write(10, using: calls.next) }
    }

    @Test func readingGoesOnUntilTheBufferIsFullOrTheFileEnds() throws {
        let whole = ScriptedCalls([failed(EINTR), .success(6), .success(4), .success(1)])
        #expect(try FullTransfer.read(10, using: whole.next) == 10)
        #expect(whole.offsets == [0, 0, 6])
        let short = ScriptedCalls([.success(6), .success(0), .success(1)])
        #expect(try FullTransfer.read(10, using: short.next) == 6)
        let failing = ScriptedCalls([.success(6), failed(EIO)])
        #expect(throws: FullTransfer.CallError(code: EIO)) { try FullTransfer.read(10, using: failing.next) }
    }

    @Test func aCallIsRepeatedOnlyWhenItWasInterrupted() throws {
        var calls = 0
        let value: Int32 = try FullTransfer.retry {
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 5
        }
        #expect(value == 5 && calls == 3)
        #expect(throws: FullTransfer.CallError(code: EACCES)) {
            try FullTransfer.retry { () -> Int32 in
                calls += 1
                errno = EACCES
                return -1
            }
        }
        #expect(calls == 4)
    }
}
