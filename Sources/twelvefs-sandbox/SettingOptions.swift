import ArgumentParser
import SandboxPlatform

extension Specification: ExpressibleByArgument {}
extension SandboxSettings.ETags: ExpressibleByArgument {}

/// How long things live and take.
struct DelayOptions: ParsableArguments {
    @Option(help: "How long a URL lives.")
    var urlLifetime = Time(.seconds(3600), shown: "1h")

    @Option(help: "How long an asset's URL lives (default: for ever).")
    var assetUrlLifetime: Time?

    @Option(help: "How long a session lives.")
    var sessionLifetime = Time(.seconds(86400), shown: "24h")

    @Option(help: "How long a complete asset is processed.")
    var processingTime = Time(.seconds(1), shown: "1s")

    @Option(help: "How long a session reads active after its last report.")
    var completionDelay = Time(.zero, shown: "0s")

    @Option(help: "How long an asset does not exist after the last report.")
    var assetDelay = Time(.zero, shown: "0s")

    @Option(help: "Added before each answer.")
    var latency = Time(.zero, shown: "0ms")

    @Option(help: "Added before each answer of the API, and not of the store.")
    var apiLatency = Time(.zero, shown: "0ms")

    @Option(help: "How far its clock is ahead of this machine's; with a minus (--clock-skew=-30s), behind it.")
    var clockSkew = ClockSkew.none

    func apply(to settings: inout SandboxSettings) {
        settings.urlLifetime = urlLifetime.duration
        settings.assetURLLifetime = assetUrlLifetime?.duration
        settings.sessionLifetime = sessionLifetime.duration
        settings.processingTime = processingTime.duration
        settings.completionDelay = completionDelay.duration
        settings.assetDelay = assetDelay.duration
        settings.latency = latency.duration
        settings.apiLatency = apiLatency.duration
        settings.clockSkew = clockSkew.duration
    }
}

/// How much the account may do, and what its answers tell of it.
struct LimitOptions: ParsableArguments {
    @Option(
        help:
            "Calls in a window of time; every answer of the API then tells in headers what is left (default: no limit)."
    )
    var rateLimit: Int?

    @Option(help: "How long that window is.")
    var rateLimitWindow = Time(.seconds(86400), shown: "24h")

    @Flag(help: "Give every answer of the API an x-trace-id.")
    var traceIds = false

    func validate() throws {
        guard rateLimit ?? 0 >= 0 else { throw ValidationError("--rate-limit must be at least 0.") }
    }

    func apply(to settings: inout SandboxSettings) {
        settings.rateLimit = rateLimit
        settings.rateLimitWindow = rateLimitWindow.duration
        settings.traceIDs = traceIds
    }
}
