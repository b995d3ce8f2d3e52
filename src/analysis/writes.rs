//! What became of every write: which acknowledged ones the final master does not hold, and why.
//!
//! The simulator knows which writes are lost, and its recordings say so. A recording of the real stack only says how many;
//! which ones then follows from the log lines: writes that a master took while another had already been promoted are lost
//! for certain, and of those that it took before, the latest are those that were not replicated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fate::Cause;
use super::faults::{Window, windows};
use super::ledger::Accountant;
use super::masters::{Lane, Masters};
use crate::record::{Effect, Event, Fault, NodeKind, Op, Outcome, Recording, RedisEvent, What};
use crate::wire::NodeId;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFate {
    /// Acknowledged, and the final master holds it.
    Kept,
    /// Acknowledged, and the final master does not hold it.
    Lost(WriteLoss),
    /// Acknowledged, and its time was up before the end; the final master had it.
    Expired,
    /// Acknowledged, and nobody can say: there is no master at the end, or the real one was not asked while it would have had
    /// it.
    Unknown,
    /// Not acknowledged.
    Failed(Cause),
}

impl WriteFate {
    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            WriteFate::Kept => "kept",
            WriteFate::Expired => "expired",
            WriteFate::Lost(_) => "lost-after-acknowledgement",
            WriteFate::Unknown => "unknown",
            WriteFate::Failed(_) => "failed",
        }
    }
}

/// Why an acknowledged write was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteLoss {
    /// The master had taken it and not yet passed it on when another node was promoted in its place.
    NotReplicatedBeforePromotion,
    /// The old master took it after another node had been promoted, and dropped it when it was made a replica and
    /// synchronised.
    OverwrittenAtResync,
    /// The old master took it after another node had been promoted, and never came back to the others.
    StrandedOnOldMaster,
    /// The server that had it is master no more at the end, and nobody was promoted in its place: one that had been
    /// replaced before is master again.
    GoneWithItsServer,
    /// The master that had it, or the one that was promoted and had it, was started again without it.
    LostAtRestart,
    /// The server that had it was started again from its append-only file, which had not been synced to the disk that far.
    AofNotSynced,
    /// A command of the script deleted it.
    Deleted,
    /// The clock of the final master was ahead, and the key ended before its time.
    EndedEarly,
    /// Nothing in the recording says why.
    Unexplained,
}

impl WriteLoss {
    /// All of them.
    pub const ALL: [WriteLoss; 9] = [
        WriteLoss::NotReplicatedBeforePromotion,
        WriteLoss::OverwrittenAtResync,
        WriteLoss::StrandedOnOldMaster,
        WriteLoss::GoneWithItsServer,
        WriteLoss::LostAtRestart,
        WriteLoss::AofNotSynced,
        WriteLoss::Deleted,
        WriteLoss::EndedEarly,
        WriteLoss::Unexplained,
    ];

    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            WriteLoss::NotReplicatedBeforePromotion => "not-replicated-before-promotion",
            WriteLoss::OverwrittenAtResync => "overwritten-at-resync",
            WriteLoss::StrandedOnOldMaster => "stranded-on-old-master",
            WriteLoss::GoneWithItsServer => "gone-with-its-server",
            WriteLoss::LostAtRestart => "lost-at-restart",
            WriteLoss::AofNotSynced => "aof-not-synced",
            WriteLoss::Deleted => "deleted-by-command",
            WriteLoss::EndedEarly => "ended-early",
            WriteLoss::Unexplained => "unexplained",
        }
    }
}

/// A write's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who wrote.
    pub client: Arc<str>,
    /// SEQ.
    pub seq: u32,
    /// When the attempt began.
    pub at_us: i64,
    /// How it ended for the writer.
    pub outcome: Outcome,
    /// How long the attempt took.
    pub took_us: i64,
    /// When the SET itself was answered: before the WAIT of a writer that sends one.
    pub answered_us: i64,
    /// What became of it.
    pub fate: WriteFate,
}

/// A master stops passing writes on this long before its fault is marked, at most: the driver acts, then writes it down.
const SLACK_US: i64 = 50_000;

/// Log lines have whole milliseconds, rounded down: what a server did before a line may stand up to this long after it.
const LINE_US: i64 = 1_000;

/// When nodes became masters, ceased to be, were started and emptied.
pub(super) struct History {
    /// In order of time: when, who, what.
    turns: Vec<(i64, String, Turn)>,
    faults: Vec<Window>,
    /// Who is master at the end, if anybody is.
    final_master: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Promoted,
    Demoted,
    Started,
    /// Started again, from its append-only file.
    Restored,
    Emptied,
}

impl History {
    pub(super) fn of(recording: &Recording) -> History {
        let mut turns: Vec<(i64, String, Turn)> = Vec::new();
        let (mut from_log, mut demoted): (BTreeSet<NodeId>, BTreeSet<NodeId>) = Default::default();
        for record in &recording.records {
            let turn = match &record.what {
                // Given up while it waited: it has been master all along.
                What::Event(Event::Redis(RedisEvent::FailoverAborted(..) | RedisEvent::FailoverAbortedAny(_)))
                    if !demoted.contains(&record.node) =>
                {
                    continue;
                }
                What::Event(Event::Redis(event)) if event.leads() => {
                    demoted.remove(&record.node);
                    Turn::Promoted
                }
                What::Event(Event::Redis(event)) if event.follows().is_some() => {
                    demoted.insert(record.node);
                    Turn::Demoted
                }
                What::Event(Event::Redis(RedisEvent::AofLoaded(_))) => {
                    from_log.insert(record.node);
                    continue;
                }
                What::Event(Event::Redis(RedisEvent::Ready)) if from_log.remove(&record.node) => Turn::Restored,
                What::Event(Event::Redis(RedisEvent::Ready)) => Turn::Started,
                _ => continue,
            };
            turns.push((recording.micros(record.time), recording.names.node(record.node).to_string(), turn));
        }
        let faults = windows(recording);
        for window in &faults {
            if let Fault::Command { node, words } = &window.fault
                && words.first().is_some_and(|word| ["FLUSHALL", "FLUSHDB"].contains(&word.to_uppercase().as_str()))
            {
                turns.push((window.from_us, node.clone(), Turn::Emptied));
            }
        }
        turns.sort_by_key(|(at, ..)| *at);
        History { turns, faults, final_master: recording.header.final_master.clone() }
    }

    /// Why a write that `server` acknowledged at an instant would be lost, and how long after it that was decided; a
    /// loss that is certain counts as decided at once.
    fn loss(&self, server: &str, at: i64) -> (WriteLoss, i64) {
        let upto = self.turns.partition_point(|(t, ..)| *t <= at);
        let (past, future) = self.turns.split_at(upto);
        let last_own = past.iter().rposition(|(_, who, turn)| who == server && *turn == Turn::Promoted);
        let superseded =
            past[last_own.map_or(0, |i| i + 1)..].iter().any(|(_, who, turn)| who != server && *turn == Turn::Promoted);
        if superseded {
            let later = self.turns.partition_point(|(t, ..)| *t + LINE_US <= at);
            let dropped = self.turns[later..].iter().any(|(_, who, turn)| who == server && *turn == Turn::Demoted);
            let loss = if dropped { WriteLoss::OverwrittenAtResync } else { WriteLoss::StrandedOnOldMaster };
            return (loss, 0);
        }
        // Whoever is promoted has what its master had passed on, and may lose it in its turn.
        let (mut holder, mut at_promotion) = (server, None);
        for (when, who, turn) in future {
            match (who == holder, turn) {
                (false, Turn::Promoted) => {
                    let first = *at_promotion.get_or_insert((WriteLoss::NotReplicatedBeforePromotion, when - at));
                    if at >= self.stopped(holder, *when) - SLACK_US {
                        return first;
                    }
                    holder = who;
                }
                (true, Turn::Started) => return (WriteLoss::LostAtRestart, when - at),
                (true, Turn::Restored) => return (WriteLoss::AofNotSynced, when - at),
                (true, Turn::Emptied) => return (WriteLoss::Deleted, when - at),
                // Made a replica before anybody was promoted: an operator's doing.
                (true, Turn::Demoted) => {
                    return at_promotion.unwrap_or((WriteLoss::OverwrittenAtResync, when - at));
                }
                _ => {}
            }
        }
        let gone = self.final_master.as_deref().is_some_and(|last| last != holder);
        let end = if gone { WriteLoss::GoneWithItsServer } else { WriteLoss::Unexplained };
        at_promotion.unwrap_or((end, i64::MAX))
    }

    /// Since when a master may have passed nothing on that lost its place at `until`: the last fault that hit it or the
    /// network.
    fn stopped(&self, master: &str, until: i64) -> i64 {
        let network = |fault: &Window| matches!(fault.effect(), Effect::Cuts | Effect::Slows);
        let hits = |fault: &Window| !fault.is_undoing() && (network(fault) || fault.hits(master));
        let last = self.faults.iter().rfind(|fault| fault.from_us <= until && hits(fault));
        last.map_or(until, |fault| fault.from_us)
    }
}

/// Whether there are none of a kind that few runs have.
pub(super) fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Whether the recording itself says which writes are lost.
pub(super) fn all_are_marked(recording: &Recording, lost_loads: u64) -> bool {
    let marked = recording.records.iter().filter(|record| matches!(record.what, What::Op(Op::Set { lost: true, .. })));
    recording.header.lost_acked_sets == Some(marked.count() as u64 + lost_loads)
}

/// All writes of a run with their fates. `lost` are clients and SEQs of those that are lost, where the caller knows them;
/// `lost_loads` is how many of the lost ones were counted and not recorded.
pub(super) fn writes(
    recording: &Recording,
    accountant: &Accountant<'_>,
    lost: Option<&[(NodeId, u32)]>,
    lost_loads: u64,
) -> Vec<Write> {
    let publishers = recording.publishers();
    let mut names: BTreeMap<NodeId, Arc<str>> = BTreeMap::new();
    let (mut nodes, mut marked) = (Vec::new(), BTreeSet::new());
    let mut writes = Vec::new();
    for record in &recording.records {
        let What::Op(Op::Set { seq, outcome, took, waited, lost }) = record.what else { continue };
        let at_us = recording.micros(record.time);
        let [took_us, waited_us] = [took, waited].map(|span| ((span.0 + 500) / 1_000) as i64);
        let answered_us = at_us + took_us - waited_us;
        let name = || recording.written_name(record, &publishers).into();
        let client = names.entry(record.node).or_insert_with(name).clone();
        let fate = match outcome {
            acknowledged if acknowledged.is_acknowledged() => WriteFate::Unknown,
            _ => WriteFate::Failed(accountant.why_failed(record.node, outcome, at_us, at_us + took_us)),
        };
        if lost {
            marked.insert(writes.len());
        }
        nodes.push(record.node);
        writes.push(Write { client, seq, at_us, outcome, took_us, answered_us, fate });
    }
    let given: Option<BTreeSet<(NodeId, u32)>> = lost.map(|lost| lost.iter().copied().collect());
    let known: Option<BTreeSet<usize>> = match given {
        Some(lost) => Some((0..writes.len()).filter(|i| lost.contains(&(nodes[*i], writes[*i].seq))).collect()),
        None => all_are_marked(recording, lost_loads).then_some(marked),
    };
    let Some(count) = known.as_ref().map(|lost| lost.len() as u64).or(recording.header.lost_acked_sets) else {
        return writes;
    };
    let lives = Lives::of(recording);
    for (write, node) in writes.iter_mut().zip(&nodes).filter(|(write, _)| write.fate == WriteFate::Unknown) {
        write.fate = if lives.is_over(*node, write) { WriteFate::Expired } else { WriteFate::Kept };
    }
    if count == 0 {
        return writes;
    }
    let loss = |i: usize| {
        let write: &Write = &writes[i];
        if lives.ended_early(nodes[i], write, accountant.masters) {
            return (WriteLoss::EndedEarly, 0);
        }
        accountant.write_loss(nodes[i], write.at_us, write.answered_us)
    };
    let acknowledged = (0..writes.len()).filter(|i| matches!(writes[*i].fate, WriteFate::Kept | WriteFate::Expired));
    let chosen: Vec<(usize, WriteLoss)> = match &known {
        Some(lost) => acknowledged.filter(|i| lost.contains(i)).map(|i| (i, loss(i).0)).collect(),
        None => {
            // Those whose loss was decided soonest after they were taken.
            let with_loss = |i: usize| {
                let (why, after) = loss(i);
                (after, i, why)
            };
            let mut all: Vec<(i64, usize, WriteLoss)> = acknowledged.map(with_loss).collect();
            all.sort_by_key(|(after, i, _)| (*after, std::cmp::Reverse(*i)));
            all.into_iter().take(count.min(usize::MAX as u64) as usize).map(|(_, i, why)| (i, why)).collect()
        }
    };
    for (i, why) in chosen {
        writes[i].fate = WriteFate::Lost(why);
    }
    writes
}

/// How long what clients wrote lives, by which clocks.
struct Lives<'a> {
    /// `px`, in microseconds, by client.
    px_us: BTreeMap<NodeId, i64>,
    /// Jumps of clocks: when, whose, by how much.
    jumps: Vec<(i64, String, i64)>,
    final_master: Option<&'a str>,
    end_us: i64,
}

impl Lives<'_> {
    fn of(recording: &Recording) -> Lives<'_> {
        let px_of = |name: &str| recording.header.clients.iter().find(|client| client.name == name)?.px;
        let clients = recording.names.of_kind(NodeKind::Client);
        let px_us = clients.filter_map(|(node, name)| Some((node, (px_of(name)?.0 / 1_000) as i64)));
        let jump = |window: &Window| match &window.fault {
            Fault::ClockJump { node, by } => Some((window.from_us, node.clone(), by.0 / 1_000)),
            _ => None,
        };
        Lives {
            px_us: px_us.collect(),
            jumps: windows(recording).iter().filter_map(jump).collect(),
            final_master: recording.header.final_master.as_deref(),
            end_us: super::end_us(recording),
        }
    }

    /// How far a server's clock has jumped by an instant.
    fn jumped_us(&self, server: &str, at_us: i64) -> i64 {
        let mine = self.jumps.iter().filter(|(when, who, _)| who == server && *when <= at_us);
        mine.map(|(.., by)| by).sum()
    }

    /// How long after the end of the run a key's time is up, if it ever is.
    fn left_us(&self, node: NodeId, write: &Write) -> Option<i64> {
        let px_us = self.px_us.get(&node)?;
        Some(write.answered_us + px_us - self.end_us)
    }

    fn is_over(&self, node: NodeId, write: &Write) -> bool {
        self.left_us(node, write).is_some_and(|left| left <= 0)
    }

    /// Whether the final master's clock, ahead of that of the server that set the end, took away what had time left.
    fn ended_early(&self, node: NodeId, write: &Write, masters: &Masters) -> bool {
        let (Some(left_us), Some(last)) = (self.left_us(node, write), self.final_master) else { return false };
        let answered = write.answered_us;
        let ahead = |lane: &Lane| self.jumped_us(last, self.end_us) - self.jumped_us(&lane.node, answered);
        left_us > 0 && masters.acting(answered - LINE_US, answered).any(|lane| left_us <= ahead(lane))
    }
}

impl History {
    /// Why a write would be lost that began at `began` and was answered at `answered` over a connection that was opened at
    /// `opened`.
    pub(super) fn loss_of(
        &self,
        recording: &Recording,
        masters: &Masters,
        opened: i64,
        (began, answered): (i64, i64),
    ) -> (WriteLoss, i64) {
        let loss = |server| self.loss(server, answered);
        let first = taker(recording, masters, opened, answered).map(loss);
        // Who keeps what it takes cannot have taken it: a connection may be older than anybody knows.
        let explained = |(why, _): &(WriteLoss, i64)| *why != WriteLoss::Unexplained;
        // The answer was on its way for a while: its server may have lost its place meanwhile. One that is killed or told to
        // follow goes on for a moment: then it is the one that acted last.
        let acting = masters.acting(began - LINE_US, answered);
        let other = || acting.chain(masters.acted_before(answered)).map(|lane| loss(&lane.node)).find(explained);
        first.filter(explained).or_else(other).unwrap_or((WriteLoss::Unexplained, i64::MAX))
    }
}

/// The server that answered over a connection that was opened at `opened`: where HAProxy sent it, or the node that acted
/// as master; of two, the one that did so longer.
fn taker<'a>(recording: &'a Recording, masters: &'a Masters, opened: i64, answered: i64) -> Option<&'a str> {
    let routed = masters.leads_to(opened).ok().flatten();
    let acting = || masters.acting(answered - LINE_US, answered).next().map(|lane| lane.node.as_str());
    let first = || recording.header.redis.first().map(String::as_str);
    routed.or_else(acting).or_else(first)
}
