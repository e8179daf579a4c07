/// Whether a file is uploaded, decided by its name, and what a session calls it: the only place that decides either.
///
/// Names are bytes, as the file system has them; they need not be UTF-8.
public struct NamePolicy: Sendable {
    /// What becomes of files whose names are neither a video's nor an audio's.
    public enum OtherFiles: String, Sendable, CaseIterable {
        /// They cannot be created.
        case refuse
        /// They are listed and can be read, and are never uploaded.
        case keep
        /// They are uploaded like videos.
        case upload
    }

    /// What is done with a file of some name.
    public enum Verdict: Sendable, Equatable {
        /// It is uploaded when it is closed.
        case upload
        /// It will be renamed when it is whole, and is uploaded then. `final` is the name that it will have, where the
        /// temporary one tells: what a session that is opened before the rename is named after. It is a good guess,
        /// not a promise: rsync leaves out the dot of a hidden name, and cuts what would pass 255 bytes.
        case temporary(final: [UInt8]?)
        /// It is listed and can be read, and is never uploaded.
        case keepLocally
        /// It cannot be created.
        case refuse
    }

    /// What becomes of files whose names are neither a video's nor an audio's.
    public let otherFiles: OtherFiles

    /// A policy.
    public init(otherFiles: OtherFiles) {
        self.otherFiles = otherFiles
    }

    /// What is done with a file.
    ///
    /// - Parameters:
    ///   - name: its base name.
    ///   - parents: the names of the directories above it, from the root of the mount down.
    public func verdict(on name: [UInt8], parents: [[UInt8]]) -> Verdict {
        let name = FoldedName(name)
        let parents = parents.map { FoldedName($0) }
        if parents.contains(where: Litter.isTrash) { return .keepLocally }
        if Litter.contains(name) {
            // rsync's temporary for `_a.mp4` begins with `._`, like the litter that `._a.mp4` is: the rename will tell.
            let isVideoOfRsync = TemporaryName.rsync(name).map { MediaExtensions.kind(of: $0) != nil } ?? false
            return isVideoOfRsync ? .temporary(final: nil) : .keepLocally
        }
        if let temporary = TemporaryName(name) {
            return .temporary(final: temporary.finalName?.bytes)
        }
        if parents.contains(where: TemporaryName.isDirectory) {
            return .temporary(final: MediaExtensions.kind(of: name) == nil ? nil : name.bytes)
        }
        return verdict(onOrdinary: name)
    }

    private func verdict(onOrdinary name: FoldedName) -> Verdict {
        if MediaExtensions.kind(of: name) != nil { return .upload }
        switch otherFiles {
        case .refuse: return .refuse
        case .keep: return .keepLocally
        case .upload: return .upload
        }
    }

    /// What the extension says that a file is; nil when it says neither video nor audio.
    public static func assetType(for name: [UInt8]) -> AssetKind? {
        MediaExtensions.kind(of: FoldedName(name))
    }
}

extension NamePolicy {
    /// The longest `filename` that the platform takes, in characters.
    private static let longestFilename = 255
    /// An extension that is longer than this is no extension worth keeping.
    private static let longestExtension = 16

    /// The `filename` of a session for a file: 1 to 255 characters (Unicode scalars).
    ///
    /// What is not UTF-8, control characters and line separators become U+FFFD. What is too long is cut before its
    /// extension. An empty name becomes `unnamed`.
    public static func sessionFilename(for name: [UInt8]) -> String {
        var scalars = Array(String(decoding: name, as: UTF8.self).unicodeScalars)
        for index in scalars.indices where isUnprintable(scalars[index]) {
            scalars[index] = "\u{FFFD}"
        }
        if scalars.count > longestFilename {
            let dot = scalars.lastIndex(of: ".") ?? scalars.endIndex
            let suffix = scalars.count - dot <= longestExtension + 1 ? scalars[dot...] : []
            scalars = Array(scalars.prefix(longestFilename - suffix.count) + suffix)
        }
        if scalars.isEmpty { return "unnamed" }
        var filename = String.UnicodeScalarView()
        filename.append(contentsOf: scalars)
        return String(filename)
    }

    private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
