import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What sessions are called, of files that are called what a directory allows.
@Suite(.timeLimit(.minutes(2))) struct SessionFilenameTests {
    private static let difficult: [[UInt8]] = [
        Array(repeating: UInt8(ascii: "n"), count: 255), Array(String(repeating: "é", count: 127).utf8),
        Array(String(repeating: "日", count: 85).utf8), Array(String(repeating: "🎬", count: 63).utf8),
        // As many characters as bytes, once they are made text.
        Array(repeating: 0xFF, count: 255), Array(repeating: 0x01, count: 251) + Array(".mp4".utf8),
        [0xC3], [0x7F], [0x0A], Array("\u{2028}.mp4".utf8), Array(" .mp4".utf8), Array("a\\b\".mp4".utf8),
        Array(repeating: 0xFF, count: 240) + Array(".mp4.part".utf8), Array("line\nbreak.webm".utf8),
    ]

    @Test(.shows("name-filename")) func noRequestCarriesOneThatTheSpecificationForbids() async throws {
        var random = SplitMix64.seeded()
        let names = Self.difficult + (0..<40).map { _ in Self.name(using: &random) }
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .upload) }) { run in
            for (number, name) in names.enumerated() {
                guard
                    let (node, file) = try? run.filesystem.namespace.createFile(
                        name, in: .root, permissions: 0o644, context: InProcess.caller(1))
                else { continue }
                let handle = try run.filesystem.content.openHandle(
                    file, node: node, canWrite: true, context: InProcess.caller(1)
                ).handle
                try run.write([1], to: handle)
                #expect(await run.close(handle) == nil, "\(name)")
                run.filesystem.committer.release(handle)
                // Renamed, it bears the name that it has then.
                _ = await run.answer {
                    run.filesystem.committer.rename(
                        name, in: .root, to: Array("\(number)".utf8) + name.dropFirst(4), in: .root, flags: [], pid: 1,
                        $0)
                }
            }
            let asked = run.sandbox.journal(of: .create)
            #expect(asked.count >= Self.difficult.count)
            for request in asked {
                #expect(request.status == 201)
                let scalars = try #require(request.filename).unicodeScalars
                #expect((1...255).contains(scalars.count))
                #expect(scalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F })
            }
        }
    }

    /// A name that a directory can have, of any bytes.
    private static func name(using random: inout SplitMix64) -> [UInt8] {
        let length = [1, 2, 8, 100, 255].randomElement(using: &random) ?? 1
        return (0..<length).map { _ in
            let byte = UInt8.random(in: 1...255, using: &random)
            return byte == UInt8(ascii: "/") ? UInt8(ascii: "-") : byte
        }
    }
}
