/// The entries of a directory: by name, and in an order in which a listing can be continued after any change.
///
/// Each name has a cookie that grows from one to the next and is never given again. One that goes leaves a gap, closed once
/// gaps outnumber names, so that every operation costs O(log n), taken over many.
struct NameTable<Value: Sendable>: Sendable {
    private struct Slot: Sendable {
        var cookie: Int64
        var name: [UInt8]
        /// Nil where it is gone.
        var value: Value?
    }

    private var cookies: [[UInt8]: Int64] = [:]
    /// Sorted by cookie.
    private var slots: [Slot] = []
    private var nextCookie: Int64

    /// An empty one; smaller cookies than `firstCookie` are left to others.
    init(firstCookie: Int64) { nextCookie = firstCookie }

    var isEmpty: Bool { cookies.isEmpty }

    subscript(name: [UInt8]) -> Value? {
        get { cookies[name].flatMap { slots[position(after: $0 - 1)].value } }
        set {
            if let cookie = cookies[name] {
                slots[position(after: cookie - 1)].value = newValue
                if newValue == nil { removed(name) }
            } else if let newValue {
                cookies[name] = nextCookie
                slots.append(Slot(cookie: nextCookie, name: name, value: newValue))
                nextCookie += 1
            }
        }
    }

    func entries(after cookie: Int64, atMost count: Int) -> [(cookie: Int64, name: [UInt8], value: Value)] {
        var found: [(cookie: Int64, name: [UInt8], value: Value)] = []
        for slot in slots[position(after: cookie)...] {
            guard let value = slot.value else { continue }
            found.append((slot.cookie, slot.name, value))
            if found.count == count { break }
        }
        return found
    }

    private mutating func removed(_ name: [UInt8]) {
        cookies[name] = nil
        if slots.count > 2 * cookies.count + 16 { slots.removeAll { $0.value == nil } }
    }

    /// The position of the first slot whose cookie is greater.
    private func position(after cookie: Int64) -> Int {
        var (low, high) = (0, slots.count)
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].cookie <= cookie { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
