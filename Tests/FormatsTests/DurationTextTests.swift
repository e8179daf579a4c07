import Formats
import TestSupport
import Testing

@Suite struct DurationTextTests {
    @Test(arguments: [
        ("0", Duration.zero), ("0s", .zero), ("300s", .seconds(300)), ("5m", .seconds(300)), ("24h", .seconds(86_400)),
        ("2d", .seconds(172_800)), ("500ms", .milliseconds(500)), ("1h30m", .seconds(5400)),
        ("1.5s", .milliseconds(1500)),
        ("1d2h3m4s5ms", .milliseconds(93_784_005)), ("0.5h", .seconds(1800)), ("1h0.5m", .seconds(3630)),
        ("90m", .seconds(5400)), ("1.0009s", .seconds(1)), ("9223372036854775807ms", .milliseconds(Int64.max)),
    ])
    func readsDurations(text: String, duration: Duration) {
        #expect(DurationText.parse(text) == duration)
    }

    @Test(arguments: [
        "", "5", "s", "-5s", "+5s", "5 m", " 5m", "5m ", "5M", "5x", "5min", "30m1h", "1m1m", "1.s", ".5s", "1.5ms",
        "1.5h30m",
        "1h30", "5m\u{301}", "٥m", "9223372036854775808ms", "9223372036854775807s", "106751991168d",
        "9223372036854775s9223372036854775807ms", "99999999999999999999s", "forever",
    ])
    func refusesEverythingElse(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(arguments: [
        (Duration.zero, "0s"), (.milliseconds(1), "1ms"), (.milliseconds(500), "500ms"), (.seconds(1), "1s"),
        (.milliseconds(1500), "1.5s"), (.milliseconds(1050), "1s"), (.milliseconds(42_700), "42s"),
        (.seconds(300), "5m"),
        (.seconds(5400), "1h30m"), (.seconds(3601), "1h"), (.seconds(86_400), "1d"), (.seconds(97_200), "1d3h"),
        (.seconds(125), "2m5s"), (.seconds(-90), "-1m30s"), (.microseconds(10), "0s"),
    ])
    func writesTheOneOrTwoLargestUnits(duration: Duration, text: String) {
        #expect(DurationText.format(duration) == text)
    }

    /// Even where there are more seconds than a number can say.
    @Test(arguments: [
        (Duration.seconds(Int64.max), "106751991167300d15h"), (.seconds(Int64.min), "-106751991167300d15h"),
        (.seconds(Int64.max) * 18, "106751991167300d15h"), (.seconds(Int64.min) * 18, "-106751991167300d15h"),
    ])
    func writesTheLongestThereAre(duration: Duration, text: String) {
        #expect(DurationText.format(duration) == text)
    }

    @Test func readsBackWhatItWritesAndNeverShowsMore() throws {
        var random = SplitMix64.seeded()
        for _ in 0..<5000 {
            let duration = Duration.milliseconds(
                Int64.random(in: 0...(1 << Int64.random(in: 1...50, using: &random)), using: &random))
            let text = DurationText.format(duration)
            let read = try #require(DurationText.parse(text), "\(text)")
            #expect(read <= duration)
            #expect(DurationText.format(read) == text)
        }
    }
}
