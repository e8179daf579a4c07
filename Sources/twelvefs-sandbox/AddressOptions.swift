import ArgumentParser
import SandboxPlatform

/// Where the stand-in listens, and the names that it is reached by.
struct AddressOptions: ParsableArguments {
    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Flag(help: "Let others than this machine reach it; needed besides --host for an address by which they can.")
    var listenBeyondLoopback = false

    @Option(
        name: .customLong("allow-host"),
        help: ArgumentHelp(
            "A name by which clients may call it besides its own; may be repeated. Others are refused (403).",
            valueName: "name"))
    var allowedHosts: [String] = []

    @Option(help: "The port to listen on; 0 takes a free one.")
    var port = 0

    @Option(help: "NAME[:PORT] by which clients reach it, where that is another than the address.")
    var publicHost: String?

    @Option(help: "A port for the store alone, which the other one then does not serve; 0 takes a free one.")
    var storePort: Int?

    @Option(help: "Scheme, host and port of the URLs that are given out (default: those by which they were asked for).")
    var storeUrl: String?

    @Option(help: "A port on 127.0.0.1 for the control calls, without TLS (default: with TLS a free one, else none).")
    var controlPort: Int?

    @Option(help: "The certificate for https, PEM.")
    var tlsCert: String?

    @Option(help: "The certificate's key, PEM.")
    var tlsKey: String?

    @Option(
        help: """
            Make an authority and a server certificate that it signs in this directory (ca.pem, server.pem, \
            server-key.pem), tell where ca.pem is, and end.
            """)
    var makeCa: String?

    @Option(
        name: .customLong("tls-name"),
        help:
            "A name or an address that --make-ca's certificate is good for; may be repeated (default: this machine's own)."
    )
    var names: [String] = []

    var namesOrLoopback: [String] { names.isEmpty ? ["localhost", "127.0.0.1", "::1"] : names }

    func validate() throws {
        for (option, port) in [("--port", port), ("--store-port", storePort), ("--control-port", controlPort)] {
            guard (0...65535).contains(port ?? 0) else {
                throw ValidationError("\(option) must be between 0 and 65535.")
            }
        }
        guard (tlsCert == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key go together.")
        }
        if let storeUrl, !storeUrl.hasPrefix("http://"), !storeUrl.hasPrefix("https://") {
            throw ValidationError("--store-url must begin with http:// or https://.")
        }
    }

    func apply(to configuration: inout SandboxConfiguration) {
        configuration.host = host
        configuration.listensBeyondLoopback = listenBeyondLoopback
        configuration.allowedHosts = allowedHosts
        configuration.port = port
        configuration.publicHost = publicHost
        configuration.storePort = storePort
        configuration.storeURL = storeUrl
        configuration.controlPort = controlPort
        if let tlsCert, let tlsKey { configuration.tls = TLSFiles(certificate: tlsCert, key: tlsKey) }
    }
}
