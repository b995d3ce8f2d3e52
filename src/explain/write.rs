//! What became of a write: from its client through HAProxy to a master, from there to the replicas, and how it was lost.

use std::collections::BTreeSet;

use super::run::Traced;
use super::trail::{Arrival, Trail};
use super::words;
use super::{Ask, Explanation, NoAnswer, Step, Subject};
use crate::analysis::writes::{Write, WriteFate, WriteLoss};
use crate::kernel::Time;
use crate::program::{Input, Sock};
use crate::record::{Event, Op, RedisEvent, What};
use crate::report::causes::{words as cause_words, write_words};
use crate::wire::{NodeId, Reply};
use crate::world::{Pass, Seat};

/// Answers what became of a write.
pub(super) fn write(subject: &Subject, client: Option<&str>, seq: u32) -> Result<Explanation, NoAnswer> {
    let (entry, several) = find(subject, client, seq)?;
    let mut done = Explanation::new(subject, format!("What became of write {seq} of {}?", entry.client));
    if several > 1 {
        done.remarks.push(format!("{several} writes of {} have this number; this is one of them.", entry.client));
    }
    match subject {
        Subject::Traced(run) => follow(run, entry, &mut done),
        Subject::Lines(_) => super::lines::write(subject, entry, &mut done),
    }
    match entry.fate {
        WriteFate::Lost(why) => {
            done.remarks.push(format!("In the ledger of the run: {} ({}).", why.as_str(), write_words(why)));
        }
        WriteFate::Failed(cause) => {
            done.remarks.push(format!("In the ledger of the run: {} ({}).", cause.as_str(), cause_words(cause)));
        }
        WriteFate::Kept | WriteFate::Expired | WriteFate::Unknown => {}
    }
    let around = (entry.at_us / 1_000_000).clamp(0, subject.analysis().end_us / 1_000_000);
    if !matches!(entry.fate, WriteFate::Kept | WriteFate::Expired) {
        done.ask_next.push(Ask {
            arguments: format!("--between {}s {}s", (around - 5).max(0), around + 10),
            why: "what the Sentinels were waiting for around it".into(),
        });
    }
    Ok(done)
}

/// The write that is meant and how many have its number: of several the one that was lost, or else the last.
fn find<'a>(subject: &'a Subject, client: Option<&str>, seq: u32) -> Result<(&'a Write, usize), NoAnswer> {
    let all = &subject.analysis().ledger.sets;
    let writers: BTreeSet<&str> = all.iter().map(|write| &*write.client).collect();
    if writers.is_empty() {
        return Err(NoAnswer::new(
            format!("there is no write {seq}: the writes of this run, if there are any, are not recorded one by one"),
            "a write needs a [[client]] of kind \"set\" with one connection",
        ));
    }
    let known: Vec<String> = writers
        .iter()
        .map(|name| {
            let of = all.iter().filter(|write| &*write.client == *name).map(|write| write.seq);
            format!("{name} wrote 1 to {}", of.max().unwrap_or(0))
        })
        .collect();
    if let Some(name) = client.filter(|name| !writers.contains(name)) {
        return Err(NoAnswer::new(format!("`{name}` wrote nothing in this run"), known.join("; ")));
    }
    let fits = |write: &&Write| write.seq == seq && client.is_none_or(|name| &*write.client == name);
    let found: Vec<&Write> = all.iter().filter(fits).collect();
    let names: BTreeSet<&str> = found.iter().map(|write| &*write.client).collect();
    if names.len() > 1 {
        let ways: Vec<String> = names.iter().map(|name| format!("--write {name}:{seq}")).collect();
        return Err(NoAnswer::new(
            format!("{} clients have a write {seq}", names.len()),
            format!("say whose: {}", ways.join(" or ")),
        ));
    }
    let lost = found.iter().find(|write| matches!(write.fate, WriteFate::Lost(_)));
    match lost.or(found.last()) {
        Some(write) => Ok((write, found.len())),
        None => Err(NoAnswer::new(format!("there is no write {seq}"), known.join("; "))),
    }
}

fn follow(run: &Traced, entry: &Write, done: &mut Explanation) {
    let fits = |op: &Op| matches!(op, Op::Set { seq, .. } if *seq == entry.seq);
    let trail = Trail::new(run, node_of(run, entry), entry.at_us, fits);
    let begins = format!("begins to set k:{}", entry.seq);
    done.steps.push(Step::new(run.micros(trail.from), &*entry.client, begins));
    let (how, taken) = match trail.walk(done) {
        Arrival::Read(pass, far) => executed(&trail, pass, far, done),
        Arrival::Lost(why) => (why, None),
    };
    let took = entry.took_us as f64 / 1e3;
    let text = match entry.outcome {
        crate::record::Outcome::Ok => format!("is told that it succeeded, after {took:.3} ms"),
        crate::record::Outcome::Unreplicated => format!(
            "was told that it succeeded; {took:.3} ms after the beginning its WAIT has not named as many replicas as it asks for"
        ),
        outcome => format!("gives the attempt up after {took:.3} ms: {}", outcome.as_str()),
    };
    done.steps.push(Step::new(run.micros(trail.answered), &*entry.client, text).event(trail.record.during));
    if let Some((node, at)) = taken {
        replicated(&trail, node, done);
        if let WriteFate::Lost(why) = entry.fate {
            decided(run, node, at, why, done);
        }
    }
    let who = format!("Write {} of {}", entry.seq, entry.client);
    let fate = match entry.fate {
        WriteFate::Kept => format!("{who} is in the final master's data."),
        WriteFate::Expired => format!("{who} was acknowledged, and the final master had it until its time was up."),
        WriteFate::Lost(_) => format!("{who} was acknowledged, and the final master does not hold it."),
        WriteFate::Unknown => format!("{who} was acknowledged; no master is left that could hold it."),
        WriteFate::Failed(_) => format!("{who} failed, and its client was told so ({}).", entry.outcome.as_str()),
    };
    let end = match entry.fate {
        WriteFate::Lost(why) => format!(" {}", lost_words(why)),
        _ => String::new(),
    };
    done.answer = format!("{fate} {how}{end}");
}

/// The node of the client, which is a publisher's where a publisher writes.
fn node_of<'a>(run: &'a Traced, entry: &'a Write) -> &'a str {
    let recording = &run.result.recording;
    let same = |record: &&crate::record::Record| {
        matches!(record.what, What::Op(Op::Set { seq, .. }) if seq == entry.seq)
            && recording.micros(record.time) == entry.at_us
    };
    let publishers = recording.publishers();
    let mut found = recording.records.iter().filter(same);
    let mine = found.find(|record| recording.written_name(record, &publishers) == &*entry.client);
    mine.map_or(&entry.client, |record| recording.names.node(record.node))
}

/// At a server: how it answered, and where and when it was executed, if it was.
fn executed<'a>(
    trail: &Trail<'a>,
    pass: &'a Pass,
    far: Sock,
    done: &mut Explanation,
) -> (String, Option<(NodeId, Time)>) {
    let server = trail.name(pass.node);
    let Some((replied, reply)) = trail.reply_to(pass, far) else {
        return (trail.held(pass, server, done), None);
    };
    if replied.event != pass.event {
        let text = "reads it and holds it: commands that write are paused".to_string();
        done.steps.push(trail.step(pass.began, pass.node, pass.event, text));
    }
    if let Reply::Error(kind) = reply {
        let answer = words::error(*kind);
        done.steps.push(trail.step(replied.began, pass.node, replied.event, format!("refuses the SET: {answer}")));
        return (format!("{server} refused it: {answer}."), None);
    }
    let step = trail.step(replied.began, pass.node, replied.event, "executes the SET and acknowledges it".into());
    done.steps.push(step.rule("a master answers before its replicas have the write: replication is asynchronous"));
    (format!("{server} executed it."), Some((pass.node, replied.began)))
}

/// Who got it in the replication stream.
fn replicated(trail: &Trail<'_>, from: NodeId, done: &mut Explanation) {
    let got = |pass: &&Pass| {
        pass.node != from
            && trail.is(pass.node, |kind| matches!(kind, Seat::Redis(_)))
            && matches!(&pass.input, Input::Data { message, .. } if trail.parcel.is_in(message))
    };
    for (_, pass) in trail.passes().filter(|(_, pass)| got(pass)) {
        let text = "gets it in the replication stream".to_string();
        done.steps.push(trail.step(pass.began, pass.node, pass.event, text));
    }
}

/// The line of the log at which a write was lost that a server took at an instant.
fn decided(run: &Traced, server: NodeId, at: Time, why: WriteLoss, done: &mut Explanation) {
    let name = run.layout.names.node(server);
    let after = run.result.recording.records.iter().filter(|record| record.time >= at);
    let mut events = after.filter_map(|record| match &record.what {
        What::Event(Event::Redis(event)) => Some((record, event)),
        _ => None,
    });
    let found = match why {
        WriteLoss::NotReplicatedBeforePromotion => {
            events.find(|(record, event)| record.node != server && event.leads())
        }
        WriteLoss::OverwrittenAtResync => {
            events.find(|(record, event)| record.node == server && event.follows().is_some())
        }
        WriteLoss::AofNotSynced => events.find(|(_, event)| matches!(event, RedisEvent::AofLoaded(_))),
        WriteLoss::LostAtRestart => events.find(|(_, event)| **event == RedisEvent::Ready),
        WriteLoss::StrandedOnOldMaster
        | WriteLoss::GoneWithItsServer
        | WriteLoss::Deleted
        | WriteLoss::EndedEarly
        | WriteLoss::Unexplained => None,
    };
    let Some((record, _)) = found else { return };
    let who = run.layout.names.node(record.node);
    let text = match why {
        WriteLoss::NotReplicatedBeforePromotion => format!("becomes master, without what {name} had not passed on"),
        WriteLoss::OverwrittenAtResync => "is made a replica, and drops what only it has".to_string(),
        WriteLoss::AofNotSynced => {
            "is started again with what its append-only file has: this was not synced".to_string()
        }
        _ => "is started again, with what its disk has".to_string(),
    };
    done.steps.push(Step::new(run.micros(record.time), who, text).event(record.during));
}

/// How acknowledged writes are lost, in a sentence.
pub(super) fn lost_words(why: WriteLoss) -> &'static str {
    match why {
        WriteLoss::NotReplicatedBeforePromotion => "It had not reached the replica that was promoted.",
        WriteLoss::OverwrittenAtResync => {
            "Another node had been promoted, and the write went when the old master became its replica."
        }
        WriteLoss::StrandedOnOldMaster => "Another node had been promoted, and the old master never came back to it.",
        WriteLoss::GoneWithItsServer => {
            "The server that had it is master no more, and the one that is had been replaced before: it never had the write."
        }
        WriteLoss::LostAtRestart => "The master that had it was started again without it.",
        WriteLoss::AofNotSynced => {
            "The AOF had not been synced that far when its server went down: the restart found the log without it."
        }
        WriteLoss::Deleted => "A command of the script deleted it.",
        WriteLoss::EndedEarly => "The final master's clock was ahead: there the key's time was up too early.",
        WriteLoss::Unexplained => "Nothing in the run says why.",
    }
}

/// Where a write stands in a list of suggestions.
pub(super) fn suggestion(write: &Write, several_writers: bool) -> String {
    match several_writers {
        true => format!("--write {}:{}", write.client, write.seq),
        false => format!("--write {}", write.seq),
    }
}
