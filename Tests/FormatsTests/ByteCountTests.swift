import Formats
import TestSupport
import Testing

@Suite struct ByteCountTests {
    @Test(arguments: [
        ("0", 0), ("1048576", 1_048_576), ("17B", 17), ("64MiB", 67_108_864), ("64M", 67_108_864),
        ("64 mib", 67_108_864),
        ("1k", 1024), ("1KB", 1000), ("1.5GB", 1_500_000_000), ("1.5G", 1_610_612_736), ("0.5KiB", 512),
        ("2T", 2_199_023_255_552), ("1P", 1_125_899_906_842_624), ("7E", 8_070_450_532_247_928_832),
        ("9223372036854775807", Int64.max), ("00012", 12),
        ("7.999999999999999999999999EiB", 9_223_372_036_854_775_806),
    ])
    func readsSizesWithAndWithoutUnits(text: String, bytes: Int64) {
        #expect(ByteCount(parsing: text)?.bytes == bytes)
    }

    @Test func roundsFractionsOfAByteDown() {
        #expect(ByteCount(parsing: "1.3KiB")?.bytes == 1331)
        #expect(ByteCount(parsing: "0.0001K")?.bytes == 0)
    }

    @Test(arguments: [
        "", " ", "-1", "+1", "M", ".5M", "1.", "1.M", "1.5", "1.5B", "1,5M", "64  M", " 64M", "64M ", "64MM", "64iB",
        "64XB",
        "0x10", "1e6", "unlimited", "64M\u{301}", "6\u{301}4M", "٤K", "64\u{212A}", "9223372036854775808", "8E", "8EiB",
        "99999999999999999999999999", "9999999999G", "9.3EB",
    ])
    func refusesEverythingElse(text: String) {
        #expect(ByteCount(parsing: text) == nil)
    }

    @Test func neverTrapsOnGarbage() {
        var random = SplitMix64.seeded()
        let alphabet = Array("0123456789.kKmMgGtTpPeEiIbB -+é\0")
        for _ in 0..<20_000 {
            let text = String(
                (0..<Int.random(in: 0...24, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "0" })
            if let count = ByteCount(parsing: text) { #expect(count.bytes >= 0, "\(text)") }
        }
    }

    @Test(arguments: [
        (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (67_108_864, "64 MiB"),
        (1_048_575, "1023.9 KiB"), (4_294_967_296, "4 GiB"), (Int64.max, "7.9 EiB"), (-1536, "-1.5 KiB"),
        (Int64.min, "-8 EiB"),
    ])
    func describesItselfForPeople(bytes: Int64, text: String) {
        #expect(ByteCount(bytes).description == text)
    }

    @Test func readsBackWhatItSays() {
        for text in ["0 B", "1 KiB", "1.5 KiB", "64 MiB", "4 GiB", "1023 B"] {
            #expect(ByteCount(parsing: text)?.description == text)
        }
    }

    @Test func comparesByBytes() {
        #expect(ByteCount.kibibytes(1) == ByteCount(1024))
        #expect(ByteCount.mebibytes(5) == ByteCount(5_242_880))
        #expect(ByteCount.gibibytes(4) > .mebibytes(4095))
    }
}
