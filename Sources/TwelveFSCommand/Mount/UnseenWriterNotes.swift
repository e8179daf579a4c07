import ProcessInspection
import SystemPackage
import UploadCore

/// What `mount` says beforehand of writers that it will not see.
package enum UnseenWriterNotes {
    /// One line for each kind of them that may come.
    package static func lines(_ vision: WriterVision, allowsOther: Bool, policy: UnseenWriterPolicy) -> [String] {
        var notes: [(who: String, why: UnseenWriter)] = []
        if !vision.procIsOwn {
            notes.append(("no writer can be seen, and all", .otherProc))
        } else {
            if !vision.seesAllNamespaces { notes.append(("writers outside this container", .otherNamespace)) }
            if allowsOther, !vision.mayLookIntoAll {
                if vision.procHides {
                    notes.append(("other users' writers", .hiddenByProc))
                } else if !vision.tellsEnds {
                    notes.append(("other users' writers", .olderKernel))
                }
            }
        }
        return notes.map { note in
            switch policy {
            case .refuse: "twelvefs: \(note.who) will be refused (EACCES): \(note.why.remedy)"
            case .allow: "twelvefs: \(note.who) will be taken, and what a killed one leaves half-written as well"
            }
        }
    }

    /// Says it on standard error, where anything is to be said.
    static func tell(_ configuration: MountConfiguration) {
        let vision = WriterVision(table: ProcessTable(), ends: ProcessWatch())
        let policy = configuration.unseenWriters
        for line in lines(vision, allowsOther: configuration.allowsOther, policy: policy) {
            // Nobody may be there to read it.
            _ = try? FileDescriptor.standardError.writeAll((line + "\n").utf8)
        }
    }
}
