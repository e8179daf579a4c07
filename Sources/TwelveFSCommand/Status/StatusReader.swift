import FoundationEssentials
import SystemPackage

/// One mount's status at one moment.
package struct MountStatus {
    package var mountPoint: String
    package var summary: SummaryFile
    package var uploads: [UploadDocument]
    /// The documents as they were read, for `--json`: nothing that this version does not know is lost.
    package var summaryText: String
    package var uploadTexts: [String]
    /// Whether there may be uploads that only the mount's owner and root are shown.
    package var isPartial: Bool

    package init(
        mountPoint: String, summary: SummaryFile, uploads: [UploadDocument], summaryText: String, uploadTexts: [String],
        isPartial: Bool = false
    ) {
        self.mountPoint = mountPoint
        self.summary = summary
        self.uploads = uploads
        self.summaryText = summaryText
        self.uploadTexts = uploadTexts
        self.isPartial = isPartial
    }
}

extension MountStatus {
    /// From the documents' texts; what makes no sense of the uploads' is left out.
    ///
    /// - Throws: a ``CommandFailure`` when the summary makes no sense.
    init(mountPoint: String, summaryText: String, uploadTexts: [String], isPartial: Bool) throws {
        let uploads = uploadTexts.compactMap { text in
            (try? StatusReader.decoded(UploadDocument.self, text)).map { (document: $0, text: text) }
        }
        self.init(
            mountPoint: mountPoint, summary: try StatusReader.summary(summaryText, of: mountPoint),
            uploads: uploads.map(\.document), summaryText: summaryText, uploadTexts: uploads.map(\.text),
            isPartial: isPartial)
    }
}

/// Reads `MOUNTPOINT/.status`, again and again for a watch; what is settled is read once.
package struct StatusReader {
    package let mountPoint: String
    private var settled: [String: (document: UploadDocument, text: String)] = [:]

    package init(mountPoint: String) {
        self.mountPoint = mountPoint
    }

    /// - Throws: a ``CommandFailure`` when there is no status to be read.
    package mutating func read() throws -> MountStatus {
        let directory = FilePath(mountPoint).appending(".status")
        guard let summaryText = try text(of: directory.appending("summary.json")) else {
            throw CommandFailure(
                "no twelvefs is mounted on \(mountPoint)",
                hint: "'twelvefs status' without a mount point lists all mounts")
        }
        let summary = try Self.summary(summaryText, of: mountPoint)
        let underWay = Set((summary.uploads ?? []).compactMap(\.id))
        var entries: [(document: UploadDocument, text: String)] = []
        let names = try documentNames(in: directory)
        // What has gone does not come back.
        let listed = Set(names)
        settled = settled.filter { listed.contains($0.key) }
        for name in names {
            if !underWay.contains(String(name.dropLast(".json".count))), let known = settled[name] {
                entries.append(known)
                continue
            }
            // One that has gone since the listing is no error, nor is one that is not for everybody.
            guard let text = try? text(of: directory.appending(name)),
                let document = try? Self.decoded(UploadDocument.self, text)
            else { continue }
            entries.append((document, text))
            settled[name] = document.isSettled ? (document, text) : nil
        }
        entries.sort {
            ($0.document.createdAt ?? "", $0.document.path ?? "") < (
                $1.document.createdAt ?? "", $1.document.path ?? ""
            )
        }
        return MountStatus(
            mountPoint: mountPoint, summary: summary, uploads: entries.map(\.document), summaryText: summaryText,
            uploadTexts: entries.map(\.text), isPartial: MountPoint.isOfAnother(statusDirectory: directory.string))
    }

    /// The uploads' documents. Links are other names of them (`pending-<n>.json` of one that has a session by now).
    private func documentNames(in directory: FilePath) throws -> [String] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory.string)
        } catch {
            throw CommandFailure("\(directory) cannot be read", hint: "It belongs to whoever mounted it")
        }
        return names.filter { name in
            name.hasSuffix(".json") && name != "summary.json"
                && (try? PathStatus(at: directory.appending(name).string, followingLinks: false))?.isSymbolicLink
                    == false
        }
    }

    /// The whole file, or nil when there is none.
    private func text(of path: FilePath) throws -> String? {
        do {
            // Whoever serves the mount may have put anything there.
            let descriptor = try FileDescriptor.open(
                path, .readOnly, options: [.noFollow, .nonBlocking, .closeOnExec])
            return try descriptor.closeAfter {
                String(decoding: try descriptor.readAll(atMost: 64 << 20), as: UTF8.self)
            }
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch Errno.notDirectory {
            return nil
        } catch Errno.socketNotConnected {
            throw CommandFailure(
                "the process that served \(mountPoint) is gone", hint: "'twelvefs unmount \(mountPoint)' clears it away"
            )
        } catch let error as Errno {
            throw CommandFailure("\(path) cannot be read: \(error.words)")
        }
    }

    static func summary(_ text: String, of mountPoint: String) throws -> SummaryFile {
        do {
            return try decoded(SummaryFile.self, text)
        } catch {
            throw CommandFailure(
                "the summary in \(mountPoint)/.status makes no sense", hint: "Is another version mounted there?")
        }
    }

    static func decoded<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
