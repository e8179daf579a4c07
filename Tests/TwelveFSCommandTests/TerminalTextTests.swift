import TestSupport
import Testing
import TwelveFSCommand

@Suite struct TerminalTextTests {
    @Test(arguments: [
        ("video.mp4", "video.mp4"),
        ("a\u{1B}[2Jb", "a\u{FFFD}[2Jb"),
        ("a\nb\tc\rd", "a\u{FFFD}b\u{FFFD}c\u{FFFD}d"),
        ("a\r\nb", "a\u{FFFD}\u{FFFD}b"),
        ("a\u{7F}\u{9B}31m", "a\u{FFFD}\u{FFFD}31m"),
        ("a\u{2028}b\u{2029}", "a\u{FFFD}b\u{FFFD}"),
        ("exe\u{202E}4pm.", "exe\u{FFFD}4pm."),
        ("a\u{200B}\u{FEFF}b", "ab"),
        ("e\u{301}té 映画 🎬", "e\u{301}té 映画 🎬"),
    ])
    func nothingThatATerminalActsUponIsLeft(_ text: String, _ safe: String) {
        #expect(TerminalText.sanitised(text) == safe)
    }

    @Test func everyControlCharacterGoes() {
        for value in [0...0x1F, 0x7F...0x9F].joined() {
            #expect(TerminalText.sanitised(String(Unicode.Scalar(UInt8(value)))) == "\u{FFFD}", "\(value)")
        }
    }

    @Test(arguments: [
        ("", 0), ("abc", 3), ("映画", 4), ("ｱ", 1), ("Ａ", 2), ("한국", 4), ("é", 1), ("e\u{301}", 1), ("🎬", 2), ("👩‍👩‍👧", 2),
        ("🇩🇪", 2),
        ("❤️", 2), ("❤", 1), ("█▌░", 3), ("…", 1),
    ])
    func widthIsThatOfATerminal(_ text: String, _ width: Int) {
        #expect(TerminalText.width(text) == width)
    }

    @Test(arguments: [
        ("short.mp4", 20, "short.mp4"),
        ("a-very-long-name-indeed.mp4", 15, "a-very-lo…d.mp4"),
        ("とても長い名前の映画.mp4", 16, "とても長い….mp4"),
        ("abcdefghij", 5, "abcd…"),
        ("abc", 0, ""),
    ])
    func longNamesLoseTheirMiddle(_ text: String, _ columns: Int, _ cut: String) {
        #expect(TerminalText.cutInTheMiddle(text, to: columns) == cut)
    }

    @Test func cutsNeverPassTheirWidth() {
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: .min ... .max, using: &random)
        var generator = SplitMix64(seed: seed)
        let alphabet: [Character] = ["a", "é", "映", "🎬", "한", ".", "e\u{301}", "👩‍👩‍👧"]
        for _ in 0..<2000 {
            let text = String(
                (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    alphabet.randomElement(using: &generator) ?? "a"
                })
            let columns = Int.random(in: 0...45, using: &generator)
            #expect(TerminalText.width(TerminalText.cut(text, to: columns)) <= columns, "seed \(seed)")
            #expect(TerminalText.width(TerminalText.cutInTheMiddle(text, to: columns)) <= columns, "seed \(seed)")
            #expect(
                TerminalText.width(TerminalText.padded(text, to: columns)) == max(columns, TerminalText.width(text)),
                "seed \(seed)")
        }
    }

    @Test(arguments: [
        (0, 100, "[........]", "░░░░░░░░░░"),
        (50, 100, "[####....]", "█████░░░░░"),
        (99, 100, "[#######.]", "█████████▉"),
        (100, 100, "[########]", "██████████"),
        (3, 100, "[........]", "▎░░░░░░░░░"),
        (200, 100, "[########]", "██████████"),
        (-1, 100, "[........]", "░░░░░░░░░░"),
        (0, 0, "[........]", "░░░░░░░░░░"),
    ])
    func barsAreFullOnlyWhenAllIsDone(_ done: Int64, _ total: Int64, _ plain: String, _ blocks: String) {
        #expect(ProgressBar(isUnicode: false).text(done: done, total: total, columns: 10) == plain)
        #expect(ProgressBar(isUnicode: true).text(done: done, total: total, columns: 10) == blocks)
    }
}
