//! What another setting would have done: the same scenario and seed, run again with one setting changed.

use std::sync::Arc;

use super::run::{Traced, rerun};
use super::words::{of_each, seconds};
use super::{Explanation, Table};
use crate::analysis::Analysis;
use crate::analysis::outages::Activity;
use crate::analysis::phases::{Failover, Phase};
use crate::haproxy::OnMarkedDown;
use crate::kernel::Span;
use crate::scenario::Scenario;
use crate::sentinel;

/// A change of one setting.
struct Change {
    name: &'static str,
    from: String,
    to: String,
    scenario: Scenario,
}

/// The figures that a change is judged by.
struct Figures {
    confirmed: Option<i64>,
    publish: Option<i64>,
    set: Option<i64>,
    receive: Option<i64>,
    lost: u64,
}

impl Figures {
    fn of(analysis: &Analysis, old_master: &str) -> Figures {
        let first = analysis.completed().find(|failover| failover.old_master == old_master);
        Figures {
            confirmed: first.and_then(|failover| failover.step(Phase::Confirmed)).map(|step| step.at_us),
            publish: analysis.longest_outage_us(Activity::Publish),
            set: analysis.longest_outage_us(Activity::Set),
            receive: analysis.longest_outage_us(Activity::Receive),
            lost: analysis.ledger.sums.lost,
        }
    }

    fn cells(&self) -> Vec<String> {
        let time = |us: Option<i64>| us.map_or("none".into(), seconds);
        vec![time(self.confirmed), time(self.publish), time(self.set), time(self.receive), self.lost.to_string()]
    }
}

/// Adds a table of what each setting would have done, and says which would have helped most.
pub(super) fn settings(run: &Traced, attempt: &Failover, done: &mut Explanation) {
    let columns = ["setting", "value", "confirmed at", "publish outage", "set outage", "receive gap", "messages lost"];
    let title = format!("The same run (seed {}) with one setting changed", run.seed);
    let mut table = Table::new(title, &columns);
    let old = &attempt.old_master;
    let as_run = Figures::of(&run.analysis, old);
    table.rows.push([vec!["as run".to_string(), String::new()], as_run.cells()].concat());
    let (mut sooner, mut shorter) = (None, None);
    for change in changes(&run.scenario) {
        let what = format!("{} = {}", change.name, change.to);
        let figures = Figures::of(&rerun(Arc::new(change.scenario), run.seed), old);
        table.rows.push(
            [vec![change.name.to_string(), format!("{} → {}", change.from, change.to)], figures.cells()].concat(),
        );
        better(&mut sooner, &what, as_run.confirmed, figures.confirmed);
        better(&mut shorter, &what, as_run.publish.max(as_run.set), figures.publish.max(figures.set));
    }
    done.tables.push(table);
    for (best, of) in
        [(sooner, "confirmed the promotion"), (shorter, "ended the longest outage of publishers and writers")]
    {
        if let Some((what, gain)) = best {
            done.remarks.push(format!("With {what} this run would have {of} {} sooner.", seconds(gain)));
        }
    }
    done.remarks.push(
        "One seed is one sample, and a setting that detects sooner also errs sooner: `sim sweep FILE --vary KEY=…` shows \
         the distribution over many."
            .into(),
    );
}

fn better(best: &mut Option<(String, i64)>, what: &str, as_run: Option<i64>, changed: Option<i64>) {
    let (Some(as_run), Some(changed)) = (as_run, changed) else { return };
    let gain = as_run - changed;
    // What is below a tenth of a second is another draw of the same timers.
    if gain >= 100_000 && best.as_ref().is_none_or(|(_, most)| gain > *most) {
        *best = Some((what.to_string(), gain));
    }
}

fn changes(scenario: &Scenario) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |name: &'static str, from: String, to: String, set: &dyn Fn(&mut Scenario)| {
        if from != to {
            let mut changed = scenario.clone();
            set(&mut changed);
            changes.push(Change { name, from, to, scenario: changed });
        }
    };
    // Each Sentinel may have settings of its own.
    let mut each = |name: &'static str, value: fn(&sentinel::Config) -> u64, turn: &dyn Fn(&mut sentinel::Config)| {
        let mut turned = scenario.sentinel.clone();
        turned.iter_mut().for_each(turn);
        let told = |all: &[sentinel::Config]| of_each("sentinel", all.iter().map(value));
        if !turned.is_empty() {
            add(name, told(&scenario.sentinel), told(&turned), &|s| s.sentinel.clone_from(&turned));
        }
    };
    each("sentinel.down-after-milliseconds", |config| config.down_after_milliseconds, &|config| {
        config.down_after_milliseconds = (config.down_after_milliseconds / 2).max(1);
    });
    each("sentinel.failover-timeout", |config| config.failover_timeout, &|config| {
        config.failover_timeout = (config.failover_timeout / 2).max(1);
    });
    each("sentinel.quorum", |config| config.quorum.into(), &|config| {
        config.quorum = config.quorum.saturating_sub(1).max(1);
    });
    each("sentinel.parallel-syncs", |config| config.parallel_syncs.into(), &|config| {
        config.parallel_syncs = config.parallel_syncs.max(scenario.stack.redis.into());
    });
    if scenario.stack.haproxy {
        let proxy = &scenario.haproxy;
        let half = Span((proxy.inter.0 / 2).max(1_000_000));
        add("haproxy.inter", proxy.inter.to_string(), half.to_string(), &|s| s.haproxy.inter = half);
        add("haproxy.rise", proxy.rise.to_string(), "1".into(), &|s| s.haproxy.rise = 1);
        add("haproxy.fall", proxy.fall.to_string(), "1".into(), &|s| s.haproxy.fall = 1);
        let now = if proxy.on_marked_down == OnMarkedDown::None { "none" } else { "shutdown-sessions" };
        add("haproxy.on-marked-down", now.into(), "shutdown-sessions".into(), &|s| {
            s.haproxy.on_marked_down = OnMarkedDown::ShutdownSessions;
        });
    }
    changes
}
