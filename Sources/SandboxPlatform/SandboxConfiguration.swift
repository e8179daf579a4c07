import Logging

/// How the stand-in starts. What can change while it runs is in ``SandboxSettings`` and can be set here directly.
@dynamicMemberLookup
public struct SandboxConfiguration: Sendable {
    /// The address to listen on.
    public var host = "127.0.0.1"
    /// The port; 0 takes a free one.
    public var port = 0
    /// Where sessions and parts are kept. Nil: a temporary directory that goes when the stand-in stops.
    public var stateDirectory: String?
    /// Threads that move bytes between sockets and the rest.
    public var eventLoopThreads = 2
    /// Threads that write parts and compute digests.
    public var diskThreads = 4
    /// Time.
    public var clock: any SandboxClock = SystemClock()
    /// Faults to play from the start.
    public var faults: [Fault] = []
    /// What can change while it runs.
    public var settings = SandboxSettings()
    /// Where to log. Keys and URLs are not logged.
    public var logger = Logger(label: "twelvefs-sandbox") { _ in SwiftLogNoOpLogHandler() }

    /// The platform as it is documented.
    public init() {}

    /// The settings' own fields.
    public subscript<Value>(dynamicMember keyPath: WritableKeyPath<SandboxSettings, Value>) -> Value {
        get { settings[keyPath: keyPath] }
        set { settings[keyPath: keyPath] = newValue }
    }
}

/// What can be changed while the stand-in runs (`POST /_sandbox/configuration`).
public struct SandboxSettings: Sendable, Equatable {
    /// The key that every call has to carry.
    public var apiKey = "sandbox-key"
    /// Bytes of every chunk but the last, for sessions opened from now on.
    public var chunkSize: Int64 = 5 << 20
    /// How many URLs *create* gives.
    public var initialURLs = 10
    /// How many URLs one call for more gives at most, whatever was asked for.
    public var urlsPerCall = 50
    /// How long a URL lives.
    public var urlLifetime = Duration.seconds(3600)
    /// How long a session lives.
    public var sessionLifetime = Duration.seconds(86400)
    /// From the last report to an asset that is `ready` (or `failed`).
    public var processingTime = Duration.seconds(1)
    /// Added before each answer.
    public var latency = Duration.zero
    /// Bytes a second for all PUT bodies together; nil is unlimited.
    public var bandwidth: Int64?
    /// The largest `total_size`, bytes.
    public var maxFileSize: Int64 = 4 << 30
    /// Whether the last report's answer holds the asset's `url`.
    public var assetURLs = true
    /// What *create* answers as `upload_headers`.
    public var uploadHeaders: [String: String] = [:]
    /// Whether a PUT without the upload headers is refused.
    public var requiresUploadHeaders = false
    /// Whether the store answers as one that encrypts with KMS does: ETags are not the MD5.
    public var opaqueETags = false
    /// Why assets fail; nil lets them become ready.
    public var assetFailure: String?
    /// How far the platform's clock is ahead of the machine's (negative: behind).
    public var clockSkew = Duration.zero

    /// The platform as it is documented.
    public init() {}
}

extension SandboxSettings {
    /// Changes what the object names. Throws for a name or a value that it does not know, and then nothing is changed.
    mutating func apply(_ changes: JSONValue) throws(Refusal) {
        guard case .object(let members) = changes else {
            throw .parameterInvalid("body", "an object is expected")
        }
        var changed = self
        for (name, value) in members { try changed.set(name, value) }
        self = changed
    }

    private mutating func set(_ name: String, _ value: JSONValue) throws(Refusal) {
        func need<Value>(_ parsed: Value?) throws(Refusal) -> Value {
            guard let parsed else { throw .parameterInvalid(name, "not a value that this setting can have") }
            return parsed
        }
        func bytes() throws(Refusal) -> Int64 {
            try need((value.integer ?? value.string.flatMap { Quantity.bytes($0) }).flatMap { $0 > 0 ? $0 : nil })
        }
        func count() throws(Refusal) -> Int {
            try need(value.integer.flatMap { (0...1_000_000) ~= $0 ? Int($0) : nil })
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
        switch name {
        case "api_key": apiKey = try need(value.string)
        case "chunk_size": chunkSize = try bytes()
        case "initial_urls": initialURLs = try count()
        case "urls_per_call": urlsPerCall = try count()
        case "url_lifetime": urlLifetime = try duration()
        case "session_lifetime": sessionLifetime = try duration()
        case "processing_time": processingTime = try duration()
        case "latency": latency = try duration()
        case "bandwidth":
            if value == .null || value == .integer(0) {
                bandwidth = nil
            } else if let text = value.string {
                bandwidth = try need(Quantity.rate(text))
            } else {
                bandwidth = try bytes()
            }
        case "max_file_size": maxFileSize = try bytes()
        case "asset_urls": assetURLs = try need(value.bool ?? ["on": true, "off": false][value.string ?? ""])
        case "upload_headers":
            guard case .object(let headers) = value else { return try need(nil) }
            var texts: [String: String] = [:]
            for (header, text) in headers { texts[header] = try need(text.string) }
            uploadHeaders = texts
        case "require_upload_headers": requiresUploadHeaders = try need(value.bool)
        case "opaque_etags": opaqueETags = try need(value.bool)
        case "asset_failure": assetFailure = value == .null ? nil : try need(value.string)
        case "clock_skew": clockSkew = try signedDuration()
        default: throw .parameterInvalid(name, "no such setting")
        }
    }

    /// What `GET /_sandbox/configuration` answers: bytes and seconds. The key is not shown.
    var json: JSONValue {
        .object([
            "chunk_size": .integer(chunkSize), "initial_urls": .integer(Int64(initialURLs)),
            "urls_per_call": .integer(Int64(urlsPerCall)), "url_lifetime": .number(urlLifetime.inSeconds),
            "session_lifetime": .number(sessionLifetime.inSeconds),
            "processing_time": .number(processingTime.inSeconds), "latency": .number(latency.inSeconds),
            "bandwidth": .optional(bandwidth), "max_file_size": .integer(maxFileSize),
            "asset_urls": .bool(assetURLs), "upload_headers": .object(uploadHeaders.mapValues { .string($0) }),
            "require_upload_headers": .bool(requiresUploadHeaders), "opaque_etags": .bool(opaqueETags),
            "asset_failure": .optional(assetFailure), "clock_skew": .number(clockSkew.inSeconds),
        ])
    }
}
