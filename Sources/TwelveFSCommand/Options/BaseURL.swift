import ArgumentParser
import PlatformClient

/// The platform's base URL as an option or the environment gives it. What it may be, `WebAddress` knows.
package enum BaseURL {
    /// The platform's own address.
    package static let official = PlatformConfiguration.defaultBaseURL

    /// `text` without trailing slashes, if it is a URL that the key may be sent to.
    ///
    /// - Parameter source: where the text came from, for the message (`--api-url`).
    /// - Throws: `ValidationError` when it is none. The text itself is shown only when it cannot hold a password.
    package static func checked(_ text: String, from source: String) throws -> String {
        do throws(WebAddress.BaseProblem) {
            _ = try WebAddress.apiBase(text)
        } catch {
            throw ValidationError("\(source) \(words(for: error, text.contains("@") ? "…" : text))")
        }
        var base = text[...]
        while base.hasSuffix("/") { base.removeLast() }
        return String(base)
    }

    private static func words(for problem: WebAddress.BaseProblem, _ shown: String) -> String {
        let example = "Give one like \(official)"
        return switch problem {
        case .unusable(.malformed): "is not a URL: '\(shown)'. \(example)"
        case .unusable(.otherScheme): "has a scheme that is not https: '\(shown)'. \(example)"
        case .unusable(.userInfo): "must not hold a user name or password. \(example)"
        case .unusable(.badPort): "has an impossible port: '\(shown)'. \(example)"
        case .queryOrFragment: "must not have a query or fragment: '\(shown)'. \(example)"
        case .unencrypted(let host):
            "would send the API key unencrypted to \(host). Use https; http is for this machine only"
        }
    }
}
