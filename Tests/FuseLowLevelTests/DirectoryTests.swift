import FuseLowLevel
import Glibc
import Synchronization
import Testing

@Suite(.serialized) struct DirectoryTests {
    @Test func listsManyEntriesOnceEach() throws {
        try withMount { mounted in
            let expected = Set((0..<3000).map { Array("entry-number-\($0)-with-a-rather-long-name".utf8) })
            mounted.filesystem.tree.withLock { tree in
                for name in expected {
                    _ = tree.add(name, in: .root, kind: .regular, permissions: 0o644)
                }
            }
            let listed = try names(in: mounted.path)
            #expect(listed.count == expected.count)
            #expect(Set(listed) == expected)
            // As `ls -l` and `find -size`: each entry's attributes are asked for.
            let child = try ChildProcess(shell: "test $(find \(mounted.path) -type f -size 0 | wc -l) -eq 3000")
            #expect(child.exitCode() == 0)
        }
    }

    @Test(arguments: [
        [UInt8](repeating: UInt8(ascii: "n"), count: 255), Array("with\nnewline".utf8), [0xff, 0xfe, 0x80],
        Array("e\u{301}".utf8), Array("\u{e9}".utf8), Array("back\\slash \"quote\" %s".utf8), [0x2e, 0x2e, 0x2e],
    ])
    func keepsNamesAsBytes(_ name: [UInt8]) throws {
        try withMount { mounted in
            let path: [CChar] = (Array(mounted.path("").utf8) + name + [0]).map { CChar(bitPattern: $0) }
            close(try check(open(path, O_CREAT | O_WRONLY, 0o644)))
            #expect(try names(in: mounted.path) == [name])
            #expect(mounted.filesystem.tree.withLock { $0.nodes[.root]?.children.keys.map { $0 } } == [name])
        }
    }

    @Test func tellsNamesApartThatUnicodeDoesNot() throws {
        try withMount { mounted in
            try writeFile(mounted.path("e\u{301}"), [1])
            try writeFile(mounted.path("\u{e9}"), [2])
            #expect(try names(in: mounted.path).count == 2)
        }
    }

    @Test func packsNoMoreThanFits() {
        let name = Array("a".utf8)
        // 24 bytes of header and the name, padded to 8 (`struct fuse_dirent`).
        var listing = DirectoryListing(capacity: 64)
        let entry = DirectoryEntry(name: name, inode: .root, kind: .directory, nextOffset: 1)
        let fits = (0..<3).map { _ in listing.append(entry) }
        #expect(fits == [true, true, false])

        // 128 bytes of attributes before that (`struct fuse_direntplus`).
        let attributes = MemoryFilesystem.attributes(of: .root, kind: .directory, permissions: 0o755)
        let plusFits = [159, 160].map { capacity in
            var listing = DirectoryPlusListing(capacity: capacity)
            let isPacked = listing.append(
                FuseEntry(inode: .root, attributes: attributes), named: name, nextOffset: 1)
            #expect(listing.isEmpty == !isPacked)
            return isPacked
        }
        #expect(plusFits == [false, true])
    }

    /// In Python, since Swift's view of the C library has no extended attributes.
    @Test func keepsExtendedAttributes() throws {
        try withMount { mounted in
            let script = """
                import errno, os, sys
                path = "\(mounted.path("file"))"
                open(path, "w").close()
                def refused(number, call, *arguments):
                    try:
                        call(*arguments)
                    except OSError as error:
                        assert error.errno == number, error
                    else:
                        raise AssertionError("not refused")
                value = b"some value\\0\\xff" * 1000
                os.setxattr(path, "user.one", value)
                os.setxattr(path, "user.two", b"x", os.XATTR_CREATE)
                refused(errno.EEXIST, os.setxattr, path, "user.one", b"x", os.XATTR_CREATE)
                refused(errno.ENODATA, os.setxattr, path, "user.new", b"x", os.XATTR_REPLACE)
                assert os.getxattr(path, "user.one") == value
                refused(errno.ENODATA, os.getxattr, path, "user.none")
                assert os.listxattr(path) == ["user.one", "user.two"]
                os.removexattr(path, "user.one")
                refused(errno.ENODATA, os.removexattr, path, "user.one")
                # What asks for the size only, and what brings too little space.
                import ctypes
                libc = ctypes.CDLL(None, use_errno=True)
                assert libc.getxattr(path.encode(), b"user.two", None, 0) == 1
                os.setxattr(path, "user.two", b"four")
                buffer = ctypes.create_string_buffer(3)
                assert libc.getxattr(path.encode(), b"user.two", buffer, 3) == -1
                assert ctypes.get_errno() == errno.ERANGE
                """
            let child = try ChildProcess(shell: "exec python3 - <<'END'\n\(script)\nEND")
            #expect(child.exitCode() == 0)
        }
    }
}
