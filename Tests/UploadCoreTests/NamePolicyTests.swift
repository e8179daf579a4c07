import TestSupport
import Testing
import UploadCore

@Suite struct NamePolicyTests {
    private func verdict(
        on name: String, in parents: [String] = [], otherFiles: NamePolicy.OtherFiles = .refuse
    ) -> NamePolicy.Verdict {
        NamePolicy(otherFiles: otherFiles).verdict(
            on: Array(name.utf8), parents: parents.map { Array($0.utf8) })
    }

    private func temporary(_ final: String?) -> NamePolicy.Verdict {
        .temporary(final: final.map { Array($0.utf8) })
    }

    @Test(
        .shows("name-media"),
        arguments: [
            "video.mp4", "VIDEO.MP4", "a.b.mov", "film.mkv", "clip.WebM", "talk.ogv", "disc.VOB", "cam.m2ts", "x.mxf",
            "song.mp3",
            "song.flac", "voice.opus", "name with spaces.avi", "naïve – 日本.mp4", "line\nbreak.mp4", ".foo.mp4",
            ".talk.mpegts",
            "name.f137.mp4", "name.temp.mp4", "part.mp4", "tmp.wav", "a.part.mp4", "aria2.mp4", "Trash.mp4", "_a.mp4",
        ])
    func uploadsVideosAndAudio(name: String) {
        for other in NamePolicy.OtherFiles.allCases {
            #expect(verdict(on: name, otherFiles: other) == .upload)
        }
    }

    @Test(
        .shows("name-other"),
        arguments: [
            "notes.txt", "README", "mp4", ".mp4", "video.mp4.txt", "video.", "video.mp4.", "..mp4x", "archive.zip",
            ".bashrc", "part",
            "video.mp4.bak", "x.partx", "goutputstream-1", "video.mp4 ",
        ])
    func treatsOtherFilesAsItIsTold(name: String) {
        #expect(verdict(on: name, otherFiles: .refuse) == .refuse)
        #expect(verdict(on: name, otherFiles: .keep) == .keepLocally)
        #expect(verdict(on: name, otherFiles: .upload) == .upload)
    }

    @Test(
        .shows("name-litter"),
        arguments: [
            ".DS_Store", "._video.mp4", "._.DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini",
            ".directory",
            ".Trash", ".Trash-1000", ".Trashes", ".trashed-1700000000-clip.mp4", "video.mp4.aria2",
            "video.mp4.aria2__temp",
            "video.mp4.ytdl", ".aria2",
            "._edit.prproj", "._video.mp4.part",
        ])
    func keepsLitterToItself(name: String) {
        for other in NamePolicy.OtherFiles.allCases {
            #expect(verdict(on: name, otherFiles: other) == .keepLocally)
        }
    }

    @Test func keepsWhatIsInTheWasteBin() {
        #expect(verdict(on: "video.mp4", in: [".Trash-1000", "files"]) == .keepLocally)
        #expect(verdict(on: "video.mp4.trashinfo", in: [".Trash-1000", "info"]) == .keepLocally)
        #expect(verdict(on: ".video.mp4.AbCdEf", in: [".Trash"]) == .keepLocally)
        #expect(verdict(on: "video.mp4", in: ["Trash"]) == .upload)
    }

    @Test(
        .shows("name-temporary"),
        arguments: [
            (".video.mp4.Xy12aB", "video.mp4"), (".a b.mkv.000000", "a b.mkv"), (".日本.mov.ZZZZZZ", "日本.mov"),
            ("video.mp4.part", "video.mp4"), ("Video.MP4.Part", "Video.MP4"), ("video.mkv.partial", "video.mkv"),
            ("video.mp4.crdownload", "video.mp4"), ("song.mp3.download", "song.mp3"),
            ("video.mp4.filepart", "video.mp4"),
            ("video.mp4.tmp", "video.mp4"), ("name.f137.mp4.part", "name.f137.mp4"),
            (".hidden.mp4.part", ".hidden.mp4"),
        ])
    func tellsTheFinalNameFromATemporaryOne(name: String, final: String) {
        for other in NamePolicy.OtherFiles.allCases {
            #expect(verdict(on: name, otherFiles: other) == temporary(final))
        }
    }

    @Test(
        .shows("name-temporary-unknown"),
        arguments: [
            "Unconfirmed 7.crdownload", ".tmp", "x.tmp", ".part", "download.part", "notes.txt.part", ".mp4.part",
            ".notes.txt.AbCdEf", ".README.AbCdEf", ".video.mp4.part.AbCdEf", ".goutputstream-7HF2J1",
            ".com.google.Chrome.a1B2c3",
            "name.mp4.part-Frag12", "name.mp4.part-Frag12.part",
        ])
    func knowsATemporaryNameThatDoesNotTellTheFinalOne(name: String) {
        for other in NamePolicy.OtherFiles.allCases {
            #expect(verdict(on: name, otherFiles: other) == temporary(nil))
        }
    }

    @Test(arguments: [
        ".video.mp4.AbCdE", ".video.mp4.AbCdEfg", "video.mp4.AbCdEf", ".video.mp4.AbC-Ef", ".video.mp4.AbCdEé",
        ".AbCdEf",
        "..AbCdEf",
    ])
    func takesOnlyRsyncsOwnPatternForRsyncs(name: String) {
        #expect(verdict(on: name) == .refuse)
    }

    @Test func doesNotGuessWhenRsyncsTemporaryCouldBeLitters() {
        // `_a.mp4` and `._a.mp4` have the same temporary name; one is a video, the other litter.
        #expect(verdict(on: "._a.mp4.AbCdEf") == temporary(nil))
        #expect(verdict(on: ".Trash can.mp4.AbCdEf") == temporary(nil))
        #expect(verdict(on: "._a.txt.AbCdEf") == .keepLocally)
    }

    @Test func knowsNoFinalNameWhenRsyncCutTheExtensionOff() {
        // rsync keeps at most 246 bytes of the name: 246 + a dot before it + a dot and six characters after it.
        func temporaryName(of name: String) -> [UInt8] {
            Array(".".utf8) + name.utf8.prefix(246) + Array(".AbCdEf".utf8)
        }
        let policy = NamePolicy(otherFiles: .refuse)
        let fits = String(repeating: "n", count: 242) + ".mp4"
        let long = String(repeating: "n", count: 251) + ".mp4"
        #expect(
            policy.verdict(on: temporaryName(of: fits), parents: []) == temporary(fits))
        #expect(
            policy.verdict(on: temporaryName(of: long), parents: []) == temporary(nil))
    }

    @Test(.shows("name-rsync-directory")) func holdsBackWhatRsyncKeepsInItsOwnDirectories() {
        for directory in [".~tmp~", ".rsync-partial"] {
            #expect(verdict(on: "video.mp4", in: ["shoot", directory]) == temporary("video.mp4"))
            #expect(verdict(on: "notes.txt", in: [directory]) == temporary(nil))
            #expect(verdict(on: ".video.mp4.AbCdEf", in: [directory]) == temporary("video.mp4"))
            #expect(verdict(on: ".DS_Store", in: [directory]) == .keepLocally)
        }
        #expect(verdict(on: "video.mp4", in: ["shoot", "day 1"]) == .upload)
    }

    @Test func keepsTheBytesOfNamesThatAreNotText() {
        let name: [UInt8] = [0xFF, 0xFE, 0x41] + Array(".mp4".utf8)
        let policy = NamePolicy(otherFiles: .refuse)
        #expect(policy.verdict(on: name, parents: [[0xC0]]) == .upload)
        #expect(
            policy.verdict(on: name + Array(".part".utf8), parents: [])
                == .temporary(final: name))
    }

    @Test func takesAnyBytesWithoutTrapping() {
        var random = SplitMix64.seeded()
        let pieces = [".", "..", "._", "mp4", "part", "tmp", "AbCdEf", ".~tmp~", "é", "\n", "aria2", "-Frag1"].map {
            Array($0.utf8)
        }
        for _ in 0..<20_000 {
            let name = (0..<Int.random(in: 0...6, using: &random)).flatMap { _ in
                Bool.random(using: &random)
                    ? pieces.randomElement(using: &random) ?? [] : [UInt8.random(in: .min ... .max, using: &random)]
            }
            let verdict = NamePolicy(otherFiles: .keep).verdict(
                on: name, parents: [name])
            if case .temporary(let final?) = verdict {
                #expect(NamePolicy.assetType(for: final) != nil, "\(name)")
            }
            let filename = NamePolicy.sessionFilename(for: name)
            #expect((1...255).contains(filename.unicodeScalars.count), "\(name)")
        }
    }

    @Test func tellsVideoFromAudio() {
        #expect(NamePolicy.assetType(for: Array("a.mp4".utf8)) == .video)
        #expect(NamePolicy.assetType(for: Array("a.WAV".utf8)) == .audio)
        #expect(NamePolicy.assetType(for: Array("a.txt".utf8)) == nil)
        #expect(NamePolicy.assetType(for: []) == nil)
    }
}

@Suite struct SessionFilenameTests {
    @Test(arguments: ["video.mp4", "naïve – 日本.mp4", "👩‍👩‍👧.mov", "two  spaces \"quoted\" \\ .mkv"])
    func leavesOrdinaryNamesAlone(name: String) {
        #expect(NamePolicy.sessionFilename(for: Array(name.utf8)) == name)
    }

    @Test func replacesWhatIsNotText() {
        let name: [UInt8] = [0x61, 0xFF, 0x62] + Array(".mp4".utf8)
        #expect(NamePolicy.sessionFilename(for: name) == "a\u{FFFD}b.mp4")
    }

    @Test func replacesControlCharactersAndLineSeparators() {
        let name = "a\nb\u{0}c\u{7F}d\u{85}e\u{2028}f.mp4"
        #expect(
            NamePolicy.sessionFilename(for: Array(name.utf8)) == "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}e\u{FFFD}f.mp4")
    }

    @Test func keepsALongestNameWhole() {
        let name = String(repeating: "n", count: 251) + ".mp4"
        #expect(NamePolicy.sessionFilename(for: Array(name.utf8)) == name)
    }

    @Test func cutsATooLongNameBeforeItsExtension() {
        let name = String(repeating: "é", count: 300) + ".webm"
        #expect(NamePolicy.sessionFilename(for: Array(name.utf8)) == String(repeating: "é", count: 250) + ".webm")
        let bare = String(repeating: "n", count: 300)
        #expect(NamePolicy.sessionFilename(for: Array(bare.utf8)) == String(repeating: "n", count: 255))
        let notAnExtension = "a." + String(repeating: "n", count: 300)
        #expect(NamePolicy.sessionFilename(for: Array(notAnExtension.utf8)).count == 255)
    }

    @Test func namesTheNameless() {
        #expect(NamePolicy.sessionFilename(for: []) == "unnamed")
    }

    /// The specification: a string of 1 to 255 characters, which are code points in JSON Schema.
    @Test func whateverTheBytesItIsANameThatASessionMayBear() {
        var random = SplitMix64.seeded()
        for _ in 0..<20_000 {
            let name = Self.bytes(using: &random)
            let filename = NamePolicy.sessionFilename(for: name)
            let scalars = Array(filename.unicodeScalars)
            #expect((1...255).contains(scalars.count), "\(name)")
            // Whoever counts in UTF-16 gets no more than of a name that a directory can have.
            if name.count <= 255 { #expect(filename.utf16.count <= 255, "\(name)") }
            #expect(scalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }, "\(name)")
            #expect(scalars.allSatisfy { $0 != "\u{2028}" && $0 != "\u{2029}" }, "\(name)")
            // It stays what it is, and of the kind that it was.
            #expect(NamePolicy.sessionFilename(for: Array(filename.utf8)) == filename, "\(name)")
            #expect(NamePolicy.assetType(for: Array(filename.utf8)) == NamePolicy.assetType(for: name), "\(name)")
            let request = SessionRequest(filename: String(decoding: name, as: UTF8.self), type: .video, totalSize: 1)
            #expect(request.filename.utf8.elementsEqual(filename.utf8), "\(name)")
        }
    }

    /// Names of any length, of all that makes names difficult.
    private static func bytes(using random: inout SplitMix64) -> [UInt8] {
        let pieces: [[UInt8]] =
            [
                "a", "é", "日", "🎬", "👩‍👩‍👧", "e\u{301}", "\u{2028}", "\u{85}", "\n", "\t", " ", ".", "\"", "\\", "\u{FEFF}",
                "\u{202E}",
            ]
            .map { Array($0.utf8) } + [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x00]]
        let endings = [
            "", ".mp4", ".M4A", ".", ".x", "." + String(repeating: "n", count: 16),
            "." + String(repeating: "n", count: 17),
        ]
        let length = [0, 1, 2, 10, 100, 260, 400].randomElement(using: &random) ?? 0
        let usual = pieces.randomElement(using: &random) ?? []
        var name: [UInt8] = []
        for _ in 0..<length {
            name += Int.random(in: 0..<4, using: &random) == 0 ? pieces.randomElement(using: &random) ?? [] : usual
        }
        return name + Array((endings.randomElement(using: &random) ?? "").utf8)
    }
}
