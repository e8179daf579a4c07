import Foundation

/// Finds the executables under test: the ones that were built together with the tests that are running.
package enum BuildProducts {
    /// The folder of the build that this test run came from, for example `.build/release`.
    ///
    /// The test runner is a program in that folder. The folder is asked of the kernel, because the first argument need not be a path.
    package static let folder: String = {
        if let chosen = ProcessInfo.processInfo.environment["TWELVEFS_BUILD_DIR"] { return chosen }
        let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return String(runner[..<(runner.lastIndex(of: "/") ?? runner.startIndex)])
    }()

    /// The command under test.
    package static var twelvefs: String { "\(folder)/twelvefs" }

    /// The stand-in of the platform.
    package static var sandbox: String { "\(folder)/twelvefs-sandbox" }

    /// The folder `Tests/tools`: small programs that play a writer no common tool is.
    package static let tools: String = {
        let file = #filePath
        let tests = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        return tests.joined(separator: "/") + "/tools"
    }()
}
