import Foundation
import TestSupport
import Testing

/// Expects that one asset, and no other, came of everything so far, and that the mount reads what it holds.
///
/// - Parameters:
///   - name: the asset's.
///   - file: a file outside the mount with the same bytes.
///   - path: where it is in the mount; the name when nil.
@discardableResult
func expectOneAsset(
    _ name: String, like file: String, at path: String? = nil, on stage: Stage,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws -> StoredAsset? {
    let sum = try await TestFile.sha256(of: file)
    let assets = try await stage.sandbox.completeAssets()
    #expect(assets.map(\.filename) == [name], sourceLocation: sourceLocation)
    #expect(assets.map(\.sha256) == [sum], sourceLocation: sourceLocation)
    let readBack = try await TestFile.sha256(of: stage.mount.appending(path ?? name))
    #expect(readBack == sum, "what is read is what was uploaded", sourceLocation: sourceLocation)
    return assets.first
}

/// Expects that nothing came of a file, and that its name can be used again; tells what its status was.
@discardableResult
func expectNoAsset(
    of name: String, on stage: Stage, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> UploadStatus {
    let status = try await expectInterrupted(name, on: stage, sourceLocation: sourceLocation)
    #expect(try await stage.sandbox.completeAssets().isEmpty, sourceLocation: sourceLocation)
    let journal = try await stage.sandbox.journal()
    #expect(journal.requests(.report).isEmpty, "nothing of it may be reported", sourceLocation: sourceLocation)

    // The name is free again for the next try.
    let source = try await stage.source("again.mp4", size: 6_000_000, seed: 5)
    let copy = try await run("cp", source, stage.mount.appending(name))
    #expect(copy.succeeded, "\(copy)", sourceLocation: sourceLocation)
    let sum = try await TestFile.sha256(of: source)
    #expect(try await stage.assets(named: name).map(\.sha256) == [sum], sourceLocation: sourceLocation)
    return status
}

/// Expects that a file's upload ends as interrupted, with a reason, and that the file leaves the listing.
@discardableResult
func expectInterrupted(
    _ name: String, on stage: Stage, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> UploadStatus {
    let status = try await stage.mount.await("interrupted", of: name)
    #expect(status.error?.message.isEmpty == false, sourceLocation: sourceLocation)
    try await eventually("\(name) has left the listing") { try await !stage.mount.list().contains(name) }
    return status
}

/// The assets of sessions that were abandoned, cancelled or interrupted are deleted, best effort: here nothing hinders it.
func expectThatOnlyCompleteAssetsAreKept(
    on stage: Stage, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    try await eventually("the assets that will not be completed are deleted") {
        try await stage.sandbox.assets().allSatisfy { $0.complete || $0.deleted }
    }
}

/// Waits until a mount that comes to its end refuses whoever does not write. A name of its own each time: what was made
/// before can be opened again.
func awaitRefusal(of mount: Mount) async throws {
    try await eventually("new files are refused") {
        try await run("mktemp", "-p", mount.path, "--suffix=.mp4").errors.contains("Read-only file system")
    }
}
