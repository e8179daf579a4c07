/// What shows that two processes belong together though the parents between them are gone: as with `sudo -b`, whose program
/// is another user's.
struct ProcessBonds {
    /// Session and process group (`NSsid`, `NSpgid`); nil where that is not told, or not of this namespace.
    private let session: Int32?
    private let group: Int32?
    /// Who logged in, whomever it has become since (`loginuid`); nil for what no login has started.
    private let login: UInt32?

    init(of process: Int32, _ status: KeyedLines, in table: ProcessTable) {
        func id(_ key: StaticString) -> Int32? {
            // Inner namespaces' numbers follow.
            status[key]?.split(separator: UInt8(ascii: "\t")).first.flatMap { Int32(decimal: $0) }.flatMap {
                $0 > 0 ? $0 : nil
            }
        }
        session = id("NSsid")
        group = id("NSpgid")
        let text = table.contents(of: table.path(process, "loginuid"), limit: 64).value
        let login = text.flatMap { UInt32(decimal: $0.prefix { $0 != UInt8(ascii: "\n") }) }
        self.login = login == UInt32.max ? nil : login
    }

    /// Whether one of these processes began its session or its group; it may be gone itself.
    func isLed(byOneOf processes: Set<Int32>) -> Bool {
        [session, group].contains { $0.map { processes.contains($0) } ?? false }
    }

    /// Whether it has something in common with another one.
    func areShared(with other: ProcessBonds) -> Bool {
        func isSame<Value: Equatable>(_ one: Value?, _ another: Value?) -> Bool { one != nil && one == another }
        return isSame(session, other.session) || isSame(group, other.group) || isSame(login, other.login)
    }
}
