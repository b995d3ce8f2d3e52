//! Why no failover happened between two instants.

use std::collections::BTreeMap;

use super::run::Traced;
use super::sentinels::{Reason, Stretch, candidates_table};
use super::words::{known, of_each, plural, seconds};
use super::{Explanation, NoAnswer, Step, Subject};
use crate::analysis::phases::{Ending, Failover, Phase};
use crate::analysis::reach::{self, Parted};
use crate::kernel::{Span, Time};
use crate::record::NodeKind;
use crate::wire::NodeId;

/// At most so many looks for a replica get a table.
const TABLES: usize = 3;
/// Of a reason that came again with another cause, so many times are told in the answer.
const MORE_WHYS: usize = 2;

/// Answers why no failover happened between two instants.
pub(super) fn between(subject: &Subject, from: i64, to: i64) -> Result<Explanation, NoAnswer> {
    let end = subject.analysis().end_us;
    if from >= to {
        return Err(NoAnswer::new(
            format!("between {} and {} lies no time", seconds(from), seconds(to)),
            "give the earlier instant first: --between 12s 32s",
        ));
    }
    if from >= end {
        return Err(NoAnswer::new(
            format!("the run ends at {}, before {}", seconds(end), seconds(from)),
            "instants count from time 0, the first moment of the fault script",
        ));
    }
    let until = to.min(end);
    let question = format!("Why did no failover happen between {} and {}?", seconds(from), seconds(until));
    let mut done = Explanation::new(subject, question);
    if until < to {
        done.remarks.push(format!("The run ends at {}.", seconds(end)));
    }
    done.remarks.extend(parted(subject, from, until));
    let happened: Vec<&Failover> = subject
        .analysis()
        .completed()
        .filter(|failover| confirmed(failover).is_some_and(|at| from <= at && at <= until))
        .collect();
    match subject {
        Subject::Traced(run) => answer(run, from, until, &happened, &mut done),
        Subject::Lines(_) => super::lines::between(subject, from, until, &happened, &mut done),
    }
    Ok(done)
}

/// The sides of the network, where it was parted meanwhile, and how many Sentinels each had.
fn parted(subject: &Subject, from: i64, until: i64) -> Vec<String> {
    let names = &subject.recording().names;
    let sentinels: Vec<&str> = names.of_kind(NodeKind::Sentinel).filter_map(|(_, name)| names.host_of(name)).collect();
    let tell = |time: Parted| {
        let sides: Vec<String> = time.sides.iter().map(|side| side.join(", ")).collect();
        let count = |side: &[String]| sentinels.iter().filter(|home| side.iter().any(|host| host == *home)).count();
        let counts: Vec<String> = time.sides.iter().map(|side| count(side).to_string()).collect();
        format!(
            "From {} to {} the network was parted; who could talk to each other: {}. Sentinels among them: {} of {}, and a \
             majority is {}.",
            seconds(time.from_us),
            seconds(time.until_us),
            sides.join(" | "),
            counts.join(" | "),
            sentinels.len(),
            sentinels.len() / 2 + 1
        )
    };
    reach::parted(subject.recording(), &subject.analysis().faults, (from, until)).into_iter().map(tell).collect()
}

/// When the leader saw the promotion.
pub(super) fn confirmed(failover: &Failover) -> Option<i64> {
    failover.step(Phase::Confirmed).map(|step| step.at_us)
}

/// The sentence about failovers that did happen.
pub(super) fn did_happen(happened: &[&Failover]) -> String {
    let told: Vec<String> = happened
        .iter()
        .map(|failover| {
            let at = confirmed(failover).map_or(String::new(), seconds);
            let to = failover.new_master.as_deref().unwrap_or("nobody");
            format!("from {} to {to}, led by {}, confirmed at {at}", failover.old_master, failover.leader)
        })
        .collect();
    format!("But {} happened: {}.", if told.len() == 1 { "a failover" } else { "failovers" }, told.join("; "))
}

fn answer(run: &Traced, from: i64, to: i64, happened: &[&Failover], done: &mut Explanation) {
    let origin = run.result.recording.origin.0 as i64;
    let (from, to) = (Time((origin + from * 1_000).max(0) as u64), Time((origin + to * 1_000).max(0) as u64));
    let mut main: Vec<Main> = Vec::new();
    for node in run.layout.all_sentinels() {
        let stretches = run.stretches(node, from, to);
        for stretch in &stretches {
            done.steps.push(step(run, stretch));
        }
        main.extend(longest(stretches));
    }
    // The delay that fills an interval may come from an attempt before it.
    let behind = main.iter().flat_map(|main| &main.stretches).filter_map(|stretch| run.attempt_behind(stretch));
    let since = behind.map(|attempt| run.instant(attempt.started_us())).fold(from, Time::min);
    for (noted, candidates) in run.looks(since, to).into_iter().filter(|(_, c)| c.chosen.is_none()).take(TABLES) {
        done.tables.push(candidates_table(run, noted, candidates));
        let text = format!("gives up: none of {} is good", plural(candidates.replicas.len() as u64, "replica"));
        let limits = "not SDOWN, connected, answered PING within 5 periods, INFO not too old, priority not 0, link to \
                      its master not lost for too long";
        let step = Step::new(run.micros(noted.time), run.layout.names.node(noted.node), text);
        done.steps.push(step.rule(limits).event(noted.during));
    }
    done.answer = if !happened.is_empty() { did_happen(happened) } else { because(run, &main, done) };
    votes_and_quorum(run, run.micros(from), done);
}

/// The reason that a Sentinel had for the longest time, and all the stretches of time in which it had it.
struct Main {
    reason: Reason,
    node: NodeId,
    lasted: Span,
    stretches: Vec<Stretch>,
}

fn longest(stretches: Vec<Stretch>) -> Option<Main> {
    let mut sums: BTreeMap<Reason, u64> = BTreeMap::new();
    for stretch in &stretches {
        *sums.entry(stretch.reason).or_default() += stretch.lasted().0;
    }
    let (reason, sum) = sums.into_iter().max_by_key(|(reason, sum)| (*sum, *reason))?;
    let stretches: Vec<Stretch> = stretches.into_iter().filter(|stretch| stretch.reason == reason).collect();
    Some(Main { reason, node: stretches.first()?.node, lasted: Span(sum), stretches })
}

/// A Sentinel's reason in words: each time with what was its cause then.
fn whys(run: &Traced, main: &Main) -> String {
    let Some((first, later)) = main.stretches.split_first() else { return String::new() };
    let mut text = run.why(first);
    let mut told = 0;
    for stretch in later {
        let why = run.why(stretch);
        // What holds again for the same cause is one reason.
        if text.ends_with(&why) {
            continue;
        }
        if told == MORE_WHYS {
            text.push_str("; and so on, see the steps");
            break;
        }
        told += 1;
        text.push_str(&format!("; from {} on it {why}", run.at(stretch.from)));
    }
    text
}

fn because(run: &Traced, main: &[Main], done: &Explanation) -> String {
    let tried = |node: &NodeId| {
        let name = run.layout.names.node(*node);
        done.tables.iter().any(|table| table.title.contains(name))
            || done.steps.iter().any(|step| step.who == name && step.text.contains("wants to replace"))
    };
    let furthest = main.iter().max_by_key(|main| (main.reason, tried(&main.node), main.lasted));
    let Some(furthest) = furthest else {
        return "This stack has no Sentinel: nobody fails over.".into();
    };
    let (reason, why) = (furthest.reason, whys(run, furthest));
    let name = run.layout.names.node(furthest.node);
    let same = main.iter().filter(|other| other.reason == reason).count();
    let all = if same == main.len() { "every Sentinel" } else { name };
    let head = match reason {
        Reason::NotRunning => "No Sentinel was running: nobody fails over.".to_string(),
        Reason::Tilt => format!("TILT: {all} starts nothing for 30 s after it lost time."),
        Reason::NotDown => return format!("The master was not down for the Sentinels: {name} {why}."),
        Reason::NoQuorum => "No quorum: too few Sentinels held the master to be down.".into(),
        Reason::Delay => {
            let attempt = furthest.stretches.first().and_then(|stretch| run.attempt_behind(stretch));
            let why = match attempt.map(|attempt| &attempt.ending) {
                Some(Ending::Aborted("no-good-slave")) => "No good replica, and then the",
                Some(Ending::Aborted("not-elected")) => "No majority, and then the",
                Some(Ending::Aborted("slave-timeout")) => "The chosen replica did not become master, and then the",
                _ => "The",
            };
            format!("{why} delay of 2 × failover-timeout before the next attempt.")
        }
        Reason::Election => "No majority: nobody was elected leader.".into(),
        Reason::Choosing => "A failover was being started.".into(),
        Reason::Promoting => "The chosen replica had not said role:master yet.".into(),
        Reason::Promoted => "A replica had been promoted already.".into(),
    };
    format!("{head} {name} {why}.")
}

fn step(run: &Traced, stretch: &Stretch) -> Step {
    let until = run.at(stretch.to);
    let text = format!("until {until}: {}", run.why(stretch));
    let step = Step::new(run.micros(stretch.from), run.layout.names.node(stretch.node), text).event(stretch.event);
    let Some(config) =
        run.layout.all_sentinels().position(|node| node == stretch.node).map(|at| &run.scenario.sentinel[at])
    else {
        return step;
    };
    let watch = run.watch(run.layout.names.node(stretch.node), run.micros(stretch.from));
    match stretch.reason {
        Reason::NotDown => step
            .rule(
                "down is who leaves a PING unanswered for longer than down-after; -LOADING and -MASTERDOWN are answers, other errors are none",
            )
            .set("sentinel.down-after-milliseconds", known(watch.down_after_ms)),
        Reason::NoQuorum => step
            .rule("objectively down needs quorum Sentinels that hold it to be down, each asked once a second")
            .set("sentinel.quorum", known(watch.quorum)),
        Reason::Delay => step
            .rule("an own attempt and a vote for another both arm the delay; a switch that succeeded takes it away")
            .set("sentinel.failover-timeout", known(watch.failover_timeout_ms)),
        Reason::Election => step
            .rule("an election is given up after min(10 s, failover-timeout)")
            .set("sentinel.failover-timeout", known(watch.failover_timeout_ms))
            .set("sentinel.quorum", known(watch.quorum)),
        Reason::Tilt => step
            .rule("a tick more than 2 s late, or a clock that goes back, starts TILT; it ends 30 s later")
            .set("sentinel.tilt-period", config.tilt_period),
        _ => step,
    }
}

/// The two thresholds at an instant, side by side.
fn votes_and_quorum(run: &Traced, at: i64, done: &mut Explanation) {
    let known = run.scenario.sentinel.len() as u64;
    if known == 0 {
        return;
    }
    let quorums: Vec<u64> = run
        .layout
        .all_sentinels()
        .zip(&run.scenario.sentinel)
        .map(|(node, config)| run.watch(run.layout.names.node(node), at).quorum.unwrap_or(config.quorum.into()))
        .collect();
    done.remarks.push(format!(
        "Two thresholds: quorum = {} Sentinels must hold the master to be down, and a leader needs {} votes of {known} \
         known Sentinels (more than half of them, alive or not, and no fewer than quorum).",
        of_each("sentinel", quorums.iter()),
        of_each("sentinel", quorums.iter().map(|quorum| (known / 2 + 1).max(*quorum))),
    ));
}
