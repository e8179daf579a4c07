/// Rows and columns of text for a terminal. One column may give way when the width does not suffice.
package struct TextTable {
    package struct Column {
        package var title: String
        package var isNumber = false
        /// Whether its middle is cut away when the table is too wide.
        package var givesWay = false

        package init(title: String, isNumber: Bool = false, givesWay: Bool = false) {
            self.title = title
            self.isNumber = isNumber
            self.givesWay = givesWay
        }
    }

    /// One row, and lines that belong below it (why it failed).
    package struct Row {
        package var cells: [String]
        package var notes: [String] = []

        package init(cells: [String], notes: [String] = []) {
            self.cells = cells
            self.notes = notes
        }
    }

    package var columns: [Column]
    package var rows: [Row] = []

    package init(columns: [Column], rows: [Row] = []) {
        self.columns = columns
        self.rows = rows
    }

    /// The lines, at most `width` columns wide where the columns that do not give way allow it.
    ///
    /// Cells and notes may hold anything: they are sanitised here.
    package func lines(width: Int?) -> [String] {
        let rows = rows.map { row in
            Row(cells: row.cells.map(TerminalText.sanitised), notes: row.notes.map(TerminalText.sanitised))
        }
        var widths = columns.indices.map { index in
            rows.reduce(TerminalText.width(columns[index].title)) { max($0, TerminalText.width($1.cells[index])) }
        }
        if let width, let flexible = columns.firstIndex(where: \.givesWay) {
            let whole = widths.reduce(0, +) + (widths.count - 1) * Self.gap.count
            widths[flexible] = max(min(widths[flexible], Self.narrowest), widths[flexible] - max(0, whole - width))
        }
        var lines = [line(columns.map(\.title), widths, width)]
        for row in rows {
            lines.append(line(row.cells, widths, width))
            for note in row.notes {
                let indented = "    " + note
                lines.append(width.map { TerminalText.cut(indented, to: $0) } ?? indented)
            }
        }
        return lines
    }

    private static let gap = "  "
    /// Less of a name says nothing.
    private static let narrowest = 12

    private func line(_ cells: [String], _ widths: [Int], _ width: Int?) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            if index > 0 { line += Self.gap }
            let fitting = columns[index].givesWay ? TerminalText.cutInTheMiddle(cell, to: widths[index]) : cell
            line += TerminalText.padded(fitting, to: widths[index], toTheRight: columns[index].isNumber)
        }
        while line.last == " " { line.removeLast() }
        return width.map { TerminalText.cut(line, to: $0) } ?? line
    }
}
