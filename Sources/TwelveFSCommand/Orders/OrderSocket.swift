import FuseLowLevel
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Where the process that serves a mount takes orders: a socket in the state directory, which lets in its owner and root.
///
/// A connection is an order, and its end takes the order back. Nothing of this needs space on the disk, nor a process's
/// number, which may mean another one in another pid namespace.
package final class OrderSocket: Sendable {
    /// What the socket is called in the state directory.
    package static let name = "orders.sock"

    /// For one reader. It ends with the socket.
    package let events: AsyncStream<OrderEvent>
    private let listener: Int32

    /// - Throws: `Errno`, `FuseError`.
    package init(in stateDirectory: OpenDirectory) throws {
        listener = try UnixSocket.listening(as: Self.name, in: stateDirectory)
        let (events, continuation) = AsyncStream.makeStream(of: OrderEvent.self)
        self.events = events
        let listener = listener
        do {
            try NativeThread(name: "orders") {
                var receiver = OrderReceiver(listener: listener, events: continuation)
                receiver.run()
            }.detach()
        } catch {
            close(listener)
            throw error
        }
    }

    deinit {
        // Ends the thread, which closes it.
        shutdown(listener, Int32(SHUT_RDWR))
    }
}

/// The thread that listens.
private struct OrderReceiver {
    private struct Connection {
        let id: Int
        let line: AnswerLine
        var received: [UInt8] = []
        var hasOrdered = false
        var isOver = false
    }

    let listener: Int32
    let events: AsyncStream<OrderEvent>.Continuation
    private var connections: [Connection] = []
    private var count = 0
    /// There was no descriptor for whoever knocks: it is tried again when some time has passed.
    private var isStarved = false

    /// An order has some hundred bytes.
    private static let longestOrder = 64 << 10
    private static let pause: Int32 = 100

    init(listener: Int32, events: AsyncStream<OrderEvent>.Continuation) {
        self.listener = listener
        self.events = events
    }

    mutating func run() {
        defer {
            close(listener)
            for connection in connections { connection.line.end() }
            events.finish()
        }
        while true {
            var polled = connections.map { pollfd(fd: $0.line.descriptor, events: Int16(POLLIN), revents: 0) }
            // A negative number is passed over.
            polled.append(pollfd(fd: isStarved ? -1 : listener, events: Int16(POLLIN), revents: 0))
            let count = poll(&polled, nfds_t(polled.count), isStarved ? Self.pause : -1)
            guard count >= 0 || errno == EINTR else { return }
            for index in connections.indices where polled[index].revents != 0 { receive(from: index) }
            let knocks = polled[connections.count].revents
            connections.removeAll(where: \.isOver)
            guard knocks & Int16(POLLHUP | POLLERR | POLLNVAL) == 0 else { return }
            if isStarved || knocks != 0 { accept() }
        }
    }

    private mutating func accept() {
        isStarved = false
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else {
                isStarved = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                return
            }
            guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
                close(descriptor)
                continue
            }
            count += 1
            connections.append(Connection(id: count, line: AnswerLine(descriptor)))
        }
    }

    private mutating func receive(from index: Int) {
        var connection = connections[index]
        connection.isOver = !Self.readAll(of: &connection)
        if connection.isOver {
            connection.line.end()
            if connection.hasOrdered { events.yield(.withdrawn(connection.id)) }
        } else if !connection.hasOrdered, let end = connection.received.firstIndex(of: UInt8(ascii: "\n")) {
            connection.hasOrdered = true
            place(connection.received[..<end], of: connection)
        }
        connections[index] = connection
    }

    private func place(_ text: ArraySlice<UInt8>, of connection: Connection) {
        let client = OrderClient(id: connection.id) { [line = connection.line] in line.send($0) }
        do {
            events.yield(.placed(try StateFile.decoded(ServerOrder.self, from: Array(text)), by: client))
        } catch {
            client.answer(.refused(reason: "twelvefs \(TwelveFS.version) serves it, which does not know that order"))
        }
    }

    /// Reads what there is; false at the end. An order whose client is gone already is none.
    private static func readAll(of connection: inout Connection) -> Bool {
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(connection.line.descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return errno == EAGAIN }
            guard count > 0, connection.received.count < longestOrder else { return false }
            connection.received += piece[..<count]
        }
    }
}

/// What is answered on a connection, from any thread. Its descriptor is open for as long as anybody has this.
private final class AnswerLine: Sendable {
    let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Never waits: whoever does not read is taken for gone.
    func send(_ answer: ServerAnswer) {
        guard let bytes = try? StateFile.encoded(answer), !UnixSocket.send(bytes, to: descriptor) else { return }
        end()
    }

    /// Both sides read no more from here on.
    func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
