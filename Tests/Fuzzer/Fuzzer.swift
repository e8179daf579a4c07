import Foundation
import Fuzzing

@_silgen_name("LLVMFuzzerRunDriver")
private func runLibFuzzer(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ tryOne: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// libFuzzer over one decoder, the one that `$TWELVEFS_FUZZED` names. Built and started by `scripts/fuzz.sh` alone.
///
///     twelvefs-fuzzer names              the decoders there are, one a line
///     twelvefs-fuzzer samples FOLDER     writes a folder for each with inputs to begin with, and the file `words`
///     twelvefs-fuzzer [libFuzzer's arguments]
@main
enum Fuzzer {
    private static let decoder = ProcessInfo.processInfo.environment["TWELVEFS_FUZZED"].flatMap {
        FuzzedDecoder.named($0)
    }

    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        switch arguments.first {
        case "names": for decoder in FuzzedDecoder.all { print(decoder.name) }
        case "samples": try writeSamples(into: arguments.last ?? ".")
        default:
            guard decoder != nil else { fatalError("TWELVEFS_FUZZED names no decoder") }
            var count = CommandLine.argc
            var all: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
            exit(
                runLibFuzzer(&count, &all) { start, count in
                    Fuzzer.decoder?.read(Array(UnsafeBufferPointer(start: start, count: count)))
                    return 0
                })
        }
    }

    private static func writeSamples(into folder: String) throws {
        for decoder in FuzzedDecoder.all {
            let path = "\(folder)/\(decoder.name)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            for (number, sample) in decoder.samples.enumerated() {
                try Data(sample).write(to: URL(fileURLWithPath: "\(path)/sample-\(number)"))
            }
        }
        var words = FuzzedDecoder.words.map { Array($0.utf8) }
        for number in FuzzedDecoder.numbers { words.append(withUnsafeBytes(of: number.littleEndian) { Array($0) }) }
        let lines = words.map { word in
            "\"" + word.map { byte in "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined() + "\"\n"
        }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: "\(folder)/words"))
    }
}
