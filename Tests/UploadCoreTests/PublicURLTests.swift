import Testing
import UploadCore

@Suite struct PublicURLTests {
    @Test(arguments: [
        ("https://cdn.test/a/b.mp4", "https://cdn.test/a/b.mp4"), ("https://cdn.test", "https://cdn.test"),
        ("https://cdn.test/b.mp4?X-Amz-Signature=abc&x=/y@z", "https://cdn.test/b.mp4"),
        ("https://cdn.test?token=abc", "https://cdn.test"), ("https://cdn.test/b#token=abc", "https://cdn.test/b"),
        ("https://user:pass@cdn.test/b.mp4", "https://cdn.test/b.mp4"), ("https://user@cdn.test", "https://cdn.test"),
        ("https://a@b:c@cdn.test:8443/b@c", "https://cdn.test:8443/b@c"), ("http://[::1]:80/x?y", "http://[::1]:80/x"),
    ])
    func whatOpensItIsLeftOut(_ url: String, _ shown: String) {
        #expect(PublicURL.withoutCredentials(url) == shown)
    }

    @Test(arguments: [
        "", "cdn.test/b.mp4?token=abc", "https:/cdn.test", "://cdn.test", "https://", "https://user:pass@",
        "https://user:pa/ss@cdn.test/b", "https://user:pa?ss@cdn.test/b", "https://user:pa#ss@cdn.test/b",
        "sec ret://cdn.test", "https://pass\\word/", "https://[::1/x", "https://[::1]x/y",
    ])
    func whatIsNoURLIsNotShown(_ text: String) {
        #expect(PublicURL.withoutCredentials(text) == nil)
    }
}
