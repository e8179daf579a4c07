import Glibc

/// `pread` and `pwrite` do what they can at once; these go on until everything is done.
package enum FullTransfer {
    /// How one call ended: bytes moved, or an errno.
    package typealias Step = Result<Int, CallError>

    package struct CallError: Error, Equatable {
        package let code: Int32

        package init(code: Int32) {
            self.code = code
        }
    }

    /// Writes `count` bytes: `write` is told how many are done and is called again after a short count or `EINTR`.
    ///
    /// A call that moves nothing and names no error would go on for ever: it counts as `EIO`.
    @inline(__always)
    package static func write(_ count: Int, using write: (_ done: Int) -> Step) throws(CallError) {
        var done = 0
        while done < count {
            switch write(done) {
            case .success(let moved):
                guard moved > 0 else { throw CallError(code: EIO) }
                done += moved
            case .failure(let error):
                guard error.code == EINTR else { throw error }
            }
        }
    }

    /// Reads up to `count` bytes, fewer only at the end of the file; returns how many.
    @inline(__always)
    package static func read(_ count: Int, using read: (_ done: Int) -> Step) throws(CallError) -> Int {
        var done = 0
        while done < count {
            switch read(done) {
            case .success(let moved):
                guard moved > 0 else { return done }
                done += moved
            case .failure(let error):
                guard error.code == EINTR else { throw error }
            }
        }
        return done
    }

    /// The value of a C call that returns -1 and sets `errno` when it fails; called again on `EINTR`.
    @inline(__always)
    @discardableResult
    package static func retry<Value: FixedWidthInteger>(_ call: () -> Value) throws(CallError) -> Value {
        while true {
            let value = call()
            if value != -1 { return value }
            let code = errno
            guard code == EINTR else { throw CallError(code: code) }
        }
    }
}
