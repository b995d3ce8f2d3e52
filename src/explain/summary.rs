//! What is worth asking about a run, the settings that were in force, and the traps that it shows.

use std::collections::BTreeMap;

use super::run::Traced;
use super::words::{of_each, plural, seconds};
use super::{Ask, Explanation, Step, Subject, Table, traps};
use crate::analysis::faults::Window;
use crate::analysis::ledger::{Cause, Message};
use crate::analysis::metrics::{Metric, Value};
use crate::analysis::writes::{Write, WriteFate, WriteLoss};
use crate::record::{NOBODY, Names};
use crate::report::causes::{words, write_words};

/// At most so many questions about failovers.
const FAILOVERS: usize = 4;

/// Answers what is worth asking.
pub(super) fn summary(subject: &Subject) -> Explanation {
    let analysis = subject.analysis();
    let seed = match subject {
        Subject::Traced(run) => format!("seed {}", run.seed),
        Subject::Lines(_) => format!("{} run {}", analysis.source, analysis.run),
    };
    let mut done = Explanation::new(subject, format!("{}, {seed}: what is worth asking?", analysis.scenario));
    let sums = &analysis.ledger.sums;
    let figures = analysis.figures();
    let count = |name: &str| match figures.get(Metric::named(name)).value() {
        Some(Value::Count(count)) => count,
        // Without Sentinels nobody fails over.
        _ => 0,
    };
    let (completed, aborted) = (count("failovers"), count("aborted-failovers"));
    done.answer = format!(
        "{} in {}, {} given up; {} of {} lost; two masters for {}; HAProxy without a server for {}.",
        plural(completed, "failover"),
        seconds(analysis.end_us),
        plural(aborted, "attempt"),
        sums.lost,
        plural(sums.published, "message"),
        seconds(analysis.masters.two_masters_us()),
        seconds(analysis.masters.no_server_us()),
    );
    for (place, attempt) in analysis.failovers.iter().enumerate().take(FAILOVERS) {
        let to = attempt.new_master.as_deref().unwrap_or("nobody");
        let why =
            format!("{} → {to} at {}, led by {}", attempt.old_master, seconds(attempt.started_us()), attempt.leader);
        done.ask_next.push(Ask { arguments: format!("--failover {}", place + 1), why });
    }
    lost(subject, &mut done);
    lost_writes(subject, &mut done);
    faults_without_failover(subject, &mut done);
    for finding in traps::findings(subject) {
        let Step { text, .. } = &finding.step;
        let text = format!("[{}] {text}", finding.trap);
        done.steps.push(Step { text, ..finding.step });
        done.ask_next.extend(finding.ask);
    }
    if let Subject::Traced(run) = subject {
        done.steps.extend(super::manner::steps(&run.scenario, run.seed, &run.result.recording));
        done.tables.push(settings(run));
        done.remarks.push(
            "These settings are the ones in force, defaults filled in: no environment variable and no file outside of the \
             scenario has a say. Simulated are "
                .to_owned()
                + &simulated(&run.result.recording.names)
                + ", whatever versions your stack mixes.",
        );
        done.remarks.extend(told_meanwhile(run));
    }
    let mut seen = Vec::new();
    done.ask_next.retain(|ask| {
        let new = !seen.contains(&ask.arguments);
        seen.push(ask.arguments.clone());
        new
    });
    done
}

/// For each cause of loss the first message.
fn lost(subject: &Subject, done: &mut Explanation) {
    let ledger = &subject.analysis().ledger;
    let mut first: BTreeMap<Cause, (&Message, u64)> = BTreeMap::new();
    for entry in ledger.messages.iter().filter(|entry| entry.published_us >= 0) {
        if let Some(cause) = entry.cause {
            first.entry(cause).or_insert((entry, 0)).1 += 1;
        }
    }
    for (cause, (entry, count)) in first {
        let why = format!("{}: {}", plural(count, "message"), words(cause));
        done.ask_next.push(Ask { arguments: traps::message_argument(subject, &entry.client, entry.seq), why });
    }
}

/// For each cause for which acknowledged writes were lost the first of them.
fn lost_writes(subject: &Subject, done: &mut Explanation) {
    let sets = &subject.analysis().ledger.sets;
    let several = sets.iter().any(|write| write.client != sets[0].client);
    let mut first: BTreeMap<WriteLoss, (&Write, u64)> = BTreeMap::new();
    for write in sets.iter().filter(|write| write.at_us >= 0) {
        if let WriteFate::Lost(why) = write.fate {
            first.entry(why).or_insert((write, 0)).1 += 1;
        }
    }
    for (why, (write, count)) in first {
        let why = format!("{}: {}", plural(count, "acknowledged write"), write_words(why));
        done.ask_next.push(Ask { arguments: super::write::suggestion(write, several), why });
    }
}

/// Faults on whoever acted as master that no failover followed within the usual time.
fn faults_without_failover(subject: &Subject, done: &mut Explanation) {
    let analysis = subject.analysis();
    let usual = match subject {
        Subject::Traced(run) => {
            run.scenario.sentinel.iter().map(|config| config.down_after_milliseconds).max().unwrap_or(0) as i64 * 1_000
        }
        Subject::Lines(_) => 5_000_000,
    } + 5_000_000;
    for fault in analysis.faults.iter().filter(|fault| !fault.is_undoing()) {
        let hit = analysis
            .masters
            .lanes
            .iter()
            .any(|lane| fault.hits(&lane.node) && lane.from_us < fault.from_us && fault.from_us <= lane.to_us);
        let followed = |at: i64| fault.from_us <= at && at <= fault.from_us + usual;
        let quick = analysis.completed().filter_map(super::between::confirmed).any(followed);
        if hit && !quick && fault.from_us < analysis.end_us {
            let until = analysis.completed().filter_map(super::between::confirmed).find(|at| *at >= fault.from_us);
            let (from, to) = (fault.from_us / 1_000_000, until.unwrap_or(analysis.end_us) / 1_000_000);
            let why = format!("{} hit the master, and no failover followed for long", fault.word());
            done.ask_next.push(Ask { arguments: format!("--between {from}s {}s", to.max(from + 1)), why });
        }
    }
}

/// The programs as they are simulated.
fn simulated(names: &Names) -> String {
    let base = "Redis and Sentinel 7.0.15 and HAProxy 2.6";
    names.releases().map_or(base.into(), |others| format!("{base}, but for {others}"))
}

/// What the fault script had servers and Sentinels set while they ran.
fn told_meanwhile(run: &Traced) -> Option<String> {
    let told = |window: &Window| {
        let words = window.fault.command();
        let is = |place: usize, wanted: &str| words.get(place).is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        let sets = (is(0, "SENTINEL") || is(0, "CONFIG")) && is(1, "SET");
        sets.then(|| {
            format!("at {} {} {}", seconds(window.from_us), window.fault.node().unwrap_or(NOBODY), words.join(" "))
        })
    };
    let all: Vec<String> = run.analysis.faults.iter().filter_map(told).collect();
    let more = all.len().saturating_sub(MOST_TOLD);
    let listed = all[..all.len() - more].join("; ");
    let more = if more > 0 { format!("; and {}", plural(more as u64, "more command")) } else { String::new() };
    (!all.is_empty()).then(|| format!("But for what was set while it ran: {listed}{more}."))
}

/// At most so many commands are listed.
const MOST_TOLD: usize = 5;

/// The settings that decide about failovers, as the programs were started with them.
fn settings(run: &Traced) -> Table {
    let mut table = Table::new("Settings in force", &["setting", "value", "what it decides here"]);
    let mut row = |name: &str, value: String, what: String| table.rows.push(vec![name.into(), value, what]);
    let sentinels = &run.scenario.sentinel;
    if !sentinels.is_empty() {
        let known = sentinels.len() as u32;
        let votes = of_each("sentinel", sentinels.iter().map(|config| (known / 2 + 1).max(config.quorum)));
        let quorum = of_each("sentinel", sentinels.iter().map(|config| config.quorum));
        row(
            "sentinel.quorum",
            quorum,
            format!("Sentinels that must hold the master to be down; a leader needs {votes} of {known} votes"),
        );
        let down = of_each("sentinel", sentinels.iter().map(|config| config.down_after_milliseconds));
        row("sentinel.down-after-milliseconds", down, "silence after which a node is down".into());
        let timeout = of_each("sentinel", sentinels.iter().map(|config| config.failover_timeout));
        let twice = of_each("sentinel", sentinels.iter().map(|config| config.failover_timeout * 2));
        row(
            "sentinel.failover-timeout",
            timeout,
            format!("twice this, {twice} ms, lies between two attempts or a vote and an attempt"),
        );
        row(
            "sentinel.parallel-syncs",
            of_each("sentinel", sentinels.iter().map(|c| c.parallel_syncs)),
            "replicas that follow the new master at the same time".into(),
        );
    }
    let writes = of_each("redis", run.scenario.redis.iter().map(|config| config.min_replicas_to_write));
    row("redis.min-replicas-to-write", writes, "replicas in good order without which writes are refused".into());
    row(
        "redis.replica-priority",
        of_each("redis", run.scenario.redis.iter().map(|c| c.replica_priority)),
        "least first; 0 is never promoted".into(),
    );
    if run.scenario.stack.haproxy {
        let proxy = &run.scenario.haproxy;
        let limit = if proxy.timeout_check.is_some() { "" } else { ", and limit of one" };
        row("haproxy.inter", proxy.inter.to_string(), format!("time between two checks{limit}"));
        for (name, value, what) in [
            ("haproxy.fastinter", proxy.fastinter, "the same of a server that is about to change its state"),
            ("haproxy.downinter", proxy.downinter, "the same of a server that is DOWN"),
            ("haproxy.timeout check", proxy.timeout_check, "limit of a check once it is connected"),
        ] {
            if let Some(value) = value {
                row(name, value.to_string(), what.into());
            }
        }
        row(
            "haproxy.rise, haproxy.fall",
            format!("{}, {}", proxy.rise, proxy.fall),
            "checks in a row that make a server UP or DOWN".into(),
        );
        row("haproxy.backup", proxy.backup.to_string(), "whether redis-1 is the only active server".into());
        row(
            "haproxy.on-marked-down",
            super::trail::on_marked_down(run).into(),
            "what becomes of sessions on a server that goes DOWN".into(),
        );
    }
    table
}
