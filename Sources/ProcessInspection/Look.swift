import Glibc

/// What came of a look at something of another process's.
public enum Look<Value> {
    /// This.
    case found(Value)
    /// There is no such thing, or not any more.
    case absent
    /// Whether there is, and what it says, is not for this process to see: it will not be, either, when asked again.
    case hidden
    /// The look failed, for want of descriptors, memory or time: the next one may not.
    case failed

    /// What was found; nil whatever it was that kept it from that.
    public var value: Value? {
        if case .found(let value) = self { return value }
        return nil
    }

    /// Goes on with what was found.
    func flatMap<Other>(_ next: (Value) -> Look<Other>) -> Look<Other> {
        switch self {
        case .found(let value): next(value)
        case .absent: .absent
        case .hidden: .hidden
        case .failed: .failed
        }
    }

    /// Goes on with what was found, where it makes sense: what does not is as good as not seen, now and later.
    func compactMap<Other>(_ next: (Value) -> Other?) -> Look<Other> {
        flatMap { next($0).map { .found($0) } ?? .hidden }
    }

    /// By what a system call failed with.
    init(failure: Int32) {
        switch failure {
        case ENOENT, ESRCH, ENOTDIR: self = .absent
        case EACCES, EPERM: self = .hidden
        default: self = .failed
        }
    }
}

extension Look: Sendable where Value: Sendable {}
extension Look: Equatable where Value: Equatable {}
