/// What can be changed while the stand-in runs (`POST /_sandbox/configuration`).
public struct SandboxSettings: Sendable, Equatable {
    /// The ETags that the store answers.
    public enum ETags: String, Sendable, CaseIterable {
        /// The MD5 of the bytes, as S3 answers them.
        case md5
        /// 32 hexadecimal digits that are not the MD5, with a header that names KMS.
        case kms
        /// Another form altogether, and no header that says so.
        case opaque
    }

    /// The key that every call has to carry.
    public var apiKey = "sandbox-key"
    /// The specification that requests are held to.
    public var specification = Specification.july2026
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
    /// From the last report to a session that reads `completed`; until then it reads `active`.
    public var completionDelay = Duration.zero
    /// From the last report to an asset that can be found; until then it does not exist.
    public var assetDelay = Duration.zero
    /// What is answered for an asset that does not exist: 404, or 400 as the specifications have it.
    public var missingAssetStatus = 404
    /// Added before each answer.
    public var latency = Duration.zero
    /// Added before each answer of the API, and not of the store.
    public var apiLatency = Duration.zero
    /// Bytes a second for all PUT bodies together; nil is unlimited.
    public var bandwidth: Int64?
    /// The largest `total_size` of videos and audio, bytes; nil is what the specification says.
    public var maxFileSize: Int64?
    /// Whether the last report's answer holds the asset's `url`.
    public var assetURLs = true
    /// How long an asset's `url` lives; nil is for ever.
    public var assetURLLifetime: Duration?
    /// What *create* answers as `upload_headers`. `{host}` stands for the store's name, with its port where it has one.
    public var uploadHeaders: [String: String] = [:]
    /// Whether a PUT without the upload headers is refused.
    public var requiresUploadHeaders = false
    /// Which ETags the store answers.
    public var etags = ETags.md5
    /// Why assets fail; nil lets them become ready.
    public var assetFailure: String?
    /// How far the platform's clock is ahead of the machine's (negative: behind).
    public var clockSkew = Duration.zero
    /// Calls that the account may make in a window of time; nil is without limit. Where there is a limit, every answer
    /// of the API tells in its `x-ratelimit-…` headers what is left of it.
    public var rateLimit: Int?
    /// How long a window is; it begins with the first call.
    public var rateLimitWindow = Duration.seconds(86400)
    /// Whether every answer of the API has an `x-trace-id`.
    public var traceIDs = false

    /// The platform as it is documented.
    public init() {}

    /// Whether the store answers as one that encrypts with KMS does: ETags are not the MD5.
    public var opaqueETags: Bool {
        get { etags == .kms }
        set { etags = newValue ? .kms : .md5 }
    }
}

extension SandboxSettings {
    /// Changes what the object names. Throws for a name or a value that it does not know, and then nothing is changed.
    mutating func apply(_ changes: SandboxJSON) throws(Refusal) {
        guard case .object(let members) = changes else {
            throw .parameterInvalid("body", "an object is expected")
        }
        var changed = self
        for (name, value) in members {
            guard let setting = Setting.all.first(where: { $0.name == name }) else {
                throw .parameterInvalid(name, "no such setting")
            }
            try setting.write(&changed, GivenSetting(name: name, value: value))
        }
        self = changed
    }

    /// The upload headers with what stands in them for the store's name put in.
    func uploadHeaders(store authority: String) -> [String: String] {
        uploadHeaders.mapValues { $0.replacing("{host}", with: authority) }
    }

    /// What `GET /_sandbox/configuration` answers: bytes and seconds. The key is not shown.
    var json: SandboxJSON {
        .object(
            Dictionary(
                uniqueKeysWithValues: Setting.all.compactMap { setting in
                    setting.read(self).map { (setting.name, $0) }
                }))
    }
}
