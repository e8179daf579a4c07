import PlatformClient
import UploadCore

/// Where the API key comes from: a file, or else the environment. Never an argument, which everybody can read in `ps`.
package enum KeyReader {
    /// The variables that the key is taken from when no file is given: ours, and the official SDK's.
    package static let variables = ["TWELVELABS_API_KEY", "TWELVE_LABS_API_KEY"]

    private static let file = SecretFile(content: "API key", option: "--api-key-file")

    /// The key, and what the user should be warned of.
    package struct Reading {
        package var key: APIKey
        /// Where it was found, for hints: the file, or `$TWELVELABS_API_KEY`.
        package var location: String
        package var warning: String?
    }

    /// Reads the key from `file`, or from `environment` when there is none.
    ///
    /// - Throws: a ``CommandFailure`` that says what is wrong with which source, and never shows what was read.
    package static func read(file: String?, environment: [String: String]) throws -> Reading {
        if let file {
            let reading = try Self.file.read(file)
            return Reading(key: try key(reading.text, from: file), location: file, warning: reading.warning)
        }
        let given = variables.filter { environment[$0]?.isEmpty == false }
        guard let first = given.first else {
            throw CommandFailure(
                "no API key", hint: "Set $\(variables[0]), or name a file that holds it with --api-key-file")
        }
        let keys = try given.map { try key(environment[$0] ?? "", from: "$\($0)") }
        guard keys.allSatisfy({ $0 == keys[0] }) else {
            throw CommandFailure(
                "\(given.map { "$\($0)" }.joined(separator: " and ")) hold different keys",
                hint: "Unset one of them, or name a file that holds the key with --api-key-file")
        }
        return Reading(key: keys[0], location: "$\(first)", warning: nil)
    }

    private static func key(_ text: String, from source: String) throws -> APIKey {
        do {
            return try APIKey(text)
        } catch {
            throw CommandFailure(
                "\(source): \(error.message)", hint: error.hint ?? "It should hold the key alone, on one line")
        }
    }
}
