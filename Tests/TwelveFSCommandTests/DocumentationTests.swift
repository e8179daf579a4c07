import ArgumentParser
import Formats
import Foundation
import Testing
import TwelveFSCommand
import UploadCore

/// The pages say what the program has: no option, field or metric more, and none less.
@Suite struct DocumentationTests {
    /// The commands that people run, by their names.
    private static let commands = TwelveFS.configuration.subcommands.filter { $0.configuration.shouldDisplay }
        .map { $0.configuration.commandName ?? "" }

    @Test("The Options page has the options of each command's help, with their defaults", arguments: commands)
    func optionsAreThoseOfTheHelp(command: String) throws {
        let type = try #require(TwelveFS.configuration.subcommands.first { $0.configuration.commandName == command })
        let help = TwelveFS.helpMessage(for: type, columns: 1000)
        var defaults: [String: String] = [:]
        for line in help.split(separator: "\n") where line.hasPrefix("  -") {
            let name = line.dropFirst(2).prefix { $0 != "<" }
            let value = line.firstMatch(of: /default: ([^ );]+)\)$/).map { String($0.1) }
            for option in Self.options(in: String(name.prefix(26))) { defaults[option] = value ?? "" }
        }
        for option in ["--help", "--version"] { defaults[option] = nil }

        let rows = try Page("Options").rows(under: "twelvefs \(command)")
        let told = rows.flatMap { Self.options(in: $0[0]) }
        #expect(told.sorted() == defaults.keys.sorted())
        for row in rows {
            for option in Self.options(in: row[0]) where defaults[option]?.isEmpty == false {
                #expect(row[1] == "`\(defaults[option] ?? "")`", "\(option)")
            }
        }
    }

    /// The long options of a text, and `-o`, which has no long form.
    private static func options(in text: String) -> [String] {
        text.matches(of: /--[a-z][a-z-]+|-o\b/).map { String($0.output) }
    }

    @Test("The page of status files has the fields of an upload's document")
    func fieldsOfAnUpload() throws {
        let chunk = StatusChunk(chunkIndex: 1, size: 1, state: .pending)
        let document = StatusDocument(
            filename: "a.mp4", path: "/a.mp4", state: .failed, error: StatusError(code: "c", message: "m"),
            chunks: [chunk], createdAt: Timestamp(millisecondsSince1970: 0))
        let json = try Self.object(document.json())
        let page = try Page("StatusFiles")
        #expect(try page.names(under: "The document of an upload") == json.keys.sorted())
        let states = try page.names(under: "States")
        #expect(states == UploadState.allCases.map(\.rawValue).sorted())
        let error = try #require(json["error"] as? [String: Any])
        #expect(try page.names(under: "Errors") == error.keys.sorted())
        let chunks = try #require(json["chunks"] as? [[String: Any]])
        #expect(try page.names(under: "Chunks") == chunks[0].keys.sorted())
        let waits = StatusDocument.WaitingFor.allCases.map(\.rawValue).sorted()
        #expect(try page.names(under: "Waiting") == waits)
    }

    @Test("The page of status files has the fields of the summary")
    func fieldsOfTheSummary() throws {
        let upload = SummaryDocument.Upload(id: "pending-1", state: .open)
        var summary = SummaryDocument(
            mountpoint: "/mnt", closeMode: "upload", rateLimit: RateLimit(remaining: 1), uploads: [upload])
        summary.refusedWriters = RefusedWriters(count: 1, last: .otherNamespace)
        let json = try Self.object(summary.json())
        let uploads = try #require(json["uploads"] as? [[String: Any]])
        let limit = try #require(json["rate_limit"] as? [String: Any])
        let refused = try #require(json["refused_writers"] as? [String: Any])
        let fields: [String] = [json, uploads[0], limit, refused].flatMap { Array($0.keys) }
        #expect(try Page("StatusFiles").names(under: "The summary") == fields.sorted())
    }

    @Test("The Monitoring page has the metrics")
    func metrics() throws {
        let limit = RateLimit(limit: 2, remaining: 1, resetsAt: Timestamp(millisecondsSince1970: 0))
        let summary = SummaryDocument(
            mountpoint: "/mnt", closeMode: "upload", bytesPerSecond: 1, spoolLimit: 1, rateLimit: limit)
        let samples = summary.openMetrics().split(separator: "\n").filter { !$0.hasPrefix("#") }
        let names = Set(samples.map { String($0.prefix { $0 != "{" && $0 != " " }) })
        #expect(try Page("Monitoring").names(under: "Metrics") == names.sorted())
    }

    private static func object(_ json: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    }
}

/// One page of the documentation, as Markdown.
private struct Page {
    private let lines: [Substring]

    init(_ name: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let file = root.appending(path: "Sources/TwelveFSCommand/Documentation.docc/\(name).md")
        lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The rows of the tables between a heading and the next one, as cells; without the tables' own headings.
    func rows(under heading: String) throws -> [[String]] {
        let start = try #require(lines.firstIndex { $0.hasPrefix("#") && $0.hasSuffix("# \(heading)") })
        let section = lines[(start + 1)...].prefix { !$0.hasPrefix("#") }
        return section.indices.filter { index in
            // The line before the rule names the columns.
            section[index].hasPrefix("| `") && !(lines[index + 1].hasPrefix("|---"))
        }.map { index in
            let cells = section[index].dropFirst().replacing("\\|", with: "¦").split(
                separator: "|", omittingEmptySubsequences: false)
            return cells.map { $0.replacing("¦", with: "|").trimmingCharacters(in: .whitespaces) }
        }
    }

    /// The names in the first column of those tables, in order.
    func names(under heading: String) throws -> [String] {
        try rows(under: heading).compactMap { $0.first?.firstMatch(of: /`([^`]+)`/).map { String($0.1) } }.sorted()
    }
}
