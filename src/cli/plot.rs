//! `sim plot`: charts again, from run folders or recordings, simulated or real.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;
use miette::miette;
use rayon::prelude::*;

use super::{Failure, VERSION, Verdict};
use crate::analysis::Analysis;
use crate::analysis::score::recordings_in;
use crate::kernel::Span;
use crate::record::{Recording, Source};
use crate::report::flights::Family;
use crate::report::many::{Many, OneRun};
use crate::report::{RunReport, lanes, metrics, redraw_run_folder, safe_name};
use crate::scenario::Scenario;
use crate::scenario::unmet;
use crate::wire::NodeId;

/// Draw the charts again, from run folders or recordings, simulated or real
///
/// One recording gives a run folder, several of one scenario give a folder of distributions. A run folder that is named
/// itself is redrawn in place, unless --out says where else. No folder becomes poorer: where this version repeats the
/// run, it is drawn from the run itself; a folder of another run is refused.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Run folders, recordings (.jsonl or .jsonl.gz), or folders of recordings, by scenario or not
    #[arg(required = true, value_name = "RUN", add = ArgValueCompleter::new(super::completions::scenarios_and_files))]
    runs: Vec<PathBuf>,
    /// Where the folders go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw who told whom what between two instants, as messages.svg: 5s..7s
    #[arg(long, value_name = "FROM..TO", value_parser = super::messages::window, allow_hyphen_values = true)]
    messages: Option<super::messages::Window>,
    /// Only messages of these families: election, orders, ping, info, hello, replication, probes, clients
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = super::messages::family, requires = "messages")]
    families: Vec<Family>,
    /// The scenario that was run: its settings are named in the report
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sim plot output/partition-1                    its charts again
  sim plot recordings/*.jsonl --out charts       of several: the distribution
  sim plot output/partition-1 --messages 5s..7s  who told whom what
  sim plot partition --messages 5s..7s --families election,orders";

/// A recording and what stands beside it.
struct Found {
    path: PathBuf,
    /// The run folder that it lies in.
    folder: Option<PathBuf>,
}

/// A recording of more than a month is not drawn.
const LONGEST_S: f64 = 31.0 * 86_400.0;

fn is_recording(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    (name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")) && !name.starts_with('.')
}

/// The recordings that an argument stands for, in order of their names.
fn find(path: &Path) -> Result<Vec<Found>, Failure> {
    if !path.is_dir() {
        return Ok(vec![Found { path: path.to_path_buf(), folder: None }]);
    }
    let own = path.join("recording.jsonl");
    if own.is_file() {
        return Ok(vec![Found { path: own, folder: Some(path.to_path_buf()) }]);
    }
    let recordings = recordings_in(path).map_err(|error| Failure::Bad(error.into()))?;
    let recordings = recordings.into_values().flatten().filter(|path| is_recording(path));
    let mut found: Vec<Found> = recordings.map(|path| Found { path, folder: None }).collect();
    let entries = std::fs::read_dir(path).map_err(Failure::io(path.display()))?;
    for entry in entries {
        let folder = entry.map_err(Failure::io(path.display()))?.path();
        if folder.join("recording.jsonl").is_file() {
            found.push(Found { path: folder.join("recording.jsonl"), folder: Some(folder) });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if found.is_empty() {
        let help = "a recording is a file NAME.RUN.jsonl or NAME.RUN.jsonl.gz, and a run folder has a recording.jsonl";
        return Err(Failure::Bad(miette!(help = help, "{} holds no recording and no run folder", path.display())));
    }
    Ok(found)
}

fn read(found: &Found) -> Result<Recording, Failure> {
    let recording = Recording::read(&found.path).map_err(|error| Failure::Bad(error.into()))?;
    let first = recording.records.first().map_or(0, |record| recording.micros(record.time)) as f64 / 1e6;
    if recording.header.end_s.max(-first) > LONGEST_S {
        let help = "times are in seconds after time 0";
        let days = recording.header.end_s.max(-first) / 86_400.0;
        let what = found.path.display();
        return Err(Failure::Bad(miette!(help = help, "{what}: the recording claims to last {days:.0} days")));
    }
    Ok(recording)
}

/// What a run folder knows beyond its recording: digest, number of events, and which writes are lost.
fn beside(folder: &Path, recording: &Recording) -> (u128, u64, Option<Vec<(NodeId, u32)>>) {
    let text = std::fs::read_to_string(folder.join("summary.json")).unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let digest = summary["digest"].as_str().and_then(|hex| u128::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let events = summary["events"].as_u64().unwrap_or(0);
    let writes = &summary["writes"];
    let known = writes["lost_keys_known"] == true && !writes["lost"].is_null();
    let lost = writes["lost_keys"].as_object().filter(|_| known).map(|clients| {
        let of = |(client, keys): (&String, &serde_json::Value)| {
            let node = recording.names.find_node(client);
            let keys: Vec<u32> =
                keys.as_array().into_iter().flatten().filter_map(|key| key.as_u64()?.try_into().ok()).collect();
            keys.into_iter().filter_map(move |key| Some((node?, key))).collect::<Vec<_>>()
        };
        clients.iter().flat_map(of).collect()
    });
    (digest, events, lost)
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let scenario = arguments.scenario.as_deref().map(super::source::load).transpose()?;
    let mut found = Vec::new();
    for path in &arguments.runs {
        found.extend(find(path)?);
    }
    if let Some(window) = arguments.messages {
        return super::messages::main(&arguments.runs, window, &arguments.families, arguments.out.as_deref());
    }
    // Everything is read before anything is written.
    let mut groups: BTreeMap<(String, bool), Vec<(u64, &Found)>> = BTreeMap::new();
    let heads: Vec<(String, bool, u64)> = found
        .par_iter()
        .map(|found| read(found).map(|r| (r.header.scenario, r.header.source == Source::Real, r.header.run)))
        .collect::<Result<_, Failure>>()?;
    for (found, (name, real, run)) in found.iter().zip(heads) {
        groups.entry((name, real)).or_default().push((run, found));
    }
    let mut out = super::results();
    for group in groups.values_mut() {
        group.sort_by_key(|(run, _)| *run);
        let folder = match group.as_slice() {
            [(_, one)] => plot_one(arguments, scenario.as_ref(), one)?,
            several => plot_many(arguments, scenario.as_ref(), several)?,
        };
        writeln!(out, "{}", folder.display())?;
    }
    Ok(Verdict::Fine)
}

fn plot_one(arguments: &Arguments, scenario: Option<&Scenario>, found: &Found) -> Result<PathBuf, Failure> {
    let recording = read(found)?;
    let header = &recording.header;
    let (real, run) = (header.source == Source::Real, header.run);
    let target = match (&found.folder, &arguments.out) {
        (Some(folder), None) => folder.clone(),
        (_, out) => {
            let real = if real { "-real" } else { "" };
            let out = out.as_deref().unwrap_or(Path::new("output"));
            out.join(format!("{}{real}-{run}", safe_name(&header.scenario)))
        }
    };
    // What a run folder knows of this recording: the one that it lies in, or the one that it is drawn onto.
    let same = holds(&target, &recording);
    if found.folder.as_ref() != Some(&target) && !same {
        refuse_poorer(&target, "scenario.toml")?;
    }
    let source = found.folder.as_ref().or_else(|| Some(&target).filter(|_| same));
    let (digest, events, lost) = source.map_or((0, 0, None), |folder| beside(folder, &recording));
    let toml = match (scenario, source) {
        (Some(scenario), _) => scenario.to_toml(run, VERSION),
        (None, Some(folder)) => std::fs::read_to_string(folder.join("scenario.toml")).unwrap_or_default(),
        (None, None) => String::new(),
    };
    let scenario = Some(&toml).filter(|toml| !toml.is_empty());
    let scenario = scenario.and_then(|toml| Scenario::parse("scenario.toml", toml).ok()).map(Arc::new);
    let command = match (real, toml.is_empty()) {
        (false, false) => format!("sim run scenario.toml --seed {run}"),
        _ => String::new(),
    };
    let scrape = source.and_then(|folder| scrape_interval(folder)).unwrap_or(metrics::SCRAPE);
    let report = |recording, analysis| RunReport {
        recording,
        analysis,
        misses: None,
        digest,
        events,
        version: VERSION,
        scenario_toml: &toml,
        command: &command,
        causes: const { &BTreeMap::new() },
        flights: &[],
        scrape,
    };
    let write = |report: &RunReport<'_>| redraw_run_folder(&target, report).map_err(Failure::io(target.display()));
    let kept = match scenario.as_ref().filter(|_| !real).and_then(|scenario| again(scenario, &recording)) {
        // The run itself knows more than its lines: which event wrote each of them, and what led to it.
        Some((again, seen)) => {
            let report = report(&again.result.recording, &again.analysis);
            let misses =
                scenario.as_ref().and_then(|scenario| scenario.expect.as_ref()).map(|_| again.misses.as_slice());
            let (digest, events) = (again.result.digest, again.result.events);
            write(&RunReport { misses, digest, events, causes: &seen.causes, flights: &seen.flights, ..report })?
        }
        None => {
            let mut analysis = Analysis::of(&recording, lost.as_deref());
            if let Some(scenario) = &scenario {
                analysis.name_settings(&recording, &scenario.timer_settings());
            }
            let expect = scenario.as_ref().and_then(|scenario| scenario.expect.as_ref());
            let misses = expect.map(|expect| unmet(expect, &analysis));
            write(&RunReport { misses: misses.as_deref(), ..report(&recording, &analysis) })?
        }
    };
    for name in kept {
        super::note(&format!("{} stays as it is: it says more than can be drawn now", target.join(name).display()));
    }
    Ok(target)
}

/// The run of a recording once more, with what led to each of its lines; none if this version does not repeat it.
fn again(scenario: &Arc<Scenario>, recording: &Recording) -> Option<(crate::Run, super::run::Seen)> {
    let seed = recording.header.run;
    let run = crate::run(scenario, seed);
    let same = run.result.recording.to_jsonl() == recording.to_jsonl();
    same.then(|| {
        let seen = super::run::seen(scenario, seed, &run);
        (run, seen)
    })
}

/// Whether a run folder holds this recording.
fn holds(folder: &Path, recording: &Recording) -> bool {
    let own = folder.join("recording.jsonl");
    own.is_file() && Recording::read(&own).is_ok_and(|own| own.to_jsonl() == recording.to_jsonl())
}

/// Refuses to draw onto a folder that holds something which a recording does not tell: it would be gone.
fn refuse_poorer(folder: &Path, holds: &str) -> Result<(), Failure> {
    if folder.join(holds).exists() {
        let help = "--out DIR puts the charts elsewhere; to redraw the folder, name the folder itself";
        let folder = folder.display();
        return Err(Failure::Bad(miette!(help = help, "{folder} is the folder of another run and has its {holds}")));
    }
    Ok(())
}

/// How far apart the scrapes in a folder's metrics are.
fn scrape_interval(folder: &Path) -> Option<Span> {
    let text = std::fs::read_to_string(folder.join("metrics.om")).ok()?;
    let line = text.lines().find(|line| line.starts_with("sim_scrape_interval_milliseconds{"))?;
    line.split(' ').nth(1)?.parse().ok().filter(|millis| *millis > 0).map(Span::from_millis)
}

fn plot_many(arguments: &Arguments, scenario: Option<&Scenario>, group: &[(u64, &Found)]) -> Result<PathBuf, Failure> {
    let first = read(group[0].1)?;
    let analysis = Analysis::of(&first, None);
    let mut many = Many::new(&analysis, &lanes::lanes(&first), VERSION)?;
    let mut taken = BTreeSet::new();
    for (_, found) in group {
        let recording = read(found)?;
        let analysis = Analysis::of(&recording, None);
        let mut run = OneRun::of(&analysis, many.frame());
        run.misses = scenario.and_then(|scenario| scenario.expect.as_ref()).map(|expect| unmet(expect, &analysis));
        // Runs of several recordings with one number are counted on, in their order.
        if !taken.insert(run.run) {
            run.run = taken.last().map_or(0, |last| last.saturating_add(1));
            taken.insert(run.run);
        }
        many.add(run)?;
    }
    let folder = arguments.out.as_deref().unwrap_or(Path::new("output")).join(many.folder());
    let before = std::fs::read_to_string(folder.join("summary.json")).unwrap_or_default();
    if before.contains("\"digest\"") {
        refuse_poorer(&folder, "summary.json")?;
    }
    many.write(&folder).map_err(Failure::io(folder.display()))?;
    Ok(folder)
}
