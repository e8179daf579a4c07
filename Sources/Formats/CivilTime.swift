/// A date and time of day in the proleptic Gregorian calendar, UTC: what stands between texts and ``Timestamp``.
struct CivilTime: Equatable {
    var year: Int64
    /// 1 to 12.
    var month: Int64
    /// From 1.
    var day: Int64
    var hour: Int64 = 0
    var minute: Int64 = 0
    /// Up to 60: a leap second is the first moment of the next minute.
    var second: Int64 = 0
    var millisecond: Int64 = 0

    /// Whether there is such a date and time of day. Leap seconds come at the end of an hour, in every usual zone.
    var exists: Bool {
        (0...9999).contains(year) && (1...12).contains(month) && (1...Self.days(in: month, of: year)).contains(day)
            && (0...23).contains(hour) && (0...59).contains(minute)
            && (0...(minute == 59 ? 60 : 59)).contains(second) && (0...999).contains(millisecond)
    }

    static func isLeap(_ year: Int64) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00.
    ///
    /// Years are counted from March, so that the leap day is the last of its year and months have a fixed pattern of
    /// lengths (the method of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms").
    var millisecondsSince1970: Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millisecond
    }
}

extension CivilTime {
    /// The date and time of day of a moment; the other direction of the same method.
    init(_ timestamp: Timestamp) {
        let dayLength: Int64 = 86_400_000
        let milliseconds = timestamp.millisecondsSince1970
        var time = milliseconds % dayLength
        if time < 0 { time += dayLength }
        let days = (milliseconds - time) / dayLength + 719_468

        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        hour = time / 3_600_000
        minute = time / 60_000 % 60
        second = time / 1000 % 60
        millisecond = time % 1000
    }
}
