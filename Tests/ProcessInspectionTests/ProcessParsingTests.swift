import Formats
import Foundation
import ProcessInspection
import TestSupport
import Testing

@Suite struct ProcessParsing {
    @Test(arguments: [
        "cp", "", " ", ")", "(", "a b", ") R 1 (", ") S 1 1 1 0 -1 4 0 0 0 0", "a\nb", "((((", "x)\n4 (y",
    ])
    func aNameNeverMovesTheFieldsOfStat(name: String) throws {
        let stat = try #require(ProcessStat(parsing: Array(FakeProc.stat(42, name, 7, 4, 15).utf8)))
        #expect(stat.isExiting)
        #expect(stat.flags == 4)
        #expect(stat.exitCode == 15)
    }

    @Test func aNameMayHoldAnyBytes() throws {
        var bytes = Array("1 (".utf8) + [0xff, 0x00, 0xfe]
        bytes += Array(FakeProc.stat(1, "").utf8.drop { $0 != UInt8(ascii: ")") })
        #expect(ProcessStat(parsing: bytes)?.exitCode == 0)
    }

    @Test(arguments: [
        "", "\n", "1", "()", ")(\n", "1 (cp)\n", "1 (cp) S 1 1 1 0 -1 4194304",
        "1 (cp) S 1 1 1 0 -1\n", "1 (cp) S 1 1 1 0 -1 x 0 0 0 0 1 2 0 0 20 0 1 0 1000\n",
        "1 (cp) S 1 1 1 0 -1 99999999999999999999 0 0 0 0 1 2 0 0 20 0 1 0 1000\n",
        "1 (cp) S 1 1 1 0 -1 -4 0 0 0 0 1 2 0 0 20 0 1 0 1000\n",
    ])
    func aStatThatMakesNoSenseIsNone(text: String) {
        #expect(ProcessStat(parsing: Array(text.utf8)) == nil)
    }

    @Test func aStatThatWasCutOffIsNoneAtAnyPlace() {
        let whole = Array(FakeProc.stat(42, "cp", 7, 4, 15).utf8)
        for length in 0..<whole.count { #expect(ProcessStat(parsing: Array(whole.prefix(length))) == nil) }
    }

    @Test(arguments: ["-1", "70000", "99999999999999999999", "x", ""])
    func anExitCodeThatMakesNoSenseIsUnknown(code: String) throws {
        let text = FakeProc.stat(42, "cp", 7, 4, 15).dropLast(3) + "\(code)\n"
        let stat = try #require(ProcessStat(parsing: Array(text.utf8)))
        #expect(stat.exitCode == nil)
        #expect(stat.isExiting)
    }

    @Test func descriptorsTellHowTheyWereOpened() throws {
        func info(_ flags: String) throws -> DescriptorInfo {
            try #require(DescriptorInfo(parsing: Array("pos:\t12\nflags:\t\(flags)\nmnt_id:\t29\nino:\t345\n".utf8)))
        }
        let read = try info("0100000")
        #expect(read.isReadOnly && !read.canWrite && !read.closesOnExec && !read.isDirectory)
        #expect(read.position == 12 && read.mountID == 29 && read.inode == 345)
        #expect(try info("0100001").canWrite)
        #expect(try info("02100002").canWrite)
        #expect(try info("02100000").closesOnExec)
        #expect(try info("0200000").isDirectory)
        let accessModeThree = try info("0100003")
        #expect(!accessModeThree.canWrite && !accessModeThree.isReadOnly)
        let pathOnly = try info("010000000")
        #expect(!pathOnly.canWrite && !pathOnly.isReadOnly)
    }

    @Test(arguments: [
        "", "pos:\t0\n", "pos:\t0\nflags:\t0100000\nmnt_id:\t29", "pos:\t-1\nflags:\t0100000\nmnt_id:\t29\n",
        "pos:\t0\nflags:\t0108000\nmnt_id:\t29\n", "pos:\t0\nflags:\t\nmnt_id:\t29\n",
        "pos:\t0\nflags:\t77777777777777\nmnt_id:\t29\n", "pos:\t0\nflags:\t0\nmnt_id:\t29\nmnt_id:\t30\n",
        "flags:\t0\nmnt_id:\t99999999999\npos:\t0\n",
    ])
    func aDescriptorThatMakesNoSenseIsNone(text: String) {
        #expect(DescriptorInfo(parsing: Array(text.utf8)) == nil)
    }

    @Test func anInodeNumberMayTakeAll64Bits() throws {
        let text = "pos:\t9223372036854775807\nflags:\t0\nmnt_id:\t1\nino:\t18446744073709551615\n"
        let info = try #require(DescriptorInfo(parsing: Array(text.utf8)))
        #expect(info.inode == .max && info.position == .max)
        let tooLarge = "pos:\t0\nflags:\t0\nmnt_id:\t1\nino:\t18446744073709551616\n"
        #expect(DescriptorInfo(parsing: Array(tooLarge.utf8))?.inode == nil)
    }

    @Test func whateverStandsInTheFilesNothingTraps() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of whateverStandsInTheFilesNothingTraps: \(seed)")
        var random = SplitMix64(seed: seed)
        let status = "Name:\tcp\nTgid:\t12\nSigPnd:\t01\nShdPnd:\t02\nSigBlk:\t04\nSigIgn:\t08\nSigCgt:\t10\n"
        let mounts = "36 35 98:0 / /mnt\\040x rw,noatime master:1 - ext3 /dev/root rw\n"
        let samples = [
            FakeProc.stat(42, "c) (p"), status, mounts, "pos:\t1\nflags:\t0100001\nmnt_id:\t2\nino:\t3\n",
        ].map { Array($0.utf8) }
        let tree = try FakeProc()
        defer { tree.remove() }
        for round in 0..<20_000 {
            var bytes = samples[Int.random(in: 0..<samples.count, using: &random)]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let at = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                case 1: if at < bytes.count { bytes.remove(at: at) }
                case 2: bytes.removeSubrange(at...)
                case 3: bytes.insert(contentsOf: Array("\n\t :(9)".utf8).shuffled(using: &random), at: at)
                default: bytes.insert(contentsOf: repeatElement(UInt8(ascii: "9"), count: 30), at: at)
                }
            }
            let stat = ProcessStat(parsing: bytes)
            #expect(stat?.exitCode.map { (0...0xffff).contains($0) } ?? true)
            _ = DescriptorInfo(parsing: bytes)
            _ = MountTable(parsing: bytes)
            _ = PendingSignals(parsing: bytes)?.endingTheWait
            if round % 200 == 0 {
                for name in ["stat", "status", "comm"] { try tree.write("5/\(name)", bytes) }
                _ = tree.table.exit(of: 5)
                _ = tree.table.command(of: 5)
                _ = tree.table.pendingSignals(of: 5)
            }
        }
    }
}
