import Synchronization
import UploadCore

/// The key that the API knows its user by. It shows itself to nobody: neither description, dump nor mirror holds it.
public struct APIKey: Sendable, Equatable {
    /// The key as it goes into the `x-api-key` header.
    package let secret: String

    /// Takes the text of a key, without the white space around it (a key file usually ends in a newline).
    ///
    /// - Throws: ``UploadFailure/Kind/invalidConfiguration`` when nothing is left, or when it holds what no header may hold.
    public init(_ text: String) throws(UploadFailure) {
        let secret = text.trimmingASCIIWhitespace()
        guard !secret.isEmpty else {
            throw UploadFailure(.invalidConfiguration, code: "api_key_missing", message: "the API key is empty")
        }
        guard secret.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), secret.utf8.count <= 4096 else {
            throw UploadFailure(
                .invalidConfiguration, code: "api_key_malformed",
                message: "the API key holds characters that no key has (spaces, line breaks or non-ASCII)",
                hint: "copy the key again, alone on one line")
        }
        self.secret = secret
    }
}

extension APIKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Always `<redacted>`.
    public var description: String { "<redacted>" }
    /// Always `<redacted>`.
    public var debugDescription: String { "<redacted>" }
    /// A mirror without children: `dump` prints what a mirror shows.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Where each call takes the key from, so that a key file that is read again later changes it for all calls after.
public final class APIKeySource: Sendable {
    private let key: Mutex<APIKey>

    /// A source that gives `key` until told otherwise.
    public init(_ key: APIKey) {
        self.key = Mutex(key)
    }

    /// The key that the next call will carry.
    public var current: APIKey { key.withLock { $0 } }

    /// Gives `newKey` from now on; calls under way keep theirs.
    ///
    /// - Returns: whether that is another key than before.
    @discardableResult
    public func replace(with newKey: APIKey) -> Bool {
        key.withLock { key in
            defer { key = newKey }
            return key != newKey
        }
    }
}

extension String {
    /// Without the white space around it, the end of a file's last line above all.
    func trimmingASCIIWhitespace() -> String {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = utf8.firstIndex(where: { !isSpace($0) }), let last = utf8.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(utf8[first...last]) ?? ""
    }
}
