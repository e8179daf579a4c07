import GRDB

/// A kind of row: its columns in their order, the key first, and how a record becomes a row and a row a record.
///
/// Each row ends with a checksum over the others. SQLite guards its log so, but not its pages: a bit that a disk lost
/// must not become an ETag, a size, or a state that nothing ever had.
package protocol JournalRow: Sendable, Equatable {
    static var table: String { get }
    static var columns: [String] { get }
    /// How many of them are the key.
    static var keyCount: Int { get }
    /// How many of them, the last ones, came with later versions. They may be NULL, as they are in rows that were written
    /// before; such rows have the checksum that they had.
    static var laterCount: Int { get }

    /// In the order of the columns.
    var values: [DatabaseValue] { get }

    /// Nil for values that no record has.
    init?(_ values: RowReader)
}

extension JournalRow {
    package static var laterCount: Int { 0 }

    static var selectAll: String { selectAll(columns) }

    /// The same of a table that may be of an earlier version.
    static func selectAll(in database: Database) throws -> String {
        let known = Set(try database.columns(in: table).map(\.name))
        return selectAll(columns.map { known.contains($0) ? $0 : "NULL" })
    }

    private static func selectAll(_ columns: [String]) -> String {
        "SELECT \((columns + ["checksum"]).joined(separator: ", ")) FROM \(table)"
    }

    /// The checksum over a row's values.
    package static func checksum(_ values: [DatabaseValue]) -> DatabaseValue {
        var values = values[...]
        for _ in 0..<laterCount where values.last?.isNull ?? false { values.removeLast() }
        return RowChecksum.of(Array(values), in: table).databaseValue
    }

    static var insert: String {
        let marks = Array(repeating: "?", count: columns.count + 1).joined(separator: ", ")
        return "INSERT OR REPLACE INTO \(table) (\((columns + ["checksum"]).joined(separator: ", "))) VALUES (\(marks))"
    }

    static func whereKey(_ count: Int? = nil) -> String {
        columns.prefix(count ?? keyCount).map { "\($0) = ?" }.joined(separator: " AND ")
    }

    func put(in database: Database) throws {
        let values = values
        let sum = Self.checksum(values)
        try database.cachedStatement(sql: Self.insert).execute(arguments: StatementArguments(values + [sum]))
    }

    static func remove(_ key: [any DatabaseValueConvertible], in database: Database) throws {
        try database.cachedStatement(sql: "DELETE FROM \(table) WHERE \(whereKey(key.count))")
            .execute(arguments: StatementArguments(key))
    }

    static func find(_ key: [any DatabaseValueConvertible], in database: Database) throws -> Self? {
        let statement = try database.cachedStatement(sql: "\(selectAll) WHERE \(whereKey(key.count))")
        guard let row = try Row.fetchOne(statement, arguments: StatementArguments(key)) else { return nil }
        return decode(row)
    }

    /// The record of a row; nil when the row is not what was written.
    static func decode(_ row: Row) -> Self? {
        let all = Array(row.databaseValues)
        guard all.count == columns.count + 1, let sum = all.last else { return nil }
        let values = Array(all.dropLast())
        guard sum == checksum(values) else { return nil }
        return Self(RowReader(values))
    }
}

/// Sixty-four bits over a row's values, with their types and lengths: FNV-1a.
enum RowChecksum {
    static func of(_ values: [DatabaseValue], in table: String) -> Int64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        func add(number: UInt64) { for shift in stride(from: 0, to: 64, by: 8) { add(UInt8(number >> shift & 0xFF)) } }
        for byte in table.utf8 { add(byte) }
        for value in values {
            switch value.storage {
            case .null: add(0)
            case .int64(let number):
                add(1)
                add(number: UInt64(bitPattern: number))
            case .double(let number):
                add(2)
                add(number: number.bitPattern)
            case .string(let text):
                add(3)
                add(number: UInt64(text.utf8.count))
                for byte in text.utf8 { add(byte) }
            case .blob(let data):
                add(4)
                add(number: UInt64(data.count))
                for byte in data { add(byte) }
            }
        }
        return Int64(bitPattern: hash)
    }
}

/// A row's values, read one after another. What is not of the type that is asked for makes ``isSound`` false.
package final class RowReader {
    private let values: [DatabaseValue]
    private var position = 0
    private(set) var isSound = true

    package init(_ values: [DatabaseValue]) {
        self.values = values
    }

    private func next() -> DatabaseValue.Storage {
        guard position < values.count else {
            isSound = false
            return .null
        }
        defer { position += 1 }
        return values[position].storage
    }

    func optionalInteger() -> Int64? {
        switch next() {
        case .int64(let number): return number
        case .null: return nil
        case .double, .string, .blob:
            isSound = false
            return nil
        }
    }

    func integer() -> Int64 {
        guard let number = optionalInteger() else {
            isSound = false
            return 0
        }
        return number
    }

    /// A number within bounds.
    func integer(in bounds: ClosedRange<Int64>) -> Int64 {
        let number = integer()
        guard bounds.contains(number) else {
            isSound = false
            return bounds.lowerBound
        }
        return number
    }

    /// The name of a file in a directory that is known: never a path out of it. Nil for none.
    func optionalFileName() -> String? {
        guard let name = optionalText() else { return nil }
        if name.isEmpty || name == "." || name == ".."
            || name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
        {
            isSound = false
        }
        return name
    }

    func optionalText() -> String? {
        switch next() {
        case .string(let text): return text
        case .null: return nil
        case .double, .int64, .blob:
            isSound = false
            return nil
        }
    }

    func text() -> String {
        guard let text = optionalText() else {
            isSound = false
            return ""
        }
        return text
    }

    func bytes() -> [UInt8] {
        guard case .blob(let data) = next() else {
            isSound = false
            return []
        }
        return [UInt8](data)
    }

    /// The value that a text stands for; nil, and not sound, when it stands for none.
    func choice<Value: RawRepresentable>(_ type: Value.Type) -> Value? where Value.RawValue == String {
        guard let value = Value(rawValue: text()) else {
            isSound = false
            return nil
        }
        return value
    }

    func optionalChoice<Value: RawRepresentable>(_ type: Value.Type) -> Value? where Value.RawValue == String {
        guard let text = optionalText() else { return nil }
        guard let value = Value(rawValue: text) else {
            isSound = false
            return nil
        }
        return value
    }
}
