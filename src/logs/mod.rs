//! From the logs of a real stack, as containers and log daemons leave them, to a recording.
//!
//! Nobody wrote down what was done to the stack, and there are no clients: what is known is what the programs say. So
//! the recording says less than one of `sim reference`, and [`Found`] says what is missing.

mod align;
pub(crate) mod line;
mod source;
mod who;

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{EventId, Time};
use crate::limits::plain_name;
use crate::record::{Event, Fault, FaultMark, Header, Names, NodeKind, Order, Record, Recording, Source, What};
use crate::release::Dialect;
use source::{NO_YEAR, Raw};
use who::Line;

/// A recording that was read from logs, and what is to be said of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The recording.
    pub recording: Recording,
    /// What was concluded, and what is missing, in sentences.
    pub notes: Vec<String>,
}

/// What makes nothing of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLogs {
    /// No line is one of Redis, Sentinel or HAProxy.
    #[error("no line is one of Redis, Sentinel or HAProxy")]
    Nothing,
    /// There are more programs than a recording can have.
    #[error("the lines come from more than 1000 programs")]
    TooMany,
}

/// The most sources: nodes have numbers of 16 bits, and nobody has so many.
const SOURCES_MAX: usize = 1_000;

/// Reads logs: files by name and text. `given`: addresses and who lives there, as the user says.
///
/// # Errors
/// If they hold nothing that is known.
pub fn read(name: &str, files: &[(String, String)], given: &[(String, String)]) -> Result<Found, NoLogs> {
    let mut notes = Vec::new();
    let mut raws: Vec<Raw> = Vec::new();
    let mut strange: BTreeMap<&str, usize> = BTreeMap::new();
    for (file, text) in files {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match source::read(file, line) {
                Some(raw) => raws.push(raw),
                None => *strange.entry(file).or_default() += 1,
            }
        }
    }
    if raws.is_empty() {
        return Err(NoLogs::Nothing);
    }
    strange.iter().for_each(|(file, count)| {
        notes.push(format!("{file}: {count} lines are not of Redis or Sentinel, nor of HAProxy about its servers"));
    });
    let timed = times(raws, &mut notes);
    let kinds = kinds(&timed);
    if kinds.len() > SOURCES_MAX {
        return Err(NoLogs::TooMany);
    }
    let mut lines: Vec<Line<'_>> =
        timed.iter().map(|(at_us, raw)| Line { label: &raw.label, at_us: *at_us, text: &raw.text }).collect();
    let clocks = align::clocks(&lines);
    let written = written(&kinds);
    for (label, (ahead, known)) in &clocks {
        let way = if *ahead > 0 { "ahead" } else { "behind" };
        let moments = if *known == 1 { "1 moment".to_owned() } else { format!("{known} moments") };
        let seconds = ahead.abs() as f64 / 1e6;
        let node = &written[label.as_str()];
        notes.push(format!("{node}: its clock is {seconds:.3} s {way}; set right by {moments} that others tell, too"));
    }
    lines.iter_mut().for_each(|line| line.at_us -= clocks.get(line.label).map_or(0, |(ahead, _)| *ahead));
    lines.sort_by_key(|line| line.at_us);
    let of = |wanted: NodeKind| -> BTreeSet<&str> {
        kinds.iter().filter(|(_, kind)| **kind == wanted).map(|(label, _)| *label).collect()
    };
    let mut addresses = who::addresses(&lines, &of(NodeKind::Redis), &of(NodeKind::Sentinel));
    addresses.extend(given.iter().cloned());
    let recording = recording(name, &lines, (&kinds, &written), &addresses, &mut notes);
    Ok(Found { recording, notes })
}

/// When each line was written, in UTC: lines without any time are left out.
fn times(raws: Vec<Raw>, notes: &mut Vec<String>) -> Vec<(i64, Raw)> {
    const QUARTER_US: i64 = 900 * 1_000_000;
    const HOUR_US: i64 = 4 * QUARTER_US;
    // A program that writes local time is some quarters of an hour off its host, and the same everywhere in its log.
    let mut zones: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for raw in &raws {
        if let (Some(own), Some(host)) = (raw.own_us, raw.host_us) {
            zones.entry(raw.label.clone()).or_default().push(host - own);
        }
    }
    let zone = |label: &str| {
        let mut differences = zones.get(label)?.clone();
        differences.sort_unstable();
        let quarters = (differences[differences.len() / 2] + QUARTER_US / 2).div_euclid(QUARTER_US);
        Some(quarters * QUARTER_US).filter(|zone| *zone != 0)
    };
    let own_times: Vec<i64> = raws.iter().filter_map(|raw| raw.own_us.or(raw.host_us)).collect();
    let year_us = |at: i64| {
        // The year that other lines tell, for those that say none.
        let none = line::days_since_epoch(NO_YEAR, 1, 1) * 86_400_000_000;
        let in_it = (none..none + 366 * 86_400_000_000).contains(&at);
        let other = own_times.iter().find(|other| !(none..none + 366 * 86_400_000_000).contains(*other))?;
        in_it.then(|| (other - at + 12 * HOUR_US).div_euclid(24 * HOUR_US) * 24 * HOUR_US)
    };
    let mut without: BTreeMap<String, usize> = BTreeMap::new();
    let mut timed = Vec::with_capacity(raws.len());
    let mut told: BTreeSet<String> = BTreeSet::new();
    for raw in raws {
        let shift = zone(&raw.label);
        if let Some(shift) = shift.filter(|_| told.insert(raw.label.clone())) {
            notes.push(format!(
                "{}: its log is in local time, {} min off its host's UTC",
                raw.label,
                shift / 60_000_000
            ));
        }
        match raw.own_us.map(|own| own + shift.unwrap_or(0)).or(raw.host_us) {
            Some(at) => timed.push((at + year_us(at).unwrap_or(0), raw)),
            None => *without.entry(raw.label).or_default() += 1,
        }
    }
    for (label, count) in without {
        notes.push(format!(
            "{label}: {count} lines say no time and are left out; `docker compose logs --timestamps` and `kubectl logs \
             --timestamps` add it"
        ));
    }
    timed.sort_by_key(|(at, _)| *at);
    timed
}

/// What each source is: what most of its lines say.
fn kinds(timed: &[(i64, Raw)]) -> BTreeMap<&str, NodeKind> {
    let mut votes: BTreeMap<&str, BTreeMap<NodeKind, usize>> = BTreeMap::new();
    for (_, raw) in timed {
        if let Some(kind) = raw.kind {
            *votes.entry(&raw.label).or_default().entry(kind).or_default() += 1;
        }
    }
    let most =
        |votes: BTreeMap<NodeKind, usize>| votes.into_iter().max_by_key(|(_, count)| *count).map(|(kind, _)| kind);
    votes.into_iter().filter_map(|(label, votes)| Some((label, most(votes)?))).collect()
}

/// Logs may be of days: what led to a failover, or to a server that is called down, lies within so long before it.
const NEAR_US: i64 = 120_000_000;

/// Whether a line is a sign that something is wrong with a server.
fn is_sign(line: &Line<'_>) -> bool {
    const SIGNS: [&str; 6] = [
        "Connection with master lost",
        "Connection with replica",
        "+sdown master",
        "MASTER timeout",
        "User requested shutdown",
        "Received SIGTERM",
    ];
    let down = line.text.contains(" is DOWN") && !line.text.contains("L7RSP") && !line.text.contains("Layer7");
    SIGNS.iter().any(|sign| line.text.starts_with(sign)) || down
}

/// The first sign that something is wrong, or the first line.
fn trouble(lines: &[Line<'_>]) -> i64 {
    let last = lines.iter().rev().find(|line| line.text.starts_with("+try-failover"));
    let from = last.map_or(i64::MIN, |line| line.at_us - NEAR_US);
    let first = lines.iter().filter(|line| line.at_us >= from).find(|line| is_sign(line));
    first.or(lines.first()).map_or(0, |line| line.at_us)
}

#[allow(clippy::too_many_lines, reason = "one pass over the lines, and the literal of what comes of it")]
fn recording(
    name: &str,
    lines: &[Line<'_>],
    (kinds, written): (&BTreeMap<&str, NodeKind>, &BTreeMap<&str, String>),
    addresses: &BTreeMap<String, String>,
    notes: &mut Vec<String>,
) -> Recording {
    let mut names = Names::default();
    for (label, kind) in kinds {
        names.add(&written[label], *kind, &written[label]);
    }
    let node_of = |label: &str| names.find_node(&written[label]).expect("every source is a node");
    let places: BTreeMap<&str, crate::wire::NodeId> = kinds.keys().map(|label| (*label, node_of(label))).collect();
    let mut names = names.clone();
    // Who is spoken of and has no log is there, too.
    let home =
        |word: &str| addresses.get(word).map(|label| written.get(label.as_str()).cloned().unwrap_or(label.clone()));
    for (word, kind) in spoken_of(lines) {
        let known = home(&word).unwrap_or_else(|| word.clone());
        if names.find_host(&known).is_none() {
            names.add(&known, kind, &known);
            notes.push(format!("{word}: spoken of, and its log is not there (--address {word}=NAME says whose it is)"));
        }
    }
    let zero = trouble(lines);
    let first = lines.first().map_or(zero, |line| line.at_us);
    let origin = Time(((zero - first) / 1_000_000 + 1) as u64 * 1_000_000_000);
    let mut dialects: BTreeMap<&str, Dialect> = BTreeMap::new();
    let (mut records, mut master, mut roles) = (Vec::new(), None, BTreeMap::new());
    if let Some(own) = lines.iter().find_map(|line| line.text.strip_prefix("+monitor master ")?.split(' ').next()) {
        names.master = own.to_owned();
    }
    for line in lines {
        let text = said(line.text, &home);
        names.learn_ids(&text);
        let usual = dialects.entry(line.label).or_default();
        let (event, dialect) = Event::parse(kinds[line.label], &text, &names, *usual);
        *usual = dialect;
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["+switch-master", _, _, _, to, ..] => master = Some(to.to_owned()),
            ["+monitor", "master", _, host, ..] if master.is_none() => master = Some(host.to_owned()),
            ["MASTER", "MODE", "enabled", ..] => drop(roles.insert(written[line.label].clone(), "master".to_owned())),
            ["MASTER", "<->", "REPLICA", ..] => drop(roles.insert(written[line.label].clone(), "slave".to_owned())),
            _ => {}
        }
        let time = Time((origin.0 as i64 + (line.at_us - zero) * 1_000).max(0) as u64);
        records.push(Record {
            time,
            node: places[line.label],
            during: EventId::default(),
            dialect,
            what: What::Event(event),
        });
    }
    records.sort_by_key(|record| record.time);
    let deaths = deaths(lines, kinds, written, &home);
    for death in &deaths {
        let Death { node, .. } = death;
        match death.back_us {
            Some(back_us) => {
                let back = (back_us - zero) as f64 / 1e6;
                notes.push(format!("{node}: called down (+sdown), and started again at {back:.3} s: it had died"));
            }
            None => {
                roles.insert(node.clone(), "down".to_owned());
                notes.push(format!("{node}: it is silent from then on and called down (+sdown): taken for dead"));
            }
        }
    }
    let faults = marks(&deaths, zero);
    let end = lines.last().map_or(0, |line| line.at_us - zero).max(0);
    notes.push(
        "nobody says what was done to the stack, and no client is recorded: losses and outages are unknown".into(),
    );
    let redis = names.of_kind(NodeKind::Redis).map(|(_, name)| name.to_owned()).collect();
    let header = Header {
        scenario: name.to_owned(),
        source: Source::Real,
        run: 0,
        config: serde_json::json!({}),
        faults,
        replies: Vec::new(),
        end_s: end as f64 / 1e6,
        redis,
        final_master: master.filter(|master| names.is_redis(master)),
        final_roles: roles,
        lost_acked_sets: None,
        clients: Vec::new(),
    };
    Recording { header, names, origin, records }
}

/// A Redis server that died: it was called down, and the next that it says, if anything, is that it starts.
struct Death {
    node: String,
    at_us: i64,
    back_us: Option<i64>,
}

fn deaths(
    lines: &[Line<'_>],
    kinds: &BTreeMap<&str, NodeKind>,
    written: &BTreeMap<&str, String>,
    home: &impl Fn(&str) -> Option<String>,
) -> Vec<Death> {
    const STARTS: [&str; 3] = ["oO0OoO0OoO0Oo", "Redis is starting", "monotonic clock:"];
    let mut found: Vec<Death> = Vec::new();
    for label in kinds.keys().filter(|label| kinds[**label] == NodeKind::Redis) {
        let node = &written[label];
        let is_about = |line: &&Line<'_>| {
            let words: Vec<&str> = line.text.split(' ').collect();
            let host = match words[..] {
                ["+sdown", "master", _, host, ..] | ["+sdown", "slave", _, host, ..] => host,
                _ => return false,
            };
            host == node || home(host).as_ref() == Some(node)
        };
        let own: Vec<&Line<'_>> = lines.iter().filter(|line| line.label == *label).collect();
        let mut dead_until = i64::MIN;
        for down in lines.iter().filter(is_about) {
            let next = own.partition_point(|line| line.at_us < down.at_us);
            let back = own.get(next).copied();
            let starts = |line: &Line<'_>| STARTS.iter().any(|start| line.text.starts_with(start));
            if down.at_us < dead_until || back.is_some_and(|line| !starts(line)) {
                continue;
            }
            let last = next.checked_sub(1).map_or(i64::MIN, |place| own[place].at_us);
            let from = last.max(down.at_us - NEAR_US);
            let sign = lines.iter().find(|line| (from..=down.at_us).contains(&line.at_us) && is_sign(line));
            let at_us = sign.map_or(down.at_us, |line| line.at_us).max(last).min(down.at_us);
            dead_until = back.map_or(i64::MAX, |line| line.at_us);
            found.push(Death { node: node.clone(), at_us, back_us: back.map(|line| line.at_us) });
        }
    }
    found.sort_by_key(|death| death.at_us);
    found
}

/// What was done to the stack, as far as deaths tell.
fn marks(deaths: &[Death], zero: i64) -> Vec<FaultMark> {
    let mark = |at_us: i64, order, node: &String| FaultMark {
        at_s: (at_us - zero) as f64 / 1e6,
        fault: Fault::Program { order, node: Some(node.clone()) },
    };
    let mut marks: Vec<FaultMark> = Vec::new();
    for Death { node, at_us, back_us } in deaths {
        marks.push(mark(*at_us, Order::Kill, node));
        marks.extend(back_us.map(|back_us| mark(back_us, Order::Start, node)));
    }
    marks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    marks
}

/// The sources' names as a recording has them: a file's without its ending, a container's as its service is called where
/// compose runs one of each (`redis-1_1`, `redis-1-1`).
fn written<'a>(kinds: &BTreeMap<&'a str, NodeKind>) -> BTreeMap<&'a str, String> {
    let file = |label: &str| [".log", ".txt"].iter().find_map(|end| label.strip_suffix(end).map(str::to_owned));
    let service = |label: &str| ["_1", "-1"].iter().find_map(|end| label.strip_suffix(end).map(str::to_owned));
    let all = |short: &dyn Fn(&str) -> Option<String>| -> Option<BTreeMap<&'a str, String>> {
        let named: Option<BTreeMap<&str, String>> = kinds.keys().map(|label| Some((*label, short(label)?))).collect();
        named.filter(|named| named.values().collect::<BTreeSet<_>>().len() == kinds.len())
    };
    let one_of_each = |label: &str| service(label).filter(|name| kinds.len() > 1 && !name.is_empty());
    let plain = |label: &str| {
        let stem = file(label).filter(|stem| !kinds.contains_key(stem.as_str()));
        Some(stem.unwrap_or_else(|| label.to_owned()))
    };
    let named = all(&one_of_each).or_else(|| all(&plain));
    let named = named.unwrap_or_else(|| kinds.keys().map(|label| (*label, (*label).to_owned())).collect());
    named.into_iter().map(|(label, name)| (label, plain_name(&name))).collect()
}

/// The hosts that Sentinels speak of, and what lives there.
fn spoken_of(lines: &[Line<'_>]) -> BTreeMap<String, NodeKind> {
    let mut found = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.text.split(' ').collect();
        match words[..] {
            ["+monitor", "master", _, host, ..] | ["+slave" | "+promoted-slave", "slave", _, host, ..] => {
                found.entry(host.to_owned()).or_insert(NodeKind::Redis);
            }
            ["+switch-master", _, from, _, to, ..] => {
                found.entry(from.to_owned()).or_insert(NodeKind::Redis);
                found.entry(to.to_owned()).or_insert(NodeKind::Redis);
            }
            ["+sentinel", "sentinel", _, host, ..] => {
                found.entry(host.to_owned()).or_insert(NodeKind::Sentinel);
            }
            _ => {}
        }
    }
    found
}

/// A line with names in place of addresses.
fn said(text: &str, home: &impl Fn(&str) -> Option<String>) -> String {
    let text = line::clean(text, |addr| home(&addr.to_string()));
    let word = |word: &str| match word.rsplit_once(':') {
        Some((host, port)) if home(host).is_some() => format!("{}:{port}", home(host).expect("it was there")),
        _ => home(word).unwrap_or_else(|| word.to_owned()),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
