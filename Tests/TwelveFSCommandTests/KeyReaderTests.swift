import PlatformClient
import Testing
import TwelveFSCommand

@Suite struct KeyReaderTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func failure(file: String?, environment: [String: String] = [:]) -> CommandFailure? {
        #expect(throws: CommandFailure.self) { try KeyReader.read(file: file, environment: environment) }
    }

    @Test func fileGoesBeforeTheEnvironment() throws {
        let file = try scratch.file("key", "tlk_file\n")
        let environment = ["TWELVELABS_API_KEY": "tlk_environment"]
        #expect(try KeyReader.read(file: file, environment: environment).key == APIKey("tlk_file"))
        #expect(try KeyReader.read(file: nil, environment: environment).key == APIKey("tlk_environment"))
    }

    @Test(arguments: ["tlk_1", "tlk_1\n", "tlk_1\r\n", "  tlk_1 \n\n"])
    func whiteSpaceAroundIsNoPartOfIt(_ text: String) throws {
        #expect(try KeyReader.read(file: scratch.file("key", text), environment: [:]).key == APIKey("tlk_1"))
    }

    @Test(arguments: ["", "\n", "tlk 1", "tlk_1\ntlk_2", "tlk_\u{1}", "tlk_ü", String(repeating: "k", count: 5000)])
    func whatIsNoKeyIsRefusedAndNotShown(_ text: String) throws {
        let file = try scratch.file("key", text)
        let message = try #require(failure(file: file)).description
        #expect(message.contains(file))
        #expect(!message.contains("tlk") && !message.contains("kkkk"))
        #expect(!message.contains("\n"))
    }

    @Test func whatIsNoTextIsRefused() throws {
        #expect(failure(file: try scratch.file("key", [0xFF, 0xFE, 0x41]))?.message.contains("not text") == true)
    }

    @Test func missingFileAndDirectoryAreRefused() throws {
        #expect(failure(file: scratch.path("none"))?.message.contains("no such file") == true)
        #expect(failure(file: scratch.path)?.message.contains("is a directory") == true)
    }

    @Test func fileThatOthersMayWriteIsRefused() throws {
        for mode in [0o620, 0o602, 0o666] {
            #expect(
                failure(file: try scratch.file("key\(mode)", "tlk_1", mode: mode))?.message.contains(
                    "changed by other users") == true)
        }
    }

    @Test func fileThatEverybodyMayReadIsWarnedOf() throws {
        #expect(try KeyReader.read(file: scratch.file("open", "tlk_1", mode: 0o644), environment: [:]).warning != nil)
        #expect(try KeyReader.read(file: scratch.file("group", "tlk_1", mode: 0o640), environment: [:]).warning == nil)
        #expect(try KeyReader.read(file: scratch.file("own", "tlk_1"), environment: [:]).warning == nil)
    }

    @Test func noKeyAtAllSaysHowToGiveOne() {
        for environment in [[:], ["TWELVELABS_API_KEY": ""]] {
            let line = failure(file: nil, environment: environment)?.description
            #expect(line?.contains("$TWELVELABS_API_KEY") == true && line?.contains("--api-key-file") == true)
        }
    }

    @Test func theOfficialSDKsVariableIsReadLikeOurs() throws {
        let reading = try KeyReader.read(file: nil, environment: ["TWELVE_LABS_API_KEY": "tlk_sdk\n"])
        #expect(try reading.key == APIKey("tlk_sdk"))
        #expect(reading.location == "$TWELVE_LABS_API_KEY")
        let ours = try KeyReader.read(
            file: nil, environment: ["TWELVELABS_API_KEY": "tlk_1", "TWELVE_LABS_API_KEY": ""])
        #expect(ours.location == "$TWELVELABS_API_KEY")
        let file = try scratch.file("key", "tlk_file")
        #expect(try KeyReader.read(file: file, environment: [:]).location == file)
    }

    @Test func twoVariablesMayHoldTheSameKeyOnly() throws {
        let same = ["TWELVELABS_API_KEY": "tlk_1", "TWELVE_LABS_API_KEY": " tlk_1\n"]
        #expect(try KeyReader.read(file: nil, environment: same).key == APIKey("tlk_1"))
        let different = ["TWELVELABS_API_KEY": "tlk_1", "TWELVE_LABS_API_KEY": "tlk_2"]
        let line = failure(file: nil, environment: different)?.description
        #expect(line?.hasPrefix("$TWELVELABS_API_KEY and $TWELVE_LABS_API_KEY hold different keys") == true)
        #expect(line?.contains("tlk") == false)
        // A file goes before both.
        let file = try scratch.file("key", "tlk_file")
        #expect(try KeyReader.read(file: file, environment: different).key == APIKey("tlk_file"))
    }

    @Test func badKeyInTheEnvironmentIsNotShown() {
        let line = failure(file: nil, environment: ["TWELVELABS_API_KEY": "tlk 1"])?.description
        #expect(line?.contains("$TWELVELABS_API_KEY") == true)
        #expect(line?.contains("tlk") == false)
    }
}
