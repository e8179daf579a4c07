import Foundation
import Glibc
import Testing
import TwelveFSCommand

import struct TestSupport.ShownStatements

/// What one process tells another through the socket in the state directory.
@Suite struct OrderSocketTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private static let order = ServerOrder.unmount(timeout: .milliseconds(1500), isForced: true)

    /// The next word that is one.
    private func hear(_ line: ServerLine) throws -> ServerLine.Word {
        while true {
            let word = try line.listen()
            if word != .silence { return word }
        }
    }

    private func placed(_ event: OrderEvent?) throws -> (order: ServerOrder, client: OrderClient) {
        guard case .placed(let order, let client)? = event else {
            throw CommandFailure("no order, but \(String(describing: event))")
        }
        return (order, client)
    }

    @Test(.shows("drain-together")) func eachClientHasItsOwnAnswers() async throws {
        let socket = try OrderSocket(in: scratch.opened())
        #expect(try mode(of: scratch.path(OrderSocket.name)) == 0o600)
        var events = socket.events.makeAsyncIterator()
        let first = try ServerLine(to: scratch.opened())
        try first.give(Self.order)
        let one = try placed(await events.next())
        let second = try ServerLine(to: scratch.opened())
        try second.give(.handOver)
        let two = try placed(await events.next())
        #expect(one.order == Self.order)
        #expect(two.order == .handOver)
        two.client.answer(.refused(reason: "no"))
        one.client.answer(.waiting(users: ["a\nb"]))
        one.client.answer(.ended(DrainOutcome(resumable: 3)))
        #expect(try hear(first) == .answer(.waiting(users: ["a\nb"])))
        #expect(try hear(first) == .answer(.ended(DrainOutcome(resumable: 3))))
        #expect(try hear(second) == .answer(.refused(reason: "no")))
    }

    @Test(.shows("drain-withdrawn")) func whoIsGoneHasTakenItsOrderBack() async throws {
        let socket = try OrderSocket(in: scratch.opened())
        var events = socket.events.makeAsyncIterator()
        var id = 0
        do {
            let line = try ServerLine(to: scratch.opened())
            try line.give(Self.order)
            let placed = try placed(await events.next())
            id = placed.client.id
            withExtendedLifetime(line) {}
        }
        guard case .withdrawn(id)? = await events.next() else {
            Issue.record("it was not taken back")
            return
        }
    }

    @Test func whatIsNoOrderIsRefused() async throws {
        let socket = try OrderSocket(in: scratch.opened())
        let line = try ServerLine(to: scratch.opened())
        try line.send(Array("{\"dance\":{}}\n".utf8))
        guard case .answer(.refused(let reason)) = try hear(line) else {
            Issue.record("it was not refused")
            return
        }
        #expect(reason.contains(TwelveFS.version))
        withExtendedLifetime(socket) {}
    }

    @Test(.shows("drain-stopped")) func serverThatNeverAnswersIsNotWaitedForForEver() throws {
        let socket = try OrderSocket(in: scratch.opened())
        let line = try ServerLine(to: scratch.opened(), longestSilence: .zero)
        try line.give(.handOver)
        let failure = #expect(throws: CommandFailure.self) { try hear(line) }
        #expect(failure?.message == "the serving process (pid \(getpid())) does not answer")
        withExtendedLifetime(socket) {}
    }

    @Test func answerWithoutAnEndIsNotHeardForEver() throws {
        let listener = try EndlessTalker(at: scratch.path(OrderSocket.name))
        let line = try ServerLine(to: scratch.opened())
        let failure = #expect(throws: CommandFailure.self) { try hear(line) }
        #expect(failure?.message == "what the serving process answers has no end")
        withExtendedLifetime(listener) {}
    }

    @Test func endOfTheServerIsHeard() async throws {
        var socket: OrderSocket? = try OrderSocket(in: scratch.opened())
        let line = try ServerLine(to: scratch.opened())
        try line.give(.handOver)
        var events = socket?.events.makeAsyncIterator()
        _ = await events?.next()
        socket = nil
        #expect(try hear(line) == .end)
        #expect(throws: (any Error).self) { try ServerLine(to: scratch.opened()) }
    }

    @Test func directoryWithALongPathHasOneToo() throws {
        let name = String(repeating: "x", count: 60)
        let deep = try scratch.directory("\(name)/\(name)/\(name)")
        let socket = try OrderSocket(in: OpenDirectory(at: deep))
        _ = try ServerLine(to: OpenDirectory(at: deep))
        withExtendedLifetime(socket) {}
    }

    @Test(.shows("drain-earlier-version")) func serverOfAnEarlierVersionIsNamed() async throws {
        let start = try #require(ProcessClock.startTime(of: getpid()))
        try scratch.file("lock", #"{"mountPoint":"/mnt/a","pid":\#(getpid()),"startTime":\#(start),"wasMounted":true}"#)
        let holder = try #require(StateFile.read(ServerRecord.self, from: scratch.opened().file("lock")))
        let failure = #expect(throws: CommandFailure.self) { try Server(holder, in: scratch.opened()).ask(Self.order) }
        #expect(failure?.message.contains("started by an earlier version") == true)
        #expect(failure?.hint?.contains("'kill \(getpid())'") == true)
    }
}

/// Something that listens in a server's place, and talks to whoever comes for as long as that one listens.
private final class EndlessTalker: Sendable {
    private let listener: Int32

    init(at path: String) throws {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let bound = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard listener >= 0, bound == 0, listen(listener, 1) == 0 else { throw CommandFailure("it cannot listen") }
        self.listener = listener
        Thread.detachNewThread {
            let client = accept(listener, nil, nil)
            let words = [UInt8](repeating: UInt8(ascii: " "), count: 1 << 16)
            while send(client, words, words.count, Int32(MSG_NOSIGNAL)) > 0 {}
            close(client)
        }
    }

    deinit { close(listener) }
}
