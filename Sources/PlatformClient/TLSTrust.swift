import NIOSSL
import UploadCore

/// Whom TLS trusts: the system's roots, and a file's beside them. Host names and chains are always verified.
enum TLSTrust {
    static func configuration(caFile: String?) throws(UploadFailure) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        guard let caFile else { return tls }
        let certificates: [NIOSSLCertificate]
        do {
            certificates = try NIOSSLCertificate.fromPEMFile(caFile)
        } catch {
            throw UploadFailure(
                .invalidConfiguration, code: "ca_file_unreadable",
                message: "the file of trusted certificates cannot be read as PEM: \(caFile)",
                hint: "give --ca-file a readable file with at least one \"BEGIN CERTIFICATE\"")
        }
        guard !certificates.isEmpty else {
            throw UploadFailure(
                .invalidConfiguration, code: "ca_file_empty",
                message: "the file of trusted certificates holds none: \(caFile)",
                hint: "give --ca-file a file with at least one \"BEGIN CERTIFICATE\"")
        }
        tls.additionalTrustRoots = [.certificates(certificates)]
        return tls
    }
}
