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
            discussion: "By default the key is taken from $TWELVELABS_API_KEY; it is never an argument.",
            valueName: "file"),
        completion: .file())
    var apiKeyFile: String?

    @Option(
        name: .customLong("ca-file"),
        help: ArgumentHelp("PEM file with certificates to trust beside the system's.", valueName: "file"),
        completion: .file())
    var caFile: String?

    func validate() throws {
        if let apiURL { _ = try BaseURL.checked(apiURL, from: "--api-url") }
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
