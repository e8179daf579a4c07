import Fuzzing
import TestSupport

/// An input that is like a decoder's samples, and is not one of them: which one, its number and a seed tell.
enum Mutation {
    static func input(of decoder: FuzzedDecoder, seed: UInt64, number: Int) -> [UInt8] {
        var random = SplitMix64(seed: seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
        var input = decoder.samples.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...6, using: &random) { change(&input, of: decoder, &random) }
        return input
    }

    private static func change(_ input: inout [UInt8], of decoder: FuzzedDecoder, _ random: inout SplitMix64) {
        let place = Int.random(in: 0...input.count, using: &random)
        let end = min(
            input.count, place + Int.random(in: 1...(1 << Int.random(in: 0...6, using: &random)), using: &random))
        switch Int.random(in: 0..<10, using: &random) {
        case 0 where place < input.count: input[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1 where place < input.count: input[place] = UInt8.random(in: .min ... .max, using: &random)
        case 2: input.removeSubrange(place..<end)
        case 3: input.insert(contentsOf: input[place..<end], at: place)
        case 4: input = Array(input[..<place])
        case 5:
            let other = decoder.samples.randomElement(using: &random) ?? []
            input = Array(input[..<place]) + other.suffix(Int.random(in: 0...other.count, using: &random))
        case 6, 7: putWord(into: &input, at: place, &random)
        default: putNumber(into: &input, at: place, &random)
        }
    }

    /// In the place of a word, where there is one.
    private static func putWord(into input: inout [UInt8], at place: Int, _ random: inout SplitMix64) {
        let word = Array((FuzzedDecoder.words.randomElement(using: &random) ?? "").utf8)
        guard let start = input[place...].firstIndex(where: isDigit), Bool.random(using: &random) else {
            return input.insert(contentsOf: word, at: place)
        }
        let end = input[start...].firstIndex { !isDigit($0) } ?? input.endIndex
        input.replaceSubrange(start..<end, with: word)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func putNumber(into input: inout [UInt8], at place: Int, _ random: inout SplitMix64) {
        let number = FuzzedDecoder.numbers.randomElement(using: &random) ?? 0
        let bytes = withUnsafeBytes(of: number.littleEndian) { Array($0) }
        // In the place of another one, where there is one: InputWriter puts a 1 before it in rows.
        let mark = Bool.random(using: &random) ? input[place...].firstIndex(of: 1) : nil
        let start = mark.map { $0 + 1 } ?? place
        input.replaceSubrange(start..<min(input.count, start + bytes.count), with: bytes)
    }
}

/// Takes as much out of a list as can be, as long as what is left has a property; asks for it at most `tries` times.
func shrunk(_ input: [UInt8], tries: Int, _ has: ([UInt8]) async -> Bool) async -> [UInt8] {
    var (input, left) = (input, tries)
    var length = max(1, input.count / 2)
    while left > 0, length > 0 {
        var start = 0
        while left > 0, start < input.count {
            var shorter = input
            shorter.removeSubrange(start..<min(input.count, start + length))
            left -= 1
            if await has(shorter) { input = shorter } else { start += length }
        }
        length /= 2
    }
    return input
}
