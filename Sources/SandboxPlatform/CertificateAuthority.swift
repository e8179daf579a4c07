import Crypto
import FoundationEssentials
import Glibc
import SwiftASN1
import X509

/// A small certificate authority, and one server certificate that it signs: for tests of clients that are told to trust it.
///
///     ca.pem          the authority's certificate, for `--ca-file`
///     server.pem      the server's certificate
///     server-key.pem  its key
///
/// The authority's key is not kept: nobody can sign anything else with it.
public struct CertificateAuthority: Sendable {
    /// The authority's certificate, PEM.
    public let certificate: String
    /// The server's certificate, PEM.
    public let serverCertificate: String
    /// The server's key, PEM.
    public let serverKey: String

    /// Makes both, valid from yesterday on for two years.
    /// - Parameter names: host names, and addresses of IPv4 and IPv6, that the server's certificate is good for.
    public init(names: [String]) throws {
        let start = Date(timeIntervalSinceNow: -86400)
        let end = start.addingTimeInterval(730 * 86400)
        let (rootKey, leafKey) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        let (signer, holder) = (Certificate.PrivateKey(rootKey), Certificate.PrivateKey(leafKey))
        let issuer = try DistinguishedName { CommonName("twelvefs-sandbox authority") }
        let rootID = SubjectKeyIdentifier(hash: signer.publicKey)
        let root = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: signer.publicKey, notValidBefore: start,
            notValidAfter: end, issuer: issuer, subject: issuer, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                rootID
            },
            issuerPrivateKey: signer)
        let leaf = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: holder.publicKey, notValidBefore: start,
            notValidAfter: end, issuer: issuer,
            subject: try DistinguishedName { CommonName(names.first ?? "twelvefs-sandbox") },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(names.map(Self.alternativeName))
                SubjectKeyIdentifier(hash: holder.publicKey)
                AuthorityKeyIdentifier(keyIdentifier: rootID.keyIdentifier)
            },
            issuerPrivateKey: signer)
        certificate = try root.serializeAsPEM().pemString + "\n"
        serverCertificate = try leaf.serializeAsPEM().pemString + "\n"
        serverKey = leafKey.pemRepresentation + "\n"
    }

    private static func alternativeName(_ name: String) -> GeneralName {
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, name, &four) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: four) { Array($0)[...] }))
        }
        if inet_pton(AF_INET6, name, &six) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: six) { Array($0)[...] }))
        }
        return .dnsName(name)
    }

    /// Where ``write(to:)`` puts the server's files.
    public static func serverFiles(in directory: String) -> TLSFiles {
        TLSFiles(certificate: directory + "/server.pem", key: directory + "/server-key.pem")
    }

    /// Where ``write(to:)`` puts the authority's certificate.
    public static func authorityFile(in directory: String) -> String { directory + "/ca.pem" }

    /// Writes the files, for their owner only, into a directory, which is made when there is none.
    public func write(to directory: String) throws {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let server = Self.serverFiles(in: directory)
        for (path, text) in [
            (Self.authorityFile(in: directory), certificate), (server.certificate, serverCertificate),
            (server.key, serverKey),
        ] { try PosixFile.replace(path, with: Array(text.utf8)) }
    }
}
