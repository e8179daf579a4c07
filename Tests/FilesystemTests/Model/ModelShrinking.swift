/// Makes a list of operations that fails shorter: leaves out as much as can be left out, and makes numbers smaller.
struct ModelShrinking {
    /// Tells whether a list fails, and how.
    let failure: ([ModelOperation]) -> ModelFailure?
    /// When to be content with what there is.
    let end: ContinuousClock.Instant

    private var hasTime: Bool { ContinuousClock.now < end }

    func shortest(_ operations: [ModelOperation], _ first: ModelFailure) -> ([ModelOperation], ModelFailure) {
        // What came after the failure had no part in it.
        let needed = Array(operations.prefix(first.operations ?? operations.count))
        var best = (operations: needed, failure: first)
        var size = max(1, needed.count / 2)
        while hasTime {
            let before = best.operations.count
            leaveOut(size, &best)
            if size > 1 { size /= 2 } else if best.operations.count == before { break }
        }
        simplify(&best)
        return best
    }

    /// Leaves out every run of `count` operations that is not needed, from the end on.
    private func leaveOut(_ count: Int, _ best: inout (operations: [ModelOperation], failure: ModelFailure)) {
        var start = best.operations.count - count
        while start > -count, hasTime {
            let range = max(0, start)..<min(best.operations.count, start + count)
            var shorter = best.operations
            shorter.removeSubrange(range)
            if !range.isEmpty, let failure = failure(shorter), failure.shape == best.failure.shape {
                best = (Array(shorter.prefix(failure.operations ?? shorter.count)), failure)
                start = min(start, best.operations.count)
            }
            start -= count
        }
    }

    /// Makes numbers that need not be what they are 0, or half as large.
    private func simplify(_ best: inout (operations: [ModelOperation], failure: ModelFailure)) {
        for index in best.operations.indices {
            for place in best.operations[index].numbers.indices where hasTime {
                let number = best.operations[index].numbers[place]
                for smaller in [0, 1, number / 8, number / 2] where smaller < number {
                    var simpler = best.operations
                    simpler[index].numbers[place] = smaller
                    guard let failure = failure(simpler), failure.shape == best.failure.shape else { continue }
                    best = (simpler, failure)
                    break
                }
            }
        }
    }
}
