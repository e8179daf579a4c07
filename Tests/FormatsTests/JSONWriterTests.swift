import Formats
import Foundation
import TestSupport
import Testing

@Suite struct JSONWriterTests {
    /// What Foundation, a reader that is not ours, makes of a text written as a field.
    private func readBack(_ text: String) throws -> String? {
        var json = JSONWriter()
        json.object { $0.field("text", text) }
        let object = try JSONSerialization.jsonObject(with: Data(json.document.utf8))
        return (object as? [String: Any])?["text"] as? String
    }

    @Test func writesFieldsInOrderWithTwoSpacesALevel() {
        var json = JSONWriter()
        json.object { json in
            json.field("zebra", 1)
            json.field("apple", "a")
            json.object("inner") { $0.field("yes", true) }
            json.field("absent", nil as String?)
            json.field("number", nil as Int?)
            json.null("nothing")
        }
        #expect(
            json.document == """
                {
                  "zebra": 1,
                  "apple": "a",
                  "inner": {
                    "yes": true
                  },
                  "absent": null,
                  "number": null,
                  "nothing": null
                }

                """)
    }

    @Test func writesElementsOnALineEach() {
        var json = JSONWriter()
        json.object { json in
            json.array("rows", [1, 2]) { json, row in
                json.line {
                    $0.field("row", row)
                    $0.field("names", ["a", "b"])
                }
            }
            json.array("none", [Int]()) { json, _ in json.line { _ in } }
            json.field("texts", ["x", "y"])
            json.field("no_texts", [])
            json.object("empty") { _ in }
        }
        #expect(
            json.document == """
                {
                  "rows": [
                    {"row": 1, "names": ["a", "b"]},
                    {"row": 2, "names": ["a", "b"]}
                  ],
                  "none": [],
                  "texts": ["x", "y"],
                  "no_texts": [],
                  "empty": {}
                }

                """)
    }

    @Test func writesTheLargestNumbersExactly() {
        var json = JSONWriter()
        json.object {
            $0.field("least", Int64.min)
            $0.field("most", UInt64.max)
        }
        #expect(json.document.contains("-9223372036854775808"))
        #expect(json.document.contains("18446744073709551615"))
    }

    @Test func escapesWhatWouldSteerATerminalOrBreakALine() throws {
        let text = "\u{1B}[2J \u{7F} \u{9B} \u{2028} \n \t \" \\ /"
        var json = JSONWriter()
        json.object { $0.field("text", text) }
        #expect(
            json.document.contains(
                #""\u001b[2J \u007f \u009b \u2028 \n \t \" \\ /""#))
        #expect(try readBack(text) == text)
    }

    @Test func escapesEveryControlCharacter() throws {
        for value in UInt8(0)..<0x20 {
            let text = String(Unicode.Scalar(value))
            let read = try readBack(text)
            #expect(read == text, "\(value)")
        }
    }

    @Test func isReadBackByAnotherReaderWhateverTheText() throws {
        var random = SplitMix64.seeded()
        for _ in 0..<2000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                let bits = Int.random(in: 1...21, using: &random)
                if let scalar = Unicode.Scalar(UInt32.random(in: 0..<(1 << UInt32(bits)), using: &random)) {
                    text.append(scalar)
                }
            }
            let written = String(text)
            let read = try #require(try readBack(written))
            #expect(Array(read.unicodeScalars) == Array(written.unicodeScalars))
        }
    }
}
