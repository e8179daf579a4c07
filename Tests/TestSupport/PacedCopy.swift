import Foundation

/// What `Tests/tools/paced_copy.py` tells about its copy.
package struct PacedCopy: Sendable, Decodable {
    /// Bytes that were accepted.
    package let written: Int
    /// Seconds since 1970.
    package let firstWrite: Double?
    /// Seconds since 1970.
    package let lastWrite: Double?
    /// When close had returned, in seconds since 1970.
    package let closed: Double
    /// The name of the error that ended it, for example `EFBIG`.
    package let error: String?
    /// Which call it was: `write` or `close`.
    package let errorIn: String?

    /// The command that copies at a pace.
    ///
    /// - Parameters:
    ///   - rate: bytes a second; 0 is as fast as possible.
    ///   - block: bytes a write.
    package static func tool(
        _ source: String, _ target: String, rate: Int = 0, block: Int = 1 << 20, noticesWindowChanges: Bool = false
    ) -> Tool {
        .python(
            "paced_copy.py",
            [source, target, "--rate", "\(rate)", "--block", "\(block)"]
                + (noticesWindowChanges ? ["--notice-window-changes"] : []))
    }

    /// Reads what it printed.
    package static func decode(_ outcome: Outcome) throws -> PacedCopy {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(PacedCopy.self, from: Data(outcome.output.utf8))
        } catch {
            throw ToolFailed(outcome: outcome)
        }
    }
}
