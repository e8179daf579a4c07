import Formats
import UploadCore

// How the configuration's values travel to the process in the background. Both ends are the same program, so the form is
// nobody else's business.

extension ByteCount: Codable {
    /// From a number of bytes.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(Int64.self))
    }

    /// As a number of bytes.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }
}

extension NamePolicy.OtherFiles: Codable {}
