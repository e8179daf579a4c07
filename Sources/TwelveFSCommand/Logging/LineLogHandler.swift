import Formats
import Logging
import PlatformClient
import UploadCore

/// Takes whole lines, one call each, from any thread.
package protocol LogSink: Sendable {
    func write(_ line: String)
}

/// Standard error, for the foreground.
package struct StandardErrorSink: LogSink {
    package func write(_ line: String) {
        Terminal.write(line, to: 2)
    }
}

/// One line an event: `2026-01-02T03:04:05.678Z info    chunk stored chunk=3 path="/a b.mp4"`. UTC, keys sorted, nothing that
/// a terminal acts upon.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level
    private let sink: any LogSink
    private let now: @Sendable () -> Timestamp

    package init(sink: any LogSink, level: Logger.Level, now: @escaping @Sendable () -> Timestamp = WallClock.now) {
        self.sink = sink
        self.logLevel = level
        self.now = now
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        // The nearest wins: what the call says, then the context, then the logger.
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { $1 } }
        if let own = event.metadata { values.merge(own) { $1 } }
        if let error = event.error, values["error"] == nil { values["error"] = "\(error)" }
        sink.write(Self.line(event.level, event.message.description, values, at: now()))
    }

    package static func line(_ level: Logger.Level, _ message: String, _ values: Logger.Metadata, at time: Timestamp)
        -> String
    {
        var line = "\(time.rfc3339) \(TerminalText.padded(level.rawValue, to: 8)) \(TerminalText.sanitised(message))"
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            line += " \(TerminalText.sanitised(key))=\(quoted(value.description))"
        }
        return line + "\n"
    }

    /// As it is, or between quotes when it could not be told from what stands beside it.
    private static func quoted(_ value: String) -> String {
        let safe = TerminalText.sanitised(value)
        guard safe.isEmpty || safe.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" || $0 == "\\" }) else {
            return safe
        }
        return "\"\(safe.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
    }
}
