import ArgumentParser
import Dispatch
import Foundation
import Logging
import SandboxPlatform

@main
struct TwelveFSSandbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "twelvefs-sandbox",
        abstract: "A stand-in for the TwelveLabs multipart-upload API and its object store.",
        discussion: """
            The first line on standard output tells the base URL; where the control calls have a port of their own, the \
            second line tells it. What was asked for is told by GET /_sandbox/journal, \
            what came of it by GET /_sandbox/assets; POST /_sandbox/faults and /_sandbox/configuration change what it does. \
            Started again with the same --state-dir and --port it goes on where it was, however it ended.
            """)

    @OptionGroup(title: "Addresses")
    var addresses: AddressOptions

    @Option(help: "Where sessions and parts are kept (default: a temporary directory, removed at the end).")
    var stateDir: String?

    @Option(help: "The key that calls have to carry (default: $TWELVELABS_API_KEY, or sandbox-key).")
    var apiKey: String?

    @Option(help: "Bytes of every chunk but the last.")
    var chunkSize = SandboxSize(5 << 20, shown: "5MiB")

    @Option(help: "How many URLs a new session gets.")
    var initialUrls = 10

    @Option(help: "How many URLs one call for more gets at most.")
    var urlsPerCall = 50

    @OptionGroup(title: "Time")
    var delays: DelayOptions

    @OptionGroup(title: "Limits of the account")
    var limits: LimitOptions

    @Option(help: "Of all PUT bodies together, such as 100MB/s.")
    var bandwidth = Rate.unlimited

    @Option(help: "The published specification that requests are held to: 2026-02 or 2026-07.")
    var spec = Specification.july2026

    @Option(help: "The largest video (default: what the specification says).")
    var maxFileSize: SandboxSize?

    @Option(help: "Whether the last report's answer holds the asset's URL.")
    var assetUrls = SandboxSwitch.on

    @Option(name: .customLong("upload-header"), help: "NAME=VALUE that PUTs have to carry; may be repeated.")
    var uploadHeaders: [HeaderArgument] = []

    @Option(
        help: "The store's ETags: md5, kms (not the MD5, and a header says so) or opaque (another form, no header).")
    var etags = SandboxSettings.ETags.md5

    @Flag(help: "The same as --etags kms.")
    var opaqueEtags = false

    @Option(help: "What is answered for an asset that does not exist: 404 or 400.")
    var missingAssetStatus = 404

    @Option(help: "Threads that move bytes between sockets and the rest.")
    var eventLoopThreads = 2

    @Option(help: "A file with faults to play from the start, as for POST /_sandbox/faults.")
    var faults: String?

    @Flag(name: .shortAndLong, help: "Log what goes wrong to standard error.")
    var verbose = false

    func validate() throws {
        guard initialUrls >= 0, urlsPerCall >= 1 else {
            throw ValidationError("--initial-urls must be at least 0, --urls-per-call at least 1.")
        }
        guard [400, 404].contains(missingAssetStatus) else {
            throw ValidationError("--missing-asset-status must be 400 or 404.")
        }
        guard (1...64).contains(eventLoopThreads) else {
            throw ValidationError("--event-loop-threads must be between 1 and 64.")
        }
    }

    mutating func run() async throws {
        if let folder = addresses.makeCa {
            try CertificateAuthority(names: addresses.namesOrLoopback).write(to: folder)
            print(CertificateAuthority.authorityFile(in: folder))
            return
        }
        let signals = TerminationSignals()
        let sandbox = try await Sandbox.start(configuration())
        var lines = "listening on \(sandbox.baseURL)\n"
        if sandbox.controlOrigin != sandbox.origin { lines += "control on \(sandbox.controlOrigin)/_sandbox\n" }
        FileHandle.standardOutput.write(Data(lines.utf8))
        await signals.wait()
        await sandbox.stop()
    }

    private func configuration() throws -> SandboxConfiguration {
        var configuration = SandboxConfiguration()
        addresses.apply(to: &configuration)
        configuration.stateDirectory = stateDir
        configuration.eventLoopThreads = eventLoopThreads
        configuration.apiKey =
            apiKey ?? ProcessInfo.processInfo.environment["TWELVELABS_API_KEY"] ?? configuration.apiKey
        configuration.chunkSize = chunkSize.bytes
        configuration.initialURLs = initialUrls
        configuration.urlsPerCall = urlsPerCall
        configuration.bandwidth = bandwidth.bytesPerSecond
        configuration.specification = spec
        configuration.maxFileSize = maxFileSize?.bytes
        configuration.assetURLs = assetUrls == .on
        for header in uploadHeaders { configuration.uploadHeaders[header.name] = header.value }
        configuration.requiresUploadHeaders = !uploadHeaders.isEmpty
        configuration.etags = opaqueEtags ? .kms : etags
        configuration.missingAssetStatus = missingAssetStatus
        delays.apply(to: &configuration.settings)
        limits.apply(to: &configuration.settings)
        if let faults {
            guard let text = try? String(contentsOfFile: faults, encoding: .utf8) else {
                throw ValidationError("\(faults) cannot be read.")
            }
            configuration.faults = try InjectedFault.list(parsing: text)
        }
        if verbose {
            configuration.logger = Logger(label: "twelvefs-sandbox") { StreamLogHandler.standardError(label: $0) }
        }
        return configuration
    }
}

/// SIGTERM and SIGINT, received instead of dying of them.
struct TerminationSignals {
    private let sources: [any DispatchSourceSignal]
    private let arrivals: AsyncStream<Void>

    init() {
        let (arrivals, continuation) = AsyncStream<Void>.makeStream()
        self.arrivals = arrivals
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.resume()
            return source
        }
    }

    /// Returns at the first of them.
    func wait() async {
        for await _ in arrivals { break }
        for source in sources { source.cancel() }
    }
}
