//! Tests on real recordings: structure, determinism, and the text as a person sees it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::chart::{Chart, Theme};
use super::lanes::{Lanes, Link, Opinion, RedisState, ServerState, fault_windows, lanes};
use super::timeline::Timeline;
use super::{RunReport, files, html, metrics, text, trace, write_run_folder};
use crate::analysis::Analysis;
use crate::analysis::outages::Activity;
use crate::kernel::Span;
use crate::record::{Fault, FaultMark, Order, Recording};

fn read(name: &str) -> (Recording, Analysis, Lanes) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings").join(format!("{name}.00.jsonl.gz"));
    let recording = Recording::read(&path).expect("the recording can be read");
    let analysis = Analysis::of(&recording, None);
    let lanes = lanes(&recording);
    (recording, analysis, lanes)
}

fn report<'a>(recording: &'a Recording, analysis: &'a Analysis) -> RunReport<'a> {
    RunReport {
        recording,
        analysis,
        misses: None,
        digest: 0x00ab_cdef,
        events: 12_345,
        version: "0.1.0",
        scenario_toml: "name = \"<b>\" # </script>\n",
        command: "sim run scenarios/x.toml --seed 1",
        causes: const { &BTreeMap::new() },
        flights: &[],
        scrape: metrics::SCRAPE,
    }
}

#[test]
fn lanes_have_no_gap_and_follow_the_roles() {
    let (_, _, lanes) = read("partition-split-brain");
    for lane in &lanes.redis {
        assert!(lane.bars.windows(2).all(|pair| pair[0].to_us == pair[1].from_us && pair[0].state != pair[1].state));
        assert_eq!(lane.bars.last().map(|bar| bar.to_us), Some(lanes.end_us));
    }
    let at = |node: usize, us: i64| {
        let found = lanes.redis[node].bars.iter().find(|bar| bar.from_us <= us && us < bar.to_us);
        found.expect("lanes have no gap").state
    };
    assert_eq!([0, 1, 2].map(|n| at(n, 0)), [RedisState::Master, RedisState::Replica, RedisState::Replica]);
    assert_eq!([0, 1, 2].map(|n| at(n, 20_000_000)), [RedisState::Master, RedisState::Master, RedisState::Replica]);
    assert_eq!([0, 1, 2].map(|n| at(n, 38_000_000)), [RedisState::LinkDown, RedisState::Master, RedisState::Replica]);
    assert_eq!([0, 1, 2].map(|n| at(n, 44_000_000)), [RedisState::Replica, RedisState::Master, RedisState::Replica]);
}

#[test]
fn sentinels_change_their_opinion_and_their_belief() {
    let (_, _, lanes) = read("partition-split-brain");
    let leader = &lanes.sentinels[2];
    let states: Vec<Opinion> = leader.bars.iter().map(|bar| bar.state).collect();
    assert_eq!(states, [Opinion::Fine, Opinion::Sdown, Opinion::Leads, Opinion::Fine]);
    assert_eq!(leader.epochs, [(6_155_800, 1)]);
    let believed: Vec<&str> = leader.beliefs.iter().map(|(_, who)| who.as_str()).collect();
    assert_eq!(believed, ["redis-1", "redis-2"]);
    let cut_off = &lanes.sentinels[0];
    assert!(cut_off.bars.iter().all(|bar| bar.state == Opinion::Fine), "it saw the old master all the time");
    assert_eq!(cut_off.down_replicas.first(), Some(&(5_138_800, 1)));
}

#[test]
fn servers_and_subscribers_go_down_and_up() {
    let (_, _, lanes) = read("master-kill-container");
    assert_eq!(lanes.redis[0].bars.last().map(|bar| bar.state), Some(RedisState::Dead));
    let states = |i: usize| lanes.proxies[i].bars.iter().map(|bar| bar.state).collect::<Vec<_>>();
    assert_eq!(states(0), [ServerState::Up, ServerState::Down]);
    assert_eq!(states(1), [ServerState::Up, ServerState::Down, ServerState::Up]);
    let subscriber =
        lanes.clients.iter().find(|lane| lane.activity == Activity::Receive).expect("there is a subscriber");
    assert!(subscriber.bars.iter().any(|bar| bar.state == Link::Closed && bar.from_us > 0));
    assert!(lanes.clients.iter().filter(|lane| lane.activity != Activity::Receive).all(|lane| lane.bars.is_empty()));
}

#[test]
fn faults_last_until_they_are_undone() {
    let (mut recording, _, _) = read("master-kill-container");
    let order = |order, node: &str| Fault::Program { order, node: Some(node.into()) };
    let group = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    let faults = [
        order(Order::Pause, "redis-1"),
        Fault::Partition { groups: vec![group(&["redis-1"]), group(&["redis-2", "redis-3"])] },
        order(Order::Resume, "redis-2"),
        order(Order::Resume, "redis-1"),
        Fault::Stall { node: "redis-2".into(), lasts: Span::from_millis(1500) },
        Fault::Heal,
        order(Order::PowerOff, "redis-3"),
    ];
    let marks = faults.into_iter().zip(0..).map(|(fault, at)| FaultMark { at_s: f64::from(at), fault });
    recording.header.faults = marks.collect();
    let windows = fault_windows(&recording, 10_000_000);
    let spans: Vec<(i64, i64)> = windows.iter().map(|w| (w.from_us / 100_000, w.to_us / 100_000)).collect();
    assert_eq!(spans, [(0, 30), (10, 50), (20, 20), (30, 30), (40, 55), (50, 50), (60, 100)]);
    assert_eq!(windows[1].label, "partition: redis-1 | redis-2 redis-3");
    assert_eq!(windows[6].label, "power-off redis-3");
}

#[test]
fn pictures_say_what_they_show() {
    let (_, analysis, lanes) = read("partition-split-brain");
    let svg = Timeline::new(&lanes, &analysis).svg(Theme::Light);
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    for part in ["<title>partition-split-brain: ", "two masters", "#D55E00", "time after the first fault (s)", "MASTER"]
    {
        assert!(svg.contains(part), "{part} is in the picture");
    }
    assert!(!svg.contains("NaN"));
    let dark = Timeline::new(&lanes, &analysis).svg(Theme::Dark);
    assert_ne!(svg, dark);
}

#[test]
fn the_trace_is_what_perfetto_reads() {
    for name in ["partition-split-brain", "g-kill-container"] {
        let (recording, analysis, lanes) = read(name);
        let json: Value = serde_json::from_str(&trace::trace(&recording, &analysis, &lanes)).expect("it is JSON");
        let events = json["traceEvents"].as_array().expect("it has events");
        let mut tracks: BTreeMap<(u64, u64), Vec<(i64, i64)>> = BTreeMap::new();
        let (mut starts, mut ends, mut open) = (Vec::new(), Vec::new(), 0);
        for event in events {
            let phase = event["ph"].as_str().expect("every event has a phase");
            let number = |key: &str| event[key].as_i64().unwrap_or_else(|| panic!("{key} is a whole number"));
            assert!(phase == "M" || number("ts") >= 0);
            match phase {
                "X" => {
                    let track = tracks.entry((number("pid") as u64, number("tid") as u64)).or_default();
                    track.push((number("ts"), number("ts") + number("dur")));
                }
                "s" => starts.push(number("id")),
                "f" => ends.push(number("id")),
                "b" => open += 1,
                "e" => open -= 1,
                _ => {}
            }
        }
        for slices in tracks.values_mut() {
            slices.sort_unstable();
            assert!(slices.windows(2).all(|pair| pair[0].1 <= pair[1].0), "slices of a track do not overlap");
        }
        starts.sort_unstable();
        ends.sort_unstable();
        assert!(!starts.is_empty() && starts == ends && open == 0);
    }
}

#[test]
fn metrics_are_open_metrics() {
    let (recording, _, lanes) = read("master-kill-container");
    let text = metrics::metrics(&recording, &lanes, Span::from_secs(5));
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.is_sorted() && families.windows(2).all(|pair| pair[0] != pair[1]), "families are contiguous");
    let mut last: (&str, f64) = ("", 0.0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, rest) = line.split_once("} ").expect("every sample has labels");
        let (_, at) = rest.split_once(' ').expect("every sample has a time");
        let at: f64 = at.parse().expect("the time is a number of seconds");
        assert!(series != last.0 || at > last.1, "samples of a series are in order of time");
        last = (series, at);
    }
    let at = |s: i64| format!("{}.000", metrics::EPOCH_S + s);
    let has = |line: String| assert!(text.contains(&line), "{line}");
    has(format!("redis_up{{job=\"redis\",instance=\"redis-1:6379\"}} 0 {}", at(5)));
    has(format!("redis_connected_slaves{{job=\"redis\",instance=\"redis-1:6379\"}} 2 {}", at(0)));
    has(format!("redis_connected_slaves{{job=\"redis\",instance=\"redis-2:6379\"}} 1 {}", at(20)));
    has(format!(
        "redis_sentinel_master_ckquorum_status{{job=\"sentinel\",instance=\"sentinel-1:26379\",master_name=\"mymaster\",\
         message=\"OK 3 usable Sentinels. Quorum and failover authorization can be reached\"}} 1 {}",
        at(20)
    ));
    has(format!("sim_scrape_interval_milliseconds{{job=\"sim\"}} 5000 {}", at(20)));
    let status = "master_name=\"mymaster\",master_address=\"redis-2:6379\",master_status=\"ok\"";
    has(format!(
        "redis_sentinel_master_status{{job=\"sentinel\",instance=\"sentinel-1:26379\",{status}}} 1 {}",
        at(20)
    ));
    has(format!(
        "haproxy_backend_active_servers{{job=\"haproxy\",instance=\"haproxy:8404\",proxy=\"redis_backend\"}} 0 {}",
        at(10)
    ));
}

#[test]
fn the_report_is_one_file_that_nothing_can_break_out_of() {
    let (recording, analysis, lanes) = read("partition-split-brain");
    let page = html::html(&report(&recording, &analysis), &lanes);
    assert!(page.contains("name = &quot;&lt;b&gt;&quot; # &lt;/script&gt;"), "the scenario is escaped");
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    assert!(page.contains("default-src 'none'"), "a browser loads nothing");
    for reference in [" src=\"", "href=\"http", "href=\"//", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
    let data =
        page.split_once("id=\"data\">").and_then(|(_, rest)| rest.split_once("</script>")).expect("data is there").0;
    let data: Value = serde_json::from_str(data).expect("data is JSON");
    assert_eq!(data["messages"]["t"].as_array().map(Vec::len), Some(analysis.ledger.messages.len()));
    assert_eq!(data["lanes"].as_array().map(Vec::len), Some(12));
    assert_eq!(data["two"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_same_run_gives_the_same_files() {
    let (recording, analysis, _) = read("g-kill-container");
    let run = report(&recording, &analysis);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let dir = folder.path().join("runs/x-1");
    let paths = write_run_folder(&dir, &run).expect("the folder can be written");
    let before: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("it was written")).collect();
    assert_eq!(write_run_folder(&dir, &run).expect("it can be replaced"), paths);
    for ((path, before), (name, bytes)) in paths.iter().zip(before).zip(files(&run)) {
        assert!(path.ends_with(name) && before == bytes, "{name} is the same again");
    }
    let beside = std::fs::read_dir(folder.path().join("runs")).expect("it is there").count();
    assert_eq!(beside, 1, "nothing temporary is left");
    std::fs::write(dir.join("notes.txt"), "mine").expect("it can be written");
    assert!(write_run_folder(&dir, &run).is_err(), "a folder with other files is not replaced");
}

#[test]
fn a_time_without_success_does_not_look_idle() {
    let drawn = |recording: &Recording, analysis: &Analysis, lanes: &Lanes| {
        let outages: Vec<usize> =
            lanes.clients.iter().map(|lane| super::timeline::outages(lane, analysis).count()).collect();
        let svg = Timeline::new(lanes, analysis).svg(Theme::Light);
        let page = html::html(&report(recording, analysis), lanes);
        (outages, svg.contains("hatched: without success"), page.contains("\"outages\":[["))
    };
    let (recording, analysis, those) = read("master-kill-container");
    let (outages, in_svg, in_page) = drawn(&recording, &analysis, &those);
    assert!(outages.iter().all(|count| *count == 1) && in_svg && in_page, "{outages:?} {in_svg} {in_page}");
    let calm = crate::scenario::Scenario::parse("calm.toml", "duration = '2s'\nphase = '0s'\n").expect("a right file");
    let run = crate::run(&std::sync::Arc::new(calm), 1);
    let those = lanes(&run.result.recording);
    let (outages, in_svg, in_page) = drawn(&run.result.recording, &run.analysis, &those);
    assert!(outages.iter().all(|count| *count == 0) && !in_svg && !in_page, "{outages:?} {in_svg} {in_page}");
}

#[test]
fn the_terminal_tells_the_story() {
    let (recording, analysis, lanes) = read("partition-split-brain");
    let text = text::text(&report(&recording, &analysis), &lanes);
    assert!(text.contains("\u{1b}["), "it has styles");
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
}

/// A recording whose lines were damaged: each pair says which line and what becomes of it.
fn damaged(text: &str, damage: &[(usize, u8)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (place, how) in damage {
        let count = lines.len();
        let i = 1 + place % (count - 1);
        match how % 5 {
            0 => drop(lines.remove(i)),
            1 => lines.insert(i, lines[1 + place * 7 % (count - 1)].clone()),
            2 => lines[i] = lines[i].replace("redis-1", "redis-9"),
            3 => lines[i] = lines[i].replacen("{\"t\":", "{\"t\":1", 1),
            _ => lines[i] = lines[i].replace("\"ok\"", "\"reply-closed\"").replace("\"open\"", "\"read-closed\""),
        }
        if lines.len() < 10 {
            break;
        }
    }
    lines.join("\n")
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn a_damaged_recording_is_refused_or_drawn(
        file in 0..3_usize,
        damage in proptest::collection::vec((0..5_000_usize, proptest::prelude::any::<u8>()), 0..400),
    ) {
        let name = ["g-kill-container", "partition-split-brain", "master-kill-container"][file];
        let text = damaged(&read(name).0.to_jsonl(), &damage);
        if let Ok(recording) = Recording::parse("damaged.jsonl", &text) {
            let analysis = Analysis::of(&recording, None);
            let lanes = lanes(&recording);
            let timeline = Timeline::new(&lanes, &analysis).svg(Theme::Light);
            let loss = super::loss::LossChart::new(&lanes, &analysis).svg(Theme::Light);
            let latency = super::latency::LatencyChart::new(&lanes, &analysis).svg(Theme::Light);
            proptest::prop_assert!([timeline, loss, latency].iter().all(|svg| svg.ends_with("</svg>\n")));
            proptest::prop_assert!(!text::text(&report(&recording, &analysis), &lanes).is_empty());
        }
    }
}

#[test]
fn a_report_says_who_is_who_in_the_scenario() {
    let toml = "[redis.redis-1]\nname = \"cache-a\"\n[redis.redis-2]\nhz = 20\n[sentinel]\nquorum = 2\n[haproxy]\nname = \"lb\"\n";
    assert_eq!(super::html::names(toml).as_deref(), Some("Names: cache-a is redis-1, lb is haproxy in the scenario."));
    assert_eq!(super::html::names("[redis]\nhz = 20\n"), None);
}
