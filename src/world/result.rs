//! What is left of a run: the recording, the digest, and what only the simulator can know.

use std::collections::BTreeMap;
use std::fmt;

use super::process::State;
use super::program::Program;
use super::tallies::{self, Ends};
use super::{Journal, Seat, Traced, World};
use crate::kernel::{Span, Time};
use crate::program::Noted;
use crate::record::{Ask, Event, Header, Op, Record, Recording, ReplyMark, Source, What};
use crate::redis::Redis;
use crate::wire::{Addr, GroupId, Key, NodeId, Reply, Role};

/// A finished run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Header and all records in order of time.
    pub recording: Recording,
    /// Digest over every event of the run.
    pub digest: u128,
    /// How many events it took.
    pub events: u64,
    /// Sequence numbers of acknowledged SETs that the final master does not hold, by client; those of clients with many
    /// connections are counted in the recording.
    pub lost_writes: Vec<(NodeId, u32)>,
    /// Packets that the faults dropped.
    pub packets_dropped: u64,
    /// None if the stack was ready before the script began. Else what was missing: the script was not played, and the rest
    /// says nothing about it.
    pub unready: Option<Unready>,
    /// Every event with its cause, if they were kept.
    pub trace: Option<Vec<Traced>>,
    /// What every program heard and did, if the trace was kept.
    pub journal: Option<Journal>,
    /// Why programs decided as they did, if the trace was kept.
    pub notes: Vec<Noted>,
}

/// A boot that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// How long it took until then.
    pub after: Span,
    /// What was missing, node by node.
    pub missing: Vec<String>,
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stack is not ready after {} s: {}", self.after.as_millis() / 1_000, self.missing.join(", "))
    }
}

fn reply_mark(at_s: f64, fault: usize, answer: &Reply) -> ReplyMark {
    ReplyMark { at_s, fault, text: answer.shown() }
}

impl World {
    /// The master as the majority of the live Sentinels names it; without Sentinels the first node that says it is one.
    pub fn named_master(&self) -> Option<Addr> {
        let mut votes: BTreeMap<Addr, usize> = BTreeMap::new();
        for process in self.processes.iter().filter(|process| process.state == State::Running) {
            if let Some(Program::Sentinel(sentinel)) = &process.program {
                *votes.entry(sentinel.believed_master(GroupId::ONLY)).or_default() += 1;
            }
        }
        let most = votes.iter().max_by_key(|&(_, count)| *count).map(|(&addr, _)| addr);
        most.or_else(|| {
            self.layout
                .all_redis()
                .find(|&node| self.role(node) == Some(Role::Master))
                .map(|node| self.layout.addr(node))
        })
    }

    /// The role that a Redis node claims; none while it is down.
    pub fn role(&self, node: NodeId) -> Option<Role> {
        match &self.processes[node.0 as usize].program {
            Some(Program::Redis(redis)) => Some(redis.role()),
            _ => None,
        }
    }

    /// Ends the run and answers what is left of it.
    pub fn finish(mut self) -> RunResult {
        let origin = self.origin.unwrap_or(Time::ZERO);
        for node in self.layout.all_clients() {
            if let Some(Program::Client(client)) = &self.processes[node.0 as usize].program {
                self.tallies.take(node, client, &self.desk);
            }
        }
        let mut records = self.desk.take_records();
        records.append(&mut self.tallies.take_records());
        for record in &mut records {
            // Redis and Sentinel stamp their log lines with whole milliseconds (`serverLogRaw`).
            if let What::Event(Event::Redis(_) | Event::Sentinel(_)) = record.what {
                record.time.0 -= record.time.0 % 1_000_000;
            }
        }
        records.sort_by_key(|record| record.time);
        let final_master = self.named_master().and_then(|addr| self.layout.redis_at(addr)).filter(|&node| {
            self.processes[node.0 as usize].state == State::Running && self.role(node) == Some(Role::Master)
        });
        let master = final_master.and_then(|master| self.redis(master));
        let lost_writes = self.mark_lost(master, &mut records);
        let (mut loads, lost_loads) = self.loads(master, &records);
        if !loads.is_empty() {
            records.append(&mut loads);
            records.sort_by_key(|record| record.time);
        }
        let final_roles = self
            .layout
            .all_redis()
            .map(|node| {
                let role = match (self.state(node), self.role(node)) {
                    (State::Down, _) | (_, None) => "down",
                    (_, Some(role)) => role.as_str(),
                };
                (self.layout.names.node(node).to_string(), role.to_string())
            })
            .collect();
        let notes = self.desk.take_notes();
        let header = Header {
            scenario: self.scenario.name.clone(),
            source: Source::Sim,
            run: self.seed,
            config: serde_json::json!({}),
            faults: std::mem::take(&mut self.marks),
            replies: self
                .answers
                .iter()
                .map(|(at, fault, answer)| reply_mark(at.seconds_since(origin), *fault, answer))
                .collect(),
            end_s: self.scenario.duration.as_secs_f64(),
            redis: self.layout.all_redis().map(|node| self.layout.names.node(node).to_string()).collect(),
            final_master: final_master.map(|node| self.layout.names.node(node).to_string()),
            final_roles,
            lost_acked_sets: final_master.map(|_| lost_writes.len() as u64 + lost_loads),
            clients: self.scenario.clients.iter().map(|client| client.mark()).collect(),
        };
        RunResult {
            recording: Recording { header, names: self.layout.names.clone(), origin, records },
            digest: self.kernel.digest(),
            events: self.kernel.dispatched(),
            lost_writes,
            packets_dropped: self.net.dropped(),
            unready: self.unready.map(|(after, missing)| Unready { after: after - Time::ZERO, missing }),
            trace: self.trace,
            journal: self.journal.map(|journal| *journal),
            notes,
        }
    }

    /// Marks the acknowledged SETs that the final master does not hold, and answers whose they are.
    fn mark_lost(&self, master: Option<&Redis>, records: &mut [Record]) -> Vec<(NodeId, u32)> {
        let Some(master) = master else { return Vec::new() };
        let mut all = Vec::new();
        for record in records {
            if let What::Op(Op::Set { seq, outcome, took, waited, lost }) = &mut record.what
                && outcome.is_acknowledged()
                && let Seat::Client(place) = self.seat(record.node)
                && !self.is_kept(master, place, *seq, record.time + (*took - *waited))
            {
                *lost = true;
                all.push((record.node, *seq));
            }
        }
        all
    }

    /// Whether the final master holds what a client SET and was told of at an instant; of a key whose time is up by now,
    /// whether it ever did.
    fn is_kept(&self, master: &Redis, place: usize, seq: u32, answered: Time) -> bool {
        let space = place as u16;
        let is_over = |px| answered + px <= self.kernel.now();
        let had = || master.sets_of(space).is_some_and(|sets| sets.contains(seq));
        master.data(&Key::new(space, seq)).is_some() || self.scenario.clients[place].px.is_some_and(is_over) && had()
    }

    /// The records of clients with many connections, and how many of their acknowledged SETs are lost.
    fn loads(&self, master: Option<&Redis>, records: &[Record]) -> (Vec<Record>, u64) {
        if self.tallies.nodes().next().is_none() {
            return (Vec::new(), 0);
        }
        let heard = tallies::heard(records);
        self.tallies.loads(|node| {
            let Seat::Client(place) = self.seat(node) else { unreachable!("only clients count attempts") };
            let ask = tallies::ask(self.scenario.clients[place].kind).expect("a subscriber makes no attempts");
            let arrived = match ask {
                Ask::Publish => Some(heard.get(&(place as u16)).cloned().unwrap_or_default()),
                Ask::Set => master.map(|master| master.sets_of(place as u16).unwrap_or_default()),
                Ask::Get => None,
            };
            Ends { ask, arrived }
        })
    }
}
