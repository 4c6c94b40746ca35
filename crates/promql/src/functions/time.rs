//! Dates, in UTC.

/// A time of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CivilTime {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// From 1.
    pub(crate) day_of_year: i64,
}

const DAY_SECONDS: u64 = 86_400;
/// Seconds from the start of the year -292277022399 to 1970.
const EPOCH_SECONDS: u64 = 9_223_372_028_715_321_600;

impl CivilTime {
    /// The time of a sample's value. What is no number of seconds is the earliest time, as in Go.
    pub(crate) fn from_value(value: f64) -> Self {
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        Self::from_unix_seconds(if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN })
    }

    /// The time of a number of seconds since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    pub(crate) fn from_unix_seconds(seconds: i64) -> Self {
        // Go counts from the year -292277022399 on, without a sign: times before that wrap around to the far future.
        let absolute = (seconds as u64).wrapping_add(EPOCH_SECONDS);
        let days = (absolute / DAY_SECONDS) as i64 - (EPOCH_SECONDS / DAY_SECONDS) as i64;
        let of_day = (absolute % DAY_SECONDS) as i64;
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let days_before: i64 = (1..month).map(|earlier| days_in_month(year, earlier)).sum();
        Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: days_before + day,
        }
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The function of this name, where it takes a date apart.
pub(crate) fn time_function(name: &str) -> Option<fn(CivilTime) -> i64> {
    Some(match name {
        "year" => |time| time.year,
        "month" => |time| time.month,
        "day_of_month" => |time| time.day,
        "day_of_week" => |time| time.weekday,
        "day_of_year" => |time| time.day_of_year,
        "days_in_month" => |time| days_in_month(time.year, time.month),
        "hour" => |time| time.hour,
        "minute" => |time| time.minute,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_taken_apart() {
        for (seconds, date) in [
            (0, (1970, 1, 1, 0, 0, 0, 4, 1)),
            (1_795_348_799, (2026, 11, 22, 11, 59, 59, 0, 326)),
            (951_782_400, (2000, 2, 29, 0, 0, 0, 2, 60)),
            (-1, (1969, 12, 31, 23, 59, 59, 3, 365)),
        ] {
            let t = CivilTime::from_unix_seconds(seconds);
            let found = (t.year, t.month, t.day, t.hour, t.minute, t.second, t.weekday, t.day_of_year);
            assert_eq!(found, date, "{seconds}");
        }
        let far = CivilTime::from_value(f64::INFINITY);
        assert_eq!((far.year, far.hour, far.minute), (292_277_026_596, 15, 30));
    }
}
