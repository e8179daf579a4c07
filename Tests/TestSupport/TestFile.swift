import Foundation

/// Files for tests: their bytes follow from a seed, so that a failure can be repeated.
package enum TestFile {
    /// Writes `size` bytes that no chunk shares with another, in pieces of a mebibyte.
    ///
    /// - Parameters:
    ///   - size: in bytes.
    ///   - seed: the same seed gives the same bytes.
    /// - Returns: the path, for convenience.
    @discardableResult
    package static func random(at path: String, size: Int, seed: UInt64 = 12) async throws -> String {
        try await offload {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw SystemFailure(call: "open", path: path, code: errno) }
            defer { close(descriptor) }
            var generator = SplitMix64(seed: seed)
            var piece = [UInt64](repeating: 0, count: (1 << 20) / 8)
            var left = size
            while left > 0 {
                for index in piece.indices { piece[index] = generator.next() }
                let count = min(left, 1 << 20)
                let written = piece.withUnsafeBytes { write(descriptor, $0.baseAddress, count) }
                guard written == count else { throw SystemFailure(call: "write", path: path, code: errno) }
                left -= count
            }
            return path
        }
    }

    /// The SHA-256 of a file, in lower-case hexadecimal digits, by `sha256sum`.
    package static func sha256(of path: String) async throws -> String {
        let outcome = try await run("sha256sum", "--", path)
        guard outcome.succeeded, let sum = outcome.output.split(separator: " ").first else {
            throw ToolFailed(outcome: outcome)
        }
        // A name with a backslash or a line's end makes sha256sum escape its line, and say so by a backslash.
        return sum.hasPrefix("\\") ? String(sum.dropFirst()) : String(sum)
    }

    /// Makes a real, playable video by ffmpeg: a moving test picture with a tone.
    ///
    /// - Parameters:
    ///   - seconds: how long it plays.
    ///   - bitsPerSecond: about how large a second of it is; noise is added so that this is reached.
    @discardableResult
    package static func video(at path: String, seconds: Int, bitsPerSecond: Int = 8_000_000) async throws -> String {
        let outcome = try await run(
            "ffmpeg", "-v", "error", "-y",
            "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=\(seconds)",
            "-f", "lavfi", "-i", "sine=frequency=440:duration=\(seconds)",
            "-vf", "noise=alls=30:allf=t", "-c:v", "libx264", "-preset", "ultrafast",
            "-b:v", "\(bitsPerSecond)", "-minrate", "\(bitsPerSecond)", "-maxrate", "\(bitsPerSecond)",
            "-bufsize", "\(bitsPerSecond)", "-c:a", "aac", "-pix_fmt", "yuv420p", path)
        guard outcome.succeeded else { throw ToolFailed(outcome: outcome) }
        return path
    }

    /// A file's length in bytes.
    package static func size(of path: String) async throws -> Int {
        try await offload {
            var status = stat()
            guard stat(path, &status) == 0 else { throw SystemFailure(call: "stat", path: path, code: errno) }
            return Int(status.st_size)
        }
    }
}

/// A tool that a test relies on, rather than tests, did not succeed.
package struct ToolFailed: Error, CustomStringConvertible {
    package let outcome: Outcome
    package var description: String { outcome.description }

    package init(outcome: Outcome) {
        self.outcome = outcome
    }
}
