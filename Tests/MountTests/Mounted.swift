import TestSupport
import Testing

/// Real mounts and real tools against a sandbox: one test at a time, for each of them keeps two cores busy.
@Suite(.serialized, .timeLimit(.minutes(3))) struct Mounted {}
