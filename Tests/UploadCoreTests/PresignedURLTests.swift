import Testing
import UploadCore

@Suite struct PresignedURLTests {
    private static let secret = "X-Amz-Signature=0123456789abcdef"
    private let url = PresignedURL(
        text: "https://store.example/part?\(Self.secret)", expiresAfter: .seconds(3600))

    @Test func neverShowsItselfHoweverItIsPrinted() throws {
        let session = UploadSession(
            uploadID: "u", assetID: "a", urls: [1: url], uploadHeaders: [],
            plan: try ChunkPlan(totalSize: 1, chunkSize: 1, totalChunks: 1))
        var dumped = ""
        dump(url, to: &dumped)
        dump(session, to: &dumped)
        dump([url], to: &dumped)
        let printed = [
            dumped, "\(url)", String(describing: url), String(reflecting: url), "\([url])", "\(Optional(url) as Any)",
            "\(session)", String(reflecting: session), "\(Mirror(reflecting: url).children.map { "\($0)" })",
        ]
        for text in printed {
            #expect(!text.contains("Signature") && !text.contains("store.example"))
        }
        #expect("\(url)" == "<presigned>")
    }

    @Test func keepsItsTextForTheRequest() {
        #expect(url.text.hasSuffix(Self.secret))
        #expect(url.expiresAfter == .seconds(3600))
    }

    @Test func isEqualByTextAndLifetime() {
        #expect(url == PresignedURL(text: url.text, expiresAfter: .seconds(3600)))
        #expect(url != PresignedURL(text: url.text, expiresAfter: nil))
        #expect(url != PresignedURL(text: url.text + "x", expiresAfter: .seconds(3600)))
    }
}
