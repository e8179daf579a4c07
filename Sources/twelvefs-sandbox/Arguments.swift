import ArgumentParser
import SandboxPlatform

/// A number of bytes above zero.
struct SandboxSize: ExpressibleByArgument {
    let bytes: Int64
    let defaultValueDescription: String

    /// A default value, and how the help shows it.
    init(_ bytes: Int64, shown: String) {
        self.bytes = bytes
        defaultValueDescription = shown
    }

    init?(argument: String) {
        guard let bytes = Quantity.bytes(argument), bytes > 0 else { return nil }
        self.init(bytes, shown: argument)
    }
}

/// A length of time.
struct Time: ExpressibleByArgument {
    let duration: Duration
    let defaultValueDescription: String

    /// A default value, and how the help shows it.
    init(_ duration: Duration, shown: String) {
        self.duration = duration
        defaultValueDescription = shown
    }

    init?(argument: String) {
        guard let duration = Quantity.duration(argument) else { return nil }
        self.init(duration, shown: argument)
    }
}

/// How far one clock is ahead of another; below zero when it is behind.
struct ClockSkew: ExpressibleByArgument {
    let duration: Duration
    let defaultValueDescription: String

    /// Clocks that agree.
    static let none = ClockSkew(duration: .zero, defaultValueDescription: "0s")

    private init(duration: Duration, defaultValueDescription: String) {
        self.duration = duration
        self.defaultValueDescription = defaultValueDescription
    }

    init?(argument: String) {
        guard let duration = Quantity.signedDuration(argument) else { return nil }
        self.init(duration: duration, defaultValueDescription: argument)
    }
}

/// Bytes a second, or no limit.
struct Rate: ExpressibleByArgument {
    var bytesPerSecond: Int64?
    let defaultValueDescription: String

    /// No limit.
    static let unlimited = Rate(bytesPerSecond: nil, defaultValueDescription: "unlimited")

    private init(bytesPerSecond: Int64?, defaultValueDescription: String) {
        self.bytesPerSecond = bytesPerSecond
        self.defaultValueDescription = defaultValueDescription
    }

    init?(argument: String) {
        guard let rate = Quantity.rate(argument) else { return nil }
        self.init(bytesPerSecond: rate, defaultValueDescription: argument)
    }
}

/// `on` or `off`.
enum SandboxSwitch: String, ExpressibleByArgument, CaseIterable {
    case on, off
}

/// `NAME=VALUE`.
struct HeaderArgument: ExpressibleByArgument {
    let name: String
    let value: String

    init?(argument: String) {
        let halves = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, !halves[0].isEmpty else { return nil }
        name = String(halves[0])
        value = String(halves[1])
    }
}
