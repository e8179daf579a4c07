import ArgumentParser
import Testing
import TwelveFSCommand

@Suite struct BaseURLTests {
    @Test(arguments: [
        ("https://api.twelvelabs.io/v1.3", "https://api.twelvelabs.io/v1.3"),
        ("https://api.twelvelabs.io/v1.3//", "https://api.twelvelabs.io/v1.3"),
        ("HTTPS://example.com", "HTTPS://example.com"),
        ("http://127.0.0.1:8080/v1.3", "http://127.0.0.1:8080/v1.3"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ])
    func goodOnesAreTaken(_ text: String, _ base: String) throws {
        #expect(try BaseURL.checked(text, from: "--api-url") == base)
    }

    @Test(arguments: [
        "", "nonsense", "https://", "https:///v1", "//example.com", "ftp://example.com", "file:///etc/passwd",
        "http://example.com",
        "http://127.0.0.1.example.com", "http://localhost.example.com", "http://1270.0.0.1", "http://127.0.0.256",
        "http://10.0.0.1",
        "https://example.com/a b", "https://example.com/\n", "https://exämple.com", "https://example.com?x=1",
        "https://example.com#f",
        "https://example.com:0", "https://example.com:99999",
    ])
    func othersAreRefused(_ text: String) {
        let error = #expect(throws: ValidationError.self) { try BaseURL.checked(text, from: "--api-url") }
        #expect(error?.message.hasPrefix("--api-url ") == true)
    }

    @Test(arguments: [
        "https://ada:secret@example.com", "nonsense:secret@", "https://ada:se cret@example.com",
        "secret@example.com:443",
    ])
    func passwordsAreNotRepeated(_ text: String) {
        let error = #expect(throws: ValidationError.self) { try BaseURL.checked(text, from: "$TWELVELABS_BASE_URL") }
        #expect(error?.message.contains("cret") == false)
        #expect(error?.message.contains("$TWELVELABS_BASE_URL") == true)
    }
}
