import Foundation
import TestSupport
import Testing
import UploadCore

/// Any order of writes, failures, delays and changes of mind: what is answered with success is what the file held.
@Suite struct UploadStateMachineRandomTests {
    @Test(.shows("asset-same-bytes")) func whatIsConfirmedIsWhatTheFileHeld() throws {
        var rng = SplitMix64.seeded()
        let cases = ProcessInfo.processInfo.environment["TWELVEFS_TEST_CASES"].flatMap { Int($0) } ?? 4000
        var ends: [UploadState: Int] = [:]
        var (parallel, byReport) = (0, 0)
        for _ in 0..<cases {
            let seed = rng.next()
            let run = RandomUpload(seed: seed)
            run.liveThroughTrouble()
            run.comeToAnEnd()
            let complaints = run.complaints
            if !complaints.isEmpty {
                Issue.record("case \(seed): \(complaints.joined(separator: "; "))")
                return
            }
            ends[run.machine.state, default: 0] += 1
            if run.hadParallelReports { parallel += 1 }
            if run.wasCompletedByReport { byReport += 1 }
        }
        print("whatIsConfirmedIsWhatTheFileHeld: \(ends.map { "\($0.value) \($0.key)" }.sorted())")
        #expect(parallel > cases / 50)
        #expect(byReport > cases / 50)
        for state in [UploadState.completed, .cancelled, .interrupted] { #expect(ends[state, default: 0] > cases / 50) }
    }
}
