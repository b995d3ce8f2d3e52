//! Whether a run came out as its scenario expects.

use std::fmt::Display;

use super::{Expect, FinalRole};
use crate::analysis::{Analysis, Check, Line, Miss};

/// The expectations that `analysis` does not meet: metrics in the order of their table, then the rest. A metric that is
/// unknown or that the run does not have lies in no range.
pub fn unmet(expect: &Expect, analysis: &Analysis) -> Vec<Miss> {
    let mut checker = Checker { every: false, found: Vec::new() };
    checker.all(expect, analysis);
    let misses = checker.found.into_iter().map(|(key, expected, found, _)| Miss { key, expected, found });
    misses.collect()
}

/// Every expectation with what was found, in the order of [`unmet`].
pub fn checks(expect: &Expect, analysis: &Analysis) -> Vec<Check> {
    let mut checker = Checker { every: true, found: Vec::new() };
    checker.all(expect, analysis);
    let checks = checker.found.into_iter();
    checks.map(|(key, expected, found, met)| Check { key: key.into(), expected, found, met }).collect()
}

struct Checker {
    /// Whether what was met is kept, too.
    every: bool,
    found: Vec<(&'static str, String, String, bool)>,
}

fn list(names: &[String]) -> String {
    names.join(" or ")
}

impl Checker {
    /// Keeps an expectation; what was met is put into words only if somebody wants them.
    fn check<F: Display>(&mut self, key: &'static str, met: bool, expected: impl Display, found: impl FnOnce() -> F) {
        if self.every || !met {
            self.found.push((key, expected.to_string(), found().to_string(), met));
        }
    }

    fn all(&mut self, expect: &Expect, analysis: &Analysis) {
        for (metric, bounds) in &expect.metrics {
            let figure = metric.of(analysis);
            let met = figure.value().is_some_and(|value| bounds.contain(value));
            self.check(metric.name(), met, bounds, || figure.reason().unwrap_or_else(|| figure.to_string()));
        }
        self.roles(expect, analysis);
        self.lines(expect, analysis);
    }

    fn roles(&mut self, expect: &Expect, analysis: &Analysis) {
        if let Some(masters) = &expect.final_master {
            let met = analysis.final_master.as_ref().is_some_and(|master| masters.0.contains(master));
            let found = || analysis.final_master.as_deref().unwrap_or("none").to_owned();
            self.check("final-master", met, list(&masters.0), found);
        }
        for (node, role) in &expect.final_roles {
            let wanted = match role {
                FinalRole::Master => "master",
                FinalRole::Slave => "slave",
                FinalRole::Down => "down",
            };
            let found = analysis.final_roles.get(node).map_or("unknown", String::as_str);
            self.check("final-roles", found == wanted, format_args!("{node} is {wanted}"), || found);
        }
    }

    fn lines(&mut self, expect: &Expect, analysis: &Analysis) {
        let lines = || analysis.lines.iter().filter(|line| line.at_us >= 0);
        if let Some(leaders) = &expect.leader {
            let elected = || lines().filter(|line| line.text.starts_with("+elected-leader"));
            for line in elected() {
                self.check("leader", leaders.0.contains(&line.node), list(&leaders.0), || &line.node);
            }
            if elected().next().is_none() {
                self.check("leader", true, list(&leaders.0), || "nobody was elected");
            }
        }
        for pattern in &expect.events {
            let line = lines().find(|line| pattern.matches(&line.node, &line.text));
            let found = || line.map_or("none".to_owned(), when);
            self.check("events", line.is_some(), format_args!("a line `{pattern}…`"), found);
        }
        for pattern in &expect.no_events {
            let line = lines().find(|line| pattern.matches(&line.node, &line.text));
            let found = || line.map_or("none".to_owned(), said);
            self.check("no-events", line.is_none(), format_args!("no line `{pattern}…`"), found);
        }
    }
}

/// Whose log line it is, and when it was written.
fn when(line: &Line) -> String {
    format!("{} at {:.3} s", line.node, line.at_us as f64 / 1e6)
}

/// A log line in words.
fn said(line: &Line) -> String {
    format!("`{}` of {}", line.text, when(line))
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
        unmet(&scenario.expect.expect("it has one"), &analysis()).iter().map(|miss| miss.key).collect()
    }

    #[test]
    fn a_real_run_meets_what_is_true_of_it() {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/master-kill-container.toml"))
                .expect("a shipped scenario");
        let scenario = Scenario::parse("master-kill-container.toml", &text).expect("a right file");
        assert_eq!(unmet(&scenario.expect.expect("it expects something"), &analysis()), []);
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
