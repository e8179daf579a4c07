import Glibc

/// An open file descriptor with one owner, closed when that goes.
struct Descriptor: ~Copyable, Sendable {
    /// For calls; not to be closed.
    let number: Int32

    /// Takes ownership of what `open` returned; throws its errno when that is -1. Called again on `EINTR`.
    init(_ operation: String, opening: () -> Int32) throws(SpoolError) {
        number = try SpoolError.check(operation, opening)
    }

    /// Gives the descriptor to another owner.
    consuming func take() -> Int32 {
        let number = number
        discard self
        return number
    }

    deinit {
        // What matters about the bytes was asked of fsync; close has nothing to tell that could be acted upon.
        _ = close(number)
    }
}

extension SpoolError {
    /// The value of a C call that returns -1 and sets `errno` when it fails; called again on `EINTR`.
    @discardableResult
    static func check<Value: FixedWidthInteger>(
        _ operation: String, _ call: () -> Value
    ) throws(SpoolError) -> Value {
        do {
            return try FullTransfer.retry(call)
        } catch {
            throw SpoolError(errno: error.code, operation: operation)
        }
    }
}
