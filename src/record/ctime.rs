//! Dates as `ctime()` prints them, in UTC, and back.

use crate::kernel::Time;

/// Seconds from 1970 to the date at which the simulated world's wall clocks start: 2026-01-01 00:00:00 UTC.
const WALL_CLOCK_START: u64 = 1_767_225_600;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant as `ctime()` prints it: `Thu Jan  1 00:00:07 2026`.
pub(super) fn ctime(at: Time) -> String {
    let seconds = WALL_CLOCK_START + at.0 / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[month as usize - 1]);
    format!("{weekday} {month} {day:2} {:02}:{:02}:{:02} {year}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The instant that is printed so, from the start of the simulated wall clock on.
pub(super) fn read_ctime(text: &str) -> Option<Time> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let day: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let year: u64 = words.next()?.parse().ok()?;
    let sane = (2026..2400).contains(&year) && (1..32).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let seconds = sane.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)?;
    seconds.checked_sub(WALL_CLOCK_START).map(|s| Time(s * 1_000_000_000))
}

/// Year, month and day of a number of days since 1970 (Hinnant's `civil_from_days`, for dates after it).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (era * 400 + yoe + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days from 1970 to a date (Hinnant's `days_from_civil`).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}
