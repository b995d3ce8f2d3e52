//! Nineteen public sets of files against what people who read them found in them.
//!
//! The sets are other people's files and no part of this repository: they lie beside it (`../shared/configs`) where it is
//! worked on, and the test says that it did nothing elsewhere. What stands here is the result of the reading: of each set its
//! class and the rules that fire.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::ROOT;
use crate::analysis::metrics::Metric;
use crate::import::lint::{SERVES, Severity, findings};
use crate::import::output::{Wishes, scenario};
use crate::import::situation::SITUATIONS;
use crate::import::{Files, Options, Set, Stack, read};
use crate::scenario::Scenario;

/// What can be made of a set: `A` a scenario that says all that changes a run, `B` one that loses something, `C` none, since the
/// stack does not work as it stands.
type Class = char;

/// A set, its class and its findings, by the specification.
#[rustfmt::skip]
const SETS: [(&str, Class, &str); 19] = [
    ("01", 'A', "dead-env idle-cut name-against-address no-aof no-data-volume no-min-replicas no-restart-policy no-session-fencing one-machine proxy-resolves-once published-but-not-announced returned-master-is-up sentinel-forgets-when-recreated single-proxy start-role-fixed substitution version-mixed version-not-modelled version-unpinned"),
    ("02", 'B', "failover-timeout-default file-may-be-unwritable idle-cut name-against-address no-min-replicas no-restart-policy no-session-fencing one-machine port-without-listener proxy-slower-than-sentinel proxy-start-sends-to-replicas published-but-not-announced read-pool-unchecked returned-master-is-up shared-state single-proxy start-role-fixed state-in-repository version-unpinned"),
    ("03", 'C', "config-on-file-mount down-after-long failover-timeout-default idle-cut no-min-replicas no-session-fencing placeholder-left proxy-beside-master returned-master-is-up sentinel-announces-wrong-address sentinel-forgets-at-restart single-proxy start-role-fixed trailing-comment"),
    ("04", 'C', "config-on-file-mount even-sentinels few-sentinels file-may-be-unwritable idle-cut monitor-not-a-node no-aof no-data-volume no-min-replicas no-replication no-restart-policy no-session-fencing one-machine proxy-ignores-role proxy-resolves-once quorum-all sentinel-forgets-at-restart single-proxy version-unpinned"),
    ("06", 'A', "compose-v1-names few-sentinels file-may-be-unwritable idle-cut name-against-address no-aof no-data-volume no-min-replicas no-restart-policy no-session-fencing one-machine one-replica proxy-start-sends-to-replicas quorum-one restart-policy-differs single-proxy version-not-modelled"),
    ("07", 'A', "config-on-file-mount dead-config failover-timeout-short name-against-address no-min-replicas no-restart-policy one-machine sentinel-forgets-when-recreated shared-file start-role-fixed version-mixed version-not-modelled version-unpinned"),
    ("09", 'A', "no-min-replicas no-timeouts one-machine restart-policy-differs single-proxy slow-way-back start-role-unknown version-not-modelled"),
    ("10", 'C', "config-on-file-mount dead-config healthcheck-without-password idle-cut no-aof no-data-volume no-min-replicas no-restart-policy no-session-fencing proxy-ignores-role proxy-leads-to-sentinel sentinel-announces-wrong-address server-maxconn-above-global single-proxy start-role-fixed version-unpinned writable-replica"),
    ("12", 'A', "compose-v1-names idle-cut name-against-address no-aof no-data-volume no-min-replicas no-restart-policy no-session-fencing one-machine proxy-resolves-once proxy-start-sends-to-replicas returned-master-is-up sentinel-forgets-when-recreated single-proxy start-role-fixed version-unpinned"),
    ("14", 'B', "dead-config failover-timeout-default few-sentinels idle-cut no-aof no-min-replicas no-session-fencing proxy-slower-than-sentinel proxy-start-sends-to-replicas quorum-one replication-by-hand returned-master-is-up server-maxconn-above-global single-proxy start-role-fixed version-not-modelled"),
    ("15", 'C', "idle-cut no-aof no-min-replicas no-session-fencing placeholder-left single-proxy"),
    ("17", 'C', "failover-timeout-short min-replicas-unreachable name-not-resolved published-but-not-announced sentinel-forgets-at-restart service-vip shared-state start-role-fixed version-unpinned"),
    ("19", 'A', "dead-config dead-env no-min-replicas one-machine published-but-not-announced sentinel-forgets-at-restart start-role-fixed state-in-repository"),
    ("21", 'B', "dead-config down-after-long even-sentinels failover-timeout-default no-data-volume no-min-replicas no-restart-policy one-machine published-but-not-announced quorum-below-majority quoted-env sentinel-forgets-when-recreated start-role-fixed substitution version-unpinned"),
    ("22", 'A', "config-on-file-mount dead-config monitor-not-a-node name-against-address no-min-replicas no-restart-policy one-machine published-but-not-announced sentinel-forgets-at-restart start-role-fixed"),
    ("23", 'A', "name-against-address no-min-replicas no-restart-policy one-machine sentinel-forgets-at-restart start-role-fixed version-unpinned writable-replica"),
    ("26", 'A', "no-min-replicas start-role-fixed"),
    ("27", 'B', "client-timeout failover-timeout-default idle-cut no-aof no-min-replicas no-session-fencing restart-stale sentinel-forgets-when-recreated single-proxy start-role-fixed"),
    ("29", 'B', "down-after-long failover-timeout-default no-min-replicas"),
];

/// Where the specification and the program differ, and why the program is right: `+` fires, `-` does not.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("12", "+replication-by-hand", "bootstrap.sh sends SENTINEL MONITOR to each Sentinel after the start: what the rule is about, and the census counts the set among those with commands at run time"),
    ("14", "-replication-by-hand", "the script that starts the servers and sends SLAVEOF is not among the files: haproxy.cfg, sentinel.conf and a notification script are all"),
    ("14", "-start-role-fixed", "the same: no file says how a server is started"),
    ("14", "-returned-master-is-up", "follows from start-role-fixed"),
    ("14", "-version-not-modelled", "no file names a version"),
    ("22", "+shared-state", "compose/shared-storage mounts one volume at /data of three servers: the specification looked at the other of the two stacks"),
];

/// Where the class differs, with the reason.
const CLASSES: [(&str, Class, &str); 1] = [(
    "26",
    'C',
    "Jinja templates: refused with `render it first`, as the specification has it; rendered, they are `A`",
)];

/// The folder of the sets, or nothing, which is said.
fn corpus() -> Option<std::path::PathBuf> {
    let folder = Path::new(ROOT).join("../shared/configs");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there (other people's files, no part of the repository)", folder.display());
        return None;
    }
    Some(folder)
}

fn one(folder: &Path, set: &str, file: Option<&str>) -> Set {
    let files = Files::read(&[folder.join(set)]).expect("the folder is there");
    read(&files, &Options { files: file.map(str::to_owned).into_iter().collect(), ..Options::default() })
}

/// The stacks that a scenario can be made of: of set 22, which holds two, each.
fn stacks(folder: &Path, set: &str) -> Vec<Stack> {
    let mut all = one(folder, set, None).stacks;
    if all.len() > 1 {
        let labels: Vec<String> = all.iter().map(|stack| stack.label.clone()).collect();
        all = labels.iter().flat_map(|label| one(folder, set, Some(label)).stacks).collect();
    }
    all
}

fn class(stack: &Stack, templates: bool) -> Class {
    let found = findings(stack, &[]);
    let broken = |rule: &str, severity| severity == Severity::Error && !SERVES.contains(&rule);
    if templates || !stack.refused.is_empty() || found.iter().any(|finding| broken(finding.rule, finding.severity)) {
        return 'C';
    }
    let wishes = Wishes { situation: "none".to_owned(), ..Wishes::default() };
    let toml = scenario(stack, &found, &wishes).toml;
    if toml.lines().any(|line| line.starts_with("# *")) { 'B' } else { 'A' }
}

#[test]
fn public_sets_have_the_findings_that_people_found() {
    let Some(folder) = corpus() else { return };
    let mut wrong = Vec::new();
    for (set, _, rules) in SETS {
        let mut wanted: BTreeSet<&str> = rules.split_whitespace().collect();
        for (_, change, _) in DIFFERENCES.iter().filter(|(own, ..)| *own == set) {
            let (sign, rule) = change.split_at(1);
            let changed = if sign == "+" { wanted.insert(rule) } else { wanted.remove(rule) };
            assert!(changed, "{set}: {change} is no difference");
        }
        let stacks = one(&folder, set, None).stacks;
        let got: BTreeSet<&str> =
            stacks.iter().flat_map(|stack| findings(stack, &[])).map(|finding| finding.rule).collect();
        let (missing, extra): (Vec<_>, Vec<_>) = (wanted.difference(&got).collect(), got.difference(&wanted).collect());
        if !missing.is_empty() || !extra.is_empty() {
            wrong.push(format!("{set}: missing {missing:?}, extra {extra:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn public_sets_have_the_class_that_people_gave_them() {
    let Some(folder) = corpus() else { return };
    let mut wrong = Vec::new();
    for (set, class_by_hand, _) in SETS {
        let wanted = CLASSES.iter().find(|(own, ..)| *own == set).map_or(class_by_hand, |(_, class, _)| *class);
        let templates = !one(&folder, set, None).templates.is_empty();
        let got: BTreeSet<Class> =
            stacks(&folder, set).iter().map(|stack| class(stack, templates && set == "26")).collect();
        if got != BTreeSet::from([wanted]) {
            wrong.push(format!("{set}: {got:?}, not {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Findings of stacks whose writers do not write even if nothing happens.
const SERVES_NOBODY: [&str; 3] = ["proxy-ignores-role", "proxy-start-sends-to-replicas", "min-replicas-unreachable"];

/// How many failovers a situation is for.
fn failovers(stack: &Stack, situation: &str) -> u64 {
    let once = match situation {
        "master-dies" | "master-hangs" | "returns" | "cut-off" => true,
        "bad-link" => stack.first_quorum() == Some(1),
        // Where all is on one machine nobody is left to act.
        "machine" => stack.machines.len() > 1 || stack.kubernetes,
        _ => false,
    };
    u64::from(once)
}

/// Imports a stack for a situation, runs it, and says what is wrong with that.
fn walked(stack: &Stack, situation: &str) -> Result<(), String> {
    let found = findings(stack, &[]);
    let wishes = Wishes { situation: situation.to_owned(), ..Wishes::default() };
    let toml = scenario(stack, &found, &wishes).toml;
    let plan = Scenario::parse("imported.toml", &toml).map_err(|error| format!("{error}: {}", error.problems()[0]))?;
    let run = std::panic::catch_unwind(AssertUnwindSafe(|| crate::run(&Arc::new(plan), 1)))
        .map_err(|_| "it panics".to_owned())?;
    if let Some(unready) = &run.result.unready {
        return Err(unready.to_string());
    }
    let figures = run.analysis.figures();
    let figure = |name: &str| figures.get(Metric::named(name)).number();
    let mut wanted = vec![("failovers", failovers(stack, situation) as f64), ("final-masters", 1.0)];
    let serves = !found.iter().any(|finding| SERVES_NOBODY.contains(&finding.rule));
    if situation == "none" && serves {
        wanted.push(("set-ok-ratio", 1.0));
    }
    match wanted.into_iter().find(|(name, value)| figure(name) != Some(*value)) {
        Some((name, value)) => Err(format!("{name} is {:?}, not {value}", figure(name))),
        None if serves && figure("set-ok").is_none_or(|set| set < 10.0) => Err("nobody can write".to_owned()),
        None => Ok(()),
    }
}

#[test]
fn every_public_set_runs_in_every_situation() {
    let Some(folder) = corpus() else { return };
    let all: Vec<(&str, Stack)> =
        SETS.iter().flat_map(|(set, ..)| stacks(&folder, set).into_iter().map(move |stack| (*set, stack))).collect();
    assert!(all.len() >= SETS.len());
    let walks: Vec<_> = all.iter().flat_map(|one| SITUATIONS.map(|(situation, _)| (one, situation))).collect();
    let walk = |((set, stack), situation): &(&(&str, Stack), &str)| {
        let wrong = walked(stack, situation).err()?;
        Some(format!("{set} ({}), {situation}: {wrong}", stack.label))
    };
    let wrong: Vec<String> = walks.par_iter().filter_map(walk).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn differences_from_the_specification_are_explained() {
    let rule = |change: &str| crate::import::lint::rule(&change[1..]).is_some();
    assert!(
        DIFFERENCES
            .iter()
            .all(|(set, change, why)| { SETS.iter().any(|(own, ..)| own == set) && rule(change) && why.len() > 20 })
    );
    assert!(
        SETS.iter()
            .flat_map(|(_, _, rules)| rules.split_whitespace())
            .all(|id| crate::import::lint::rule(id).is_some())
    );
    // 225 of the 229 findings of the specification, and two that it overlooked.
    assert_eq!(SETS.iter().map(|(_, _, rules)| rules.split_whitespace().count()).sum::<usize>(), 229);
}
