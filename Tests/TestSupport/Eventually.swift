/// A condition was awaited, and did not come to hold in time.
package struct NeverHeld: Error, CustomStringConvertible {
    package let description: String
}

/// Waits until a condition holds.
///
/// - Parameters:
///   - what: what is awaited, in words: the failure reads "waited 30.0 seconds in vain until \(what)".
///   - timeout: how long to wait. It only bounds a failing test; one that passes never waits for it.
///   - condition: asked again every few milliseconds. What it throws counts as "not yet", and is told when time runs out.
/// - Throws: ``NeverHeld``, or `CancellationError` when the test was cancelled.
package func eventually(
    _ what: String, timeout: Duration = .seconds(30), condition: () async throws -> Bool
) async throws {
    _ = try await eventually(what, timeout: timeout) { try await condition() ? true : nil }
}

/// Waits until there is a value, and returns it.
package func eventually<Value>(
    _ what: String, timeout: Duration = .seconds(30), value: () async throws -> Value?
) async throws -> Value {
    let clock = ContinuousClock()
    let deadline = clock.now + timeout
    var pause = Duration.milliseconds(5)
    var lastError: (any Error)?
    while true {
        do {
            if let found = try await value() { return found }
            lastError = nil
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            lastError = error
        }
        guard clock.now < deadline else {
            let reason = lastError.map { "; the last attempt failed: \($0)" } ?? ""
            throw NeverHeld(description: "waited \(timeout) in vain until \(what)\(reason)")
        }
        try await clock.sleep(for: pause)
        pause = min(pause * 2, .milliseconds(100))
    }
}
