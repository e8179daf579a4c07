// swift-tools-version: 6.2
import PackageDescription

/// Set by scripts/fuzz.sh alone, whose build is its own: where libFuzzer is, which comes with the compiler. Our modules tell it
/// where an input has led then.
let fuzzer = Context.environment["TWELVEFS_FUZZER"]

/// CI treats a warning as an error; elsewhere a newer compiler's new warning does not stop the build.
let warnings: [SwiftSetting] = Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]

let settings: [SwiftSetting] =
    [.enableUpcomingFeature("ExistentialAny")] + warnings
    + (fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer"])])

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(of name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.target(name: name)] + dependencies, exclude: exclude,
        swiftSettings: settings)
}

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
    static let logging = product(name: "Logging", package: "swift-log")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioSOCKS = product(name: "NIOSOCKS", package: "swift-nio-extras")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let subprocess = product(name: "Subprocess", package: "swift-subprocess")
    static let swiftASN1 = product(name: "SwiftASN1", package: "swift-asn1")
    static let systemPackage = product(name: "SystemPackage", package: "swift-system")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let x509 = product(name: "X509", package: "swift-certificates")
}

let package = Package(
    name: "twelvefs",
    products: [
        .executable(name: "twelvefs", targets: ["twelvefs"]),
        .executable(name: "twelvefs-sandbox", targets: ["twelvefs-sandbox"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", exact: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2"),
    ],
    targets: [
        library("Formats"),
        library("Descriptors"),
        .systemLibrary(name: "CFuse3", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        library("FuseLowLevel", ["Formats", "Descriptors", "CFuse3"]),
        library("UploadCore", ["Formats"]),
        library(
            "PlatformClient",
            [
                "UploadCore", "Formats", .asyncHTTPClient, .crypto, .nioCore, .nioHTTP1, .nioPosix, .nioSOCKS, .nioSSL,
                .logging,
            ]),
        .systemLibrary(name: "CSpool"),
        library("UploadStore", ["UploadCore", "Formats", "Descriptors", "CSpool", .grdb, .systemPackage]),
        library(
            "UploadEngine", ["UploadCore", "Formats", "PlatformClient", "UploadStore", .logging, .nioCore, .nioPosix]),
        library("FileTree", ["Formats"]),
        .systemLibrary(name: "CProcess"),
        library("ProcessInspection", ["Formats", "Descriptors", "CProcess"]),
        library(
            "Filesystem",
            [
                "FileTree", "ProcessInspection", "FuseLowLevel", "UploadEngine", "UploadCore", "Formats", "UploadStore",
                .logging, .systemPackage,
            ]),
        .systemLibrary(name: "CXattr"),
        library(
            "TwelveFSCommand",
            [
                "CXattr", "Filesystem", "ProcessInspection", "UploadEngine", "PlatformClient", "UploadStore",
                "UploadCore", "Formats", "FuseLowLevel", "Descriptors",
                .argumentParser, .logging, .nioPosix, .unixSignals, .systemPackage,
            ]),
        executable("twelvefs", ["TwelveFSCommand"]),
        library(
            "SandboxPlatform",
            ["Formats", .hummingbird, .crypto, .logging, .nioCore, .nioPosix, .nioSSL, .swiftASN1, .x509]),
        executable("twelvefs-sandbox", ["SandboxPlatform", .argumentParser, .logging]),

        // What more than one test target needs: the stand-in in process, tools as subprocesses, awaited conditions.
        .target(
            name: "TestSupport",
            dependencies: ["SandboxPlatform", "UploadCore", "Formats", "FuseLowLevel", .subprocess, .systemPackage],
            path: "Tests/TestSupport", swiftSettings: settings),
        tests(of: "FuseLowLevel", ["TestSupport", "Formats"]),
        tests(of: "Formats", ["TestSupport"]),
        tests(of: "Descriptors"),
        tests(of: "UploadCore", ["TestSupport", "Formats"]),
        tests(
            of: "PlatformClient",
            [
                "TestSupport", "UploadCore", "Formats", "SandboxPlatform", .crypto, .logging, .nioCore, .nioPosix,
                .nioHTTP1,
                .nioSSL,
            ]),
        tests(of: "UploadStore", ["TestSupport", "UploadCore", "Formats", "Descriptors", .grdb]),
        tests(
            of: "UploadEngine",
            [
                "TestSupport", "SandboxPlatform", "UploadStore", "PlatformClient", "UploadCore", "Formats", .logging,
                .nioPosix,
            ]),
        tests(of: "FileTree", ["TestSupport", "Formats"]),
        tests(of: "ProcessInspection", ["TestSupport", "Formats", "Descriptors"]),
        tests(
            of: "Filesystem",
            [
                "TestSupport", "SandboxPlatform", "FileTree", "ProcessInspection", "UploadEngine", "UploadStore",
                "PlatformClient", "UploadCore", "Formats", "FuseLowLevel", .grdb, .logging, .nioCore, .nioPosix,
            ],
            exclude: ["Fixtures"]),
        tests(
            of: "TwelveFSCommand",
            [
                "TestSupport", "SandboxPlatform", "ProcessInspection", "PlatformClient", "UploadCore", "Formats",
                .argumentParser, .logging, .unixSignals,
            ]),
        // What reads what comes from outside, for random inputs.
        .target(
            name: "Fuzzing",
            dependencies: [
                "TwelveFSCommand", "Filesystem", "FileTree", "ProcessInspection", "UploadEngine", "PlatformClient",
                "UploadStore", "UploadCore", "Formats", .grdb, .nioCore, .nioHTTP1,
            ],
            path: "Tests/Fuzzing", swiftSettings: settings),
        tests(of: "Fuzzing", ["TestSupport"]),
        tests(of: "SandboxPlatform", ["TestSupport", .asyncHTTPClient, .nioSSL]),
        // Real mounts, real tools: the executables under test are run as processes.
        .testTarget(
            name: "MountTests", dependencies: ["TestSupport", "UploadCore", "Formats"], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

if let fuzzer {
    package.targets.append(
        .executableTarget(
            name: "twelvefs-fuzzer", dependencies: ["Fuzzing"], path: "Tests/Fuzzer", swiftSettings: settings,
            linkerSettings: [.unsafeFlags([fuzzer, "-lstdc++", "-lm"])]))
}
