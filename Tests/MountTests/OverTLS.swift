import TestSupport
import Testing

extension Mounted {
    /// The platform behind TLS, its certificate signed by an authority that `--ca-file` names.
    @Suite struct OverTLS {
        @Test("A copy goes over TLS to API and store, each on a port of its own")
        func copies() async throws {
            try await withScratch { scratch in
                let folder = scratch.appending("ca")
                let made = try await run(BuildProducts.sandbox, "--make-ca", folder, "--tls-name", "127.0.0.1")
                let authority = made.output.split(separator: "\n").first.map(String.init) ?? ""
                #expect(authority == folder + "/ca.pem", "\(made)")
                let options = [
                    "--tls-cert", folder + "/server.pem", "--tls-key", folder + "/server-key.pem", "--store-port", "0",
                ]
                try await withSandbox(options, scratch: scratch) { sandbox in
                    #expect(sandbox.apiURL.hasPrefix("https://127.0.0.1:"))
                    let mounting = try mountOptions(in: scratch, sandbox: sandbox, arguments: ["--ca-file", authority])
                    try await withMount(mounting) { mount in
                        let source = try await TestFile.random(
                            at: scratch.appending("video.mp4"), size: 12_000_000, seed: 1)
                        let copy = try await run("cp", source, mount.appending("video.mp4"))
                        #expect(copy.succeeded, "\(copy)")
                    }
                    let assets = try await sandbox.completeAssets()
                    #expect(assets.map(\.sha256) == [try await TestFile.sha256(of: scratch.appending("video.mp4"))])
                    #expect(try await sandbox.journal().requests.allSatisfy { $0.violation == nil })
                    // The machine's own authorities do not do.
                    let stranger = try await run("curl", "-sS", sandbox.apiURL + "/assets")
                    #expect(!stranger.succeeded)
                }
            }
        }
    }
}
