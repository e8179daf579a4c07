import Formats
import PlatformClient
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// Moments as the clock on the user's wall tells them.
package struct LocalTime {
    /// A moment's place in the local calendar.
    package struct Reading: Equatable {
        package var year, month, day, hour, minute: Int

        package init(year: Int, month: Int, day: Int, hour: Int, minute: Int) {
            self.year = year
            self.month = month
            self.day = day
            self.hour = hour
            self.minute = minute
        }
    }

    /// What time it is.
    package var now: () -> Timestamp
    /// The local calendar; nil for a moment that it cannot tell.
    package var reading: (Timestamp) -> Reading?

    package init(now: @escaping () -> Timestamp, reading: @escaping (Timestamp) -> Reading?) {
        self.now = now
        self.reading = reading
    }

    /// The computer's clock in its time zone.
    package static var current: LocalTime {
        LocalTime(now: WallClock.now) { moment in
            var seconds = time_t(moment.millisecondsSince1970 / 1000)
            var parts = tm()
            guard localtime_r(&seconds, &parts) != nil else { return nil }
            return Reading(
                year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
                hour: Int(parts.tm_hour), minute: Int(parts.tm_min))
        }
    }

    /// `14:05`, or `2026-11-29 14:05` on another day than today.
    package func text(_ moment: Timestamp) -> String {
        guard let local = reading(moment) else { return moment.rfc3339 }
        func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let time = "\(padded(local.hour)):\(padded(local.minute))"
        if let today = reading(now()), (today.year, today.month, today.day) == (local.year, local.month, local.day) {
            return time
        }
        return "\(local.year)-\(padded(local.month))-\(padded(local.day)) \(time)"
    }
}
