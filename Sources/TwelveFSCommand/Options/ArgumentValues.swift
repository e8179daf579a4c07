import ArgumentParser
import Formats
import UploadCore

// How the values of options are written on a command line. Each refuses what it does not understand by returning nil;
// ArgumentParser then names the option and the text.

/// A length of time as an option gives it: `5m`, `90s`, `1h30m`.
struct TimeSpan: ExpressibleByArgument, Equatable {
    var duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        guard let duration = DurationText.parse(argument) else { return nil }
        self.duration = duration
    }

    var defaultValueDescription: String { DurationText.format(duration) }
}

/// A size as an option gives it: `64MiB`, `1.5GB`.
struct Size: ExpressibleByArgument, Equatable {
    var byteCount: ByteCount

    init(_ byteCount: ByteCount) {
        self.byteCount = byteCount
    }

    init?(argument: String) {
        guard let byteCount = ByteCount(parsing: argument) else { return nil }
        self.byteCount = byteCount
    }

    var defaultValueDescription: String { byteCount.description.replacing(" ", with: "") }
}

/// How far a writer may run ahead: a size, or `unlimited`.
struct RunAhead: ExpressibleByArgument, Equatable {
    /// Nil for as far as it likes.
    var byteCount: ByteCount?

    init(_ byteCount: ByteCount?) {
        self.byteCount = byteCount
    }

    init?(argument: String) {
        if argument == Self.unlimited { return }
        guard let byteCount = ByteCount(parsing: argument) else { return nil }
        self.byteCount = byteCount
    }

    private static let unlimited = "unlimited"

    var defaultValueDescription: String {
        byteCount.map { Size($0).defaultValueDescription } ?? Self.unlimited
    }
}

/// Permission bits in octal, as chmod takes them: `644`, `0755`.
struct FileMode: ExpressibleByArgument, Equatable {
    var bits: UInt16

    init?(argument: String) {
        guard !argument.isEmpty, argument.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
            let bits = UInt16(argument, radix: 8), bits <= 0o777
        else { return nil }
        self.bits = bits
    }

    var defaultValueDescription: String { String(bits, radix: 8) }
}

/// `on` or `off`.
enum Switch: String, ExpressibleByArgument, CaseIterable {
    case on
    case off
}

extension AssetTypeChoice: ExpressibleByArgument {}
extension CloseMode: ExpressibleByArgument {}
extension UnseenWriterPolicy: ExpressibleByArgument {}
extension NamePolicy.OtherFiles: ExpressibleByArgument {
    /// The words, in the order of the help.
    public static var allValueStrings: [String] { [Self.refuse, .keep, .upload].map(\.rawValue) }
}
