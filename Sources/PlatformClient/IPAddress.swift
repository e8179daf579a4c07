#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An IPv4 or IPv6 address, by its bytes.
struct IPAddress: Sendable, Equatable {
    /// Four or sixteen, the first one first. An IPv4 address that is written as an IPv6 one (`::ffff:10.1.2.3`) has four.
    private let bytes: [UInt8]

    /// How many bits it has.
    var bitCount: Int { bytes.count * 8 }

    /// Reads `10.1.2.3` or `2001:db8::1`, without brackets; nil for anything else, a name above all.
    init?(_ text: some StringProtocol) {
        var four = in_addr()
        var sixteen = in6_addr()
        let text = String(text)
        // Only the whole text counts: an interior NUL would end it early for C.
        guard !text.utf8.contains(0) else { return nil }
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &sixteen) == 1 {
            let all = withUnsafeBytes(of: sixteen) { Array($0) }
            let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
            bytes = all.starts(with: mapped) ? Array(all[12...]) : all
        } else {
            return nil
        }
    }

    /// Whether the first bits of both are the same; false for addresses of two kinds.
    func begins(as network: IPAddress, bits: Int) -> Bool {
        guard bytes.count == network.bytes.count else { return false }
        return zip(bytes, network.bytes).enumerated().allSatisfy { index, pair in
            let inThisByte = min(max(bits - index * 8, 0), 8)
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> inThisByte)
            return (pair.0 ^ pair.1) & mask == 0
        }
    }
}
