import Filesystem
import Testing

private func entry(_ tag: UInt8, _ permissions: UInt8, of id: UInt32 = .max) -> [UInt8] {
    [tag, 0, permissions, 0] + (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
}

private func list(_ entries: [UInt8]...) -> [UInt8] { [2, 0, 0, 0] + entries.joined() }

struct AccessControlListTests {
    @Test func aListThatSaysNoMoreThanAModeIsThatMode() {
        let value = list(entry(0x01, 6), entry(0x04, 4), entry(0x20, 0))
        #expect(AccessControlList(value)?.permissions == 0o640)
    }

    @Test(arguments: [(5, 6, 0o741), (0, 6, 0o701), (7, 1, 0o711), (6, 7, 0o761)] as [(UInt8, UInt8, UInt16)])
    func theGroupGetsWhatTheMaskLeavesOfIt(group: UInt8, mask: UInt8, permissions: UInt16) {
        let value = list(
            entry(0x01, 7), entry(0x02, 7, of: 1234), entry(0x04, group), entry(0x08, 1, of: 99), entry(0x10, mask),
            entry(0x20, 1))
        #expect(AccessControlList(value)?.permissions == permissions)
    }

    @Test(arguments: [
        [], [2, 0, 0], list(), [1, 0, 0, 0], list(entry(0x01, 6), entry(0x04, 4)), list([1, 0, 6]),
        list(entry(0x01, 6), entry(0x10, 4), entry(0x20, 0)),
        list(entry(0x01, 6), entry(0x04, 4), entry(0x20, 8)), list(entry(0x01, 6), entry(0x04, 4), entry(0x21, 0)),
        [3, 0, 0, 0] + entry(0x01, 6) + entry(0x04, 4) + entry(0x20, 0),
    ])
    func whatIsNoListIsNone(value: [UInt8]) {
        #expect(AccessControlList(value) == nil)
    }
}
