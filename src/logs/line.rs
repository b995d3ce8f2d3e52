//! A log line of a real program as recordings have it: the time apart, names in place of addresses, no level marks.

use std::net::Ipv4Addr;

/// A line of redis-server's or redis-sentinel's log: microseconds of the Unix epoch, and the text.
///
/// `21269:X 23 Nov 2026 16:00:00.123 # +sdown …`; the time is in UTC, since the programs run so.
pub(crate) fn redis_line(line: &str) -> Option<(i64, &str)> {
    let mut parts = line.splitn(7, ' ');
    let process = parts.next()?;
    let (pid, role) = process.split_once(':')?;
    if pid.parse::<u32>().is_err() || role.len() != 1 {
        return None;
    }
    let day: i64 = parts.next()?.parse().ok()?;
    let month = month(parts.next()?)?;
    let year: i64 = parts.next()?.parse().ok()?;
    let clock = parts.next()?;
    let mark = parts.next()?;
    if !["#", "*", "-", "."].contains(&mark) {
        return None;
    }
    let mut fields = clock.split([':', '.']).map(|field| field.parse::<i64>().ok());
    let mut field = || fields.next().flatten();
    let (hour, minute, second, milli) = (field()?, field()?, field()?, field()?);
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(((seconds * 1_000 + milli) * 1_000, parts.next().unwrap_or_default()))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The number of a month.
pub(super) fn month(name: &str) -> Option<i64> {
    MONTHS.iter().position(|month| *month == name).map(|place| place as i64 + 1)
}

/// Days from 1 January 1970 in the Gregorian calendar.
pub(super) fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A line's text as a recording has it.
pub(crate) fn clean(text: &str, name_of: impl Fn(Ipv4Addr) -> Option<String>) -> String {
    let mut text = with_names(text, name_of);
    for (begins, clean) in
        [("(user request from '", "(user request)"), ("(failover request from '", "(failover request)")]
    {
        if let Some(from) = text.find(begins) {
            let end = text[from..].find("')").map_or(text.len(), |length| from + length + 2);
            text.replace_range(from..end, clean);
        }
    }
    text
}

fn with_names(text: &str, name_of: impl Fn(Ipv4Addr) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        // A full stop behind an address ends the sentence.
        let number = word.trim_end_matches('.');
        match number.parse().ok().and_then(&name_of) {
            Some(name) => {
                out.push_str(&name);
                out.push_str(&word[number.len()..]);
            }
            None => out.push_str(word),
        }
        rest = after;
    }
    out
}

/// Whether a recording has a line of HAProxy's: those about the state of servers.
pub(crate) fn is_server_state(text: &str) -> bool {
    text.starts_with("Server ") || text.starts_with("Backup Server ") || text.contains("has no server available!")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(addr: Ipv4Addr) -> Option<String> {
        (addr == Ipv4Addr::new(10, 77, 1, 2)).then(|| "redis-2".into())
    }

    #[test]
    fn the_time_of_a_line_is_read() {
        let line = "21269:X 23 Nov 2026 16:01:02.345 # +sdown master mymaster 10.77.1.2 6379";
        let (at, text) = redis_line(line).expect("a line");
        assert_eq!(at, 1_795_449_662_345_000);
        assert_eq!(clean(text, name_of), "+sdown master mymaster redis-2 6379");
        assert_eq!(redis_line("7:C 29 Feb 2000 00:00:00.000 * x").expect("a line").0, 951_782_400_000_000);
        assert_eq!(redis_line("1:M 01 Jan 1970 00:00:00.001 * x").expect("a line").0, 1_000);
        assert_eq!(redis_line("                _._  "), None);
        assert_eq!(redis_line("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***"), None);
    }

    #[test]
    fn names_stand_in_place_of_addresses() {
        let text = "Connection with replica 10.77.1.2:6379 lost.";
        assert_eq!(clean(text, name_of), "Connection with replica redis-2:6379 lost.");
        assert_eq!(clean("to 10.77.1.2.", name_of), "to redis-2.");
        assert_eq!(clean("Redis version=7.0.15, 10.77.1.20", name_of), "Redis version=7.0.15, 10.77.1.20");
        let text = "MASTER MODE enabled (user request from 'id=3 addr=10.77.1.2:4 name=x')";
        assert_eq!(clean(text, name_of), "MASTER MODE enabled (user request)");
        let text = "MASTER MODE enabled (failover request from 'id=5 addr=10.77.1.2:4 name= age=0')";
        assert_eq!(clean(text, name_of), "MASTER MODE enabled (failover request)");
    }
}
