import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Names are bytes, and what belongs to a file besides its bytes is kept.
    @Suite struct NamesAndAttributes {
        @Test(
            .shows("name-bytes", "name-filename"),
            arguments: [
                "with spaces.mp4", "ünï cödé 日本語 🎬.mp4", "line\nbreak.mp4", "-leading dash.mp4", "quo'te\"s.mp4",
                "back\\slash.mp4",
                String(repeating: "n", count: 251) + ".mp4", "UPPER.MP4", "tab\there.mov", "a.b.c.mkv", "sound.wav",
            ])
        func ofEveryKindCanBeUploaded(name: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_000_000)
                let outcome = try await stage.shellInMount(#"cp -- "$1" "./$2" && ls | grep -c ."#, source, name)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(try await stage.mount.list() == [name])
                let asset = try #require(try await stage.sandbox.completeAssets().first)
                let shown = String(
                    String.UnicodeScalarView(
                        name.unicodeScalars.map {
                            $0.properties.generalCategory == .control ? "\u{FFFD}" : $0
                        }))
                #expect(asset.filename == shown)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                #expect(try await TestFile.sha256(of: stage.mount.appending(name)) == asset.sha256)
            }
        }

        @Test(.shows("name-bytes", "name-filename")) func bytesThatAreNoTextAreANameToo() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_000_000)
                let outcome = try await stage.shellInMount(
                    #"cp "$1" $'\xff\xfe.mp4' && cmp "$1" $'\xff\xfe.mp4' && ls --quoting-style=c"#, source)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.output == "\"\\377\\376.mp4\"\n", "\(outcome)")
                #expect(try await stage.sandbox.completeAssets().map(\.filename) == ["\u{FFFD}\u{FFFD}.mp4"])
            }
        }

        @Test(.shows("name-bytes")) func aNameThatIsTooLongIsRefused() async throws {
            try await withMount { stage in
                let outcome = try await stage.shellInMount(#"touch "$1""#, String(repeating: "n", count: 252) + ".mp4")
                #expect(!outcome.succeeded)
                #expect(outcome.errors.contains("File name too long"), "\(outcome)")
            }
        }

        @Test(
            .shows("status-fixed"),
            arguments: [
                "echo x > .status/x.mp4", "mkdir .status/x", "rm -f .status/summary.json", "rmdir .status",
                "mkdir .status",
                "mv .status other", "mv a .status", "mv a/b.mp4 .status", "touch .status", "rm -rf .status",
                "chmod 700 .status/summary.json", "ln -s a .status", "> .status/summary.json",
                "mv .status/summary.json a.mp4",
            ])
        func theStatusDirectoryCannotBeChanged(script: String) async throws {
            try await withMount { stage in
                let prepared = try await stage.shellInMount("mkdir a && echo x > a/b.mp4")
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await stage.shellInMount("set -e; \(script)")
                #expect(!outcome.succeeded, "\(outcome)")
                let after = try await stage.shellInMount("cat .status/summary.json > /dev/null && ls -A && ls a")
                #expect(after.output == "a\nb.mp4\n", "\(after)")
            }
        }

        @Test(.shows("rename-finished")) func aLaterNameIsShownBesideTheSessions() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_000_000)
                let outcome = try await stage.shellInMount(#"mkdir a && cp "$1" x.mp4 && mv x.mp4 a/y.mp4"#, source)
                #expect(outcome.succeeded, "\(outcome)")
                let status = try await stage.mount.status(of: "a/y.mp4")
                #expect(status.path == "/a/y.mp4")
                #expect(status.filename == "x.mp4")
                #expect(try await stage.sandbox.completeAssets().map(\.filename) == ["x.mp4"])
            }
        }

        /// A file that is renamed over another one has the older upload: its name still leads to it.
        @Test(.shows("status-name")) func aNameLeadsToTheUploadOfTheFileThatBearsIt() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let older = try await stage.source("older.mp4", size: 2_000_000, seed: 1)
                let newer = try await stage.source("newer.mp4", size: 1_000_000, seed: 2)
                let outcome = try await stage.shellInMount(
                    #"cp "$1" a.mp4 && cp "$2" b.mp4 && mv a.mp4 b.mp4"#, older, newer)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(try await stage.mount.status(of: "b.mp4").totalSize == 2_000_000)
                let names = try await stage.shellInMount("ls .status/by-name")
                #expect(names.output == "b.mp4.json\n", "\(names)")
            }
        }

        @Test(.shows("attribute-kept")) func modesOwnersAndTimesAreKeptAndShown() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_000_000)
                let outcome = try await stage.shellInMount(
                    """
                    set -e
                    touch -d '2001-02-03 04:05:06.123456789 UTC' "$1"; chmod 604 "$1"
                    cp -a "$1" a.mp4; stat -c '%a %s %y' a.mp4
                    chmod 751 a.mp4; touch -m -d '1999-12-31 23:59:59.5 UTC' a.mp4; stat -c '%a %y' a.mp4
                    touch -a -d '1998-01-01 UTC' a.mp4; stat -c '%x' a.mp4
                    chown "$(id -u):$(id -g)" a.mp4
                    mkdir d; chmod 710 d; touch -d '2002-01-01 UTC' d; stat -c '%a %y' d
                    mv a.mp4 d/b.mp4; stat -c '%a %y' d/b.mp4
                    """, source)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.isEmpty, "\(outcome)")
                #expect(
                    outcome.output == """
                        604 2000000 2001-02-03 04:05:06.123456789 +0000
                        751 1999-12-31 23:59:59.500000000 +0000
                        1998-01-01 00:00:00.000000000 +0000
                        710 2002-01-01 00:00:00.000000000 +0000
                        751 1999-12-31 23:59:59.500000000 +0000

                        """, "\(outcome)")
                #expect(try await stage.sandbox.completeAssets().count == 1, "none of it is another version")
            }
        }

        /// As cp -a, mv, install and file managers do: an ACL that says no more than the mode is set, or asked for.
        @Test(arguments: [
            #"cp -a "$1" "$2""#,
            #"cp --preserve=mode,xattr,context "$1" "$2" 2>/dev/null || cp --preserve=mode,xattr "$1" "$2""#,
            #"mv "$1" "$2""#, #"install -p -m 600 -o "$(id -u)" -g "$(id -g)" "$1" "$2""#, #"rsync -aAX "$1" "$2""#,
        ])
        func callsForACLsMakeNoCopyFail(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_000_000)
                let kept = try await run("cp", source, stage.scratch.appending("kept"))
                #expect(kept.succeeded, "\(kept)")
                let outcome = try await shell(script, source, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.isEmpty, "\(outcome)")
                try await expectOneAsset("video.mp4", like: stage.scratch.appending("kept"), on: stage)
            }
        }

        /// A list with more in it than a mode has space for: what the mode can say is kept.
        @Test(
            .shows("attribute-acl"),
            arguments: [
                #"cp -a "$1" "$2""#, #"cp -p "$1" "$2""#, #"rsync -aA "$1" "$2""#, #"mv "$1" "$2""#,
                #"tar -C "$(dirname "$1")" -c --acls video.mp4 | tar -C "$(dirname "$2")" -x --acls"#,
            ])
        func anAccessControlListMakesNoCopyFail(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await TestFile.random(at: stage.scratch.appending("video.mp4"), size: 2_000_000)
                let sum = try await TestFile.sha256(of: source)
                let listed = try await run(
                    "python3", "-c",
                    """
                    import os, struct, sys
                    entries = (1, 7, -1), (2, 6, 1234), (4, 4, -1), (16, 6, -1), (32, 1, -1)
                    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
                    os.setxattr(sys.argv[1], "system.posix_acl_access", value)
                    """, source)
                #expect(listed.succeeded, "\(listed)")
                let copy = stage.mount.appending("video.mp4")
                let outcome = try await shell(script + #" && stat -c %a "$2""#, source, copy)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.isEmpty, "\(outcome)")
                // The group's own four, not the six that the mask leaves to those whom only the list names.
                #expect(outcome.output == "741\n")
                try await stage.mount.await("completed", of: "video.mp4")
                #expect(try await stage.assets(named: "video.mp4").map(\.sha256) == [sum])
            }
        }

        @Test(.shows("mmap")) func aSharedMappingIsRefusedForWritingAndServesReaders() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 2_000_000)
                let outcome = try await run(
                    "python3", "-c",
                    """
                    import errno, mmap, os, sys
                    source, path = sys.argv[1:]
                    content = open(source, "rb").read()
                    with open(path, "w+b") as target:
                        target.write(content)
                        target.flush()
                        try:
                            mmap.mmap(target.fileno(), len(content))
                        except OSError as error:
                            print(errno.errorcode[error.errno])
                    with open(path, "rb") as reader:
                        assert mmap.mmap(reader.fileno(), 0, prot=mmap.PROT_READ)[:] == content
                    """, source, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.output == "ENODEV\n")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }
    }
}
