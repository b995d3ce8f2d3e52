//! What took how long in a failover, which timer decided each step, and which setting would have changed it.

use super::run::Traced;
use super::sentinels::candidates_table;
use super::words::{known, plural, seconds, span};
use super::{Ask, Explanation, NoAnswer, Step, Subject, what_if};
use crate::analysis::faults::Window;
use crate::analysis::phases::{Ending, Failover, Phase, Step as PhaseStep};
use crate::analysis::timers::{Watch, says_slave};
use crate::kernel::{Span, Time};
use crate::program::{Note, SentinelTick};
use crate::wire::Role;

/// An attempt that starts this much after the agreement waited for something.
const WAITED_US: i64 = 1_000_000;

/// Answers what took how long.
pub(super) fn failover(subject: &Subject, number: usize) -> Result<Explanation, NoAnswer> {
    let analysis = subject.analysis();
    let attempts = &analysis.failovers;
    if attempts.is_empty() {
        return Err(NoAnswer::new(
            "no Sentinel tried a failover in this run",
            format!("ask why none did: --between 0s {}s", analysis.end_us.max(1_000_000) / 1_000_000),
        ));
    }
    let Some(attempt) = number.checked_sub(1).and_then(|place| attempts.get(place)) else {
        return Err(NoAnswer::new(
            format!("there is no attempt {number} at a failover"),
            format!("this run has {}, counted from 1", plural(attempts.len() as u64, "attempt")),
        ));
    };
    let to = attempt.new_master.as_deref().unwrap_or("nobody");
    let question =
        format!("Failover {number}, {} → {to}, led by {}: what took how long?", attempt.old_master, attempt.leader);
    let mut done = Explanation::new(subject, question);
    for step in &attempt.steps {
        done.steps.push(told(subject, attempt, step));
    }
    done.answer = answer(attempt);
    if let Subject::Traced(run) = subject {
        let from = attempt.started_us() - 5_000;
        let until = attempt.step(Phase::Confirmed).map_or(from + 30_000_000, |step| step.at_us);
        let leader = run.layout.names.find_node(&attempt.leader);
        for (noted, candidates) in run.looks(run.instant(from), run.instant(until)) {
            if Some(noted.node) == leader && done.tables.is_empty() {
                done.tables.push(candidates_table(run, noted, candidates));
            }
        }
        what_if::settings(run, attempt, &mut done);
    }
    if !attempt.took_effect() {
        let from = attempt.started_us().max(0) / 1_000_000;
        done.ask_next.push(Ask {
            arguments: format!("--between {from}s {}s", (from + 20).min(analysis.end_us / 1_000_000 + 1)),
            why: "why this attempt came to nothing".into(),
        });
    }
    for other in (1..=attempts.len()).filter(|other| *other != number).take(3) {
        let why = format!("another attempt, led by {}", attempts[other - 1].leader);
        done.ask_next.push(Ask { arguments: format!("--failover {other}"), why });
    }
    Ok(done)
}

fn answer(attempt: &Failover) -> String {
    let ending = match &attempt.ending {
        Ending::Completed => "It completed",
        Ending::Unfinished if attempt.confirmed() && !attempt.took_effect() => {
            "The leader saw the promotion and told nobody of it: no Sentinel took the new master over"
        }
        Ending::Aborted("not-elected") => "It was given up: the Sentinel was not elected",
        Ending::Aborted("no-good-slave") => "It was given up: no replica passed all tests",
        Ending::Aborted("slave-timeout") => "It was given up: the chosen replica did not become master in time",
        Ending::Aborted(_) => "It was given up",
        Ending::Superseded => "Another Sentinel's configuration came first",
        Ending::Unfinished => "It was not finished when the run ended, or its leader died",
    };
    let longest = attempt
        .steps
        .iter()
        .filter(|step| step.phase <= Phase::Confirmed)
        .filter_map(|step| step.took_us.map(|took| (took, step.phase)))
        .max_by_key(|(took, phase)| (*took, std::cmp::Reverse(*phase)));
    let fault = attempt.step(Phase::Fault).map(|step| step.at_us);
    let confirmed = attempt.step(Phase::Confirmed).map(|step| step.at_us);
    let mut text = ending.to_string();
    if let (Some(fault), Some(confirmed)) = (fault, confirmed) {
        text.push_str(&format!("; from the fault to the confirmed promotion it took {}", seconds(confirmed - fault)));
    }
    if let Some((took, phase)) = longest {
        text.push_str(&format!(". The longest step was \"{}\" with {}", phase.as_str(), seconds(took)));
    }
    let clients = [Phase::PublisherOk, Phase::WriterOk, Phase::SubscriberOk];
    let back: Vec<String> = clients
        .iter()
        .filter_map(|phase| attempt.step(*phase))
        .map(|step| format!("{} at {}", step.who, seconds(step.at_us)))
        .collect();
    if !back.is_empty() {
        text.push_str(&format!(". Back in service: {}", back.join(", ")));
    }
    text + "."
}

fn told(subject: &Subject, attempt: &Failover, step: &PhaseStep) -> Step {
    let took = match step.took_us {
        Some(took) if took >= 0 => format!(" (+{})", seconds(took)),
        _ => String::new(),
    };
    let what = match step.phase {
        Phase::Fault => {
            let at = |fault: &&Window| fault.from_us == step.at_us && fault.word() == step.who;
            let found = subject.analysis().faults.iter().find(at);
            format!("the fault: {}", found.map_or(step.who.clone(), |window| window.fault.label()))
        }
        Phase::Detected => format!("the first Sentinel holds {} to be down (+sdown)", attempt.old_master),
        Phase::Agreed => "enough Sentinels agree (+odown)".into(),
        Phase::Started if attempt.requested => "starts a failover, as an operator asked".into(),
        Phase::Started => "starts a failover (+try-failover)".into(),
        Phase::Elected => "is elected leader (+elected-leader)".into(),
        Phase::Selected => format!("chooses {}", attempt.new_master.as_deref().unwrap_or("a replica")),
        Phase::Promoted => "becomes master".into(),
        Phase::Confirmed => "sees the promotion in INFO (+promoted-slave): the new address is announced".into(),
        Phase::Propagated => "is the last Sentinel to take over the new configuration (+switch-master)".into(),
        Phase::ProxyDown => format!("gives up {}", attempt.old_master),
        Phase::ProxySwitched => format!("sends new sessions to {}", attempt.new_master.as_deref().unwrap_or("it")),
        Phase::PublisherOk => "publishes with success again".into(),
        Phase::WriterOk => "writes with success again".into(),
        Phase::SubscriberOk => "receives again".into(),
    };
    let who = if step.phase == Phase::Fault { "script" } else { &step.who };
    let told = Step::new(step.at_us, who, format!("{what}{took}"));
    match subject {
        Subject::Traced(run) => run.ruled(attempt, step, told),
        Subject::Lines(lines) => {
            let says_slave = says_slave(&lines.0, &attempt.old_master, step.at_us);
            rule(step.phase, says_slave).map_or(told.clone(), |rule| told.rule(rule))
        }
    }
}

/// The rule behind a step, whoever runs it; a Sentinel may hold a master to be down for what it says.
fn rule(phase: Phase, says_slave: bool) -> Option<&'static str> {
    Some(match phase {
        Phase::Fault => return None,
        Phase::Detected if says_slave => {
            "down, too, is a master that says role:slave for longer than down-after and two INFO periods of 10 s"
        }
        Phase::Detected => "down is who leaves a PING (one a second) unanswered for longer than down-after",
        Phase::Agreed => {
            "a Sentinel for which the master is down asks the others once a second; quorum of them must agree"
        }
        Phase::Started => {
            "at the tick of the agreement, unless 2 × failover-timeout has not passed since an attempt or a vote"
        }
        Phase::Elected => "more than half of all known Sentinels must vote for it, and no fewer than quorum",
        Phase::Selected => "one state a tick: 52 to 100 ms",
        Phase::Promoted => "REPLICAOF NO ONE at the next tick",
        Phase::Confirmed => "the leader asks for INFO once a second while the master is down",
        Phase::Propagated => {
            "hellos go out every 2 s; the leader itself switches when all reachable replicas follow, or after failover-timeout"
        }
        Phase::ProxyDown => "`fall` failed checks in a row; HAProxy does not ask the Sentinels",
        Phase::ProxySwitched => "`rise` checks in a row that find role:master; HAProxy does not ask the Sentinels",
        Phase::PublisherOk | Phase::WriterOk | Phase::SubscriberOk => {
            "a client comes back with its next attempt after it has noticed, and after HAProxy has a server for it"
        }
    })
}

impl Traced {
    /// An instant after time 0, given in microseconds, in the world's time.
    pub(super) fn instant(&self, us: i64) -> Time {
        Time((self.result.recording.origin.0 as i64 + us * 1_000).max(0) as u64)
    }

    /// A step with its rule, its settings and the event of its line.
    fn ruled(&self, attempt: &Failover, step: &PhaseStep, mut told: Step) -> Step {
        let tick = self.tick_at(&step.who, step.at_us);
        if let Some(rule) = rule(step.phase, tick.as_ref().is_some_and(is_down_for_its_role)) {
            told = told.rule(rule);
        }
        let recording = &self.result.recording;
        let record = recording.records.iter().find(|record| {
            recording.micros(record.time) == step.at_us && recording.names.node(record.node) == step.who
        });
        if let Some(record) = record {
            told = told.event(record.during);
        }
        let is_sentinel = self.layout.all_sentinels().any(|node| self.layout.names.node(node) == step.who);
        let watch = self.watch(if is_sentinel { &step.who } else { &attempt.leader }, step.at_us);
        let proxy = &self.scenario.haproxy;
        match step.phase {
            Phase::Detected => {
                if let Some(tick) = tick {
                    told.text.push_str(&detected_by(&tick));
                }
                told.set("sentinel.down-after-milliseconds", known(watch.down_after_ms))
            }
            Phase::Agreed => {
                if let Some(tick) = tick {
                    let agree = tick.others.iter().filter(|other| other.says_down);
                    let names: Vec<&str> = agree.map(|other| self.layout.names.ip(other.addr.ip)).collect();
                    if !names.is_empty() {
                        told.text.push_str(&format!(": with {}", names.join(" and ")));
                    }
                }
                told.set("sentinel.quorum", known(watch.quorum))
            }
            Phase::Started => {
                if step.took_us.is_some_and(|took| took > WAITED_US) {
                    told.text.push_str(": it waited for the delay of 2 × failover-timeout");
                }
                told.set("sentinel.failover-timeout", known(watch.failover_timeout_ms))
            }
            Phase::Elected => told.set("sentinel.quorum", known(watch.quorum)),
            Phase::Propagated => told.set("sentinel.parallel-syncs", known(watch.parallel_syncs)),
            Phase::ProxyDown => paced(told.set("haproxy.fall", proxy.fall), proxy.inter, proxy.fastinter, None),
            Phase::ProxySwitched => {
                paced(told.set("haproxy.rise", proxy.rise), proxy.inter, proxy.fastinter, proxy.downinter)
            }
            _ => told,
        }
    }

    /// What a Sentinel goes by at an instant.
    pub(super) fn watch(&self, sentinel: &str, at_us: i64) -> Watch {
        self.scenario.timer_settings().watch(&self.result.recording, sentinel, at_us)
    }

    /// What a Sentinel held at the end of the tick in which it wrote a line.
    fn tick_at(&self, name: &str, at_us: i64) -> Option<SentinelTick> {
        let node = self.layout.names.find_node(name)?;
        // Lines carry whole milliseconds, rounded down; a tick that writes the file takes up to 13 ms.
        let (from, to) = (self.instant(at_us - 100), self.instant(at_us) + Span::from_millis(20));
        self.result.notes.iter().find_map(|noted| match &noted.note {
            Note::Tick(tick) if noted.node == node && from <= noted.time && noted.time <= to => Some((**tick).clone()),
            _ => None,
        })
    }
}

/// The pace of HAProxy's checks, where it is not always that of `inter`.
fn paced(step: Step, inter: Span, fast: Option<Span>, down: Option<Span>) -> Step {
    let step = step.set("haproxy.inter", inter);
    let step = if let Some(fast) = fast { step.set("haproxy.fastinter", fast) } else { step };
    if let Some(down) = down { step.set("haproxy.downinter", down) } else { step }
}

fn detected_by(tick: &SentinelTick) -> String {
    match tick.unanswered {
        Some(unanswered) if unanswered > tick.down_after => {
            format!(": its oldest PING has been unanswered for {}", span(unanswered))
        }
        _ if !tick.connected => {
            format!(": its connection is lost, and the last answer is {} old", span(tick.last_answer))
        }
        _ if is_down_for_its_role(tick) => {
            format!(": it answers PING, and has said role:slave for {}", span(tick.role_for))
        }
        _ => String::new(),
    }
}

/// Whether a master is down for a Sentinel that it answers, because it says that it is a replica.
fn is_down_for_its_role(tick: &SentinelTick) -> bool {
    let answers = tick.connected && tick.unanswered.is_none_or(|unanswered| unanswered <= tick.down_after);
    answers && tick.sdown && tick.role_reported == Some(Role::Slave)
}
