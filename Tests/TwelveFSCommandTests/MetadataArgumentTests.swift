import ArgumentParser
import Testing
import TwelveFSCommand
import UploadCore

@Suite struct MetadataArgumentTests {
    private func metadata(_ arguments: [String]) throws -> [MountConfiguration.MetadataEntry] {
        let command = try #require(try TwelveFS.command(for: ["mount", "/mnt"] + arguments) as? MountCommand)
        return try command.mountConfiguration(environment: ["HOME": "/h"]).metadata
    }

    /// The one line that is said about an argument.
    private func refusal(_ argument: String) throws -> String {
        do {
            let accepted = try metadata(["--metadata", argument])
            throw Unexpected(description: "\(argument) was taken for \(accepted)")
        } catch let error as Unexpected {
            throw error
        } catch {
            return TwelveFS.failure(from: error, ["mount"]).description
        }
    }

    private struct Unexpected: Error, CustomStringConvertible { var description: String }

    @Test(arguments: [
        ("category=recentlyAdded", "category", MetadataValue.string("recentlyAdded")),
        // Whatever it looks like.
        ("batch=5", "batch", .string("5")), ("review=true", "review", .string("true")),
        ("rating=9.3", "rating", .string("9.3")), ("list=[1,2]", "list", .string("[1,2]")),
        ("nothing=", "nothing", .string("")), ("a=b:=c", "a", .string("b:=c")), ("a=b=c", "a", .string("b=c")),
        ("a = b", "a ", .string(" b")), ("naïve=日本", "naïve", .string("日本")),
        ("batchNumber:=5", "batchNumber", .integer(5)), ("n:=-0", "n", .integer(0)),
        ("n:=9007199254740991", "n", .integer(9_007_199_254_740_991)),
        ("n:=-9007199254740991", "n", .integer(-9_007_199_254_740_991)),
        ("n=9007199254740993", "n", .string("9007199254740993")),
        ("rating:=9.3", "rating", .float(9.3)), ("f:=1.0", "f", .float(1)), ("f:=5e0", "f", .float(5)),
        ("f:=-1E-3", "f", .float(-0.001)), ("f:=0e999", "f", .float(0)), ("f:=-0.0", "f", .float(-0.0)),
        ("f:=5e-324", "f", .float(.leastNonzeroMagnitude)),
        ("needsReview:=true", "needsReview", .boolean(true)), ("b:= false ", "b", .boolean(false)),
        (#"s:="a\"b\u00e9""#, "s", .string("a\"bé")), ("a::=5", "a:", .integer(5)),
    ])
    func valuesAreTyped(_ argument: String, _ key: String, _ value: MetadataValue) throws {
        #expect(try metadata(["--metadata", argument]) == [.init(key: key, value: value)])
        #expect(try metadata(["--metadata=\(argument)"]) == [.init(key: key, value: value)])
    }

    @Test(arguments: ["k:=[1,2]", "k:=[]", #"k:={"a":1}"#, "k:={}", "k:=null"])
    func otherTypesAreRefusedInTheSpecificationsWords(_ argument: String) throws {
        let words = try refusal(argument)
        #expect(words.contains("values are one of string, integer, float, or boolean"))
        #expect(words.contains("convert your data into string values"))
        #expect(words.contains("--metadata"))
    }

    @Test(arguments: [
        "k:=NaN", "k:=Infinity", "k:=-Infinity", "k:=nan", "k:=text", "k:=", "k:=5,6", "k:=05", "k:=+5", "k:=.5",
        "k:=5.",
        "k:=True", "k:='a'", "k:=\"a", "k:=0x10", "k:=1_000",
    ])
    func whatJSONCannotSayIsRefused(_ argument: String) throws {
        #expect(try refusal(argument).contains("is not JSON"))
    }

    @Test(arguments: [
        ("k:=9007199254740992", "53 bits"), ("k:=-9007199254740992", "53 bits"), ("k:=9223372036854775808", "53 bits"),
        ("k:=123456789012345678901234567890", "53 bits"), ("k:=1e16", "53 bits"), ("k:=-1e300", "53 bits"),
        ("k:=9007199254740992.0", "53 bits"), ("k:=1e400", "beyond"), ("k:=-1.5e309", "beyond"),
        ("k:=1e-400", "beyond"), ("k", "KEY:=JSON"), ("", "KEY:=JSON"), ("=v", "no key"), (":=5", "no key"),
    ])
    func whatWouldBecomeSomethingElseIsRefused(_ argument: String, _ words: String) throws {
        #expect(try refusal(argument).contains(words))
    }

    @Test func fieldsOfThePlatformsOwnAreRefusedByName() throws {
        for key in MetadataValue.systemKeys {
            #expect(try refusal("\(key)=x").contains("\(key) is one of the system-generated metadata fields"))
            #expect(try refusal("\(key):=5").contains("cannot override"))
        }
        #expect(try metadata(["--metadata", "Size=large"]) == [.init(key: "Size", value: .string("large"))])
    }

    @Test(arguments: [["k=1", "k=2"], ["k=1", "k:=1"], ["a=1", "k:=true", "k:=true"]])
    func aKeyIsGivenOnce(_ arguments: [String]) throws {
        let error = #expect(throws: (any Error).self) {
            try metadata(arguments.flatMap { ["--metadata", $0] })
        }
        #expect(TwelveFS.failure(from: try #require(error), ["mount"]).description.contains("'k' twice"))
    }

    @Test func mountOptionsTakeTheSame() throws {
        let list = #"metadata=a=b\,c,ro,metadata=n:=5,metadata=s:="x\,y",metadata=f:=1.5"#
        #expect(
            try metadata(["-o", list]) == [
                .init(key: "a", value: .string("b,c")), .init(key: "n", value: .integer(5)),
                .init(key: "s", value: .string("x,y")), .init(key: "f", value: .float(1.5)),
            ])
    }
}
