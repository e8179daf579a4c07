import Synchronization

/// Makes ids like the platform's: MongoDB's ObjectId (4 bytes of time, 5 random ones, 3 of a counter), 24 hexadecimal digits.
final class ObjectIDSource: Sendable {
    private let random = UInt64.random(in: 0..<(1 << 40))
    private let counter = Atomic<UInt32>(UInt32.random(in: 0..<(1 << 24)))

    func next(at time: WallTime) -> String {
        let count = counter.wrappingAdd(1, ordering: .relaxed).newValue & 0xff_ffff
        let seconds = UInt32(truncatingIfNeeded: Int64(time.seconds))
        return hex(UInt64(seconds), digits: 8) + hex(random, digits: 10) + hex(UInt64(count), digits: 6)
    }

    static func isWellFormed(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 24 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}

/// Lower-case hexadecimal digits with leading zeros.
func hex(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}

/// Lower-case hexadecimal digits of each byte.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
