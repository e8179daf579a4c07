import Glibc

/// The ways in which a mount comes to its end.
enum MountEnding: String, CaseIterable, Sendable {
    /// `twelvefs unmount`, and whoever is in the mount is done in time.
    case unmountInTime
    /// `twelvefs unmount`, and they are not.
    case unmountTooEarly
    case unmountForced
    case sigtermInTime
    case sigterm
    case sigtermTwice
    case sigtermThenSigkill
    case sigkill
    /// `fusermount3 -u`
    case fusermount
    /// `fusermount3 -uz`
    case fusermountLazily

    /// How long the server waits for whoever is in the mount.
    var drainTimeout: String {
        switch self {
        case .sigterm, .unmountTooEarly, .unmountForced: "500ms"
        case .unmountInTime, .sigtermInTime, .sigtermTwice, .sigtermThenSigkill: "1h"
        case .sigkill, .fusermount, .fusermountLazily: "30s"
        }
    }
}

/// Who is in a mount that comes to its end.
enum Occupant: String, CaseIterable, Sendable {
    /// In its close, which waits for the platform.
    case cp
    /// `cp a b c`, in the first one's close.
    case cpOfSeveral
    /// In the close of its temporary name.
    case rsync
    /// `producer | cat > f`, half of it written.
    case pipe
    /// Half of it written, with its source open.
    case python
    /// A shell that has a file open for writing, and wrote into it by its children.
    case idleHandle
    case reader
    /// A shell whose directory is inside.
    case shellInside
    /// One that stands in the mount's root.
    case shellInRoot

    /// What it is called.
    var command: String {
        switch self {
        case .cp, .cpOfSeveral: "cp"
        case .rsync: "rsync"
        case .pipe: "cat"
        case .python: "python3"
        case .idleHandle, .reader, .shellInside, .shellInRoot: "bash"
        }
    }

    /// What it keeps the mount with.
    var place: String {
        switch self {
        case .cp, .pipe, .python, .idleHandle: "\(self).mp4"
        case .cpOfSeveral: "a.mp4"
        case .rsync: ".rsync.mp4."
        case .reader: "video.mp4"
        case .shellInside: "folder"
        case .shellInRoot: "."
        }
    }

    /// The files that it is to make.
    var files: [String] {
        switch self {
        case .cp, .rsync, .pipe, .python, .idleHandle: ["\(self).mp4"]
        case .cpOfSeveral: ["a.mp4", "b.mp4", "c.mp4"]
        case .reader, .shellInside, .shellInRoot: []
        }
    }

    /// Whether it waits for the platform, rather than for its own next step.
    var isClosing: Bool {
        switch self {
        case .cp, .cpOfSeveral, .rsync: true
        case .pipe, .python, .idleHandle, .reader, .shellInside, .shellInRoot: false
        }
    }

    /// Whether the process that keeps the mount is the one that was started, rather than a child of it.
    var isItself: Bool {
        switch self {
        case .cp, .cpOfSeveral, .python, .idleHandle, .reader, .shellInside, .shellInRoot: true
        case .rsync, .pipe: false
        }
    }
}

/// What comes of an ending.
struct EndingVerdict: Sendable {
    enum Mount: Sendable {
        /// As before.
        case served
        /// Gone, and its process too.
        case gone
        /// It answers `ENOTCONN`.
        case dead
    }

    enum Files: Sendable {
        /// Each is an asset.
        case whole
        /// This one is, and no other.
        case only(String)
        /// This one is, or interrupted; and no other is.
        case atMost(String)
        /// Nothing is an asset, and one whose name begins so waits for its rename.
        case staged(String)
        case none
    }

    /// What the command exits with, or the server.
    var exit: Int32 = 0
    /// What the command says.
    var said = ""
    /// One of these is what the occupant hears; it succeeds where there are none.
    var hears: [String] = []
    var mount = Mount.gone
    /// What has become of the files when the next mount is idle.
    var files = Files.whole

    private static let ended = "Input/output error"
    /// What the kernel tells once there is no server.
    private static let dead = ["Transport endpoint is not connected", "Software caused connection abort"]

    /// The rules by ending, and then the exceptions by occupant.
    init(_ ending: MountEnding, with occupant: Occupant) {
        switch ending {
        case .unmountInTime, .sigtermInTime, .fusermountLazily:
            break
        case .unmountTooEarly:
            exit = 1
            said = "busy: \(occupant.place)"
            mount = .served
        case .fusermount:
            exit = 1
            said = "Device or resource busy"
            mount = .served
        case .unmountForced, .sigterm, .sigtermTwice:
            // Closes are answered; whoever does its next step only after the end hears it from the kernel.
            hears = occupant.isClosing ? [Self.ended] : [Self.ended] + Self.dead
            files = .none
        case .sigtermThenSigkill, .sigkill:
            exit = -SIGKILL
            hears = Self.dead
            mount = .dead
            files = .none
        }
        guard !hears.isEmpty else { return }
        switch (occupant, mount) {
        case (.cp, .gone), (.cpOfSeveral, .gone):
            // All of it had been written: the next mount goes on.
            exit = 3
            files = .only(occupant.place)
            if ending == .unmountForced { said = "1 upload is left" }
        case (.cp, _), (.cpOfSeveral, _):
            files = .atMost(occupant.place)
        case (.rsync, .gone):
            exit = 3
            files = .staged(occupant.place)
            if ending == .unmountForced { said = "1 upload is left" }
        case (.rsync, _), (.pipe, _), (.python, _), (.idleHandle, _): break
        case (.reader, _), (.shellInside, _), (.shellInRoot, _): break
        }
    }
}
