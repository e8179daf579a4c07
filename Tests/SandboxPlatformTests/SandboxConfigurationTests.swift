import Formats
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct SandboxConfigurationTests {
    @Test func changesWhileItRuns() async throws {
        try await withSandbox { _, client in
            let changes = #"""
                {"chunk_size":"2KiB","bandwidth":"100MB/s","latency":"5ms","processing_time":0.5,"url_lifetime":"1h30m",
                 "initial_urls":1,"asset_urls":"off","upload_headers":{"x-a":"b"},"clock_skew":"-30s"}
                """#
            let reply = try await client.control(.POST, "configuration", changes).json
            #expect(reply["chunk_size"] == 2048)
            #expect(reply["bandwidth"] == 100_000_000)
            #expect(reply["latency"]?.double == 0.005)
            #expect(reply["processing_time"]?.double == 0.5)
            #expect(reply["url_lifetime"]?.double == 5400)
            #expect(reply["asset_urls"] == false)
            #expect(reply["clock_skew"]?.double == -30)
            let session = try await client.create(5000)
            #expect(session.json["total_chunks"] == 3)
            #expect(session.json["upload_urls"]?.array?.count == 1)
            let unlimited = try await client.control(.POST, "configuration", #"{"bandwidth":"unlimited"}"#)
            #expect(unlimited.json["bandwidth"] == .null)
        }
    }

    @Test(arguments: [
        #"{"chunk_size":0}"#, #"{"chunk_size":-5}"#, #"{"chunk_size":"5 apples"}"#, #"{"chunksize":5}"#,
        #"{"latency":"soon"}"#, #"{"latency":-1}"#, #"{"latency":"-1s"}"#, #"{"latency":1e300}"#,
        #"{"clock_skew":"--1s"}"#, #"{"bandwidth":"0MB/s"}"#, "[]", "",
    ])
    func refusesWhatItDoesNotUnderstandAsAWhole(changes: String) async throws {
        try await withSandbox { _, client in
            let before = try await client.control(.GET, "configuration").json
            let both = changes.replacing("{", with: #"{"initial_urls":7,"#)
            #expect(try await client.control(.POST, "configuration", both).status == 400)
            #expect(try await client.control(.GET, "configuration").json == before)
        }
    }

    @Test(
        arguments: [
            ("1048576", 1_048_576), ("5MiB", 5_242_880), ("64M", 67_108_864), ("1.5GB", 1_500_000_000),
            ("10 kb", 10_000),
            ("1k", 1024), ("-1", nil), ("x", nil), ("", nil), ("1TiBx", nil), ("99999999999GiB", nil),
        ] as [(String, Int64?)])
    func readsSizes(text: String, bytes: Int64?) {
        #expect(Quantity.bytes(text) == bytes)
    }

    @Test(
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("3s", .seconds(3)), ("1h30m", .seconds(5400)),
            ("24h", .seconds(86400)),
            ("2", .seconds(2)), ("0.5", .milliseconds(500)), ("1000000001", nil), ("", nil), ("h", nil), ("5y", nil),
            ("-1s", nil),
        ] as [(String, Duration?)])
    func readsTimes(text: String, duration: Duration?) {
        #expect(Quantity.duration(text) == duration)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_399.9, "2000-02-28T23:59:59Z", "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "2000-02-29T00:00:00Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
        (-1, "1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
    ])
    func writesTimesOfDay(seconds: Double, rfc3339: String, httpDate: String) {
        #expect(WallTime(seconds: seconds).rfc3339 == rfc3339)
        #expect(WallTime(seconds: seconds).httpDate == httpDate)
    }
}
