//! Answers from the lines of a recording alone.

use std::collections::BTreeMap;

use super::{Explanation, Step, Subject};
use crate::analysis::ledger::Message;
use crate::analysis::phases::Failover;
use crate::analysis::writes::{Write, WriteFate};
use crate::record::{Event, InstanceKind, SentinelEvent, SentinelEventKind as Kind, What};
use crate::report::causes::words;

/// What became of a message, as far as lines tell.
pub(super) fn message(subject: &Subject, entry: &Message, done: &mut Explanation) {
    let analysis = subject.analysis();
    let took = entry.took_us as f64 / 1e3;
    done.steps.push(Step::new(entry.published_us, &entry.client, format!("begins to publish message {}", entry.seq)));
    let receivers = entry.receivers.map_or(String::new(), |n| format!(", {n} receivers"));
    let text = format!("its attempt ends after {took:.3} ms: {}{receivers}", entry.outcome);
    done.steps.push(Step::new(entry.published_us + entry.took_us, &entry.client, text));
    for (who, at) in &entry.received {
        done.steps.push(Step::new(*at, who, "receives it"));
    }
    if let Some(route) = analysis.masters.route(entry.published_us) {
        let text = match (&route.server, route.running) {
            (_, false) => "does not run".to_string(),
            (Some(server), _) => format!("sends new sessions to {server}"),
            (None, _) => "has no server that is UP".to_string(),
        };
        done.steps.push(Step::new(entry.published_us, "haproxy", text));
    }
    let acting: Vec<&str> = analysis
        .masters
        .lanes
        .iter()
        .filter(|lane| lane.from_us <= entry.published_us && entry.published_us < lane.to_us)
        .map(|lane| lane.node.as_str())
        .collect();
    let acting = if acting.is_empty() { "nobody".to_string() } else { acting.join(" and ") };
    done.steps.push(Step::new(entry.published_us, "stack", format!("{acting} acts as master")));
    let why = entry.cause.map_or(String::new(), |cause| format!(" Most likely: {}.", words(cause)));
    done.answer = format!("Message {} of {}: {}.{why}", entry.seq, entry.client, entry.fate.as_str());
    done.remarks.push(
        "Read from the lines of the recording alone: which connection it took and who accepted it is concluded, not seen."
            .into(),
    );
}

/// What became of a write, as far as lines tell.
pub(super) fn write(subject: &Subject, entry: &Write, done: &mut Explanation) {
    let analysis = subject.analysis();
    let took = entry.took_us as f64 / 1e3;
    done.steps.push(Step::new(entry.at_us, &*entry.client, format!("begins to set k:{}", entry.seq)));
    let text = format!("its attempt ends after {took:.3} ms: {}", entry.outcome.as_str());
    done.steps.push(Step::new(entry.at_us + entry.took_us, &*entry.client, text));
    let lanes = analysis.masters.lanes.iter();
    let acting: Vec<&str> =
        lanes.filter(|lane| lane.from_us <= entry.at_us && entry.at_us < lane.to_us).map(|lane| &*lane.node).collect();
    let acting = if acting.is_empty() { "nobody".to_string() } else { acting.join(" and ") };
    done.steps.push(Step::new(entry.at_us, "stack", format!("{acting} acts as master")));
    let why = match entry.fate {
        WriteFate::Lost(why) => format!(" Most likely: {}", super::write::lost_words(why)),
        WriteFate::Failed(cause) => format!(" Most likely: {}.", words(cause)),
        WriteFate::Kept | WriteFate::Expired | WriteFate::Unknown => String::new(),
    };
    done.answer = format!("Write {} of {}: {}.{why}", entry.seq, entry.client, entry.fate.as_str());
    done.remarks.push("Read from the lines of the recording alone: who took it is concluded, not seen.".into());
}

/// What the Sentinels' lines of a time tell of what each of them held.
#[derive(Default)]
struct Held<'a> {
    /// Since when each holds the master to be down, with others, and is in TILT.
    down: BTreeMap<&'a str, i64>,
    agreed: BTreeMap<&'a str, i64>,
    tilt: BTreeMap<&'a str, i64>,
    /// Who gave up an attempt within the time, and who said that it waits.
    aborted: Vec<(&'a str, Kind)>,
    delayed: Vec<&'a str>,
    /// Who waited when the time began: for what reason, if the lines say.
    before: BTreeMap<&'a str, Option<Kind>>,
}

impl<'a> Held<'a> {
    /// Takes a Sentinel's line; false if it says nothing of this.
    fn hear(&mut self, node: &'a str, at: i64, event: &SentinelEvent, from: i64) -> bool {
        match event {
            SentinelEvent::About(Kind::SdownEntered, who) if who.kind == InstanceKind::Master => {
                self.down.insert(node, at);
            }
            SentinelEvent::About(Kind::SdownLeft, who) if who.kind == InstanceKind::Master => {
                self.down.remove(node);
                self.agreed.remove(node);
            }
            SentinelEvent::Odown(..) => {
                self.agreed.insert(node, at);
            }
            SentinelEvent::About(Kind::OdownLeft, _) => {
                self.agreed.remove(node);
            }
            SentinelEvent::SwitchMaster(..) => {
                self.down.remove(node);
                self.agreed.remove(node);
                self.before.remove(node);
            }
            SentinelEvent::Tilt(true) => {
                self.tilt.insert(node, at);
            }
            SentinelEvent::Tilt(false) => {
                self.tilt.remove(node);
            }
            SentinelEvent::About(
                kind @ (Kind::AbortNotElected | Kind::AbortNoGoodSlave | Kind::AbortSlaveTimeout),
                _,
            ) => {
                if at < from {
                    self.before.insert(node, Some(*kind));
                } else {
                    self.aborted.push((node, *kind));
                }
            }
            SentinelEvent::NextFailoverDelay(_) => {
                if at < from {
                    self.before.entry(node).or_insert(None);
                } else {
                    self.delayed.push(node);
                }
            }
            SentinelEvent::About(Kind::TryFailover, _) if at < from => {
                self.before.remove(node);
            }
            SentinelEvent::VoteForLeader(..)
            | SentinelEvent::VotedFor(..)
            | SentinelEvent::NewEpoch(_)
            | SentinelEvent::About(Kind::TryFailover | Kind::ElectedLeader | Kind::SelectedSlave, _) => {}
            _ => return false,
        }
        true
    }

    /// Why nobody failed over.
    fn why(&self) -> String {
        let names = |of: &BTreeMap<&str, i64>| of.keys().copied().collect::<Vec<_>>().join(", ");
        let Held { down, agreed, tilt, aborted, delayed, before } = self;
        if let Some((node, why)) = before.iter().next().filter(|(node, _)| agreed.contains_key(**node)) {
            // The time began with a wait, and what ends it or follows cannot be its cause.
            let why = why.map_or("a vote or an own attempt", |kind| gave_up(kind));
            format!(
                "{node} held the master to be objectively down and waited, when this time began, for 2 × failover-timeout \
                 after what came before: {why}."
            )
        } else if let Some((node, kind)) = aborted.first() {
            let why = gave_up(*kind);
            format!("{node} tried and gave up: {why}. The next attempt waits for 2 × failover-timeout.")
        } else if let Some(node) = delayed.first() {
            format!(
                "{node} held the master to be objectively down and waited for 2 × failover-timeout after an attempt or a \
                 vote."
            )
        } else if !agreed.is_empty() {
            format!("{} held the master to be objectively down; no attempt is in the lines.", names(agreed))
        } else if !down.is_empty() {
            format!("No quorum: only {} held the master to be down at the end of it.", names(down))
        } else if !tilt.is_empty() {
            format!("{} in TILT; no Sentinel held the master to be down at the end of it.", names(tilt))
        } else {
            "No Sentinel held the master to be down at the end of it.".into()
        }
    }
}

/// Why no failover happened, as far as the Sentinels' lines tell.
pub(super) fn between(subject: &Subject, from: i64, to: i64, happened: &[&Failover], done: &mut Explanation) {
    let recording = subject.recording();
    let mut held = Held::default();
    for record in &recording.records {
        let at = recording.micros(record.time);
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        if at > to {
            break;
        }
        let node = recording.names.node(record.node);
        if held.hear(node, at, event, from) && at >= from {
            done.steps.push(Step::new(at, node, event.text(&recording.names)));
        }
    }
    done.answer = if happened.is_empty() { held.why() } else { super::between::did_happen(happened) };
}

/// Why an attempt was given up.
const fn gave_up(kind: Kind) -> &'static str {
    match kind {
        Kind::AbortNotElected => "no majority: it was not elected",
        Kind::AbortNoGoodSlave => "it found no good replica (which test each failed is not in the lines)",
        _ => "the chosen replica did not become master in time",
    }
}
