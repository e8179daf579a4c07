import Testing
import UploadCore
import UploadStore

private let mebibyte: Int64 = 1 << 20

struct SpaceLedgerTests {
    @Test func theLimitBoundsAllVersionsTogether() {
        var ledger = SpaceLedger(limit: 10 * mebibyte, diskReserve: 0)
        #expect(ledger.reserve(6 * mebibyte, diskFree: 1 << 40) == .granted)
        #expect(ledger.reserve(5 * mebibyte) == .refused)
        #expect(ledger.reserve(4 * mebibyte) == .granted)
        #expect(ledger.reserve(1) == .refused)
        ledger.release(6 * mebibyte, unwritten: 6 * mebibyte)
        #expect(ledger.reserve(6 * mebibyte) == .granted)
        #expect(ledger.granted == 10 * mebibyte)
    }

    @Test func whatIsToStayFreeOnTheDiskIsNotGranted() {
        var ledger = SpaceLedger(limit: nil, diskReserve: 100 * mebibyte)
        #expect(ledger.reserve(mebibyte) == .measureFirst)
        #expect(ledger.reserve(mebibyte, diskFree: 100 * mebibyte) == .refused)
        #expect(ledger.reserve(mebibyte, diskFree: 101 * mebibyte - 1) == .refused)
        #expect(ledger.reserve(mebibyte, diskFree: 101 * mebibyte) == .granted)
        #expect(ledger.reserve(1) == .measureFirst)
        #expect(ledger.granted == mebibyte)
    }

    /// A file system that a program serves may tell any numbers.
    @Test func aDiskThatTellsMoreThanThereIsHasAllThatANumberCanSay() {
        #expect(SpoolDirectory.bytes(.max, of: 4096) == .max)
        #expect(SpoolDirectory.bytes(1 << 20, of: 4096) == 1 << 32)
        var ledger = SpaceLedger(limit: nil, diskReserve: 0)
        #expect(ledger.reserve(mebibyte, diskFree: .max) == .granted)
        #expect(ledger.space(diskFree: .max).capacity.bytes == .max)
    }

    @Test func theDiskIsMeasuredOnceForManyGrants() {
        var ledger = SpaceLedger(limit: nil, diskReserve: 0)
        #expect(ledger.reserve(mebibyte, diskFree: 1 << 40) == .granted)
        var grants = 1
        while ledger.reserve(mebibyte) == .granted { grants += 1 }
        #expect(Int64(grants) * mebibyte == SpaceLedger.allowanceLimit)
        #expect(ledger.reserve(mebibyte) == .measureFirst)
        // One that is larger than that is granted all the same.
        #expect(ledger.reserve(2 * SpaceLedger.allowanceLimit, diskFree: 1 << 40) == .granted)
    }

    /// Files as long as a number can say, on a disk that does not tell their holes.
    @Test func whatLiesThereIsCountedWithoutAnEnd() {
        var ledger = SpaceLedger(limit: nil, diskReserve: 0)
        for _ in 1...2 { ledger.adopt(.max) }
        #expect(ledger.reserve(1, diskFree: 1 << 40) == .granted)
    }

    @Test func whatIsGrantedAndNotYetWrittenIsTakenOffTheDisksSpace() {
        var ledger = SpaceLedger(limit: nil, diskReserve: 0)
        #expect(ledger.reserve(60 * mebibyte, diskFree: 100 * mebibyte) == .granted)
        // The disk still shows it as free.
        #expect(ledger.reserve(60 * mebibyte, diskFree: 100 * mebibyte) == .refused)
        ledger.wrote(60 * mebibyte)
        #expect(ledger.reserve(60 * mebibyte, diskFree: 40 * mebibyte) == .refused)
        #expect(ledger.reserve(40 * mebibyte, diskFree: 40 * mebibyte) == .granted)
        #expect(ledger.unwritten == 40 * mebibyte)
    }

    @Test func theSpaceIsWhatCouldBeGranted() {
        var ledger = SpaceLedger(limit: 100 * mebibyte, diskReserve: 10 * mebibyte)
        #expect(ledger.reserve(30 * mebibyte, diskFree: 1 << 40) == .granted)
        let byLimit = ledger.space(diskFree: 1 << 40)
        #expect(byLimit.free == .mebibytes(70) && byLimit.used == .mebibytes(30) && byLimit.capacity == .mebibytes(100))
        let byDisk = ledger.space(diskFree: 60 * mebibyte)
        #expect(byDisk.free == .mebibytes(20) && byDisk.capacity == .mebibytes(50))
        #expect(ledger.space(diskFree: 0).free == .mebibytes(0))
        // What an earlier process left may be over the limit.
        ledger.adopt(200 * mebibyte)
        #expect(ledger.space(diskFree: 1 << 40).free == .mebibytes(0))
        #expect(ledger.reserve(1) == .refused)
    }
}
