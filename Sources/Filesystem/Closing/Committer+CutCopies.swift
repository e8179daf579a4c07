import FileTree
import ProcessInspection
import UploadCore
import UploadEngine
import UploadStore

// Copies that ended before their source, though nobody was killed: Ctrl-C in a program that closes its files all the same.

extension Committer {
    /// How many bytes a whole copy would have had, when cp, mv or install stopped short: as many as its source had at the beginning
    /// or has now, whichever are fewer, since one that grows is read to an end that it no longer has.
    func missingBytes(of version: FileVersion) -> Int64? {
        guard let source = version.source, source.kind == .copied, let first = version.sourceSize, !isDeclared(version)
        else { return nil }
        guard version.size < first else { return nil }
        let whole = min(first, writers.currentSize(of: source) ?? first)
        return version.size < whole ? whole : nil
    }

    /// Whether its writer, or a user, has said how long it is to be.
    private func isDeclared(_ version: FileVersion) -> Bool {
        version.upload?.inspect { $0.hint?.source } == .declared
    }

    /// The same as ``sizeOfCutNamesake(_:)``, found once until the file is changed: later the source may not answer.
    func cutNamesake(_ version: FileVersion, of file: MountedFile) -> Int64? {
        if let known = version.cutNamesake { return known }
        guard !isDeclared(version), let whole = sizeOfCutNamesake(version) else { return nil }
        file.isCut(version, from: whole)
        return whole
    }

    /// How many bytes the file has that its writer read under the same name, when this one holds the first of them and no more;
    /// nil as well when that could not be compared.
    ///
    /// How far it was read tells nothing: `sendfile` with an offset leaves the position at 0 after a whole copy, and who writes
    /// another container stops before the end. A source that grows is read to an end that it no longer has.
    private func sizeOfCutNamesake(_ version: FileVersion) -> Int64? {
        if let held = version.heldSource {
            return sizeOfCut(version, from: held.firstSize, to: { held.size }, bytes: held.bytes)
        }
        guard let source = version.source, let first = version.sourceSize, source.isNamesake, source.kind == .read,
            case .ownFile(let inode) = source.location, let file = namespace.anyFile(NodeID(inode)),
            let own = file.version, !own.isSame(as: version)
        else { return nil }
        return sizeOfCut(version, from: first, to: { own.size }) { range in
            file.isEvicted(own) ? nil : bytes(range, of: own)
        }
    }

    /// - Parameters:
    ///   - first: how long the source was when it was found, in bytes.
    ///   - now: how long it is.
    private func sizeOfCut(
        _ version: FileVersion, from first: Int64, to now: () -> Int64?, bytes source: (Range<Int64>) -> [UInt8]?
    ) -> Int64? {
        guard version.size > 0, version.size < first, let size = now(), version.size < size else { return nil }
        let part = min(Self.comparedPart, version.size)
        for range in [0..<part, version.size - part..<version.size] {
            guard let written = bytes(range, of: version), written == source(range) else { return nil }
        }
        return min(first, size)
    }

    /// Of its beginning and of its end, in bytes.
    private static let comparedPart: Int64 = 64 << 10

    private func bytes(_ range: Range<Int64>, of version: FileVersion) -> [UInt8]? {
        if version.upload?.hasReleased(range) ?? false { return nil }
        var bytes = [UInt8](repeating: 0, count: range.count)
        do throws(SpoolError) {
            let outcome = bytes.withUnsafeMutableBytes { buffer -> Result<Int, SpoolError> in
                do throws(SpoolError) {
                    return .success(try version.spool.read(at: range.lowerBound, into: buffer))
                } catch {
                    return .failure(error)
                }
            }
            return try outcome.get() == bytes.count ? bytes : nil
        } catch {
            return nil
        }
    }

    /// What to do where it was meant to be so short.
    static let shortOnPurpose =
        "if it is to be so short, write it under another name, or declare its size first: setfattr -n user.twelvelabs.total_size"
}
