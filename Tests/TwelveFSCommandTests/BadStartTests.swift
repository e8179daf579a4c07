import Foundation
import Testing
import TwelveFSCommand
import UploadCore

import struct TestSupport.ShownStatements
import struct TestSupport.Tool
import func TestSupport.run

@Suite struct BadStartTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func refusal(_ path: String) -> String? {
        #expect(throws: CommandFailure.self) { try MountPlace(checking: path) }?.description
    }

    @Test func emptyDirectoryIsTakenByItsRealPath() throws {
        let real = try scratch.directory("real")
        #expect(try MountPlace(checking: real).path == real)
        #expect(try MountPlace(checking: scratch.link("link", to: "real")).path == real)
        #expect(try MountPlace(checking: real + "/").path == real)
    }

    @Test func missingMountPointSaysHowToMakeIt() {
        let path = scratch.path("none")
        #expect(refusal(path) == "the mount point \(path) does not exist. Make it first: mkdir -p \(path)")
    }

    @Test func fileIsNoMountPoint() throws {
        #expect(refusal(try scratch.file("file", ""))?.contains("is not a directory") == true)
    }

    @Test func mountPointWithSomethingInItIsRefused() throws {
        let full = try scratch.directory("full")
        try scratch.file("full/.hidden", "")
        #expect(refusal(full)?.contains("is not empty") == true)
    }

    @Test(.enabled("nothing can be made immutable here", canMakeImmutable))
    func rootMayMountOnWhatIsImmutable() async throws {
        let path = try scratch.directory("immutable")
        #expect(try await chattr("+i", path))
        let checked = Result { try MountPlace(checking: path) }
        #expect(try await chattr("-i", path))
        #expect(try checked.get().path == path)
    }

    /// A copy that came while the dead mount was gone already would be hidden, and its exit status 0.
    @Test(.shows("server-killed"), .enabled(if: geteuid() == 0, "needs root, to mount"))
    func whatWasWrittenBeneathJustBeforeIsNoticedAfterwards() throws {
        let path = try scratch.directory("free")
        let place = try MountPlace(checking: path)
        try place.makeFree()
        try scratch.file("free/late.mp4", "")
        #expect(mount("none", path, "tmpfs", 0, nil) == 0)
        defer { umount2(path, Int32(MNT_DETACH)) }
        try #require(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty, "it is hidden")
        let failure = #expect(throws: CommandFailure.self) {
            try place.check(mount: MountPoint.mount(at: path)?.id)
        }
        #expect(failure?.message.contains("something was written into the mount point \(path)") == true)
    }

    @Test func otherMountsAreLeftAlone() {
        #expect(refusal("/proc")?.contains("something else is mounted on /proc already (type proc)") == true)
    }

    @Test func namesCannotSpeakToTheTerminal() throws {
        let line = refusal(scratch.path("evil\u{1B}[31m\n"))
        #expect(line?.contains("evil\u{FFFD}[31m\u{FFFD}") == true)
    }

    @Test func allowOtherNeedsItsLineInFuseConf() throws {
        let with = try scratch.file("with", "# a comment\n  user_allow_other\n")
        let without = try scratch.file("without", "#user_allow_other\nmount_max = 5\n")
        #expect(FuseCheck.allowsOthers(configuration: with))
        #expect(!FuseCheck.allowsOthers(configuration: without))
        #expect(!FuseCheck.allowsOthers(configuration: scratch.path("none")))
    }

    @Test func programsAreFoundInTheSearchPath() throws {
        let program = try scratch.file("some-program", "", mode: 0o755)
        try scratch.file("no-program", "", mode: 0o644)
        #expect(FuseCheck.program(named: "some-program", ["PATH": "/nowhere:\(scratch.path)"]) == program)
        #expect(FuseCheck.program(named: "no-program", ["PATH": scratch.path]) == nil)
        #expect(FuseCheck.program(named: "some-program", [:]) == nil)
    }

    @Test(.shows("mount-unreachable", "mount-key-refused"), arguments: UploadFailure.Kind.allCases)
    func platformRefusesTheMountUnlessThereIsSomethingToResume(_ kind: UploadFailure.Kind) {
        let failure = UploadFailure(kind, message: "x")
        let fresh = PlatformProbe.verdict(on: failure, hasUploadsToResume: false)
        let resuming = PlatformProbe.verdict(on: failure, hasUploadsToResume: true)
        switch kind {
        case .keyRefused, .invalidConfiguration:
            #expect(fresh == .refuse && resuming == .refuse)
        case .rateLimited:
            #expect(fresh == .goOn && resuming == .goOn)
        default:
            #expect(fresh == .refuse && resuming == .goOn)
        }
    }

    @Test func wordOfTheServingProcessReachesTheUser() throws {
        let said = try StateFile.encoded(["failure": "no luck. Try again", "status": nil] as [String: String?])
        // Without a status it is no word at all: then the end of the process counts.
        #expect(throws: CommandFailure.self) { try Readiness.decoded(said, orEndOf: .max, logFile: nil) }
        let word = Array("{\"failure\":\"no luck. Try again\",\"status\":1}\n".utf8)
        let failure = #expect(throws: CommandFailure.self) { try Readiness.decoded(word, orEndOf: .max, logFile: nil) }
        #expect(failure?.description == "no luck. Try again")
        try Readiness.decoded(Array("{\"status\":0}\n".utf8), orEndOf: .max, logFile: nil)
    }

    @Test func failuresReadAsTwoSentences() {
        #expect(CommandFailure("It is broken.", hint: "mend it").description == "It is broken. Mend it")
        #expect(CommandFailure("it is broken").description == "it is broken")
        #expect(CommandFailure("a\nb", hint: "c\u{1B}").description == "a\u{FFFD}b. C\u{FFFD}")
        let upload = UploadFailure(.unreachable, message: "no network", hint: "check it")
        #expect(CommandFailure(wrapping: upload) == CommandFailure("no network", hint: "check it"))
    }
}

private func chattr(_ change: String, _ path: String) async throws -> Bool {
    try await run(Tool("chattr", [change, path])).succeeded
}

private func canMakeImmutable() async throws -> Bool {
    guard geteuid() == 0 else { return false }
    let path = try ScratchDirectory().directory("probe")
    let isMade = try await chattr("+i", path)
    _ = try await chattr("-i", path)
    return isMade
}
