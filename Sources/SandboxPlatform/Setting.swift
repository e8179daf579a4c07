/// A setting as `POST /_sandbox/configuration` names it.
struct Setting: Sendable {
    typealias Path<Value> = any (WritableKeyPath<SandboxSettings, Value> & Sendable)

    let name: String
    /// Nil for what is not shown.
    let read: @Sendable (SandboxSettings) -> SandboxJSON?
    let write: @Sendable (inout SandboxSettings, GivenSetting) throws(Refusal) -> Void

    /// Every setting.
    static let all: [Setting] = [
        Setting(
            name: "api_key", read: { _ in nil },
            write: { settings, given throws(Refusal) in settings.apiKey = try given.need(given.value.string) }),
        word("spec", \.specification),
        bytes("chunk_size", \.chunkSize), optionalBytes("max_file_size", \.maxFileSize),
        count("initial_urls", \.initialURLs), count("urls_per_call", \.urlsPerCall),
        duration("url_lifetime", \.urlLifetime), duration("session_lifetime", \.sessionLifetime),
        duration("processing_time", \.processingTime), duration("completion_delay", \.completionDelay),
        duration("asset_delay", \.assetDelay), duration("latency", \.latency),
        duration("api_latency", \.apiLatency), duration("rate_limit_window", \.rateLimitWindow),
        Setting(
            name: "missing_asset_status", read: { .integer(Int64($0.missingAssetStatus)) },
            write: { settings, given throws(Refusal) in
                let status = try given.count()
                settings.missingAssetStatus = try given.need([400, 404].contains(status) ? status : nil)
            }),
        Setting(
            name: "bandwidth", read: { .optional($0.bandwidth) },
            write: { settings, given throws(Refusal) in settings.bandwidth = try given.rate() }),
        flag("asset_urls", \.assetURLs),
        Setting(
            name: "asset_url_lifetime", read: { $0.assetURLLifetime.map { .number($0.inSeconds) } ?? .null },
            write: { settings, given throws(Refusal) in
                settings.assetURLLifetime = given.isUnlimited ? nil : try given.duration()
            }),
        Setting(
            name: "upload_headers", read: { .object($0.uploadHeaders.mapValues { .string($0) }) },
            write: { settings, given throws(Refusal) in settings.uploadHeaders = try given.texts() }),
        flag("require_upload_headers", \.requiresUploadHeaders),
        word("etags", \.etags), flag("opaque_etags", \.opaqueETags),
        Setting(
            name: "asset_failure", read: { .optional($0.assetFailure) },
            write: { settings, given throws(Refusal) in
                settings.assetFailure = given.value == .null ? nil : try given.need(given.value.string)
            }),
        Setting(
            name: "clock_skew", read: { .number($0.clockSkew.inSeconds) },
            write: { settings, given throws(Refusal) in settings.clockSkew = try given.signedDuration() }),
        Setting(
            name: "rate_limit", read: { .optional($0.rateLimit) },
            write: { settings, given throws(Refusal) in
                settings.rateLimit = given.isUnlimited ? nil : try given.count()
            }),
        flag("trace_ids", \.traceIDs),
    ]

    private static func bytes(_ name: String, _ path: Path<Int64>) -> Setting {
        Setting(
            name: name, read: { .integer($0[keyPath: path]) },
            write: { settings, given throws(Refusal) in settings[keyPath: path] = try given.bytes() })
    }

    private static func optionalBytes(_ name: String, _ path: Path<Int64?>) -> Setting {
        Setting(
            name: name, read: { .optional($0[keyPath: path]) },
            write: { settings, given throws(Refusal) in
                settings[keyPath: path] = given.value == .null ? nil : try given.bytes()
            })
    }

    private static func count(_ name: String, _ path: Path<Int>) -> Setting {
        Setting(
            name: name, read: { .integer(Int64($0[keyPath: path])) },
            write: { settings, given throws(Refusal) in settings[keyPath: path] = try given.count() })
    }

    private static func duration(_ name: String, _ path: Path<Duration>) -> Setting {
        Setting(
            name: name, read: { .number($0[keyPath: path].inSeconds) },
            write: { settings, given throws(Refusal) in settings[keyPath: path] = try given.duration() })
    }

    private static func flag(_ name: String, _ path: Path<Bool>) -> Setting {
        Setting(
            name: name, read: { .bool($0[keyPath: path]) },
            write: { settings, given throws(Refusal) in settings[keyPath: path] = try given.flag() })
    }

    private static func word<Value: RawRepresentable<String> & Sendable>(_ name: String, _ path: Path<Value>) -> Setting
    {
        Setting(
            name: name, read: { .string($0[keyPath: path].rawValue) },
            write: { settings, given throws(Refusal) in
                settings[keyPath: path] = try given.need(given.value.string.flatMap { Value(rawValue: $0) })
            })
    }
}

/// A value that a setting was given: as JSON has it, or as people write it on a command line.
struct GivenSetting {
    let name: String
    let value: SandboxJSON

    var isUnlimited: Bool { value == .null || value == "unlimited" }

    /// Throws for nil.
    func need<Value>(_ parsed: Value?) throws(Refusal) -> Value {
        guard let parsed else { throw .parameterInvalid(name, "not a value that this setting can have") }
        return parsed
    }

    func bytes() throws(Refusal) -> Int64 {
        try need((value.integer ?? value.string.flatMap { Quantity.bytes($0) }).flatMap { $0 > 0 ? $0 : nil })
    }

    /// Bytes a second; nil is without limit.
    func rate() throws(Refusal) -> Int64? {
        if value == .null || value == .integer(0) { return nil }
        guard let text = value.string else { return try bytes() }
        return try need(Quantity.rate(text))
    }

    func count() throws(Refusal) -> Int {
        let number = value.integer ?? value.string.flatMap { Int64($0) }
        return try need(number.flatMap { (0...1_000_000) ~= $0 ? Int($0) : nil })
    }

    func signedDuration() throws(Refusal) -> Duration {
        let seconds = value.double.flatMap { abs($0) <= 1e9 ? $0 : nil }
        return try need(
            seconds.map { .milliseconds(Int64($0 * 1000)) } ?? value.string.flatMap { Quantity.signedDuration($0) })
    }

    func duration() throws(Refusal) -> Duration {
        let duration = try signedDuration()
        return try need(duration < .zero ? nil : duration)
    }

    func flag() throws(Refusal) -> Bool {
        try need(value.bool ?? ["on": true, "off": false][value.string ?? ""])
    }

    func texts() throws(Refusal) -> [String: String] {
        guard case .object(let members) = value else { return try need(nil) }
        var texts: [String: String] = [:]
        for (name, text) in members { texts[name] = try need(text.string) }
        return texts
    }
}
