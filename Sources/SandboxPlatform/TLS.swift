import NIOSSL

/// A certificate and its key, in files.
public struct TLSFiles: Sendable, Equatable {
    /// PEM: the server's certificate, and after it those that lead to the authority, if there are any between.
    public var certificate: String
    /// PEM.
    public var key: String

    /// Files that are read when the stand-in starts.
    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }

    /// Throws `SandboxFailure` for files that cannot be read, or do not belong together.
    func context() throws -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
            let key = try NIOSSLPrivateKey(file: key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw SandboxFailure(description: "\(certificate) and \(key) cannot be used for TLS: \(error).")
        }
    }
}
