/// What can be told of a process that writes.
public enum WriterSight: Sendable, Equatable {
    /// How it ends, and what it has open.
    case whole
    /// How it ends: when the last descriptor is closed, the kernel tells.
    case endOnly
    /// Nothing: whether it was killed half-way, nobody would know.
    case unseen(UnseenWriter)
    /// The look failed, and may succeed when it is repeated.
    case failed
}

/// What is done with a writer of which nothing can be told.
public enum UnseenWriterPolicy: String, Sendable, CaseIterable, Codable {
    /// It may not write.
    case refuse
    /// It may write, and what it leaves when it is killed is taken for whole.
    case allow
}

/// Why nothing can be told of a process, and what helps.
public enum UnseenWriter: Sendable, Equatable, CaseIterable {
    /// It is in another pid namespace: the kernel gives no id for it.
    case otherNamespace
    /// The `/proc` that is mounted shows the processes of another pid namespace.
    case otherProc
    /// `/proc` hides it.
    case hiddenByProc
    /// It is another user's, or has hidden itself, and the kernel does not tell how it ends.
    case olderKernel

    /// The error code in documents.
    public static let code = "writer_unseen"

    /// In words, after "the writer".
    public var reason: String {
        switch self {
        case .otherNamespace: "is in another pid namespace, from which twelvefs sees no process"
        case .otherProc: "cannot be found: /proc shows another pid namespace than that of twelvefs"
        case .hiddenByProc: "is hidden from twelvefs by the options of /proc (hidepid)"
        case .olderKernel:
            "may not be looked at by twelvefs, and the kernel does not tell how it ends (Linux 6.15 and later do)"
        }
    }

    /// What makes it seen.
    public var remedy: String {
        switch self {
        case .otherNamespace:
            "run twelvefs in the pid namespace of its writers, or in the machine's (docker run --pid=host)"
        case .otherProc: "mount a /proc of twelvefs's own pid namespace (unshare --mount-proc)"
        case .hiddenByProc:
            "mount as root ('sudo twelvefs mount'), or give twelvefs's user the group of /proc's gid= option"
        case .olderKernel: "mount as root ('sudo twelvefs mount'), or give twelvefs CAP_SYS_PTRACE"
        }
    }

    /// What to do about it.
    public var hint: String { remedy + "; --unseen-writers allow takes it, and what it leaves half-written too" }

    /// What it is refused with.
    public var refusal: UploadFailure {
        UploadFailure(
            .accessRefused, code: Self.code,
            message: "the writer \(reason): a killed one could not be told from one that is done", hint: hint)
    }
}
