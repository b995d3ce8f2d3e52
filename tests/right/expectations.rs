//! Expectations and figures: one name, one meaning, and what was not counted is unknown.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value as Json;
use sim::analysis::Analysis;
use sim::analysis::Miss;
use sim::analysis::metrics::{self, Metric, Unit};
use sim::analysis::{RunFacts, Summary};
use sim::explore::generate::{self, Limits};
use sim::scenario::unmet as check;
use sim::scenario::{Bounds, Expect, Scenario, Within};

use super::support::{refusal, run, scenario, sim};

/// What was found where each expectation was missed.
fn found(misses: &[Miss]) -> Vec<(&str, &str)> {
    misses.iter().map(|miss| (miss.key, miss.found.as_str())).collect()
}

const DEAD: &str = "
duration = '60s'
phase = '0s'
[[fault]]
at = '0s'
action = 'kill-host'
node = 'redis-1'
[[fault]]
at = '0s'
action = 'kill-host'
node = 'sentinel-1'
[[fault]]
at = '0s'
action = 'kill-host'
node = 'sentinel-2'
[expect]
set-outage = { max = '500ms' }
publish-outage = { max = '500ms' }
receive-gap = { max = '500ms' }
";

#[test]
fn a_stack_that_is_dead_to_the_end_has_an_outage_to_the_end() {
    let run = run(DEAD, 1);
    let keys: Vec<&str> = run.misses.iter().map(|miss| miss.key).collect();
    assert_eq!(keys, ["publish-outage", "set-outage", "receive-gap"]);
    for key in keys {
        // The last success may lie a pace after time 0.
        let gap = run.analysis.figures().number(Metric::named(key)).expect("there is such a client");
        assert!((59.8..=60.0).contains(&gap), "{key}: {gap}");
    }
}

#[test]
fn writes_that_are_refused_to_the_end_are_an_outage() {
    let text = "duration = '60s'\n[redis]\nmin-replicas-to-write = 2\n[[client]]\nname = 'writer'\nkind = 'set'\n\
                [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-3'\n[expect]\nset-outage = { max = '1s' }\n";
    let run = run(text, 1);
    assert_eq!(run.misses.iter().map(|miss| miss.key).collect::<Vec<_>>(), ["set-outage"]);
    let gap = run.analysis.figures().number(Metric::named("set-outage")).expect("there is a writer");
    assert!((59.8..=60.0).contains(&gap), "{gap}");
}

#[test]
fn a_client_that_never_succeeds_has_an_outage_as_long_as_the_run() {
    // Every replica is needed and one is missing from the start; nobody publishes what the subscriber waits for.
    let text = "duration = '20s'\nphase = '0s'\n[redis]\nmin-replicas-to-write = 3\n\
                [[client]]\nname = 'writer'\nkind = 'set'\n[[client]]\nname = 'ear'\nkind = 'subscribe'\n";
    let figures = run(text, 1).analysis.figures();
    let of = |name| figures.number(Metric::named(name));
    assert_eq!((of("set-outage"), of("receive-gap"), of("set-ok")), (Some(20.0), Some(20.0), Some(0.0)));
    assert_eq!(of("set-ok-ratio"), Some(0.0));
}

#[test]
fn whatever_made_a_gap_counts_the_clients_own_pace_and_its_end() {
    let slow = "duration = '100s'\nphase = '0s'\n[[client]]\nname = 'w'\nkind = 'set'\nevery = '45s'\n";
    let outage = |text: &str| run(text, 1).analysis.figures().number(Metric::named("set-outage")).expect("a writer");
    assert!((44.0..=46.0).contains(&outage(slow)), "{}", outage(slow));
    let killed = "duration = '30s'\nphase = '0s'\n[[client]]\nname = 'w'\nkind = 'set'\n\
                  [[fault]]\nat = '5s'\naction = 'kill'\nnode = 'w'\n";
    assert!((24.9..=25.1).contains(&outage(killed)), "{}", outage(killed));
}

#[test]
fn a_client_that_has_made_all_its_requests_has_no_outage() {
    let text = "duration = '30s'\nphase = '0s'\n[[client]]\nname = 'w'\nkind = 'set'\nrequests = 100\n";
    let outage = |text: &str| run(text, 1).analysis.figures().number(Metric::named("set-outage")).expect("a writer");
    assert!(outage(text) < 0.2, "{}", outage(text));
    // As long as one is missing, it waits for it.
    let cut = format!("{text}[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'haproxy'\n[haproxy]\n");
    let cut = cut.replace("requests = 100", "requests = 100_000");
    assert!((28.9..=29.1).contains(&outage(&cut)), "{}", outage(&cut));
}

#[test]
fn what_is_not_followed_of_several_connections_is_unknown_and_never_0() {
    let text = "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'p'\nkind = 'publish'\n\
                [[client]]\nname = 's'\nkind = 'subscribe'\nconnections = 3\n\
                [[fault]]\nat = '2s'\naction = 'kill'\nnode = 'redis-1'\n\
                [expect]\nreconnects = 0\nreceive-gap = { min = '3s', max = '60s' }\npublish-ok = { min = 1 }\n";
    let run = run(text, 1);
    let why = "unknown: client s has 3 connections, of which none is followed";
    assert_eq!(found(&run.misses), [("reconnects", why)]);
    // A recording says so, too.
    let read = sim::record::Recording::parse("again", &run.result.recording.to_jsonl()).expect("it can be read");
    assert_eq!(Analysis::of(&read, None).figures().reasons(), run.analysis.figures().reasons());
    let summary = summary(&run.analysis);
    assert_eq!((&summary["metrics"]["reconnects"], &summary["reasons"]["reconnects"]), (&Json::Null, &why.into()));
}

#[test]
fn what_a_run_does_not_have_is_absent_and_never_0() {
    let text = "duration = '5s'\nphase = '0s'\n[stack]\nhaproxy = false\n[[client]]\nname = 'w'\nkind = 'set'\n\
                [expect]\npublish-lost = 0\nno-server = { max = '0s' }\nfirst-failover = { max = '60s' }\nfailovers = 0\n";
    let run = run(text, 1);
    assert_eq!(
        found(&run.misses),
        [
            ("first-failover", "none: no Sentinel printed `+switch-master`"),
            ("no-server", "none: the run has no HAProxy"),
            ("publish-lost", "none: no client publishes"),
        ]
    );
}

#[test]
fn without_a_master_at_the_end_nobody_knows_what_is_lost() {
    let run = run(&DEAD.replace("set-outage = { max = '500ms' }", "lost-acked-sets = 0"), 1);
    let lost = run.misses.iter().find(|miss| miss.key == "lost-acked-sets").expect("it is missed");
    assert_eq!(lost.found, "unknown: there is no master at the end that could hold them");
}

#[test]
fn a_count_that_was_counted_and_did_not_happen_is_0() {
    let figures = run("duration = '5s'\nphase = '0s'\n", 1).analysis.figures();
    for name in ["publish-undelivered-connection-cut", "lost-acked-sets-unexplained", "readonly-sets", "failovers"] {
        assert_eq!(figures.number(Metric::named(name)), Some(0.0), "{name}");
    }
}

#[test]
fn a_name_means_the_same_in_expectations_and_figures() {
    // A split brain has a failover, lost messages and a gap in receiving: all of them once differed.
    let run = run(include_str!("../../scenarios/partition-split-brain.toml"), 3);
    let summary = summary(&run.analysis);
    for metric in Metric::all() {
        let Some(value) = summary["metrics"][metric.name()].as_f64() else { continue };
        let exactly = match metric.unit() {
            Unit::Count => format!("{metric} = {value}"),
            Unit::Seconds => format!("{metric} = {{ min = '{0}us', max = '{0}us' }}", (value * 1e6).round()),
            Unit::Ratio => format!("{metric} = {value:?}"),
        };
        let expect = scenario(&format!("[expect]\n{exactly}\n")).expect.expect("it expects something");
        assert_eq!(check(&expect, &run.analysis), [], "{exactly}");
    }
    let first_switch = run.analysis.lines.iter().find(|line| line.text.starts_with("+switch-master"));
    let first_us = first_switch.expect("there is a failover").at_us as f64;
    assert_eq!(summary["metrics"]["first-failover"], first_us / 1e6);
}

#[test]
fn old_names_and_slips_are_refused_with_the_right_one() {
    for (wrong, right) in [
        ("set-outage-s = { max = '1s' }", "called `set-outage` now"),
        ("publish-acknowledged = 1", "called `publish-ok` now"),
        ("publish-lost-silently = 0", "called `publish-lost` now"),
        ("failover = 1", "did you mean `failovers`?"),
        ("set-outge = { max = '1s' }", "did you mean `set-outage`?"),
        ("set-ok-ratio = 1.5", "a number from 0 to 1"),
        ("set-ok-ratio = { min = -0.5 }", "a number from 0 to 1"),
        ("detected = 5", "a range such as"),
    ] {
        let said = refusal(&format!("[expect]\n{wrong}\n")).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(right), "{wrong}: {said}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calm.toml");
    std::fs::write(&file, "duration = '1s'\n").expect("it can be written");
    let path = file.to_str().expect("a path");
    for arguments in [
        &["sweep", path, "--metric", "set-outage-s"][..],
        &["sweep", path, "--until", "set-outage-s=0.1"],
        &["run", path, "--at", "0s", "--branch", "2", "--outcome", "set-outage-s>1"],
    ] {
        let output = sim(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("it is called `set-outage` now"), "{said}");
    }
}

#[test]
fn the_schema_knows_every_metric() {
    let schema = sim::scenario::json_schema();
    let keys = &schema["properties"]["expect"]["properties"];
    for metric in Metric::all() {
        assert_eq!(keys[metric.name()]["description"], metric.says(), "{metric}");
    }
    assert_eq!(schema["properties"]["expect"]["additionalProperties"], false);
}

#[test]
fn the_page_of_metrics_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, metrics::page()).expect("it can be written");
    }
    let page = std::fs::read_to_string(path).expect("the page is in the repository");
    assert!(page == metrics::page(), "UPDATE_DOCS=1 cargo test --test right expectations::the_page");
}

/// `summary.json` of a run.
fn summary(analysis: &Analysis) -> Json {
    let facts = RunFacts { version: "0".into(), digest: "0".into(), events: 0 };
    serde_json::from_str(&Summary::new(analysis, None, &facts).to_json()).expect("it is JSON")
}

/// How expectations are checked.
type Check = fn(&Expect, &Analysis) -> Vec<Miss>;

/// A range near a value: `part` of it below and above, with one limit or both, and sometimes beside it.
fn near(metric: Metric, value: f64, (part, beside, limits): (f64, bool, u8)) -> Bounds {
    fn within<T>(low: T, high: T, limits: u8) -> Within<T> {
        Within { min: (limits != 1).then_some(low), max: (limits != 2).then_some(high) }
    }
    let width = value.max(1.0) * part;
    let middle = if beside { value + 2.0 * width + 1.0 } else { value };
    let (low, high) = ((middle - width).max(0.0), middle + width);
    match metric.unit() {
        Unit::Count => Bounds::Count(within(low.ceil() as u64, high.ceil() as u64, limits)),
        Unit::Seconds => {
            let span = |seconds: f64| sim::kernel::Span::from_micros((seconds * 1e6).ceil() as u64);
            Bounds::Span(within(span(low), span(high), limits))
        }
        Unit::Ratio => Bounds::Ratio(within(low.min(1.0), high.min(1.0), limits)),
    }
}

/// Whether a number of `summary.json` lies in a range.
fn satisfies(value: Option<f64>, bounds: &Bounds) -> bool {
    let Some(value) = value else { return false };
    let (min, max) = match bounds {
        Bounds::Count(range) => (range.min.map(|n| n as f64), range.max.map(|n| n as f64)),
        Bounds::Span(range) => (range.min.map(|s| s.0 as f64 / 1e9), range.max.map(|s| s.0 as f64 / 1e9)),
        Bounds::Ratio(range) => (range.min, range.max),
    };
    min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max)
}

/// The first metric whose expectation is met though the value in `summary.json` does not satisfy it, or the other way round.
fn disagreement(number: u64, draws: &[(f64, bool, u8)], check: Check) -> Option<String> {
    let case = generate::case(77, number, &Limits::default());
    let run = sim::run(&Arc::new(case.scenario), case.seed);
    let summary = summary(&run.analysis);
    Metric::all().zip(draws.iter().cycle()).find_map(|(metric, draw)| {
        let value = summary["metrics"][metric.name()].as_f64();
        let bounds = near(metric, value.unwrap_or(0.0), *draw);
        // As a user writes it: the file must be able to say it.
        let expect = Expect { metrics: [(metric, bounds)].into(), ..Expect::default() };
        let plan = Scenario { expect: Some(expect), ..scenario("") };
        let expect = scenario(&plan.to_toml(1, "0")).expect.expect("it expects something");
        assert_eq!(expect.metrics[&metric], bounds);
        let met = check(&expect, &run.analysis).is_empty();
        (met != satisfies(value, &bounds)).then(|| format!("case {number}: {metric} = {bounds}, {value:?}, met: {met}"))
    })
}

fn draws() -> impl Strategy<Value = Vec<(f64, bool, u8)>> {
    prop::collection::vec((0.0..0.5_f64, any::<bool>(), 0..3u8), 7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 12 } else { 100 }, ..ProptestConfig::default() })]

    #[test]
    fn an_expectation_is_met_exactly_when_the_summary_satisfies_it(number in 0..10_000u64, draws in draws()) {
        prop_assert_eq!(disagreement(number, &draws, check), None);
    }
}

/// As expectations were once checked: a gap that nothing ended is none.
fn forgets_gaps_that_last(expect: &Expect, analysis: &Analysis) -> Vec<Miss> {
    let mut analysis = analysis.clone();
    for client in &mut analysis.outages {
        client.longest_us = client.outages.iter().filter(|o| o.recovered).map(|o| o.lasted_us()).max().unwrap_or(0);
    }
    check(expect, &analysis)
}

/// What is absent or unknown counts as 0.
fn takes_nothing_for_zero(expect: &Expect, analysis: &Analysis) -> Vec<Miss> {
    let mut misses = check(expect, analysis);
    misses.retain(|miss| !miss.found.starts_with("none: ") && !miss.found.starts_with("unknown: "));
    misses
}

#[test]
fn wrong_checks_of_expectations_are_caught() {
    let draws = [(0.0, false, 0), (0.1, false, 1), (0.2, true, 2)];
    for wrong in [forgets_gaps_that_last as Check, takes_nothing_for_zero] {
        assert!((0..10).any(|number| disagreement(number, &draws, wrong).is_some()));
    }
}

/// A scenario that fails over, with an expectation that some of its runs miss.
const OFTEN: &str = "duration = '9s'\nphase = '2s'\n[sentinel]\ndown-after-milliseconds = 1000\n\
                     [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n\
                     [expect]\nfirst-failover = { max = '1ms' }\n";

/// A folder with a scenario, and its path.
fn folder_with(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("often.toml");
    std::fs::write(&file, text).expect("it can be written");
    let path = file.to_str().expect("a path").to_owned();
    (folder, path)
}

#[test]
fn missed_expectations_are_in_every_output() {
    let (folder, path) = folder_with(OFTEN);
    let output = sim(folder.path(), &["run", &path, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let printed: Json = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let run = folder.path().join("output/often-1");
    let written = std::fs::read_to_string(run.join("summary.json")).expect("it was written");
    assert_eq!(printed, serde_json::from_str::<Json>(&written).expect("it is JSON"));
    assert_eq!(printed["misses"][0]["key"], "first-failover");
    assert_eq!(printed["misses"][0]["expected"], "at most 1 ms");
    let report = std::fs::read_to_string(run.join("report.html")).expect("it was written");
    assert!(report.contains("<b>1 missed</b><span>expectations</span>"));
    assert!(report.contains("<h2 id=\"expectations\">") && report.contains("at most 1 ms"));
    // Drawn again, the folder says the same.
    assert!(sim(folder.path(), &["plot", run.to_str().expect("a path")]).status.success());
    assert_eq!(written, std::fs::read_to_string(run.join("summary.json")).expect("it was written"));
    // Of many runs each carries its own, and a row says whether it met them.
    let output = sim(folder.path(), &["run", &path, "--runs", "3", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let printed: Json = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!((&printed["met"], &printed["runs_listed"]), (&0.into(), &3.into()));
    assert_eq!(printed["runs"][1]["run"], 2);
    assert_eq!(printed["runs"][1]["misses"][0]["key"], "first-failover");
    let csv = std::fs::read_to_string(folder.path().join("output/often-1..3/runs.csv")).expect("it was written");
    assert!(csv.starts_with("run,digest,events,met,failovers,"), "{csv}");
    assert!(csv.lines().skip(1).all(|row| row.split(',').nth(3) == Some("0")), "{csv}");
    // One that expects nothing says so, and one that meets all has none.
    let (folder, path) = folder_with("duration = '1s'\n");
    let output = sim(folder.path(), &["run", &path, "--format", "json"]);
    let printed: Json = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!((output.status.code(), &printed["misses"]), (Some(0), &Json::Null));
}

#[test]
fn a_sweep_says_how_often_each_setting_met_the_expectations() {
    let text = OFTEN.replace("'1ms'", "'3s'");
    let (folder, path) = folder_with(&text);
    let vary = "sentinel.down-after-milliseconds=1000,4000";
    let arguments = ["sweep", &path, "--vary", vary, "--vary", "haproxy.inter=1s", "--runs", "3", "--out", "swept"];
    let output = sim(folder.path(), &arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("[expect]: runs that met it") && said.contains("100.0 %") && said.contains(" 0.0 %"),
        "{said}"
    );
    let csv = std::fs::read_to_string(folder.path().join("swept/runs.csv")).expect("it was written");
    assert!(csv.starts_with("run,sentinel.down-after-milliseconds,haproxy.inter,digest,events,met,failovers,"));
    for row in csv.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        // The run is its seed; a number is bare and a duration quoted; met follows from the setting.
        assert!(["1", "2", "3"].contains(&fields[0]) && fields[2] == "\"1s\"", "{row}");
        assert_eq!(fields[5], if fields[1] == "1000" { "1" } else { "0" }, "{row}");
    }
    let calm = folder_with(&OFTEN.replace("'1ms'", "'9s'"));
    let output = sim(calm.0.path(), &["sweep", &calm.1, "--runs", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_check_of_a_file_holds_it_to_its_expectations() {
    let (folder, path) = folder_with(OFTEN);
    let output = sim(folder.path(), &["check", &path, "--cases", "2", "--property", "expectations"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILED expectations in case 0: expected first-failover = at most 1 ms"), "{said}");
    // Schedules that are drawn for a stack are held to it, too.
    let (folder, path) = folder_with("duration = '5s'\n[expect]\npublish-ok = 1\n");
    let output = sim(folder.path(), &["check", &path, "--cases", "2", "--property", "expectations"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let (folder, path) = folder_with(&OFTEN.replace("'1ms'", "'9s'"));
    let output = sim(folder.path(), &["check", &path, "--cases", "2", "--property", "expectations"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
