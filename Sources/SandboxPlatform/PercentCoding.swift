extension StringProtocol {
    /// The text with `%41` as `A`; nil when a `%` is not followed by two hexadecimal digits, or the bytes are no UTF-8.
    var percentDecoded: String? {
        guard utf8.contains(UInt8(ascii: "%")) else { return String(self) }
        var bytes: [UInt8] = []
        var rest = Array(utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The text with everything but letters, digits and `-._~` as `%41` (RFC 3986, unreserved characters).
    var percentEncoded: String {
        var text = ""
        for byte in utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + hex(UInt64(byte), digits: 2).uppercased()
            }
        }
        return text
    }
}

extension String {
    /// Of a URL: what comes after `://`.
    var afterScheme: String {
        firstRange(of: "://").map { String(self[$0.upperBound...]) } ?? self
    }
}
