import NIOHTTP1

/// The calls of the API: what each is to the server, and what people call it.
package enum APICall: String, Sendable, CaseIterable {
    case createSession, listIncomplete, sessionStatus, report, moreURLs, listAssets, asset, deleteAsset, checkKey

    var method: HTTPMethod {
        switch self {
        case .createSession, .report, .moreURLs: .POST
        case .listIncomplete, .sessionStatus, .listAssets, .asset, .checkKey: .GET
        case .deleteAsset: .DELETE
        }
    }

    /// The path below the base URL; `id` is the upload's or the asset's, and has been checked with ``isPlainID(_:)``.
    func path(id: String) -> String {
        switch self {
        case .createSession, .listIncomplete: "/assets/multipart-uploads"
        case .sessionStatus, .report: "/assets/multipart-uploads/\(id)"
        case .moreURLs: "/assets/multipart-uploads/\(id)/presigned-urls"
        case .listAssets, .checkKey: "/assets"
        case .asset, .deleteAsset: "/assets/\(id)"
        }
    }

    /// What was tried: "the platform refused to …".
    var words: String {
        switch self {
        case .createSession: "open an upload session"
        case .listIncomplete: "list incomplete uploads"
        case .sessionStatus: "tell the upload session's status"
        case .report: "take the report of stored chunks"
        case .moreURLs: "hand out more upload URLs"
        case .listAssets: "tell the assets' status"
        case .asset: "tell the asset's status"
        case .deleteAsset: "delete the asset"
        case .checkKey: "list the newest asset"
        }
    }

    /// What a call is about.
    enum Subject: Sendable, Equatable {
        /// An upload's session, which is named: when it is not found, it is gone.
        case session
        /// An asset that is named, or several.
        case asset
        /// Nothing that is there already: what is refused is the call.
        case account
    }

    /// What the call is about, and with it what an answer that does not find it, or denies it, is about.
    var subject: Subject {
        switch self {
        case .sessionStatus, .report, .moreURLs: .session
        case .listAssets, .asset, .deleteAsset: .asset
        case .createSession, .listIncomplete, .checkKey: .account
        }
    }

    /// Whether the path holds an upload's or an asset's identifier.
    var hasIDInPath: Bool { subject != .account && self != .listAssets }

    /// Whether an identifier may become part of a path and of a file's name as it is: 1 to 200 letters, digits and `-._~:=+@`,
    /// not starting with a dot. The platform's are 24 hex digits.
    static func isPlainID(_ id: String) -> Bool {
        (1...200).contains(id.utf8.count) && id.utf8.first != UInt8(ascii: ".")
            && id.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || "-._~:=+@".utf8.contains(byte)
            }
    }
}
