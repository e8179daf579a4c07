/// What a mount that is to end does next: the one table.
package enum EndRule {
    /// What is known.
    package struct Situation: Sendable, Equatable {
        /// Whether somebody has a file open, or stands in a directory.
        package var isUsed = false
        /// Whether nothing is on its way to the platform.
        package var isIdle = true
        /// Whether the time is over.
        package var isLate = false
        /// Whether it is to end all the same.
        package var isForced = false

        package init(isUsed: Bool = false, isIdle: Bool = true, isLate: Bool = false, isForced: Bool = false) {
            self.isUsed = isUsed
            self.isIdle = isIdle
            self.isLate = isLate
            self.isForced = isForced
        }
    }

    /// What to do.
    package enum Step: Sendable, Equatable {
        /// Look again soon.
        case wait
        /// Take the mount away, if the kernel finds nobody in it either.
        case detach
        /// Serve on, and tell who is in it.
        case stayBusy
        /// End what is open, and take the mount away.
        case force
    }

    package static func next(_ situation: Situation) -> Step {
        switch (situation.isUsed, situation.isLate) {
        case (false, false): situation.isIdle ? .detach : .wait
        case (false, true): .detach
        case (true, false): .wait
        case (true, true): situation.isForced ? .force : .stayBusy
        }
    }
}
