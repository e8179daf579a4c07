import Logging

/// The mount that `twelvefs mount` serves: file system, engine and platform put together.
struct PlatformMount: MountService {
    func attach(_ configuration: MountConfiguration, logger: Logger) throws -> any AttachedMount {
        throw CommandFailure("this build has no file system in it")
    }
}
