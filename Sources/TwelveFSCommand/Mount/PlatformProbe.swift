import Logging
import PlatformClient
import UploadCore

/// Asks the platform once, before a mount says that it is usable.
package enum PlatformProbe {
    /// Lists one incomplete upload, which needs a good key. Where that is refused without a reason, a second call tells whether the
    /// key is to blame: if it is not, uploads may well be allowed, and each tells by itself.
    ///
    /// A refused key refuses the mount. So does a platform that cannot be reached or does not answer as it should, unless
    /// there is something to resume: then the mount waits for it as it would at any other time.
    /// - Throws: a ``CommandFailure``.
    package static func run(
        _ configuration: MountConfiguration, access: PlatformAccess, hasUploadsToResume: Bool, logger: Logger
    ) async throws {
        let client = try client(apiURL: configuration.apiURL, access, logger)
        let outcome = await ask(client)
        await client.shutdown()
        guard let failure = outcome.failure else { return }
        if !outcome.isKeyAccepted, verdict(on: failure, hasUploadsToResume: hasUploadsToResume) == .refuse {
            throw refusal(failure, configuration)
        }
        var metadata: Logger.Metadata = ["code": "\(failure.code)", "reason": "\(failure.message)"]
        if let traceID = failure.traceID { metadata["trace_id"] = "\(traceID)" }
        logger.warning("the platform did not answer as it should; going on", metadata: metadata)
    }

    /// What listing the uploads failed with, and whether the platform accepts the key all the same.
    private static func ask(_ client: PlatformClient) async -> (failure: UploadFailure?, isKeyAccepted: Bool) {
        do throws(UploadFailure) {
            _ = try await client.incompleteUploads(page: 1, limit: 1)
            return (nil, true)
        } catch {
            guard error.kind == .accessUnclear else { return (error, false) }
            do throws(UploadFailure) {
                try await client.checkKey()
                return (error, true)
            } catch let second {
                return (second.kind == .keyRefused ? second : error, false)
            }
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
            .requestRefused, .sessionGone, .conflict, .sessionRefused, .sizeRefused, .typeRefused, .urlExpired,
            .storeRefused,
            .storeRedirected,
            .storeUnavailable, .checksumMismatch, .tooLarge,
            .noSpace,
            .spoolFailed, .stalled, .interrupted, .cancelled, .replaced:
            hasUploadsToResume ? .goOn : .refuse
        }
    }

    /// A client for a command's own calls.
    package static func client(
        apiURL: String, _ access: PlatformAccess, _ logger: Logger
    ) throws -> PlatformClient {
        var platform = PlatformConfiguration(
            baseURL: apiURL, keySource: APIKeySource(access.key), keyLocation: access.keyLocation)
        platform.certificates = access.certificates
        platform.proxies = access.proxies
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
                hint: saysWhatToDo(failure) ? failure.hint : "Check the network and --api-url, and try again")
        case .invalidConfiguration:
            CommandFailure(failure.message, hint: failure.hint)
        case .accessRefused, .accessUnclear:
            // Nothing is there yet that could be tried again.
            CommandFailure(
                "the platform refuses the account: \(failure.message)",
                hint: failure.hint?.replacing(", then 'twelvefs retry'", with: ""))
        case .unreadableAnswer, .requestRefused, .sessionGone, .conflict, .sessionRefused, .sizeRefused, .typeRefused,
            .rateLimited,
            .urlExpired, .storeRefused, .storeRedirected, .storeUnavailable, .checksumMismatch, .tooLarge, .noSpace,
            .spoolFailed,
            .stalled,
            .interrupted, .cancelled, .replaced:
            CommandFailure(
                "what answers at \(configuration.apiURL) is not the platform's API: \(failure.message)",
                hint: "Check --api-url")
        }
    }

    /// Whether a failure of the network tells what to do about it; the others say that waiting helps.
    private static func saysWhatToDo(_ failure: UploadFailure) -> Bool {
        failure.code.hasPrefix("proxy_") || failure.code == "certificate_untrusted"
    }
}
