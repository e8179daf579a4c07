import NIOHTTP1
import UploadCore

/// The store's ETag, and what it proves.
package enum ETag {
    /// The ETag without quotes and weakness mark, checked against what was sent.
    ///
    /// For plain parts it is the MD5 of the bytes, which 32 hex digits are compared with. Every other form is opaque, and taken as
    /// it is, whether or not a header names encryption: nothing can be concluded from it. Nor can it from 32 hex digits where
    /// one names KMS or a customer's key.
    ///
    /// - Throws: `checksumMismatch` when there is none, or when it has an MD5's form and is another one.
    package static func check(
        answer: HTTPHeaders, uploadHeaders: [(String, String)], md5: String, status: Int
    ) throws(UploadFailure) -> String {
        guard let etag = unquoted(answer.first(name: "etag")) else {
            throw UploadFailure(
                .checksumMismatch, code: "etag_missing", message: "the store's answer carries no usable ETag",
                hint:
                    "the chunk cannot be proven to be stored; if this persists, something between here and the store removes the header",
                httpStatus: status)
        }
        let isEncrypted = namesEncryption(uploadHeaders) || namesEncryption(answer.map { ($0.name, $0.value) })
        guard hasFormOfMD5(etag), !isEncrypted else { return etag }
        guard etag.lowercased() == md5 else {
            throw UploadFailure(
                .checksumMismatch, code: "etag_mismatch",
                message: "the store's ETag is not the MD5 of the bytes that were sent",
                hint: "the chunk arrived damaged, or something between here and the store changes it",
                httpStatus: status)
        }
        return etag
    }

    /// Nil for none, an empty one, and one that is too long or holds what no proof does.
    package static func unquoted(_ value: String?) -> String? {
        guard var text = value?.trimmed[...] else { return nil }
        if text.hasPrefix("W/") || text.hasPrefix("w/") { text = text.dropFirst(2) }
        if text.count >= 2, text.first == "\"", text.last == "\"" { text = text.dropFirst().dropLast() }
        guard (1...256).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") })
        else { return nil }
        return String(text)
    }

    private static func hasFormOfMD5(_ etag: String) -> Bool {
        etag.utf8.count == 32
            && etag.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0)
            }
    }

    /// Encryption under which S3's ETag is not the MD5, whatever it looks like.
    private static func namesEncryption(_ headers: [(String, String)]) -> Bool {
        headers.contains { name, value in
            switch name.lowercased() {
            case "x-amz-server-side-encryption": value.trimmed.lowercased().hasPrefix("aws:kms")
            case "x-amz-server-side-encryption-customer-algorithm": true
            default: false
            }
        }
    }
}
