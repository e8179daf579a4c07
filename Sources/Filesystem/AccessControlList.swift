/// A POSIX access control list, as `system.posix_acl_access` and `system.posix_acl_default` hold it: a version, then eight
/// bytes for each entry (`linux/posix_acl_xattr.h`), all little-endian.
///
/// The mount keeps modes, not lists: what a list says to the owner, the group and everyone else is kept, as in the nine bits
/// that any file system shows of it; entries for further users and groups are not.
package struct AccessControlList: Equatable {
    /// The extended attributes that hold such a list.
    package enum Name: String, CaseIterable {
        /// Who may do what with the file.
        case access = "system.posix_acl_access"
        /// What new files of a directory get.
        case inherited = "system.posix_acl_default"

        package init?(_ name: [UInt8]) {
            guard let known = Self.allCases.first(where: { name.elementsEqual($0.rawValue.utf8) }) else { return nil }
            self = known
        }
    }

    /// The permission bits that it comes to: 0 to 0o777. Of what the list grants the group, the mask leaves what it names: in a
    /// mode that stays, the group must not get what the mask grants to others that the list names.
    package let permissions: UInt16

    /// Reads the attribute's value; nil when it is none.
    package init?(_ value: [UInt8]) {
        guard value.count >= 4, value.count % 8 == 4, Self.number(value[..<4]) == Self.version else { return nil }
        var classes: [Tag: UInt16] = [:]
        for start in stride(from: 4, to: value.count, by: 8) {
            let allowed = Self.number(value[start + 2..<start + 4])
            guard let tag = Tag(rawValue: Self.number(value[start..<start + 2])), allowed <= 7 else { return nil }
            classes[tag] = UInt16(allowed)
        }
        guard let owner = classes[.owner], let group = classes[.group], let others = classes[.others]
        else { return nil }
        permissions = owner << 6 | (group & (classes[.mask] ?? 7)) << 3 | others
    }

    private static let version: UInt32 = 2

    private enum Tag: UInt32 {
        case owner = 0x01
        case user = 0x02
        case group = 0x04
        case otherGroup = 0x08
        case mask = 0x10
        case others = 0x20
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
