import Crypto
import FoundationEssentials

/// Makes and checks the store's presigned URLs. The signature covers session, chunk, serial number and expiry.
struct URLSigner: Sendable {
    private let key: SymmetricKey

    init(secret: [UInt8]) {
        key = SymmetricKey(data: secret)
    }

    /// What a URL allows: one PUT of one chunk, until it expires.
    struct Grant: Sendable, Equatable {
        var uploadID: String
        var chunkIndex: Int
        /// Random, so that a URL can be told from the next one for the same chunk.
        var serial: String
        /// Milliseconds since 1970.
        var expires: Int64
    }

    /// The parameter that holds the signature.
    static let signatureName = "X-Amz-Signature"

    /// Path and query.
    func target(for grant: Grant) -> String {
        "/_store/\(grant.uploadID)/\(grant.chunkIndex)?serial=\(grant.serial)&expires=\(grant.expires)"
            + "&\(Self.signatureName)=\(hex(signature(of: grant)))"
    }

    /// The grant, when the signature is right; nil when anything was changed or is missing.
    func grant(uploadID: String, chunkIndex: Int, query: [String: String]) -> Grant? {
        guard let serial = query["serial"], let expires = query["expires"].flatMap({ Int64($0) }),
            let signature = query[Self.signatureName]
        else { return nil }
        let grant = Grant(uploadID: uploadID, chunkIndex: chunkIndex, serial: serial, expires: expires)
        return hex(self.signature(of: grant)) == signature ? grant : nil
    }

    private func signature(of grant: Grant) -> HMAC<SHA256>.MAC {
        signature(of: "\(grant.uploadID)\n\(grant.chunkIndex)\n\(grant.serial)\n\(grant.expires)")
    }

    private func signature(of message: String) -> HMAC<SHA256>.MAC {
        HMAC<SHA256>.authenticationCode(for: Data(message.utf8), using: key)
    }

    // MARK: assets

    /// Path and query that an asset is read from; without a signature where it never expires.
    func target(ofAsset assetID: String, named filename: String, until expires: WallTime?) -> String {
        let path = "/_store/content/\(assetID)/\(filename.percentEncoded)"
        guard let expires else { return path }
        let milliseconds = Int64(expires.seconds * 1000)
        return "\(path)?expires=\(milliseconds)&\(Self.signatureName)=\(hex(assetSignature(assetID, milliseconds)))"
    }

    /// When the URL of an asset expires, when the signature is right; nil when anything was changed or is missing.
    func expiry(ofAsset assetID: String, query: [String: String]) -> WallTime? {
        guard let expires = query["expires"].flatMap({ Int64($0) }), let signature = query[Self.signatureName],
            hex(assetSignature(assetID, expires)) == signature
        else { return nil }
        return WallTime(seconds: Double(expires) / 1000)
    }

    private func assetSignature(_ assetID: String, _ expires: Int64) -> HMAC<SHA256>.MAC {
        signature(of: "content\n\(assetID)\n\(expires)")
    }
}
