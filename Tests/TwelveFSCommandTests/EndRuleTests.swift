import Testing
import TwelveFSCommand

/// What a mount that is to end does next.
@Suite struct EndRuleTests {
    private typealias Case = (situation: EndRule.Situation, step: EndRule.Step)

    @Test func table() {
        var cases: [Case] = []
        for isForced in [false, true] {
            for isIdle in [false, true] {
                cases.append((.init(isUsed: true, isIdle: isIdle, isForced: isForced), .wait))
                cases.append((.init(isIdle: isIdle, isLate: true, isForced: isForced), .detach))
                cases.append((.init(isIdle: isIdle, isForced: isForced), isIdle ? .detach : .wait))
                cases.append(
                    (
                        .init(isUsed: true, isIdle: isIdle, isLate: true, isForced: isForced),
                        isForced ? .force : .stayBusy
                    ))
            }
        }
        for (situation, step) in cases { #expect(EndRule.next(situation) == step, "\(situation)") }
        #expect(cases.count == 16)
    }

    @Test func whoIsWaitedForIsShown() {
        #expect(DrainProgress.line(users: [], "unmounting") == "unmounting")
        #expect(DrainProgress.line(users: ["a (cp, pid 1)"], "unmounting") == "waiting for a (cp, pid 1); unmounting")
        #expect(DrainProgress.line(users: ["a", "b", "c"], "unmounting") == "waiting for a and 2 more; unmounting")
        #expect(DrainProgress.busy(["a (cp, pid 1)", "b"]).message == "busy: a (cp, pid 1), b")
        #expect(DrainProgress.busy([]).status == .failure)
    }
}
