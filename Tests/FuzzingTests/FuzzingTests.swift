import Foundation
import Fuzzing
import Glibc
import TestSupport
import Testing

/// What the allocator has and nobody uses goes back to the kernel. In `malloc.h`, which Glibc's module leaves out.
@_silgen_name("malloc_trim") private func releaseFreeMemory(_ kept: Int) -> CInt

/// What reads what comes from outside takes anything: no input ends the process, takes long, or leaves memory behind.
///
/// Each decoder is fed in a process of its own. With `TWELVEFS_TEST_SEED` it gets what it got with that seed;
/// `TWELVEFS_TEST_CASES` says how many inputs, and `TWELVEFS_TEST_SECONDS` for how long there are more. An input that ends the process is shrunk and printed. `scripts/fuzz.sh` does
/// the same for longer, and is led by where inputs get.
@Suite(.timeLimit(.minutes(20)), .serialized) struct FuzzingTests {
    /// Inputs for a process.
    struct Order: Codable, Sendable {
        var decoder: String
        /// Those with these numbers of that seed.
        var seed: UInt64 = 0
        var numbers = 0..<0
        /// Or only this one.
        var input: [UInt8]?
    }

    /// A decoder with a mistake, to see that it is found.
    private static let faulty = FuzzedDecoder("faulty", ["{\"a\":12}"]) { input in
        if input.contains(UInt8(ascii: "[")) { fatalError("it cannot read lists") }
    }

    /// Only here so that the compiler does not leave out what nobody reads.
    nonisolated(unsafe) private static var kept: UnsafeMutableRawBufferPointer?

    /// A decoder that keeps what it reads. Each process has one thread that calls it.
    private static let forgetsNothing = FuzzedDecoder("forgets-nothing", ["a"]) { input in
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: input.count | 1))
        kept = memory
    }

    private static func decoder(_ name: String) -> FuzzedDecoder? {
        ([faulty, forgetsNothing] + FuzzedDecoder.all).first { $0.name == name }
    }

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }
    private static let cases = setting("TWELVEFS_TEST_CASES") ?? 10_000
    private static let duration = Duration.seconds(setting("TWELVEFS_TEST_SECONDS") ?? 0)

    @Test("No input ends the process, takes long, or leaves memory behind", arguments: FuzzedDecoder.all.map(\.name))
    func readsWhateverComes(name: String) async throws {
        var random = SplitMix64.seeded(for: name)
        let end = ContinuousClock.now + Self.duration
        repeat {
            let order = Order(decoder: name, seed: random.next(), numbers: 0..<Self.cases)
            if let mistake = await Self.mistake(order) {
                Issue.record("\(name): \(mistake)")
                return
            }
        } while ContinuousClock.now < end
    }

    @Test func samplesAreRead() {
        for decoder in FuzzedDecoder.all {
            #expect(!decoder.samples.isEmpty && !decoder.samples.contains([]), "\(decoder.name)")
            for sample in decoder.samples { decoder.read(sample) }
        }
        #expect(Set(FuzzedDecoder.all.map(\.name)).count == FuzzedDecoder.all.count)
    }

    @Test func inputThatEndsTheProcessIsFoundAndShrunk() async throws {
        let order = Order(decoder: Self.faulty.name, seed: 1, numbers: 0..<3000)
        let mistake = try #require(await Self.mistake(order))
        guard case .ends(let input) = mistake else {
            Issue.record("\(mistake)")
            return
        }
        #expect(input == [UInt8(ascii: "[")], "\(mistake)")
    }

    @Test(.disabled(if: isSanitized, "a sanitizer keeps what is freed")) func memoryThatIsLeftBehindIsFound()
        async throws
    {
        let order = Order(decoder: Self.forgetsNothing.name, seed: 1, numbers: 0..<300)
        let mistake = try #require(await Self.mistake(order))
        guard case .grows = mistake else {
            Issue.record("\(mistake)")
            return
        }
    }

    // MARK: What is wrong

    private enum Mistake: CustomStringConvertible {
        case ends(input: [UInt8])
        case grows
        case onlyOnce

        var description: String {
            switch self {
            case .ends(let input):
                "\(input.count) bytes end the process: \(Data(input).base64EncodedString()), "
                    + String(decoding: input, as: UTF8.self).debugDescription
            case .grows: "the process grows while it reads"
            case .onlyOnce: "the process ended, and not a second time"
            }
        }
    }

    private static func mistake(_ order: Order) async -> Mistake? {
        if await ends(order, with: EXIT_SUCCESS) { return nil }
        if await ends(order, with: hasGrown) { return .grows }
        // The first of them that does.
        var (low, high) = (order.numbers.lowerBound, order.numbers.upperBound)
        while low < high {
            let middle = (low + high) / 2
            var part = order
            part.numbers = order.numbers.lowerBound..<middle + 1
            if await ends(part, with: EXIT_SUCCESS) { low = middle + 1 } else { high = middle }
        }
        guard let decoder = decoder(order.decoder), order.numbers.contains(low) else { return .onlyOnce }
        let input = Mutation.input(of: decoder, seed: order.seed, number: low)
        guard await !isRead(input, by: order.decoder) else { return .onlyOnce }
        return .ends(input: await shrunk(input, tries: 200) { await !isRead($0, by: order.decoder) })
    }

    private static func isRead(_ input: [UInt8], by decoder: String) async -> Bool {
        await ends(Order(decoder: decoder, input: input), with: EXIT_SUCCESS)
    }

    // MARK: The process

    /// By scripts/sanitize.sh.
    private static let isSanitized = ProcessInfo.processInfo.environment["SANITIZER"] != nil
    /// More than allocators keep for themselves, in bytes.
    private static let growth = 48 << 20
    private static let hasGrown: CInt = 3
    /// For one input, in seconds.
    private static let patience: UInt32 = 10

    /// Whether a process that reads these inputs ends so.
    private static func ends(_ order: Order, with code: CInt) async -> Bool {
        var isSo = false
        // That it does not is no issue here.
        await withKnownIssue(isIntermittent: true) {
            let result = await #expect(processExitsWith: .exitCode(code)) { [order = order as Order] in
                FuzzingTests.read(order)
            }
            isSo = result != nil
        }
        return isSo
    }

    private static func read(_ order: Order) {
        guard let decoder = decoder(order.decoder) else { exit(EXIT_FAILURE) }
        var limit = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
        if let input = order.input {
            alarm(patience)
            decoder.read(input)
            return
        }
        // What is made once is there after the first of them.
        let early = order.numbers.lowerBound + order.numbers.count / 4
        var before: Int?
        for number in order.numbers {
            if number == early { before = residentBytes() }
            alarm(patience)
            decoder.read(Mutation.input(of: decoder, seed: order.seed, number: number))
        }
        alarm(0)
        if let before, !isSanitized, residentBytes() - before > growth { exit(hasGrown) }
    }

    private static func residentBytes() -> Int {
        _ = releaseFreeMemory(0)
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(getpagesize())
    }
}
