import Foundation

/// A port of the loopback interface that refuses connections: nobody listens there, nor is anybody else given it meanwhile.
package final class QuietPort: Sendable {
    /// The port.
    package let number: Int
    private let descriptor: Int32

    /// Takes a port, any that is free where none is named, until nobody refers to it any more. Who names it and allows the
    /// reuse of addresses may begin to listen there before that.
    package init(_ number: Int = 0) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SystemFailure(call: "socket", path: "", code: errno) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(number).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { [descriptor] address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
            }
        }
        self.number = Int(UInt16(bigEndian: address.sin_port))
        guard isBound else {
            let code = errno
            close(descriptor)
            throw SystemFailure(call: "bind", path: "", code: code)
        }
    }

    deinit { close(descriptor) }
}
