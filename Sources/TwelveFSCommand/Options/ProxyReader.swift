import PlatformClient

/// Where the proxy comes from: `--proxy`, a file, or else the environment.
package enum ProxyReader {
    /// The variables that name a proxy for https, those before others counting: the lowercase ones first, as curl, wget and
    /// Python have it.
    package static let variables = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    /// Those that list the hosts that need none, likewise.
    package static let exceptionVariables = ["no_proxy", "NO_PROXY"]
    /// What stands for no proxy at all, whatever the environment says.
    package static let none = "none"

    private static let file = SecretFile(content: "proxy", option: "--proxy-file")

    /// Which hosts are reached through a proxy, and what the user should be warned of.
    package struct Reading {
        package var rules: ProxyRules
        package var warning: String?
    }

    /// Reads the proxy.
    ///
    /// The hosts of `NO_PROXY` are reached directly however the proxy was given; this machine too, unless it was given for this
    /// command alone.
    ///
    /// - Parameters:
    ///   - option: the value of `--proxy`, checked before with ``check(option:)``.
    ///   - file: the file of `--proxy-file`.
    /// - Throws: a ``CommandFailure`` that says what is wrong with which source, and never shows what was read.
    package static func read(option: String?, file: String?, environment: [String: String]) throws -> Reading {
        func value(of variables: [String]) -> (name: String, text: String)? {
            for name in variables {
                if let text = environment[name], !text.isEmpty { return (name, text) }
            }
            return nil
        }
        let exceptions = value(of: exceptionVariables)?.text ?? ""
        if let file {
            let reading = try Self.file.read(file)
            let server = try server(reading.text, from: file)
            return Reading(
                rules: ProxyRules(server: server, exceptions: exceptions, coversLoopback: true),
                warning: reading.warning)
        }
        if let option {
            let server = try server(option, from: "--proxy")
            return Reading(rules: ProxyRules(server: server, exceptions: exceptions, coversLoopback: true))
        }
        guard let (name, text) = value(of: variables) else { return Reading(rules: .none) }
        return Reading(
            rules: ProxyRules(server: try server(text, from: "$\(name)"), exceptions: exceptions))
    }

    /// What is wrong with the value of `--proxy`, in words that do not repeat it; nil when it may be used.
    package static func objection(toOption text: String) -> String? {
        // Before all else, since a malformed URL may hold a password too.
        if text.contains("@") {
            return
                "--proxy must not hold a user name or password, which everyone can read in 'ps': put the whole URL into a file, and name that with --proxy-file, or into $HTTPS_PROXY"
        }
        guard text != none else { return nil }
        do throws(ProxyServer.Problem) {
            _ = try ProxyServer(parsing: text)
            return nil
        } catch {
            return "--proxy cannot be used: \(error.words). \(example)"
        }
    }

    private static func server(_ text: String, from source: String) throws -> ProxyServer? {
        guard text.split(whereSeparator: \.isWhitespace) != [none[...]] else { return nil }
        do throws(ProxyServer.Problem) {
            return try ProxyServer(parsing: text)
        } catch {
            throw CommandFailure("the proxy in \(source) cannot be used: \(error.words)", hint: example)
        }
    }

    private static let example = "Give one like http://proxy.example:3128 or socks5://proxy.example:1080"
}
