#if canImport(Glibc)
import Glibc
#endif

/// Variables of the environment that may hold a secret, and that no process of a mount has any use for once they are read.
package enum SecretVariables {
    /// Whether a variable is one: the API key's, and every one that names a proxy, those that are not read here included
    /// (`HTTP_PROXY` usually has the same password).
    package static func contain(_ name: String) -> Bool {
        KeyReader.variables.contains(name) || name.lowercased().hasSuffix("_proxy")
    }

    /// Takes them out of this process's environment, and their values out of its memory, which `/proc/PID/environ` shows.
    ///
    /// To be called before any other thread is started, which might read the environment.
    static func forget() {
        var names: [String] = []
        var entry = environ
        while let text = entry.pointee {
            defer { entry += 1 }
            guard let equals = strchr(text, CInt(UInt8(ascii: "="))) else { continue }
            let name = String(decoding: UnsafeRawBufferPointer(start: text, count: equals - text), as: UTF8.self)
            guard contain(name) else { continue }
            names.append(name)
            memset(equals + 1, CInt(UInt8(ascii: "x")), strlen(equals + 1))
        }
        for name in names { unsetenv(name) }
    }
}
