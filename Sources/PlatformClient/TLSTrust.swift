import NIOSSL
import UploadCore

/// A PEM file that has been read.
public struct PEMFile: Sendable {
    /// Where it was, for messages.
    public let path: String
    /// What it holds.
    public let bytes: [UInt8]

    /// What was read from `path`.
    public init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }
}

/// Whom TLS trusts: the system's roots, and a file's beside them. Host names and chains are always verified.
enum TLSTrust {
    static func configuration(_ file: PEMFile?) throws(UploadFailure) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        guard let file else { return tls }
        let certificates: [NIOSSLCertificate]
        do {
            certificates = try NIOSSLCertificate.fromPEMBytes(file.bytes)
        } catch {
            throw UploadFailure(
                .invalidConfiguration, code: "ca_file_unreadable",
                message: "the file of trusted certificates cannot be read as PEM: \(file.path)",
                hint: "give --ca-file a readable file with at least one \"BEGIN CERTIFICATE\"")
        }
        guard !certificates.isEmpty else {
            throw UploadFailure(
                .invalidConfiguration, code: "ca_file_empty",
                message: "the file of trusted certificates holds none: \(file.path)",
                hint: "give --ca-file a file with at least one \"BEGIN CERTIFICATE\"")
        }
        tls.additionalTrustRoots = [.certificates(certificates)]
        return tls
    }
}
