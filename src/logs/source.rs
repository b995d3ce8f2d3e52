//! Whose line it is, and when it was written: what containers and log daemons put before what a program says.

use super::line::{days_since_epoch, month, redis_line};
use crate::record::NodeKind;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    /// The container, pod or file that it came from.
    pub label: String,
    /// What the program is, if this line tells.
    pub kind: Option<NodeKind>,
    /// Microseconds of the Unix epoch by the program's own clock, in its own time zone.
    pub own_us: Option<i64>,
    /// Microseconds of the Unix epoch by the clock of the container's host.
    pub host_us: Option<i64>,
    /// What the program says.
    pub text: String,
}

/// Reads a line of the file or stream `file`.
pub(super) fn read(file: &str, line: &str) -> Option<Raw> {
    let line = plain(line);
    let (label, rest) = labelled(&line).unwrap_or((file, &line));
    let (host_us, rest) = match rest.split_once(' ') {
        Some((word, after)) if instant(word).is_some() => (instant(word), after),
        _ => (None, rest),
    };
    if let Some((at, text)) = redis_line(rest) {
        let kind = match rest.split_once(':')?.1.chars().next()? {
            'X' => NodeKind::Sentinel,
            _ => NodeKind::Redis,
        };
        let (label, text) = (label.to_owned(), text.to_owned());
        return Some(Raw { label, kind: Some(kind), own_us: Some(at), host_us, text });
    }
    let (syslog_us, rest) = syslog(rest).map_or((None, rest), |(at, rest)| (Some(at), rest));
    let text = haproxy(rest)?;
    let host_us = host_us.or(syslog_us);
    Some(Raw { label: label.to_owned(), kind: Some(NodeKind::Haproxy), own_us: None, host_us, text: text.to_owned() })
}

/// A line without what colours it.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.trim_end().chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            out.push(c);
        }
    }
    out
}

/// `redis-1  | …` of `docker compose logs`, `[pod/redis-0/redis] …` of `kubectl logs --prefix`.
fn labelled(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = line.strip_prefix("[pod/") {
        let (pod, rest) = rest.split_once("] ")?;
        return Some((pod.split('/').next()?, rest));
    }
    let (label, rest) = line.split_once('|')?;
    let label = label.trim_end();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = !label.is_empty() && label.chars().all(is_name);
    good.then(|| (label, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// `2026-11-23T16:00:00.123456789Z`, with an offset in place of Z if need be.
fn instant(word: &str) -> Option<i64> {
    let (date, rest) = word.split_once('T')?;
    let mut date = date.split('-').map(|field| field.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':').map(|field| field.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let micros: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<6}").get(..6)?.parse().ok()? };
    let ahead = match zone {
        "" | "Z" => 0,
        zone => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    let sensible = (1970..3000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - ahead) * 60 + second;
    sensible.then_some(seconds * 1_000_000 + micros)
}

/// `Nov 23 16:00:00 host haproxy[8]: …`, which says no year: the one of other lines is found later.
fn syslog(line: &str) -> Option<(i64, &str)> {
    let line = line.strip_prefix('<').and_then(|rest| Some(rest.split_once('>')?.1)).unwrap_or(line);
    let (head, text) = line.split_once("]: ")?;
    let mut words = head.split_whitespace();
    let (name, day, clock) = (words.next()?, words.next()?, words.next()?);
    if instant(name).is_some() {
        return Some((instant(name)?, text));
    }
    let mut clock = clock.split(':').map(|field| field.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let days = days_since_epoch(NO_YEAR, month(name)?, day.parse().ok()?);
    Some(((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000, text))
}

/// The year of times that say none.
pub(super) const NO_YEAR: i64 = 1972;

/// What HAProxy says of its servers, without the level.
fn haproxy(text: &str) -> Option<&str> {
    let text = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(" : ").map_or(text, |(_, said)| said),
        // `host haproxy[8]: …`, of which the time has been read.
        None => text.split_once("]: ").filter(|(head, _)| head.contains("haproxy[")).map_or(text, |(_, said)| said),
    };
    super::line::is_server_state(text).then(|| text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_containers_are_read() {
        let at = 1_795_449_662_345_000;
        let own = "1:X 23 Nov 2026 16:01:02.345 # +sdown master mymaster 10.0.0.2 6379";
        for (line, label, host_us) in [
            (own.to_owned(), "sentinel-1.log", None),
            (format!("sentinel-2  | {own}"), "sentinel-2", None),
            (format!("\u{1b}[33msentinel-2  |\u{1b}[0m {own}"), "sentinel-2", None),
            (format!("sentinel-2  | 2026-11-23T16:01:02.345999999Z {own}"), "sentinel-2", Some(at + 999)),
            (format!("[pod/sentinel-0/sentinel] 2026-11-23T18:01:02.345+02:00 {own}"), "sentinel-0", Some(at)),
        ] {
            let raw = read("sentinel-1.log", &line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((raw.label.as_str(), raw.own_us, raw.host_us), (label, Some(at), host_us), "{line}");
            assert_eq!(
                (raw.kind, raw.text.as_str()),
                (Some(NodeKind::Sentinel), "+sdown master mymaster 10.0.0.2 6379")
            );
        }
    }

    #[test]
    fn haproxy_is_read_from_containers_and_from_syslog() {
        let said = "Server redis_backend/redis-1 is DOWN, reason: Layer4 timeout";
        for (line, at) in [
            (format!("haproxy  | 2026-11-23T16:01:02Z [WARNING]  (8) : {said}"), Some(1_795_449_662_000_000)),
            (format!("Nov 23 16:01:02 lb haproxy[8]: {said}"), Some(91_382_462_000_000)),
            (format!("2026-11-23T16:01:02Z lb haproxy[8]: {said}"), Some(1_795_449_662_000_000)),
            (said.to_owned(), None),
        ] {
            let raw = read("haproxy", &line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((raw.host_us, raw.text.as_str(), raw.kind), (at, said, Some(NodeKind::Haproxy)), "{line}");
        }
        assert_eq!(read("app", "app  | GET / 200"), None);
    }
}
