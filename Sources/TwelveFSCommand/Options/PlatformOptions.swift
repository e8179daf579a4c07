import ArgumentParser

/// Which platform, and as whom: for every command that talks to it.
struct PlatformOptions: ParsableArguments {
    @Option(
        name: .customLong("api-url"),
        help: ArgumentHelp(
            "The platform's base URL.",
            discussion: "By default $TWELVELABS_BASE_URL, or else \(BaseURL.official).",
            valueName: "url"))
    var apiURL: String?

    @Option(
        name: .customLong("api-key-file"),
        help: ArgumentHelp(
            "A file with the API key alone on one line.",
            discussion:
                "By default the key is taken from $\(KeyReader.variables.joined(separator: " or $")); it is never an argument.",
            valueName: "file"),
        completion: .file())
    var apiKeyFile: String?

    @Option(
        name: .customLong("ca-file"),
        help: ArgumentHelp("PEM file with certificates to trust beside the system's.", valueName: "file"),
        completion: .file())
    var caFile: String?

    @Option(
        name: .customLong("proxy"),
        help: ArgumentHelp(
            "The proxy to go through, or 'none'.",
            discussion: """
                http://HOST:PORT (by CONNECT) or socks5://HOST:PORT, which looks names up itself; no password, since everyone \
                reads arguments. By default $HTTPS_PROXY or $ALL_PROXY, in lowercase first, but for this machine's own \
                addresses. The hosts in $NO_PROXY are reached directly in any case.
                """,
            valueName: "url|none"))
    var proxy: String?

    @Option(
        name: .customLong("proxy-file"),
        help: ArgumentHelp(
            "A file with the proxy's URL alone on one line: http://[USER:PASSWORD@]HOST:PORT.", valueName: "file"),
        completion: .file())
    var proxyFile: String?

    func validate() throws {
        if let apiURL { _ = try BaseURL.checked(apiURL, from: "--api-url") }
        if let proxy, let objection = ProxyReader.objection(toOption: proxy) { throw ValidationError(objection) }
        guard proxy == nil || proxyFile == nil else { throw ValidationError("give --proxy or --proxy-file, not both") }
    }

    /// Key, proxy and certificates by option or environment; what the user should be warned of is said.
    ///
    /// - Throws: a ``CommandFailure`` that says what is wrong with which source, and never shows what was read.
    func access(environment: [String: String]) throws -> PlatformAccess {
        let key = try KeyReader.read(file: apiKeyFile, environment: environment)
        let proxy = try ProxyReader.read(option: proxy, file: proxyFile, environment: environment)
        for warning in [key.warning, proxy.warning].compactMap(\.self) { Terminal.complain("warning: \(warning)") }
        return PlatformAccess(
            key: key.key, keyLocation: key.location, proxies: proxy.rules,
            certificates: try caFile.map(CertificateFile.read))
    }

    /// The base URL by option, environment or default, checked.
    func baseURL(environment: [String: String]) throws -> String {
        if let apiURL { return try BaseURL.checked(apiURL, from: "--api-url") }
        if let fromEnvironment = environment["TWELVELABS_BASE_URL"], !fromEnvironment.isEmpty {
            return try BaseURL.checked(fromEnvironment, from: "$TWELVELABS_BASE_URL")
        }
        return BaseURL.official
    }
}
