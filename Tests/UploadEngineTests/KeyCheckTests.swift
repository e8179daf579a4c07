import Synchronization
import Testing
import UploadCore
import UploadEngine

/// One cheap call tells all that ask at the same time whether the key is good.
@Suite(.timeLimit(.minutes(1))) struct KeyCheckTests {
    /// A call that is answered when a test says so, and how often it was made.
    private final class Platform: Sendable {
        struct State {
            var calls = 0
            var waiting: CheckedContinuation<UploadFailure?, Never>?
            var answer: UploadFailure??
        }

        let state = Mutex(State())

        var calls: Int { state.withLock { $0.calls } }

        func call() async throws(UploadFailure) {
            let failure = await withCheckedContinuation { continuation in
                let known = state.withLock { state -> UploadFailure?? in
                    state.calls += 1
                    if let answer = state.answer.take() { return answer }
                    state.waiting = continuation
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
            if let failure { throw failure }
        }

        func answer(_ failure: UploadFailure?) {
            let waiting = state.withLock { state in
                if state.waiting == nil { state.answer = .some(failure) }
                return state.waiting.take()
            }
            waiting?.resume(returning: failure)
        }
    }

    @Test func isSharedWhileItIsUnderWayAndMadeAnewAfterwards() async {
        let platform = Platform()
        let check = KeyCheck { () async throws(UploadFailure) in try await platform.call() }
        let first = check.begin()
        #expect(check.begin() == first)
        #expect(check.begin() == first)
        platform.answer(nil)
        #expect(await first.value == .accepted)
        #expect(platform.calls == 1)
        let second = check.begin()
        #expect(second != first)
        platform.answer(nil)
        #expect(await second.value == .accepted)
        #expect(platform.calls == 2)
    }

    @Test func onlyARefusedKeyIsARefusal() async {
        let platform = Platform()
        let check = KeyCheck { () async throws(UploadFailure) in try await platform.call() }
        for kind in UploadFailure.Kind.allCases {
            let failure = UploadFailure(kind, message: "a test")
            platform.answer(failure)
            let verdict = await check.begin().value
            #expect(verdict == (kind == .keyRefused ? .refused(failure) : .unknown), "\(kind)")
        }
    }
}
