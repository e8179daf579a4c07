import Logging
import PlatformClient

/// The mount that `twelvefs mount` serves: file system, engine and platform put together.
struct PlatformMount: MountService {
    func hasUploadsToResume(_ configuration: MountConfiguration, logger: Logger) async throws -> Bool { false }

    func start(_ configuration: MountConfiguration, key: APIKey, logger: Logger) async throws -> any RunningMount {
        throw CommandFailure("this build has no file system in it")
    }
}
