//! The terminal's view of a run: what happened and why, line by line, and what it came to.
//!
//! Text carries styles always; whoever prints it decides whether they stay (`anstream` does, by the stream and
//! `NO_COLOR`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Color, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};

use super::lanes::{Bar, Lanes, RedisState};
use super::words::{counts, ending_words};
use super::{RunReport, causes};
use crate::analysis::Analysis;
use crate::analysis::ledger::{Cause, MessageSums};
use crate::analysis::phases::Phase;
use crate::analysis::writes::WriteLoss;
use crate::record::{
    Event, HaproxyEvent, InstanceKind, Names, Recording, RedisEvent, SentinelEvent, SentinelEventKind as Kind, Source,
    What,
};
use crate::wire::RunId;

/// Outages shorter than this are not told line by line.
const TOLD_US: i64 = 250_000;
/// Of lines that say the same of one node, so many are told one by one.
const TOLD_LINES: usize = 5;
/// A detail that comes again within this time is counted where it came first.
const AGAIN_US: i64 = 15_000_000;
/// A replica that was not synchronised for the last so long of a run is named: longer than the delay of a diskless
/// synchronisation (`repl-diskless-sync-delay`, 5 s) and a second for the wait before an attempt.
const UNSYNCED_US: i64 = 10_000_000;
/// At most so many attempts at a failover get a table of their own.
const TOLD_FAILOVERS: usize = 5;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A fault.
    Fault,
    /// Two masters at once.
    Alarm,
    /// Something breaks.
    Bad,
    /// Something recovers.
    Good,
    /// A decision.
    Plain,
    /// Detail.
    Faint,
}

impl Tone {
    /// Its style on a terminal.
    pub fn style(self) -> Style {
        let color = |color| Style::new().fg_color(Some(Color::Ansi(color)));
        match self {
            Tone::Fault => color(AnsiColor::Magenta).bold(),
            Tone::Alarm => color(AnsiColor::BrightWhite).bg_color(Some(Color::Ansi(AnsiColor::Red))).bold(),
            Tone::Bad => color(AnsiColor::Red),
            Tone::Good => color(AnsiColor::Green),
            Tone::Plain => Style::new(),
            Tone::Faint => Style::new().dimmed(),
        }
    }
}

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at_us: i64,
    /// Who.
    pub who: String,
    /// What.
    pub text: String,
    /// How it looks.
    pub tone: Tone,
}

/// The timeline and the summary, as `sim run` prints them.
pub fn text(run: &RunReport<'_>, lanes: &Lanes) -> String {
    let mut out = timeline(run, lanes);
    out.push('\n');
    out.push_str(&summary(run.analysis));
    out
}

/// What happened from time 0 on.
pub fn story(recording: &Recording, analysis: &Analysis, lanes: &Lanes) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |at_us: i64, who: &str, text: String, tone: Tone| {
        entries.push(Entry { at_us, who: who.to_string(), text, tone });
    };
    for fault in &lanes.faults {
        add(fault.from_us, "fault", fault.label.clone(), Tone::Fault);
    }
    for reply in &recording.header.replies {
        let at = (reply.at_s * 1e4).round() as i64 * 100;
        let who = recording.header.faults.get(reply.fault).and_then(|mark| mark.fault.node());
        let tone = if reply.text.starts_with('-') { Tone::Bad } else { Tone::Plain };
        if at <= analysis.end_us {
            add(at, who.unwrap_or("fault"), format!("→ {}", reply.text), tone);
        }
    }
    let sentinels = sentinel_names(recording);
    for record in &recording.records {
        let at = recording.micros(record.time);
        let What::Event(event) = &record.what else { continue };
        if at < 0 || at > analysis.end_us || !event.is_logged() {
            continue;
        }
        if let Some((text, tone)) = told(event, recording, &sentinels) {
            add(at, recording.names.node(record.node), text, tone);
        }
    }
    for client in &analysis.outages {
        let verb = client.activity.as_str();
        for outage in client.outages.iter().filter(|outage| outage.lasted_us() >= TOLD_US) {
            let failed = if outage.failed.is_empty() { String::new() } else { format!(": {}", counts(&outage.failed)) };
            let lasted = outage.lasted_us() as f64 / 1e6;
            let text = format!("last {verb} for {lasted:.2} s{failed}");
            add(outage.from_us, &client.client, text, Tone::Bad);
            if outage.recovered {
                let text = format!("first {verb} after {lasted:.2} s");
                add(outage.to_us, &client.client, text, Tone::Good);
            }
        }
    }
    for (node, since, what) in unsynchronised(lanes) {
        let lasted = (lanes.end_us - since) as f64 / 1e6;
        let text = format!("is not synchronised any more from here to the end, for {lasted:.2} s: {what}");
        add(since.max(0), node, text, Tone::Bad);
    }
    for window in &analysis.masters.two {
        let seconds = (window.to_us - window.from_us) as f64 / 1e6;
        let routed = match window.routed_to.as_slice() {
            [] => String::new(),
            servers => format!(", HAProxy sends sessions to {}", servers.join(", then ")),
        };
        let names = window.nodes.join(" and ");
        add(window.from_us, "TWO MASTERS", format!("{names} for {seconds:.2} s{routed}"), Tone::Alarm);
        if window.to_us < analysis.end_us {
            add(window.to_us, "one master", format!("again, after {seconds:.2} s with {names}"), Tone::Good);
        }
    }
    // An outage begins with the last success, which may lie just before the fault that made it: cause first.
    let place = |entry: &Entry| {
        let outage = entry.tone == Tone::Bad && entry.text.starts_with("last ");
        (entry.at_us + if outage { 1_000 } else { 0 }, entry.tone != Tone::Fault)
    };
    entries.sort_by_key(place);
    collapse(entries)
}

/// Joins what one node says at once about several instances, then folds repetitions: a detail that comes again within
/// [`AGAIN_US`] is counted on the line that came first, and of whatever comes more than [`TOLD_LINES`] times the rest is
/// one line.
fn collapse(entries: Vec<Entry>) -> Vec<Entry> {
    let mut done: Vec<Entry> = Vec::new();
    // For each node and text: where it stands, how often it came, and when last.
    let mut seen: BTreeMap<(String, String), (usize, u32, i64)> = BTreeMap::new();
    for entry in join(entries) {
        let key = (entry.who.clone(), entry.text.clone());
        match seen.get_mut(&key) {
            Some((place, times, last)) if entry.at_us - *last < AGAIN_US && entry.tone == Tone::Faint => {
                *times += 1;
                *last = entry.at_us;
                done[*place].text = format!("{}  (× {times}, last at {})", entry.text, in_seconds(entry.at_us));
            }
            _ => {
                seen.insert(key, (done.len(), 1, entry.at_us));
                done.push(entry);
            }
        }
    }
    fold(done)
}

/// The same event about several instances at once is one line.
fn join(entries: Vec<Entry>) -> Vec<Entry> {
    let mut done: Vec<Entry> = Vec::new();
    for entry in entries {
        let verb = entry.text.split_once(' ').filter(|(verb, _)| ["+sdown", "-sdown"].contains(verb));
        match (verb, done.last_mut()) {
            (Some((verb, what)), Some(last))
                if last.who == entry.who
                    && last.at_us == entry.at_us
                    && last.text.starts_with(verb)
                    && last.tone == entry.tone =>
            {
                last.text.push_str(", ");
                last.text.push_str(what);
            }
            _ => done.push(entry),
        }
    }
    done
}

/// What a node says more often than [`TOLD_LINES`] times, whatever the numbers in it, is told so often; the rest is one
/// line, where the first of it stands.
fn fold(entries: Vec<Entry>) -> Vec<Entry> {
    let mut told: BTreeMap<(String, String), (usize, usize, i64)> = BTreeMap::new();
    let mut done: Vec<Entry> = Vec::new();
    for entry in entries {
        let (times, place, last) = told.entry((entry.who.clone(), gist(&entry.text))).or_default();
        *times += 1;
        *last = entry.at_us;
        if *times <= TOLD_LINES {
            done.push(entry);
        } else if *times == TOLD_LINES + 1 {
            *place = done.len();
            done.push(entry);
        }
    }
    for (times, place, last) in told.into_values().filter(|(times, ..)| *times > TOLD_LINES + 1) {
        let more = times - TOLD_LINES - 1;
        let s = if more == 1 { "" } else { "s" };
        done[place].text.push_str(&format!("  (and {more} more time{s} like this, last at {})", in_seconds(last)));
    }
    done
}

/// A line without its numbers and details: lines with one gist are repetitions of each other.
fn gist(text: &str) -> String {
    let (head, _) = text.split_once("  (×").unwrap_or((text, ""));
    let outage = ["last ", "first "].iter().any(|start| head.starts_with(start));
    let head = if outage { head.split(": ").next().unwrap_or(head) } else { head };
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = head.split(' ').map(|word| if number(word) { "#" } else { word }).collect();
    words.join(" ")
}

fn in_seconds(us: i64) -> String {
    format!("{:.3} s", us as f64 / 1e6)
}

/// Replicas that run and are not synchronised for the last part of the run: who, since when, and in what state.
fn unsynchronised(lanes: &Lanes) -> Vec<(&str, i64, &'static str)> {
    let mut found = Vec::new();
    for lane in &lanes.redis {
        let without = |bar: &&Bar<RedisState>| matches!(bar.state, RedisState::LinkDown | RedisState::Loading);
        let last: Vec<&Bar<RedisState>> = lane.bars.iter().rev().take_while(without).collect();
        let (Some(end), Some(begin)) = (last.first(), last.last()) else { continue };
        if lanes.end_us - begin.from_us.max(0) >= UNSYNCED_US {
            let what = if end.state == RedisState::Loading { "it loads a data set" } else { "its link is down" };
            found.push((lane.node.as_str(), begin.from_us, what));
        }
    }
    found
}

/// A line in which Sentinels have their names instead of forty digits.
pub fn named(text: &str, ids: &BTreeMap<String, String>) -> String {
    if ids.is_empty() {
        return text.to_owned();
    }
    let mut words: Vec<&str> = Vec::new();
    for word in text.split(' ') {
        let word = ids.get(word).map_or(word, String::as_str);
        // `+sdown sentinel ID NAME PORT` says both.
        if words.last() != Some(&word) || !ids.values().any(|name| name == word) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// The names of the Sentinels by their ids, as text.
pub fn ids(recording: &Recording) -> BTreeMap<String, String> {
    let names = sentinel_names(recording).into_iter();
    names.map(|(id, name)| (recording.names.id(id).into_owned(), name)).collect()
}

fn sentinel_names(recording: &Recording) -> BTreeMap<RunId, String> {
    let mut names = BTreeMap::new();
    for record in &recording.records {
        match &record.what {
            What::Event(Event::Sentinel(SentinelEvent::Id(id))) => {
                names.insert(*id, recording.names.node(record.node).to_string());
            }
            What::Event(Event::Sentinel(SentinelEvent::About(_, who))) if who.kind == InstanceKind::Sentinel => {
                names.insert(who.id, recording.names.ip(who.addr.ip).to_string());
            }
            _ => {}
        }
    }
    names
}

/// The line to tell of an event, if it is worth one. Sentinel's events keep their words and the order of their fields;
/// names stand in place of identities.
fn told(event: &Event, recording: &Recording, sentinels: &BTreeMap<RunId, String>) -> Option<(String, Tone)> {
    let names: &Names = &recording.names;
    match event {
        Event::Sentinel(SentinelEvent::NextFailoverDelay(until)) if recording.header.source == Source::Sim => {
            let until = recording.seconds(*until);
            Some((format!("Next failover delay: I will not start a failover before {until:.3} s"), Tone::Plain))
        }
        Event::Sentinel(event) => sentinel_told(event, names, sentinels),
        Event::Redis(event) => {
            let tone = match event {
                RedisEvent::MasterModeEnabled | RedisEvent::MasterModeByFailover | RedisEvent::Ready => Tone::Good,
                RedisEvent::FailoverAborted(..) | RedisEvent::FailoverAbortedAny(_) => Tone::Bad,
                RedisEvent::FailoverRequested(_) | RedisEvent::FailoverRequestedAny => Tone::Plain,
                event if event.follows().is_some() => Tone::Plain,
                RedisEvent::SlowScript(..) | RedisEvent::SlowScriptBefore7(..) => Tone::Bad,
                RedisEvent::ScriptKilled => Tone::Good,
                RedisEvent::OutputLimit(_) | RedisEvent::Exiting | RedisEvent::ShutdownRequested => Tone::Bad,
                RedisEvent::PartialRefusedBacklog(..) | RedisEvent::FullResyncRequested(_) => Tone::Plain,
                RedisEvent::MasterConnectionLost
                | RedisEvent::MasterTimeout
                | RedisEvent::TimeoutConnecting
                | RedisEvent::FinishedWithSuccess
                | RedisEvent::SuccessfulPartial
                | RedisEvent::PartialRefusedOffset(..)
                | RedisEvent::PartialRefusedId(..)
                | RedisEvent::FlushingOldData
                | RedisEvent::ReplicaLost(_) => Tone::Faint,
                _ => return None,
            };
            let text = event.text(names);
            // Whose identities they are says nobody anything.
            let told = text.split_once(" (Replica asked for").map_or(text.as_str(), |(told, _)| told);
            let told = told.split_once(" You can try killing").map_or(told, |(told, _)| told);
            Some((told.to_string(), tone))
        }
        Event::Haproxy(event) => {
            let text = event.text(names);
            let text = text.split(", check duration").next().unwrap_or(&text);
            let text = text.replace("redis_backend/", "");
            let up = matches!(event, HaproxyEvent::Server { up: true, .. });
            Some((text, if up { Tone::Good } else { Tone::Bad }))
        }
        Event::Text(_) => None,
    }
}

fn sentinel_told(event: &SentinelEvent, names: &Names, sentinels: &BTreeMap<RunId, String>) -> Option<(String, Tone)> {
    let id = |id: &RunId| match sentinels.get(id) {
        Some(name) => name.clone(),
        None => names.id(*id).to_string(),
    };
    let who = |who: &crate::record::Instance| {
        let (host, port) = (names.ip(who.addr.ip), who.addr.port);
        match who.kind {
            InstanceKind::Master => format!("master {} {host} {port}", names.master(who.name)),
            InstanceKind::Slave => format!("slave {host}:{port}"),
            InstanceKind::Sentinel => format!("sentinel {host}"),
        }
    };
    Some(match event {
        SentinelEvent::About(kind, instance) => {
            let text = format!("{} {}", kind.as_str(), who(instance));
            let tone = match kind {
                Kind::SlaveAdded
                | Kind::SentinelAdded
                | Kind::SlaveReconfInprog
                | Kind::StateSelectSlave
                | Kind::StateReconfSlaves
                | Kind::StateSendSlaveofNoone
                | Kind::StateWaitPromotion => return None,
                Kind::SdownEntered if instance.kind == InstanceKind::Master => Tone::Bad,
                Kind::SdownEntered | Kind::SdownLeft | Kind::SlaveReconfSent | Kind::SlaveReconfDone => Tone::Faint,
                Kind::AbortNotElected | Kind::AbortNoGoodSlave | Kind::AbortSlaveTimeout => Tone::Bad,
                Kind::PromotedSlave | Kind::FailoverEnd => Tone::Good,
                _ => Tone::Plain,
            };
            (text, tone)
        }
        SentinelEvent::Odown(instance, count, quorum) => {
            (format!("+odown {} #quorum {count}/{quorum}", who(instance)), Tone::Bad)
        }
        SentinelEvent::NewEpoch(_) => (event.text(names), Tone::Faint),
        SentinelEvent::VoteForLeader(leader, epoch) => {
            (format!("+vote-for-leader {} {epoch}", id(leader)), Tone::Plain)
        }
        SentinelEvent::SwitchMaster(..) => (event.text(names), Tone::Good),
        SentinelEvent::Tilt(on) => (event.text(names), if *on { Tone::Bad } else { Tone::Good }),
        SentinelEvent::NextFailoverDelay(_) | SentinelEvent::UserFailover(_) => (event.text(names), Tone::Plain),
        _ => return None,
    })
}

/// The story with times and names, one line an event.
pub fn timeline(run: &RunReport<'_>, lanes: &Lanes) -> String {
    let entries = story(run.recording, run.analysis, lanes);
    let wide = entries.iter().map(|entry| entry.who.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    let bold = Style::new().bold();
    let faint = Tone::Faint.style();
    let run_name = run.analysis.run_name();
    let _ = writeln!(out, "{bold}{}{bold:#}, {run_name}", run.analysis.scenario);
    for entry in entries {
        let style = entry.tone.style();
        let seconds = format!("{:>9.3} s", entry.at_us as f64 / 1e6);
        let _ = writeln!(out, "{faint}{seconds}{faint:#}  {style}{:<wide$}  {}{style:#}", entry.who, entry.text);
    }
    out
}

fn table(columns: &[(&str, CellAlignment)]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    for edge in [
        TableComponent::TopBorder,
        TableComponent::TopBorderIntersections,
        TableComponent::BottomBorder,
        TableComponent::BottomBorderIntersections,
    ] {
        table.remove_style(edge);
    }
    table.set_header(columns.iter().map(|(name, _)| *name));
    for (i, (_, alignment)) in columns.iter().enumerate() {
        table.column_mut(i).expect("the header has this column").set_cell_alignment(*alignment);
    }
    table
}

fn seconds(us: i64) -> String {
    format!("{:.3}", us as f64 / 1e6)
}

/// What it came to: phases, messages, writes, two masters.
pub fn summary(analysis: &Analysis) -> String {
    let mut out = String::new();
    sum_up_failovers(analysis, &mut out);
    sum_up_messages(&analysis.ledger.sums, &mut out);
    sum_up_writes(analysis, &mut out);
    let alarm = Tone::Alarm.style();
    for window in &analysis.masters.two {
        let _ = writeln!(
            out,
            "{alarm}two masters{alarm:#}: {} from {} s to {} s ({} s)",
            window.nodes.join(" and "),
            seconds(window.from_us),
            seconds(window.to_us),
            seconds(window.to_us - window.from_us)
        );
    }
    let master = analysis.final_master.as_deref().unwrap_or("none");
    let _ = writeln!(out, "master at the end: {master}");
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn sum_up_failovers(analysis: &Analysis, out: &mut String) {
    use CellAlignment::{Left, Right};
    let bold = Style::new().bold();
    if analysis.failovers.is_empty() {
        let _ = writeln!(out, "{bold}No Sentinel tried a failover.{bold:#}\n");
    }
    for failover in analysis.failovers.iter().take(TOLD_FAILOVERS) {
        let to = failover.new_master.as_deref().unwrap_or("nobody");
        let ending = ending_words(failover);
        let _ = writeln!(
            out,
            "{bold}Failover {} → {to}{bold:#}, led by {}: {ending}",
            failover.old_master, failover.leader
        );
        let mut table = table(&[
            ("step", Left),
            ("at (s)", Right),
            ("took (s)", Right),
            ("after", Left),
            ("who", Left),
            ("decided by", Left),
        ]);
        for step in &failover.steps {
            let took = step.took_us.map_or(String::new(), seconds);
            let after = step.after.map_or("", Phase::as_str);
            table.add_row([step.phase.as_str(), &seconds(step.at_us), &took, after, &step.who, &step.decided_by]);
        }
        let _ = writeln!(out, "{table}\n");
    }
    if analysis.failovers.len() > TOLD_FAILOVERS {
        let _ = writeln!(out, "and {} more attempts\n", analysis.failovers.len() - TOLD_FAILOVERS);
    }
}

fn sum_up_messages(sums: &MessageSums, out: &mut String) {
    use CellAlignment::{Left, Right};
    if sums.published > 0 {
        let part = |n: u64| format!("{:.1} %", n as f64 / sums.published as f64 * 100.0);
        let mut table = table(&[("messages", Left), ("", Right), ("", Right)]);
        table.add_row(["published".to_string(), sums.published.to_string(), String::new()]);
        table.add_row(["delivered".to_string(), sums.delivered.to_string(), part(sums.delivered)]);
        if sums.failed_but_delivered > 0 {
            let n = sums.failed_but_delivered;
            table.add_row(["  though the publisher was told they failed".to_string(), n.to_string(), part(n)]);
        }
        if sums.undecided > 0 {
            table.add_row(["on their way at the end".to_string(), sums.undecided.to_string(), part(sums.undecided)]);
        }
        if sums.duplicates > 0 {
            let n = sums.duplicates.to_string();
            table.add_row(["  copies received beyond the first".to_string(), n, String::new()]);
        }
        table.add_row(["not delivered".to_string(), sums.lost.to_string(), part(sums.lost)]);
        for cause in Cause::ALL {
            if let Some(n) = sums.by_cause.get(cause.as_str()) {
                table.add_row([format!("  {}", causes::words(cause)), n.to_string(), part(*n)]);
            }
        }
        let _ = writeln!(out, "{table}\n");
    }
}

fn sum_up_writes(analysis: &Analysis, out: &mut String) {
    let writes = &analysis.ledger.writes;
    let bold = Style::new().bold();
    if writes.attempts > 0 {
        let lost = match writes.lost {
            Some(0) => "none of these lost".to_string(),
            Some(lost) => format!("{bold}{lost} of these lost{bold:#}"),
            None if analysis.final_master.is_none() => {
                "unknown how many of these lost: no master at the end".to_string()
            }
            None => "unknown how many of these lost: the recording does not say".to_string(),
        };
        let alone = match writes.unreplicated {
            0 => String::new(),
            alone => format!(", {alone} of these not replicated in time"),
        };
        let over = match writes.expired {
            0 => String::new(),
            over => format!(", {over} that lived their time"),
        };
        let (tried, acknowledged) = (writes.attempts, writes.acknowledged);
        let _ = writeln!(out, "writes: {tried} tried, {acknowledged} acknowledged{alone}, {lost}{over}");
        for why in WriteLoss::ALL {
            if let Some(n) = writes.lost_by_cause.get(why.as_str()) {
                let _ = writeln!(out, "  {n} {}", causes::write_words(why));
            }
        }
    }
}
