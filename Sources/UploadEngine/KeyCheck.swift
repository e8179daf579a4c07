import PlatformClient
import Synchronization
import UploadCore

/// Finds out whether the key is to blame for a refusal that nobody explained, by one cheap call; whoever asks while that is
/// under way shares its answer.
package final class KeyCheck: Sendable {
    package enum Verdict: Sendable, Equatable {
        /// The platform accepts the key: what was refused is refused for another reason.
        case accepted
        /// It does not, in these words.
        case refused(UploadFailure)
        /// No answer, or none that tells.
        case unknown
    }

    private let call: @Sendable () async throws(UploadFailure) -> Void
    private let underWay = Mutex<Task<Verdict, Never>?>(nil)

    /// - Parameter call: succeeds with a good key, and fails with `keyRefused` without.
    package init(_ call: @escaping @Sendable () async throws(UploadFailure) -> Void) {
        self.call = call
    }

    /// The call under way, or another one.
    package func begin() -> Task<Verdict, Never> {
        underWay.withLock { underWay in
            if let underWay { return underWay }
            let task = Task { await self.ask() }
            underWay = task
            return task
        }
    }

    func verdict() async -> Verdict { await begin().value }

    /// Ends the call under way; whoever waits for it learns nothing.
    package func cancel() {
        underWay.withLock { $0 }?.cancel()
    }

    private func ask() async -> Verdict {
        // Whoever asks from now on may have been refused since the platform gave its answer.
        defer { underWay.withLock { $0 = nil } }
        do throws(UploadFailure) {
            try await call()
            return .accepted
        } catch {
            return error.kind == .keyRefused ? .refused(error) : .unknown
        }
    }
}

extension EngineServices {
    /// What a failed call means, for its upload and for all calls: a refusal that nobody explained is looked into first, so that
    /// no other upload is held up by what concerns one of them alone, and none of them goes on using a key that is revoked.
    ///
    /// - Returns: the failure, and whether it shows that the platform and its key are good.
    func explain(
        _ failure: UploadFailure, of call: PlatformCall, _ permit: CircuitBreaker.Permit
    ) async -> (failure: UploadFailure, isKeyAccepted: Bool) {
        // While no call is to be made, none is made for this either: the next attempt tells more.
        guard failure.kind == .accessUnclear, !gate.holdsBack(beside: permit) else { return (failure, false) }
        switch await keyCheck.verdict() {
        case .accepted: return (failure.asRefusal(call.kindOfRefusal), true)
        case .refused(let refusal): return (refusal, false)
        case .unknown: return (failure, false)
        }
    }
}

extension PlatformCall {
    /// What a refusal of it means where the key is not to blame.
    fileprivate var kindOfRefusal: UploadFailure.Kind {
        switch self {
        // The account may not open one.
        case .openSession: .accessRefused
        // The session is asked before anything is abandoned.
        case .requestURLs, .report, .checkSession, .checkAsset, .deleteAsset: .requestRefused
        }
    }
}

extension UploadFailure {
    /// The same refusal, of which is known by now what it is not.
    fileprivate func asRefusal(_ kind: Kind) -> UploadFailure {
        var failure = self
        // A name of our own for what happened is not kept.
        if failure.code == failure.kind.rawValue { failure.code = kind.rawValue }
        failure.kind = kind
        failure.hint = failure.hint.map { $0 + ", then 'twelvefs retry'" }
        return failure
    }
}
