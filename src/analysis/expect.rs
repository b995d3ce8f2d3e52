//! Whether a run came out as its scenario expects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::outages::{Activity, Outage};
use super::{Analysis, Line};
use crate::kernel::Span;
use crate::scenario::{Expect, FinalRole, Within};

/// An expectation that a run did not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The key in `[expect]`.
    pub key: &'static str,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Display for Miss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {} = {}, found {}", self.key, self.expected, self.found)
    }
}

/// The expectations that `analysis` does not meet, in the order of the keys' documentation.
pub fn check(expect: &Expect, analysis: &Analysis) -> Vec<Miss> {
    let mut checker = Checker { misses: Vec::new() };
    checker.all(expect, analysis);
    checker.misses
}

struct Checker {
    misses: Vec<Miss>,
}

fn span(micros: i64) -> Span {
    Span::from_micros(micros.max(0) as u64)
}

fn list(names: &[String]) -> String {
    names.join(" or ")
}

impl Checker {
    fn miss(&mut self, key: &'static str, expected: impl Display, found: impl Display) {
        self.misses.push(Miss { key, expected: expected.to_string(), found: found.to_string() });
    }

    /// A figure; one that the run does not have misses every range.
    fn within<T: PartialOrd + PartialEq + Display>(
        &mut self,
        key: &'static str,
        range: &Option<Within<T>>,
        found: Option<T>,
    ) {
        let Some(range) = range else { return };
        match found {
            Some(found) if range.contains(&found) => {}
            Some(found) => self.miss(key, range, found),
            None => self.miss(key, range, "none"),
        }
    }

    fn all(&mut self, expect: &Expect, analysis: &Analysis) {
        let lines = || analysis.lines.iter().filter(|line| line.at_us >= 0);
        let switches: Vec<&Line> = lines().filter(|line| line.text.starts_with("+switch-master")).collect();
        self.within("failovers", &expect.failovers, Some(failovers(&switches)));
        let aborted = lines().filter(|line| line.text.starts_with("-failover-abort")).count() as u64;
        self.within("aborted-failovers", &expect.aborted_failovers, Some(aborted));
        let first = switches.iter().map(|line| line.at_us).min();
        self.within("first-failover", &expect.first_failover, first.map(span));
        if let Some(masters) = &expect.final_master
            && !analysis.final_master.as_ref().is_some_and(|master| masters.0.contains(master))
        {
            self.miss("final-master", list(&masters.0), analysis.final_master.as_deref().unwrap_or("none"));
        }
        for (node, role) in &expect.final_roles {
            let wanted = match role {
                FinalRole::Master => "master",
                FinalRole::Slave => "slave",
                FinalRole::Down => "down",
            };
            let found = analysis.final_roles.get(node).map_or("unknown", String::as_str);
            if found != wanted {
                self.miss("final-roles", format!("{node} is {wanted}"), found);
            }
        }
        if let Some(leaders) = &expect.leader {
            for line in lines().filter(|line| line.text.starts_with("+elected-leader")) {
                if !leaders.0.contains(&line.node) {
                    self.miss("leader", list(&leaders.0), &line.node);
                }
            }
        }
        let sums = &analysis.ledger.sums;
        let writes = &analysis.ledger.writes;
        self.within("lost-acked-sets", &expect.lost_acked_sets, writes.lost);
        let readonly = writes.failed.get("readonly").copied().unwrap_or(0);
        self.within("readonly-sets", &expect.readonly_sets, Some(readonly));
        self.within("publish-lost", &expect.publish_lost, Some(sums.lost_silently));
        let published = sums.by_outcome.get("ok").copied().unwrap_or(0);
        self.within("publish-ok", &expect.publish_ok, Some(published));
        self.within("set-ok", &expect.set_ok, Some(writes.acknowledged));
        let outage = |activity| longest_gap_us(analysis, activity).map(span);
        self.within("publish-outage", &expect.publish_outage, outage(Activity::Publish));
        self.within("set-outage", &expect.set_outage, outage(Activity::Set));
        self.within("receive-gap", &expect.receive_gap, outage(Activity::Receive));
        self.within("two-masters", &expect.two_masters, Some(span(analysis.masters.two_masters_us())));
        self.within("no-server", &expect.no_server, Some(span(analysis.masters.no_server_us())));
        let subscribers = analysis.outages.iter().filter(|client| client.activity == Activity::Receive);
        let opened = |client: &str| analysis.reconnects.get(client).copied().unwrap_or(0);
        let reconnects = subscribers.map(|client| opened(&client.client)).sum();
        self.within("reconnects", &expect.reconnects, Some(reconnects));
        for pattern in &expect.events {
            if !lines().any(|line| pattern.matches(&line.node, &line.text)) {
                self.miss("events", format!("a line `{pattern}…`"), "none");
            }
        }
        for pattern in &expect.no_events {
            if let Some(line) = lines().find(|line| pattern.matches(&line.node, &line.text)) {
                let at_s = line.at_us as f64 / 1e6;
                let found = format!("`{}` of {} at {at_s:.3} s", line.text, line.node);
                self.miss("no-events", format!("no line `{pattern}…`"), found);
            }
        }
    }
}

/// The longest time between two successes of a client with an activity, 0 if none is worth listing; none if there is no
/// such client. A client that never succeeds again has no second success.
fn longest_gap_us(analysis: &Analysis, activity: Activity) -> Option<i64> {
    let clients = analysis.outages.iter().filter(|client| client.activity == activity);
    let recovered =
        |outages: &[Outage]| outages.iter().filter(|outage| outage.recovered).map(Outage::lasted_us).max().unwrap_or(0);
    clients.map(|client| recovered(&client.outages)).max()
}

/// How often the Sentinels moved the master: lines that differ; and if the master returned to where it was, as many as
/// one Sentinel saw.
fn failovers(switches: &[&Line]) -> u64 {
    let different: BTreeSet<&str> = switches.iter().map(|line| line.text.as_str()).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in switches {
        *seen.entry(&line.node).or_default() += 1;
    }
    different.len().max(seen.values().copied().max().unwrap_or(0)) as u64
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record::Recording;
    use crate::scenario::Scenario;

    /// A real run of `master-kill-container`.
    fn analysis() -> Analysis {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
        let file = std::fs::read_dir(folder)
            .expect("the folder is in the repository")
            .map(|entry| entry.expect("a file").path())
            .find(|path| path.to_string_lossy().contains("master-kill-container"))
            .expect("there is a recording of it");
        Analysis::of(&Recording::read(&file).expect("it can be read"), None)
    }

    fn misses(expect: &str) -> Vec<&'static str> {
        let scenario = Scenario::parse("test.toml", &format!("[expect]\n{expect}")).expect("a right file");
        check(&scenario.expect.expect("it has one"), &analysis()).iter().map(|miss| miss.key).collect()
    }

    #[test]
    fn a_real_run_meets_what_is_true_of_it() {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/master-kill-container.toml"))
                .expect("a shipped scenario");
        let scenario = Scenario::parse("master-kill-container.toml", &text).expect("a right file");
        assert_eq!(check(&scenario.expect.expect("it expects something"), &analysis()), []);
    }

    #[test]
    fn every_expectation_can_be_missed() {
        for (key, expect) in [
            ("failovers", "failovers = 2"),
            ("aborted-failovers", "aborted-failovers = 1"),
            ("first-failover", "first-failover = { max = '1s' }"),
            ("final-master", "final-master = 'redis-1'"),
            ("final-roles", "final-roles = { redis-1 = 'slave' }"),
            ("lost-acked-sets", "lost-acked-sets = { min = 100 }"),
            ("readonly-sets", "readonly-sets = { min = 1 }"),
            ("publish-lost", "publish-lost = { min = 100 }"),
            ("publish-ok", "publish-ok = 0"),
            ("set-ok", "set-ok = 0"),
            ("publish-outage", "publish-outage = { max = '1s' }"),
            ("set-outage", "set-outage = { max = '1s' }"),
            ("receive-gap", "receive-gap = { max = '1s' }"),
            ("two-masters", "two-masters = { min = '20s' }"),
            ("no-server", "no-server = { min = '20s' }"),
            ("reconnects", "reconnects = 0"),
            ("events", "events = ['+tilt']"),
            ("no-events", "no-events = ['+switch-master']"),
        ] {
            assert_eq!(misses(expect).first(), Some(&key), "{expect}");
        }
        // Exactly one of the three led.
        let led = ["sentinel-1", "sentinel-2", "sentinel-3"];
        let missed = led.iter().filter(|name| misses(&format!("leader = '{name}'")) == ["leader"]).count();
        assert_eq!(missed, 2);
    }
}
