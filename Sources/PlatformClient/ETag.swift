import NIOHTTP1
import UploadCore

/// The store's ETag, and what it proves.
package enum ETag {
    /// The ETag without quotes and weakness mark, checked against what was sent.
    ///
    /// For plain parts it is the MD5 of the bytes; with KMS encryption or a customer's key it is opaque, and taken as it is.
    ///
    /// - Throws: `checksumMismatch` when there is none, or when it is not the MD5 although it should be.
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
        if isOpaque(uploadHeaders) || isOpaque(answer.map { ($0.name, $0.value) }) { return etag }
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

    private static func isOpaque(_ headers: [(String, String)]) -> Bool {
        headers.contains { name, value in
            switch name.lowercased() {
            case "x-amz-server-side-encryption": value.trimmed.lowercased().hasPrefix("aws:kms")
            case "x-amz-server-side-encryption-customer-algorithm": true
            default: false
            }
        }
    }
}
