//! Wrong input in large numbers: scenarios and recordings are bent by grammar, at their edges and byte by byte, and
//! nothing that comes of it may panic, hang or leave its place.
//!
//! A case is a function of the seed and its number. Every scenario that is accepted is run for a bounded number of events
//! and its report is drawn; every recording that is read is analysed, drawn, explained and compared. Overflow checks are on
//! in this profile.
//!
//! ```text
//! cargo test --test fuzz                                          a few seconds of each
//! cargo test --test fuzz -- --seconds 60 --seed 7                 as long as this
//! cargo test --test fuzz -- --scenarios 50000 --recordings 20000  so many
//! cargo test --test fuzz -- --only scenario:123 --seed 7          one again, with its input
//! ```

mod bend;
mod dice;
#[path = "../right/xml.rs"]
mod xml;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sim::analysis::Analysis;
use sim::analysis::diff::{Diff, How};
use sim::analysis::score;
use sim::explain::{Question, Subject};
use sim::record::Recording;
use sim::report::chart::{Chart, Theme};
use sim::report::many::{Many, OneRun};
use sim::report::{self, RunReport, html, lanes, latency, loss, metrics, text, timeline, trace};
use sim::scenario::Scenario;
use sim::world::{Keep, World};

use bend::Corpus;

/// Events of a scenario that are run at most.
const EVENTS: u64 = 20_000;
/// A case that takes longer hangs: on a busy machine, with checks on, the slowest takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// Every so many cases the pictures are drawn as bitmaps, too: they cost more than all the rest.
const BITMAPS: u64 = 50;

struct Arguments {
    seed: u64,
    scenarios: u64,
    recordings: u64,
    seconds: u64,
    only: Option<(String, u64)>,
}

fn arguments() -> Result<Option<Arguments>, String> {
    let mut found = Arguments { seed: 1, scenarios: 100, recordings: 100, seconds: u64::MAX, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} takes a number"));
        match word.as_str() {
            "--seed" => found.seed = number()?,
            "--scenarios" => found.scenarios = number()?,
            "--recordings" => found.recordings = number()?,
            "--seconds" => (found.seconds, found.scenarios, found.recordings) = (number()?, u64::MAX, u64::MAX),
            "--only" => {
                let case = words.next().unwrap_or_default();
                let (kind, number) = case.split_once(':').ok_or("--only scenario:N or --only recording:N")?;
                found.only = Some((kind.to_owned(), number.parse().map_err(|_| "the case has a number")?));
            }
            // A test runner that looks for tests by name finds none here.
            "--list" | "--exact" => return Ok(None),
            other if other.starts_with('-') => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// What is worked at now, for who finds that it takes too long.
static NOW: Mutex<Option<(Instant, String, Vec<u8>)>> = Mutex::new(None);
static ACCEPTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        PANIC.with(|last| last.replace(text));
    }));
    std::thread::spawn(watch);
    let corpus = Corpus::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(planted(), "a panic is found and told");
    let begin = Instant::now();
    let mut found: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
    let mut counts = [0_u64; 2];
    let mut accepted = [0_u64; 2];
    let kinds: [(&str, u64, Work); 2] = [
        ("scenario", arguments.scenarios, |corpus, number, seed| corpus.scenario(number, seed)),
        ("recording", arguments.recordings, |corpus, number, seed| corpus.recording(number, seed)),
    ];
    for number in 0_u64.. {
        let mut is_over = true;
        for (place, (kind, most, bend)) in kinds.iter().enumerate() {
            let wanted = match &arguments.only {
                Some((only, case)) => only == kind && *case == number,
                None => number < *most && begin.elapsed().as_secs() < arguments.seconds,
            };
            is_over &= !wanted && arguments.only.as_ref().is_none_or(|(_, case)| number > *case);
            if !wanted {
                continue;
            }
            let input = bend(&corpus, number, arguments.seed);
            if arguments.only.is_some() {
                println!("{}", String::from_utf8_lossy(&input));
            }
            counts[place] += 1;
            let case = format!("{kind}:{number} --seed {}", arguments.seed);
            match guarded(
                &case,
                &input,
                || if place == 0 { scenario(&input, number) } else { recording(&input, number) },
            ) {
                Ok(taken) => accepted[place] += u64::from(taken),
                Err(panic) => {
                    if found.insert(panic.clone(), (case.clone(), input.clone())).is_none() {
                        eprintln!("\n--only {case}\n{panic}\n{}", shown(&input));
                    }
                }
            }
        }
        if is_over {
            break;
        }
    }
    println!(
        "{} scenarios, of which {} were accepted and run; {} recordings, of which {} were read; {} s; {} kinds of panic",
        counts[0],
        accepted[0],
        counts[1],
        accepted[1],
        begin.elapsed().as_secs(),
        found.len()
    );
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Work = fn(&Corpus, u64, u64) -> Vec<u8>;

/// Ends the process if a case takes too long.
fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = NOW.lock().expect("nobody panics with it");
        if let Some((since, case, input)) = now.as_ref().filter(|(since, ..)| since.elapsed() > PATIENCE) {
            eprintln!("\n--only {case}\nhangs: {} s\n{}", since.elapsed().as_secs(), shown(input));
            exit(1);
        }
    }
}

fn shown(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let cut: String = text.chars().take(4_000).collect();
    cut.replace('\u{1b}', "\\u{1b}")
}

/// Does the work; a panic is answered with its place and message.
fn guarded(case: &str, input: &[u8], work: impl FnOnce() -> bool) -> Result<bool, String> {
    *NOW.lock().expect("nobody panics with it") = Some((Instant::now(), case.to_owned(), input.to_vec()));
    let done = catch_unwind(AssertUnwindSafe(work));
    *NOW.lock().expect("nobody panics with it") = None;
    done.map_err(|_| PANIC.with(|last| last.take()))
}

/// Whether a planted mistake is found.
fn planted() -> bool {
    let edge = |text: &str| text.parse::<i64>().expect("a number") + 1 > 0;
    guarded("planted", b"", || edge(std::hint::black_box("9223372036854775807")))
        .is_err_and(|text| text.contains("overflow"))
}

/// Reads a scenario, runs it for a while, and draws what came of it. Answers whether it was accepted.
fn scenario(input: &[u8], number: u64) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let scenario = match Scenario::parse("fuzz.toml", text) {
        Ok(scenario) => scenario,
        Err(error) => {
            assert!(!error.problems().is_empty() && error.problems().len() <= 20, "a refusal has its reasons");
            let _ = (format!("{:?}", miette::Report::new(error)), ());
            return false;
        }
    };
    let toml = scenario.to_toml(number, "fuzz");
    let again = Scenario::parse("fuzz.toml", &toml).unwrap_or_else(|error| panic!("{error:?}\n{toml}"));
    assert_eq!(again, scenario, "what is written is what was read");
    // Large stacks are another subject, and slow.
    let connections: u64 = scenario.clients.iter().map(|client| u64::from(client.connections)).sum();
    if scenario.redis.len() + scenario.sentinel.len() + scenario.clients.len() > 60 || connections > 2_000 {
        return true;
    }
    let scenario = Arc::new(scenario);
    let mut world = World::new(scenario.clone(), number, Keep { records: true, trace: false });
    world.run_events(EVENTS);
    let result = world.finish();
    let mut analysis = Analysis::of(&result.recording, Some(&result.lost_writes));
    analysis.name_settings(&result.recording, &scenario.timer_settings());
    if let Some(expect) = &scenario.expect {
        let _ = sim::scenario::unmet(expect, &analysis);
    }
    draw(&result.recording, &analysis, &toml, number);
    let written = result.recording.to_jsonl();
    if let Err(error) = Recording::parse("fuzz.jsonl", &written) {
        panic!("a recording of the simulator cannot be read: {error}");
    }
    ACCEPTED.fetch_add(1, Ordering::Relaxed);
    true
}

/// Everything that is drawn and said of a run; every picture is XML.
fn draw(recording: &Recording, analysis: &Analysis, toml: &str, number: u64) {
    // `sim plot` refuses what claims to last longer than a month.
    let first = recording.records.first().map_or(0, |record| recording.micros(record.time)) as f64 / 1e6;
    if recording.header.end_s.max(-first) > 31.0 * 86_400.0 {
        return;
    }
    let causes = BTreeMap::new();
    let run = RunReport {
        recording,
        analysis,
        digest: 0,
        events: 0,
        version: "fuzz",
        scenario_toml: toml,
        command: "",
        causes: &causes,
        flights: &[],
        misses: None,
        scrape: metrics::SCRAPE,
    };
    let lanes = lanes::lanes(recording);
    if number.is_multiple_of(BITMAPS) {
        report::files(&run);
    }
    for svg in [
        timeline::Timeline::new(&lanes, analysis).svg(Theme::Light),
        loss::LossChart::new(&lanes, analysis).svg(Theme::Dark),
        latency::LatencyChart::new(&lanes, analysis).svg(Theme::Light),
    ] {
        xml::assert_well_formed(&svg);
    }
    let said = text::text(&run, &lanes);
    assert!(!said.contains(['\u{202e}', '\u{7}', '\u{9b}']), "the terminal is told nothing it would obey");
    html::html(&run, &lanes);
    trace::trace(recording, analysis, &lanes);
    if recording.header.end_s < 1e5 {
        metrics::metrics(recording, &lanes, metrics::SCRAPE);
    }
    let mut many = Many::new(analysis, &lanes, "fuzz").expect("a temporary file can be had");
    many.add(OneRun::of(analysis, many.frame())).expect("it can be written");
    many.to_json();
}

/// Reads a recording and does with it what commands do. Answers whether it could be read.
fn recording(input: &[u8], number: u64) -> bool {
    let text = String::from_utf8_lossy(input);
    let recording = match Recording::parse("fuzz.jsonl", &text) {
        Ok(recording) => recording,
        Err(error) => {
            let _ = format!("{:?}", miette::Report::new(*error));
            return false;
        }
    };
    let analysis = Analysis::of(&recording, None);
    draw(&recording, &analysis, "", number);
    let cells = score::cells(&recording);
    score::compare(std::slice::from_ref(&cells), std::slice::from_ref(&cells));
    let diff = Diff::of(&recording, &recording, How::suited(&recording, &recording));
    assert!(diff.is_same(), "a recording does not differ from itself");
    let end = analysis.end_us;
    let subject = Subject::Lines(Box::new((recording, analysis)));
    for question in
        [Question::Summary, Question::Message(None, 1), Question::Failover(1), Question::Between(0, end.max(1))]
    {
        if let Ok(explanation) = subject.explain(&question) {
            sim::explain::text::text(&explanation, "fuzz");
        }
    }
    ACCEPTED.fetch_add(1, Ordering::Relaxed);
    true
}
