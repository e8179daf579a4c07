/// A bar of a fixed width, such as `[######....]` or `██████▌░░░`.
struct ProgressBar {
    /// Whether block characters can be shown.
    var isUnicode: Bool

    /// The bar for `done` of `total`, `columns` wide; full only when all is done.
    func text(done: Int64, total: Int64, columns: Int) -> String {
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
