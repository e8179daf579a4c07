import Logging
import PlatformClient
import UploadCore

/// Asks the platform once, before a mount says that it is usable.
package enum PlatformProbe {
    /// Lists one incomplete upload: the cheapest call that needs a good key.
    ///
    /// A refused key refuses the mount. So does a platform that cannot be reached or does not answer as it should, unless
    /// there is something to resume: then the mount waits for it as it would at any other time.
    /// - Throws: a ``CommandFailure``.
    package static func run(
        _ configuration: MountConfiguration, key: APIKey, hasUploadsToResume: Bool, logger: Logger
    ) async throws {
        let client = try client(for: configuration, key: key, logger: logger)
        let failure: UploadFailure?
        do throws(UploadFailure) {
            _ = try await client.incompleteUploads(page: 1, limit: 1)
            failure = nil
        } catch {
            failure = error
        }
        await client.shutdown()
        guard let failure else { return }
        switch verdict(on: failure, hasUploadsToResume: hasUploadsToResume) {
        case .refuse: throw refusal(failure, configuration)
        case .goOn:
            logger.warning(
                "the platform did not answer as it should; going on",
                metadata: ["code": "\(failure.code)", "reason": "\(failure.message)"])
        }
    }

    package enum Verdict {
        case refuse
        case goOn
    }

    package static func verdict(on failure: UploadFailure, hasUploadsToResume: Bool) -> Verdict {
        switch failure.kind {
        case .keyRefused, .invalidConfiguration: .refuse
        // It is there and knows us, and asks for patience: so uploads will wait.
        case .rateLimited: .goOn
        case .unreachable, .connectionLost, .platformUnavailable, .unreadableAnswer, .accessRefused, .accessUnclear,
            .requestRefused, .sessionGone, .conflict, .sessionRefused, .sizeRefused, .urlExpired, .storeRefused,
            .storeUnavailable, .checksumMismatch, .tooLarge,
            .noSpace,
            .spoolFailed, .stalled, .interrupted, .cancelled, .replaced:
            hasUploadsToResume ? .goOn : .refuse
        }
    }

    /// A client for a command's own calls.
    package static func client(for configuration: MountConfiguration, key: APIKey, logger: Logger) throws
        -> PlatformClient
    {
        try client(
            apiURL: configuration.apiURL, caFile: configuration.caFile, keyFile: configuration.apiKeyFile, key, logger)
    }

    package static func client(
        apiURL: String, caFile: String?, keyFile: String?, _ key: APIKey, _ logger: Logger
    ) throws -> PlatformClient {
        var platform = PlatformConfiguration(
            baseURL: apiURL, keySource: APIKeySource(key), keyLocation: keyFile ?? "$\(KeyReader.variable)")
        platform.caFile = caFile
        platform.callTimeout = .seconds(20)
        do {
            return try PlatformClient(configuration: platform, logger: logger)
        } catch {
            throw CommandFailure(error.message, hint: error.hint)
        }
    }

    /// The failure in the words of a mount: what a client says of an upload ("goes on by itself") is not true of it.
    private static func refusal(_ failure: UploadFailure, _ configuration: MountConfiguration) -> CommandFailure {
        switch failure.kind {
        case .keyRefused:
            CommandFailure("the platform refuses the API key: \(failure.message)", hint: failure.hint)
        case .unreachable, .connectionLost, .platformUnavailable:
            CommandFailure(
                "the platform at \(configuration.apiURL) does not answer: \(failure.message)",
                hint: "Check the network and --api-url, and try again")
        case .invalidConfiguration:
            CommandFailure(failure.message, hint: failure.hint)
        case .accessRefused, .accessUnclear:
            CommandFailure("the platform refuses the account: \(failure.message)", hint: failure.hint)
        case .unreadableAnswer, .requestRefused, .sessionGone, .conflict, .sessionRefused, .sizeRefused, .rateLimited,
            .urlExpired, .storeRefused, .storeUnavailable, .checksumMismatch, .tooLarge, .noSpace, .spoolFailed,
            .stalled,
            .interrupted, .cancelled, .replaced:
            CommandFailure(
                "what answers at \(configuration.apiURL) is not the platform's API: \(failure.message)",
                hint: "Check --api-url")
        }
    }
}
