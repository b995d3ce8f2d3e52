//! Why a Sentinel does not fail over, tick by tick, from its own notes; joined to spans of time with one reason.

use super::run::Traced;
use super::words::{plural, seconds, span};
use crate::analysis::phases::{Ending, Failover};
use crate::kernel::{EventId, Span, Time};
use crate::program::{Candidate, Candidates, FailoverStep, Input, Note, Noted, SentinelTick};
use crate::wire::{Ip, NodeId, Role, RunId};

/// Why a Sentinel does not fail over, in the order in which it gets nearer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Its process is down or stopped.
    NotRunning,
    /// It is in TILT.
    Tilt,
    /// The master is not down for it.
    NotDown,
    /// The master is down for it, and too few agree.
    NoQuorum,
    /// It may not start yet.
    Delay,
    /// It waits for votes.
    Election,
    /// It chooses a replica.
    Choosing,
    /// It waits for the chosen replica.
    Promoting,
    /// It has promoted a replica.
    Promoted,
}

/// A time during which a Sentinel had one reason.
pub(super) struct Stretch {
    pub node: NodeId,
    pub reason: Reason,
    pub master: Ip,
    pub from: Time,
    pub to: Time,
    pub event: EventId,
    /// When the delay was armed that it waits for, if it waits for one.
    pub armed: Option<Time>,
    /// The longest silence of the master in it.
    pub silence: Span,
    /// The last tick of it.
    pub last: Option<SentinelTick>,
}

/// A delay of 2 × failover-timeout that began.
struct Armed {
    at: Time,
    vote_for: Option<RunId>,
    until: Time,
    failover_timeout: Span,
}

impl Stretch {
    pub(super) fn lasted(&self) -> Span {
        self.to.saturating_since(self.from)
    }
}

/// A Sentinel that has not ticked for so long stands still: its slowest tick is 100 ms, its longest fsync 13 ms.
const STANDS_STILL: Span = Span::from_millis(500);

fn reason(tick: &SentinelTick) -> Reason {
    match tick.failover {
        FailoverStep::ReconfSlaves | FailoverStep::UpdateConfig => Reason::Promoted,
        _ if tick.tilt_left.is_some() => Reason::Tilt,
        FailoverStep::SendSlaveofNoone | FailoverStep::WaitPromotion => Reason::Promoting,
        FailoverStep::SelectSlave => Reason::Choosing,
        FailoverStep::WaitStart => Reason::Election,
        FailoverStep::None if !tick.sdown => Reason::NotDown,
        FailoverStep::None if !tick.odown => Reason::NoQuorum,
        FailoverStep::None => Reason::Delay,
    }
}

impl Traced {
    /// The reasons of one Sentinel between two instants, without a gap.
    pub(super) fn stretches(&self, node: NodeId, from: Time, to: Time) -> Vec<Stretch> {
        let mut done: Vec<Stretch> = Vec::new();
        let mut ticks =
            self.result.notes.iter().filter(|noted| noted.node == node).filter_map(|noted| match &noted.note {
                Note::Tick(tick) => Some((noted, tick)),
                _ => None,
            });
        let armings = self.armings(node);
        let armed_by = |noted: &Noted, tick: &SentinelTick| {
            let before = || armings.iter().rev().find(|armed| armed.at <= noted.time).map(|armed| armed.at);
            (reason(tick) == Reason::Delay).then(before).flatten()
        };
        let mut last = from;
        let mut master = self.layout.addr(self.layout.redis(0)).ip;
        let still = |master, from: Time, to: Time| Stretch {
            node,
            reason: Reason::NotRunning,
            master,
            from,
            to,
            event: EventId(0),
            armed: None,
            silence: Span::ZERO,
            last: None,
        };
        for (noted, tick) in &mut ticks {
            if noted.time < from {
                // A tick before the interval says what holds at its beginning, until the next one.
                master = tick.master.ip;
                if from.since(noted.time) <= STANDS_STILL {
                    done = vec![Stretch { armed: armed_by(noted, tick), ..self.stretch(node, noted, tick, from) }];
                }
                continue;
            }
            if noted.time > to {
                break;
            }
            if noted.time.since(last) > STANDS_STILL {
                done.push(still(master, last, noted.time));
            }
            master = tick.master.ip;
            let (reason, armed) = (reason(tick), armed_by(noted, tick));
            let same =
                |stretch: &&mut Stretch| (stretch.reason, stretch.master, stretch.armed) == (reason, master, armed);
            match done.last_mut().filter(same) {
                Some(stretch) => {
                    stretch.to = noted.time;
                    stretch.silence = stretch.silence.max(silence(tick));
                    stretch.last = Some((**tick).clone());
                }
                None => {
                    if let Some(before) = done.last_mut() {
                        before.to = noted.time;
                    }
                    done.push(Stretch { armed, ..self.stretch(node, noted, tick, noted.time) });
                }
            }
            last = noted.time;
        }
        if to.saturating_since(last) > STANDS_STILL {
            done.push(still(master, last, to));
        } else if let Some(stretch) = done.last_mut() {
            stretch.to = to;
        }
        done.retain(|stretch| stretch.from < stretch.to || stretch.last.is_some());
        done
    }

    fn stretch(&self, node: NodeId, noted: &Noted, tick: &SentinelTick, from: Time) -> Stretch {
        Stretch {
            node,
            reason: reason(tick),
            master: tick.master.ip,
            from,
            to: from,
            event: noted.during,
            armed: None,
            silence: silence(tick),
            last: Some(tick.clone()),
        }
    }

    /// The name of a Sentinel by its id.
    pub(super) fn sentinel_name(&self, id: RunId) -> String {
        for noted in &self.result.notes {
            if let Note::Tick(tick) = &noted.note
                && let Some(other) = tick.others.iter().find(|other| other.id == id)
            {
                return self.layout.names.ip(other.addr.ip).to_string();
            }
        }
        "another Sentinel".into()
    }

    /// Whether a node's process existed at an instant, and did not yet end: else it is down, not stopped.
    fn existed(&self, node: NodeId, at: Time) -> bool {
        let Some(journal) = &self.result.journal else { return true };
        let starts = |pass: &&crate::world::Pass| pass.node == node && matches!(pass.input, Input::Start);
        let started = journal.passes.iter().filter(starts).map(|pass| pass.began).filter(|began| *began <= at).max();
        let trace = self.result.trace.as_deref().unwrap_or_default();
        let died = journal
            .deeds
            .iter()
            .filter(|(_, deed)| matches!(deed, crate::world::Deed::Dies(dead) if *dead == node))
            .map(|(event, _)| trace[event.0 as usize].time)
            .filter(|died| *died <= at)
            .max();
        started.is_some() && started > died
    }

    /// A stretch in words.
    pub(super) fn why(&self, stretch: &Stretch) -> String {
        let names = &self.layout.names;
        let master = names.ip(stretch.master);
        let Some(tick) = &stretch.last else {
            let how = if self.existed(stretch.node, stretch.to) { "stands still" } else { "does not run" };
            return format!("{how}: it neither notices nor votes");
        };
        match stretch.reason {
            Reason::NotRunning => unreachable!("a Sentinel that ticks runs"),
            Reason::Tilt => {
                "is in TILT: its clock or its loop lost time; it watches and votes, but answers \"not down\" \
                             and starts nothing"
                    .to_string()
            }
            Reason::NotDown => self.not_down(stretch, tick, master),
            Reason::NoQuorum => self.no_quorum(tick, master),
            Reason::Delay => self.delay(stretch, master),
            Reason::Election => self.election(stretch, tick, master),
            Reason::Choosing => "chooses a replica to promote".into(),
            Reason::Promoting => "has told a replica REPLICAOF NO ONE, or tries to, and waits for its INFO to say \
                                  role:master"
                .into(),
            Reason::Promoted => "has promoted a replica and points the others to it".into(),
        }
    }

    fn not_down(&self, stretch: &Stretch, tick: &SentinelTick, master: &str) -> String {
        let silent = match stretch.silence {
            silence if silence > Span::from_millis(1_500) && silence <= tick.down_after => {
                format!("it left a PING unanswered for {} at most, not more than down-after", span(silence))
            }
            silence if silence > tick.down_after => "it has just been silent for too long".to_string(),
            _ => "it answers PING".to_string(),
        };
        let role = match tick.role_reported {
            Some(Role::Slave) => {
                "; it says role:slave, which counts as down only after down-after + 2 INFO periods".to_string()
            }
            _ => String::new(),
        };
        format!("does not hold {master} to be down: {silent}{role}")
    }

    fn no_quorum(&self, tick: &SentinelTick, master: &str) -> String {
        let names = &self.layout.names;
        let others: Vec<String> = tick
            .others
            .iter()
            .map(|other| {
                let name = names.ip(other.addr.ip);
                match (other.says_down, other.connected, other.sdown) {
                    (true, ..) => format!("{name} agrees"),
                    (_, false, _) => format!("{name} cannot be reached"),
                    (_, _, true) => format!("{name} does not answer"),
                    _ => format!("{name} has not said so within 5 s"),
                }
            })
            .collect();
        let others = if others.is_empty() { "it knows no other Sentinel".into() } else { others.join(", ") };
        format!(
            "holds {master} to be down, but {} of the {} that quorum asks for {} so ({others})",
            tick.agreeing,
            tick.quorum,
            if tick.agreeing == 1 { "says" } else { "say" }
        )
    }

    /// When a Sentinel armed its delay, in order.
    fn armings(&self, node: NodeId) -> Vec<Armed> {
        let of_node = self.result.notes.iter().filter(|noted| noted.node == node);
        let armings = of_node.filter_map(|noted| match noted.note {
            Note::DelayArmed { vote_for, until, failover_timeout } => {
                Some(Armed { at: noted.time, vote_for, until, failover_timeout })
            }
            _ => None,
        });
        armings.collect()
    }

    /// What armed the delay that a stretch waits for.
    fn armed(&self, stretch: &Stretch) -> Option<Armed> {
        let at = stretch.armed?;
        self.armings(stretch.node).into_iter().rev().find(|armed| armed.at == at)
    }

    /// The attempt at a failover whose start, or the vote for which, armed the delay that a stretch waits for.
    pub(super) fn attempt_behind(&self, stretch: &Stretch) -> Option<&Failover> {
        let armed = self.armed(stretch)?;
        let leader = match armed.vote_for {
            Some(candidate) => self.sentinel_name(candidate),
            None => self.layout.names.node(stretch.node).to_string(),
        };
        self.attempt_at(&leader, armed.at)
    }

    /// Why a Sentinel may not start, and until when.
    fn delay(&self, stretch: &Stretch, master: &str) -> String {
        let Some(Armed { at, vote_for, until, failover_timeout: timeout }) = self.armed(stretch) else {
            return format!("holds {master} to be objectively down and starts a failover at its next tick");
        };
        let who = match vote_for {
            Some(candidate) => {
                let name = self.sentinel_name(candidate);
                format!("it voted for {name} at {}{}", self.at(at), self.given_up(&name, at))
            }
            None => format!(
                "of its own attempt at {}{}",
                self.at(at),
                self.given_up(self.layout.names.node(stretch.node), at)
            ),
        };
        format!(
            "holds {master} to be objectively down, but starts no failover before {}, because {who}: between that and an \
             attempt lie 2 × failover-timeout = {}, plus up to 1 s of chance",
            self.at(until),
            span(timeout * 2)
        )
    }

    /// The attempt of a Sentinel that armed a delay at an instant.
    fn attempt_at(&self, leader: &str, at: Time) -> Option<&Failover> {
        let armed = self.micros(at);
        // The line carries whole milliseconds, and a vote follows the attempt within the time of an election.
        let fits = |attempt: &&Failover| {
            attempt.leader == leader && (-20_000..=11_000_000).contains(&(armed - attempt.started_us()))
        };
        self.analysis.failovers.iter().filter(fits).max_by_key(|attempt| attempt.started_us())
    }

    /// How the attempt of a Sentinel ended that armed a delay at an instant, if it was given up.
    fn given_up(&self, leader: &str, at: Time) -> String {
        match self.attempt_at(leader, at).map(|attempt| &attempt.ending) {
            Some(Ending::Aborted("not-elected")) => ", which was not elected".into(),
            Some(Ending::Aborted("no-good-slave")) => ", which found no good replica".into(),
            Some(Ending::Aborted("slave-timeout")) => ", whose replica did not become master in time".into(),
            Some(Ending::Superseded) => ", and another's configuration came first".into(),
            _ => String::new(),
        }
    }

    fn election(&self, stretch: &Stretch, tick: &SentinelTick, master: &str) -> String {
        let names = &self.layout.names;
        let me = names.node(stretch.node);
        let my_id = self.my_id(stretch.node);
        let mut votes = 0;
        let mut told = Vec::new();
        if let Some((candidate, epoch)) = tick.vote.filter(|(_, epoch)| *epoch == tick.failover_epoch) {
            let own = Some(candidate) == my_id;
            votes += u32::from(own);
            told.push(format!(
                "itself in epoch {epoch} for {}",
                if own { me.into() } else { self.sentinel_name(candidate) }
            ));
        }
        for other in &tick.others {
            let name = names.ip(other.addr.ip);
            match other.vote.filter(|(_, epoch)| *epoch == tick.failover_epoch) {
                Some((candidate, _)) => {
                    let mine = Some(candidate) == my_id;
                    votes += u32::from(mine);
                    let whom = if mine { me.to_string() } else { self.sentinel_name(candidate) };
                    told.push(format!("{name} for {whom}"));
                }
                None if !other.connected => told.push(format!("{name} cannot be reached")),
                None => told.push(format!("{name} has told no vote")),
            }
        }
        format!(
            "wants to replace {master} in epoch {} and has {} of the {} that it needs: more than half of the {} \
             Sentinels that it ever got to know, alive or not, and the quorum of {} ({})",
            tick.failover_epoch,
            plural(u64::from(votes), "vote"),
            tick.votes_needed,
            tick.others.len() + 1,
            tick.quorum,
            told.join(", ")
        )
    }

    fn my_id(&self, node: NodeId) -> Option<RunId> {
        let ip = self.layout.addr(node).ip;
        self.result.notes.iter().find_map(|noted| match &noted.note {
            Note::Tick(tick) => tick.others.iter().find(|other| other.addr.ip == ip).map(|other| other.id),
            _ => None,
        })
    }

    /// Looks for a replica to promote, within an interval.
    pub(super) fn looks(&self, from: Time, to: Time) -> Vec<(&Noted, &Candidates)> {
        self.result
            .notes
            .iter()
            .filter(|noted| from <= noted.time && noted.time <= to)
            .filter_map(|noted| match &noted.note {
                Note::Candidates(candidates) => Some((noted, &**candidates)),
                _ => None,
            })
            .collect()
    }
}

fn silence(tick: &SentinelTick) -> Span {
    match tick.unanswered {
        Some(unanswered) => unanswered,
        None if !tick.connected => tick.last_answer,
        None => Span::ZERO,
    }
}

/// The tests that a replica failed.
pub(super) fn failed_tests(candidate: &Candidate, candidates: &Candidates) -> Vec<String> {
    let mut failed = Vec::new();
    if candidate.down {
        failed.push("it counts as down (SDOWN)".to_string());
    }
    if !candidate.connected {
        failed.push("no connection to it".into());
    }
    let mut above = |what: &str, value: Span, limit: Span| {
        if value > limit {
            failed.push(format!("{what}: {}, more than {}", span(value), span(limit)));
        }
    };
    above("age of its last answer to PING", candidate.last_answer, candidates.answer_limit);
    above("age of its last INFO", candidate.info_age, candidates.info_limit);
    above("no link to its master for", candidate.link_down, candidates.link_down_limit);
    if candidate.priority == 0 {
        failed.push("replica-priority 0: never to be promoted".into());
    }
    failed
}

/// A look at all replicas as a table.
pub(super) fn candidates_table(run: &Traced, noted: &Noted, candidates: &Candidates) -> super::Table {
    let names = &run.layout.names;
    let who = names.node(noted.node);
    let title = match candidates.chosen {
        Some(addr) => format!("{} {who} chose {} among:", seconds(run.micros(noted.time)), names.ip(addr.ip)),
        None => format!("{} {who} found no good replica among:", seconds(run.micros(noted.time))),
    };
    let columns = ["replica", "last answer", "INFO age", "link down", "priority", "offset", "verdict"];
    let mut table = super::Table::new(title, &columns);
    for candidate in &candidates.replicas {
        let failed = failed_tests(candidate, candidates);
        let verdict = match candidates.chosen {
            _ if !failed.is_empty() => failed.join("; "),
            Some(addr) if addr == candidate.addr => "chosen: least priority, then largest offset, then run id".into(),
            _ => "fit".into(),
        };
        table.rows.push(vec![
            names.ip(candidate.addr.ip).to_string(),
            span(candidate.last_answer),
            span(candidate.info_age),
            span(candidate.link_down),
            candidate.priority.to_string(),
            candidate.offset.to_string(),
            verdict,
        ]);
    }
    table
}
