import Testing
import UploadCore

import struct TestSupport.ShownStatements

struct VersionPhaseTests {
    private static let phases: [VersionPhase] = [
        .writing, .waitingForName, .staged, .sealed, .ended(.interrupted), .ended(.partial),
    ]
    private static let scopes: [CommitScope] = [.untilNamed, .allButLast, .whole]
    private static let events: [VersionPhase.Event] =
        [.change, .stayHere, .fail] + scopes.map { .commit($0) } + VersionPhase.Ending.allCases.map { .end($0) }
        + scopes.map { .retry($0) }

    @Test(arguments: [
        (VersionPhase.writing, VersionPhase.Event.change, VersionPhase.writing),
        (.waitingForName, .change, .writing), (.staged, .change, .writing),
        (.writing, .commit(.whole), .sealed), (.writing, .commit(.allButLast), .staged),
        (.writing, .commit(.untilNamed), .waitingForName), (.waitingForName, .commit(.whole), .sealed),
        (.waitingForName, .commit(.allButLast), .staged), (.staged, .commit(.whole), .sealed),
        (.writing, .end(.interrupted), .ended(.interrupted)), (.staged, .end(.partial), .ended(.partial)),
        (.waitingForName, .end(.interrupted), .ended(.interrupted)),
        (.writing, .stayHere, .writing), (.waitingForName, .stayHere, .writing), (.staged, .stayHere, .writing),
        (.waitingForName, .fail, .sealed), (.staged, .fail, .sealed),
        (.sealed, .retry(.allButLast), .staged), (.ended(.interrupted), .retry(.whole), .sealed),
        (.ended(.partial), .retry(.whole), .sealed),
    ])
    func eachStepLeadsWhereItSays(_ phase: VersionPhase, _ event: VersionPhase.Event, _ next: VersionPhase) {
        var phase = phase
        #expect(phase.apply(event) == .granted)
        #expect(phase == next)
    }

    @Test func nothingThatIsCommittedOrEndedChanges() {
        for phase in [VersionPhase.sealed, .ended(.interrupted), .ended(.partial)] {
            var changed = phase
            #expect(changed.apply(.change) == .beginAnother)
            #expect(changed == phase)
        }
    }

    /// Nobody is told yes for a version that is then something else, and nobody no for one that has moved.
    @Test func whatIsNotGrantedLeavesTheVersionAsItWas() {
        for phase in Self.phases {
            for event in Self.events {
                var next = phase
                if next.apply(event) != .granted { #expect(next == phase, "\(phase), \(event)") }
            }
        }
    }

    @Test(.shows("asset-once")) func aCommitIsGrantedOnce() {
        for phase in Self.phases {
            for scope in Self.scopes {
                var next = phase
                guard next.apply(.commit(scope)) == .granted else { continue }
                #expect(next.apply(.commit(scope)) == .refused, "\(phase), \(scope)")
            }
        }
    }

    /// Whatever happens, what was sealed is left only by a user's wish.
    @Test func whatIsSealedStaysSealed() {
        for event in Self.events {
            var phase = VersionPhase.sealed
            _ = phase.apply(event)
            if case .retry = event { continue }
            #expect(phase == .sealed, "\(event)")
        }
    }
}
