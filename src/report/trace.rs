//! A trace for Perfetto and `chrome://tracing`: Chrome's JSON trace events.
//!
//! Processes are nodes, threads are what goes on in them one after the other: the role, the opinion, each server of
//! HAProxy, the attempts of a client. What can overlap (faults, failovers, two masters, outages) is asynchronous; log lines
//! are instants. Arrows lead from each attempt to publish to its receptions. Attempts that overlap lie on tracks of their
//! own, as the format wants it, up to `TRACKS_MAX`; whatever more is under way then is asynchronous, in one group.

use serde_json::{Value, json};

use super::lanes::{Bar, Lanes, Link};
use super::words::{opinion_word, redis_word, server_word};
use crate::analysis::Analysis;
use crate::analysis::outages::Activity;
use crate::record::{Op, Recording, What};

/// The process of what belongs to no node.
const RUN: usize = 1;
/// So many tracks of one activity can be read; who waits for a dead server has hundreds of attempts under way.
const TRACKS_MAX: usize = 8;
/// The first thread of a client's attempts; below it are the states.
const ATTEMPTS: usize = 10;

struct Trace {
    /// Times are counted from here, so that none is negative.
    begin: i64,
    events: Vec<Value>,
    id: u64,
}

impl Trace {
    fn name(&mut self, what: &str, pid: usize, tid: usize, name: &str) {
        self.events.push(json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}));
    }

    fn slice(&mut self, pid: usize, tid: usize, name: &str, from: i64, to: i64, args: Value) {
        let (ts, dur) = (from - self.begin, (to - from).max(1));
        self.events.push(json!({"ph": "X", "pid": pid, "tid": tid, "name": name, "ts": ts, "dur": dur, "args": args}));
    }

    fn states<S: Copy>(&mut self, pid: usize, tid: usize, bars: &[Bar<S>], word: impl Fn(S) -> &'static str) {
        for bar in bars {
            self.slice(pid, tid, word(bar.state), bar.from_us, bar.to_us, json!({}));
        }
    }

    fn over(&mut self, category: &str, pid: usize, name: &str, from: i64, to: i64) {
        self.id += 1;
        for (phase, at) in [("b", from), ("e", to)] {
            self.events.push(json!({"ph": phase, "cat": category, "id": self.id, "pid": pid, "tid": 0, "name": name,
                "ts": at - self.begin}));
        }
    }

    fn instant(&mut self, pid: usize, tid: usize, name: &str, at: i64) {
        self.events.push(json!({"ph": "i", "s": "t", "pid": pid, "tid": tid, "name": name, "ts": at - self.begin}));
    }
}

/// The trace of a run.
pub fn trace(recording: &Recording, analysis: &Analysis, lanes: &Lanes) -> String {
    let mut trace = Trace { begin: lanes.begin_us, events: Vec::new(), id: 0 };
    // Node n is process n + 2.
    let pid = |name: &str| recording.names.find_node(name).map_or(RUN, |node| node.0 as usize + RUN + 1);
    nodes(&mut trace, recording, analysis);
    states(&mut trace, lanes, &pid);
    run_events(&mut trace, analysis, lanes);
    for client in &analysis.outages {
        for outage in &client.outages {
            let name = format!("{}: no {}", client.client, client.activity.as_str());
            trace.over("outage", pid(&client.client), &name, outage.from_us, outage.to_us);
        }
    }
    log(&mut trace, recording);
    messages(&mut trace, analysis, &pid);
    attempts(&mut trace, lanes, &pid);
    let other = json!({"scenario": analysis.scenario, "source": analysis.source, "run": analysis.run,
        "time0_us": -lanes.begin_us});
    let mut out = String::from("{\"displayTimeUnit\":\"ms\",\"otherData\":");
    out.push_str(&other.to_string());
    out.push_str(",\"traceEvents\":[\n");
    for (i, event) in trace.events.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ",\n" });
        out.push_str(&event.to_string());
    }
    out.push_str("\n]}\n");
    out
}

/// A process for the run and one for each node, with its log.
fn nodes(trace: &mut Trace, recording: &Recording, analysis: &Analysis) {
    trace.name("process_name", RUN, 0, &format!("run: {}", analysis.scenario));
    for (i, node) in recording.names.nodes.iter().enumerate() {
        let pid = i + RUN + 1;
        trace.name("process_name", pid, 0, &node.name);
        trace
            .events
            .push(json!({"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": pid}}));
        trace.name("thread_name", pid, 1, "log");
    }
}

/// What each node was, held, and took its servers to be.
fn states(trace: &mut Trace, lanes: &Lanes, pid: &impl Fn(&str) -> usize) {
    for lane in &lanes.redis {
        trace.name("thread_name", pid(&lane.node), 2, "role");
        trace.states(pid(&lane.node), 2, &lane.bars, redis_word);
    }
    for lane in &lanes.sentinels {
        let pid = pid(&lane.node);
        trace.name("thread_name", pid, 2, "opinion of the master");
        trace.states(pid, 2, &lane.bars, opinion_word);
        trace.name("thread_name", pid, 3, "believes the master to be");
        for (i, (since, who)) in lane.beliefs.iter().enumerate() {
            let until = lane.beliefs.get(i + 1).map_or(lanes.end_us, |(at, _)| *at);
            trace.slice(pid, 3, who, *since, until, json!({}));
        }
    }
    for (i, lane) in lanes.proxies.iter().enumerate() {
        trace.name("thread_name", pid(&lane.node), 2 + i, &format!("server {}", lane.server));
        trace.states(pid(&lane.node), 2 + i, &lane.bars, server_word);
    }
}

fn log(trace: &mut Trace, recording: &Recording) {
    for record in &recording.records {
        let pid = record.node.0 as usize + RUN + 1;
        match &record.what {
            What::Event(event) if event.is_logged() => {
                trace.instant(pid, 1, &event.text(&recording.names), recording.micros(record.time));
            }
            What::Op(Op::Connect(how)) => {
                trace.instant(pid, 1, &format!("connection: {}", how.as_str()), recording.micros(record.time));
            }
            _ => {}
        }
    }
}

/// Attempts other than publishing.
fn attempts(trace: &mut Trace, lanes: &Lanes, pid: &impl Fn(&str) -> usize) {
    for lane in lanes.clients.iter().filter(|lane| lane.activity != Activity::Publish) {
        let pid = pid(&lane.node);
        if !lane.bars.is_empty() {
            trace.name("thread_name", pid, 2, "connection");
            trace.states(pid, 2, &lane.bars, |link| if link == Link::Open { "open" } else { "closed" });
        }
        let mut tracks = Tracks::default();
        // Receptions are drawn with the messages.
        for ((at, outcome, seq), took) in lane.attempts.iter().zip(&lane.took_us) {
            let name = format!("{} {seq}", lane.activity.as_str().to_uppercase());
            let args = json!({"outcome": outcome.as_str(), "seq": seq});
            tracks.slice(trace, (pid, lane.activity), &name, (*at, at + took), args);
        }
    }
}

fn run_events(trace: &mut Trace, analysis: &Analysis, lanes: &Lanes) {
    for fault in &lanes.faults {
        if fault.lasts() {
            trace.over("fault", RUN, &fault.label, fault.from_us, fault.to_us);
        } else {
            let at = fault.from_us - trace.begin;
            trace.events.push(json!({"ph": "i", "s": "g", "pid": RUN, "tid": 0, "name": fault.label, "ts": at}));
        }
    }
    for window in &analysis.masters.two {
        let name = format!("two masters: {}", window.nodes.join(" and "));
        trace.over("two masters", RUN, &name, window.from_us, window.to_us);
    }
    for failover in &analysis.failovers {
        let last = failover.steps.iter().map(|step| step.at_us).max().unwrap_or(failover.started_us());
        let to = failover.new_master.as_deref().unwrap_or("nobody");
        let name = format!("failover {} → {to}, led by {}", failover.old_master, failover.leader);
        let from = failover.steps.first().map_or(failover.started_us(), |step| step.at_us);
        trace.over("failover", RUN, &name, from, last.max(from));
    }
}

/// Tracks of one process for slices that may overlap.
#[derive(Default)]
struct Tracks(Vec<i64>);

impl Tracks {
    /// Draws an attempt; answers its thread, if it has one.
    fn slice(
        &mut self,
        trace: &mut Trace,
        (pid, activity): (usize, Activity),
        name: &str,
        (from, to): (i64, i64),
        args: Value,
    ) -> Option<usize> {
        let thread = self.place(trace, pid, activity, from, to);
        match thread {
            Some(tid) => trace.slice(pid, tid, name, from, to, args),
            None => trace.over("more", pid, &format!("{activity}: more under way"), from, to.max(from + 1)),
        }
        thread
    }

    /// The thread on which nothing is under way; names it when it is new. None if there are too many already.
    fn place(&mut self, trace: &mut Trace, pid: usize, activity: Activity, from: i64, to: i64) -> Option<usize> {
        let to = to.max(from + 1);
        let track = self.0.iter().position(|end| *end <= from).unwrap_or(self.0.len());
        if track == TRACKS_MAX {
            return None;
        }
        if track == self.0.len() {
            self.0.push(to);
            let base = ATTEMPTS + activity_base(activity);
            let name = if track == 0 { activity.to_string() } else { format!("{activity} ({})", track + 1) };
            trace.name("thread_name", pid, base + track, &name);
        }
        self.0[track] = to;
        Some(ATTEMPTS + activity_base(activity) + track)
    }
}

/// Each activity has a thousand threads.
fn activity_base(activity: Activity) -> usize {
    match activity {
        Activity::Publish => 0,
        Activity::Set => 1_000,
        Activity::Get => 2_000,
        Activity::Receive => 3_000,
    }
}

fn messages(trace: &mut Trace, analysis: &Analysis, pid: &impl Fn(&str) -> usize) {
    let mut publishing: Vec<(usize, Tracks)> = Vec::new();
    let mut receptions = Vec::new();
    let tracks = |all: &mut Vec<(usize, Tracks)>, pid: usize| match all.iter().position(|(p, _)| *p == pid) {
        Some(i) => i,
        None => {
            all.push((pid, Tracks::default()));
            all.len() - 1
        }
    };
    for message in &analysis.ledger.messages {
        let from_pid = pid(&message.client);
        let (from, to) = (message.published_us, message.published_us + message.took_us);
        let i = tracks(&mut publishing, from_pid);
        let cause = message.cause.map(|cause| cause.as_str());
        let args =
            json!({"outcome": message.outcome, "seq": message.seq, "receivers": message.receivers, "cause": cause});
        let name = format!("PUBLISH {}", message.seq);
        let tid = publishing[i].1.slice(trace, (from_pid, Activity::Publish), &name, (from, to), args);
        // An arrow begins on a thread.
        for (subscriber, at) in message.received.iter().filter(|_| tid.is_some()) {
            trace.id += 1;
            let ts = from - trace.begin;
            trace.events.push(json!({"ph": "s", "cat": "message", "id": trace.id, "pid": from_pid, "tid": tid,
                "name": "message", "ts": ts}));
            receptions.push((pid(subscriber), *at, message.seq, trace.id));
        }
    }
    receptions.sort_unstable();
    let mut receiving: Vec<(usize, Tracks)> = Vec::new();
    for (to_pid, at, seq, id) in receptions {
        let i = tracks(&mut receiving, to_pid);
        let (name, args) = (format!("message {seq}"), json!({"seq": seq}));
        let tid = receiving[i].1.slice(trace, (to_pid, Activity::Receive), &name, (at, at + 1), args);
        let ts = at - trace.begin;
        trace.events.push(json!({"ph": "f", "bp": "e", "cat": "message", "id": id, "pid": to_pid, "tid": tid,
            "name": "message", "ts": ts}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_has_few_tracks_and_is_all_there() {
        let mut trace = Trace { begin: 0, events: Vec::new(), id: 0 };
        let mut tracks = Tracks::default();
        let threads: Vec<Option<usize>> = (0..200)
            .map(|at| tracks.slice(&mut trace, (5, Activity::Publish), "PUBLISH", (at, at + 1_000), json!({})))
            .collect();
        let of = |phase: &str| trace.events.iter().filter(|event| event["ph"] == phase).count();
        assert_eq!((of("M"), of("X"), of("b"), of("e")), (TRACKS_MAX, TRACKS_MAX, 192, 192));
        assert!(threads[..TRACKS_MAX].iter().all(Option::is_some) && threads[TRACKS_MAX..].iter().all(Option::is_none));
        assert_eq!(tracks.place(&mut trace, 5, Activity::Publish, 5_000, 5_001), Some(ATTEMPTS));
    }
}
