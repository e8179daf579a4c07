/// A bar of a fixed width, such as `[######....]` or `██████▌░░░`.
package struct ProgressBar {
    /// Whether block characters can be shown.
    package var isUnicode: Bool

    package init(isUnicode: Bool) {
        self.isUnicode = isUnicode
    }

    /// The bar for `done` of `total`, `columns` wide; full only when all is done.
    package func text(done: Int64, total: Int64, columns: Int) -> String {
        let total = max(total, 1)
        let done = min(max(done, 0), total)
        guard isUnicode else {
            let inner = max(columns - 2, 0)
            let filled = Int(Double(inner) * Double(done) / Double(total))
            return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: inner - filled) + "]"
        }
        let eighths = Int(Double(columns * 8) * Double(done) / Double(total))
        let (full, part) = eighths.quotientAndRemainder(dividingBy: 8)
        let partial = part == 0 ? "" : String(["▏", "▎", "▍", "▌", "▋", "▊", "▉"][part - 1])
        return String(repeating: "█", count: full) + partial
            + String(repeating: "░", count: columns - full - (part == 0 ? 0 : 1))
    }
}
