import Formats
import Glibc
import TestSupport
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-01-02T03:04:05Z", 1_767_323_045_000),
        ("2026-01-02t03:04:05z", 1_767_323_045_000), ("2026-01-02T03:04:05.5Z", 1_767_323_045_500),
        ("2026-01-02T03:04:05.0019Z", 1_767_323_045_001),
        ("2026-01-02T03:04:05.678901234567890123456789Z", 1_767_323_045_678),
        ("2026-01-02T05:04:05+02:00", 1_767_323_045_000), ("2026-01-01T21:34:05-05:30", 1_767_323_045_000),
        ("2026-01-02T03:04:05-00:00", 1_767_323_045_000), ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("2000-02-29T23:59:59Z", 951_868_799_000), ("1969-12-31T23:59:59.999Z", -1),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000), ("0000-01-01T00:00:00Z", -62_167_219_200_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ])
    func readsRFC3339(text: String, milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.millisecondsSince1970 == milliseconds)
    }

    @Test(arguments: [
        "", "garbage", "2026", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z",
        "2026-01-02T03:04:60Z", "2026-01-02T03:59:61Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04Z", "2026-1-2T03:04:05Z", "02026-01-02T03:04:05Z", "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+02:60", "2026-01-02T03:04:05+02", "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05Z ", " 2026-01-02T03:04:05Z", "-026-01-02T03:04:05Z", "2026-01-02T03:04:05Z\u{301}",
        "٢026-01-02T03:04:05Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "\0",
    ])
    func refusesWhatIsNotADate(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func writesAFractionOnlyWhenThereIsOne() {
        #expect(Timestamp(millisecondsSince1970: 1_767_323_045_000).rfc3339 == "2026-01-02T03:04:05Z")
        #expect(Timestamp(millisecondsSince1970: 1_767_323_045_007).description == "2026-01-02T03:04:05.007Z")
        #expect(Timestamp(millisecondsSince1970: -1).rfc3339 == "1969-12-31T23:59:59.999Z")
    }

    @Test func staysWithinWhatRFC3339CanWrite() {
        #expect(Timestamp(millisecondsSince1970: .max) == .latest)
        #expect(Timestamp(millisecondsSince1970: .min) == .earliest)
        #expect(Timestamp.latest.rfc3339 == "9999-12-31T23:59:59.999Z")
        #expect(Timestamp.earliest.rfc3339 == "0000-01-01T00:00:00Z")
    }

    @Test func readsBackWhatItWritesAndAgreesWithTheCLibrary() {
        var random = SplitMix64.seeded()
        let all = Timestamp.earliest.millisecondsSince1970...Timestamp.latest.millisecondsSince1970
        for _ in 0..<20_000 {
            let timestamp = Timestamp(millisecondsSince1970: .random(in: all, using: &random))
            let text = timestamp.rfc3339
            #expect(Timestamp(rfc3339: text) == timestamp, "\(text)")

            let milliseconds = timestamp.millisecondsSince1970
            var seconds = time_t(milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000)
            var civil = tm()
            gmtime_r(&seconds, &civil)
            #expect(text.prefix(19) == Self.text(of: civil))
        }
    }

    private static func text(of civil: tm) -> String {
        func padded(_ number: Int32, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return padded(civil.tm_year + 1900, 4) + "-" + padded(civil.tm_mon + 1, 2) + "-" + padded(civil.tm_mday, 2)
            + "T" + padded(civil.tm_hour, 2) + ":" + padded(civil.tm_min, 2) + ":" + padded(civil.tm_sec, 2)
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ])
    func readsEachFormOfAnHTTPDate(text: String) {
        #expect(Timestamp(httpDate: text)?.millisecondsSince1970 == 784_111_777_000)
    }

    @Test func readsTwoDigitsOfAYearAs1970To2069() {
        #expect(Timestamp(httpDate: "Thursday, 01-Jan-70 00:00:00 GMT")?.millisecondsSince1970 == 0)
        #expect(Timestamp(httpDate: "Tuesday, 31-Dec-69 00:00:00 GMT")?.rfc3339 == "2069-12-31T00:00:00Z")
    }

    @Test func readsADayOfTwoDigitsInTheOldestForm() {
        #expect(Timestamp(httpDate: "Wed Feb 29 23:59:59 2096")?.rfc3339 == "2096-02-29T23:59:59Z")
    }

    @Test(arguments: [
        "", "120", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT", "Sunday Nov  6 08:49:37 1994", "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "1994-11-06T08:49:37Z",
    ])
    func refusesOtherHTTPDates(text: String) {
        #expect(Timestamp(httpDate: text) == nil)
    }

    @Test func measuresAndMovesWithoutOverflow() {
        let start = Timestamp(millisecondsSince1970: 1000)
        #expect(start.advanced(by: .milliseconds(1500)).millisecondsSince1970 == 2500)
        #expect(start.advanced(by: .milliseconds(-1500)).millisecondsSince1970 == -500)
        #expect(start.advanced(by: .microseconds(1999)).millisecondsSince1970 == 1001)
        #expect(start.advanced(by: .seconds(Int64.max)) == .latest)
        #expect(start.advanced(by: .seconds(Int64.min)) == .earliest)
        #expect(start.advanced(by: .milliseconds(Int64.max)) == .latest)
        #expect(start.advanced(by: .seconds(5)).duration(since: start) == .seconds(5))
        #expect(Timestamp.earliest.duration(since: .latest) < .zero)
        #expect(Timestamp.earliest < .latest)
    }
}
