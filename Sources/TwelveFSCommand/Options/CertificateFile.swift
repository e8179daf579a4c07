import PlatformClient
import SystemPackage

/// The file of `--ca-file`: whoever can write it decides whom TLS trusts with the key.
enum CertificateFile {
    /// Far more than all public authorities together have, in bytes.
    private static let maximumLength = 4 << 20

    /// Reads it; whether it is PEM is the client's to tell.
    ///
    /// - Throws: a ``CommandFailure`` that says what is wrong with it.
    static func read(_ path: String) throws -> PEMFile {
        do {
            let descriptor = try NamedFile.openForReading(path)
            let bytes = try descriptor.closeAfter { try descriptor.readAll(atMost: maximumLength + 1) }
            guard bytes.count <= maximumLength else {
                throw CommandFailure("the certificate file \(path) is longer than any list of certificates")
            }
            return PEMFile(path: path, bytes: bytes)
        } catch let error as UntrustedPath {
            throw CommandFailure(
                "the certificate file \(path) is not safe: \(error.words)",
                hint: error.remedy ?? "Name a file of your own with --ca-file")
        } catch let error as Errno {
            throw CommandFailure(
                "cannot read the certificates from \(path): \(error.words)", hint: "Check --ca-file and who may read it"
            )
        }
    }
}
