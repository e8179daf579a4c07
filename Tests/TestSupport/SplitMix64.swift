import Foundation

/// A small random number generator whose sequence is told by its seed (Steele, Lea, Flood: "Fast Splittable
/// Pseudorandom Number Generators", 2014): the one that all tests draw from.
package struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A generator with a new seed, or the one in `$TWELVEFS_TEST_SEED`; prints it, so that a failure can be repeated.
    package static func seeded(for test: String = #function) -> SplitMix64 {
        let seed = ProcessInfo.processInfo.environment["TWELVEFS_TEST_SEED"].flatMap { UInt64($0) }
        let chosen = seed ?? UInt64.random(in: .min ... .max)
        print("\(test): seed \(chosen)")
        return SplitMix64(seed: chosen)
    }
}
