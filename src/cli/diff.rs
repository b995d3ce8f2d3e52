//! `sim diff`: the first event in which two runs differ, and what came of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use clap_complete::engine::ArgValueCompleter;
use comfy_table::{Cell, CellAlignment, Table, presets};

use super::run::Format;
use super::{Failure, Verdict};
use crate::analysis::diff::{Diff, How, Line, MetricDifference, NodeDifference, Pair, Reading};
use crate::analysis::metrics::Metric;
use crate::record::{Recording, Source};
use crate::report::many_page::shown;
use crate::scenario::units::parse_span;
use crate::scenario::{Scenario, shipped};
use crate::world::{Keep, World};

/// Show the first event in which two runs differ, with what led to it
///
/// A and B are recordings (simulated or real), run folders, or scenario files, which are run with --seed. Two simulated
/// runs of the same seed are compared to the last digit; of any others the story is compared: what each node said and in
/// which order, from time 0 on, without identities, counters and times. Exit status 1 if they differ.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A recording, a run folder or a scenario
    #[arg(add = ArgValueCompleter::new(super::completions::scenarios_and_files))]
    a: PathBuf,
    /// Another
    #[arg(add = ArgValueCompleter::new(super::completions::scenarios_and_files))]
    b: PathBuf,
    /// The seed under which scenario files are run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How far the times of two lines may lie apart, such as 0s or 20ms; `any`: compare the stories
    #[arg(long, value_name = "TIME", value_parser = tolerance)]
    tolerance: Option<Tolerance>,
    /// Ignore what happened before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = super::time)]
    from: Option<i64>,
    /// How many lines to show before the first difference, and after it
    #[arg(long, value_name = "LINES", default_value_t = 6, value_parser = clap::value_parser!(u16).range(0..=1000))]
    context: u16,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sim diff before/partition-1 after/partition-1  two versions, or settings
  sim diff master-kill-process master-kill-container --seed 7
  sim diff real/master-pause.00.jsonl.gz real/master-pause.01.jsonl.gz";

#[derive(Clone, Copy)]
enum Tolerance {
    Any,
    Micros(i64),
}

fn tolerance(text: &str) -> Result<Tolerance, String> {
    match text {
        "any" => Ok(Tolerance::Any),
        text => parse_span(text)
            .map(|span| Tolerance::Micros((span.0 / 1_000) as i64))
            .map_err(|error| format!("{error}; or `any`")),
    }
}

/// One side of the comparison.
struct Side {
    path: String,
    recording: Recording,
    /// Settings by their path in the scenario, where the scenario is known.
    settings: BTreeMap<String, String>,
}

fn bad(path: &Path, message: &str) -> Failure {
    Failure::Bad(miette::miette!(
        help = "a recording NAME.RUN.jsonl[.gz], a run folder that holds recording.jsonl, or a scenario NAME.toml",
        "{}: {message}",
        path.display()
    ))
}

/// Whether this is the name of a scenario that is in the program, and of nothing else.
fn is_shipped(path: &Path) -> bool {
    !path.exists() && shipped::find(&path.to_string_lossy()).is_some()
}

fn side(path: &Path, seed: u64) -> Result<Side, Failure> {
    let read = |path: &Path| Recording::read(path).map_err(|error| Failure::Bad(error.into()));
    let scenario = |path: &Path| super::source::load(path);
    let (recording, settings) = if path.is_dir() {
        let file = path.join("recording.jsonl");
        if !file.is_file() {
            return Err(bad(path, "this folder holds no recording.jsonl"));
        }
        let toml = path.join("scenario.toml");
        let settings = if toml.is_file() { settings(&scenario(&toml)?) } else { BTreeMap::new() };
        (read(&file)?, settings)
    } else if path.extension().is_some_and(|extension| extension == "toml") || is_shipped(path) {
        let scenario = Arc::new(scenario(path)?);
        let mut world = World::new(scenario.clone(), seed, Keep { records: true, ..Keep::default() });
        world.run();
        let result = world.finish();
        super::run::ready(&scenario, seed, &result)?;
        (result.recording, settings(&scenario))
    } else {
        let recording = read(path)?;
        let mut settings = BTreeMap::new();
        flatten("", &recording.header.config, &mut settings);
        (recording, settings)
    };
    Ok(Side { path: path.display().to_string(), recording, settings })
}

/// Every setting of a scenario, defaults filled in, by its path.
fn settings(scenario: &Scenario) -> BTreeMap<String, String> {
    let toml: toml::Table = toml::from_str(&scenario.to_toml(0, "")).expect("what is written can be read");
    let mut settings = BTreeMap::new();
    let value = serde_json::to_value(toml).expect("a scenario has nothing that JSON cannot say");
    flatten("", &value, &mut settings);
    for what in ["name", "description"] {
        settings.remove(what);
    }
    settings
}

fn flatten(path: &str, value: &serde_json::Value, out: &mut BTreeMap<String, String>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&join(key), value, out)),
        serde_json::Value::Array(list) if list.iter().any(serde_json::Value::is_object) => {
            list.iter().enumerate().for_each(|(i, value)| flatten(&format!("{path}[{}]", i + 1), value, out));
        }
        serde_json::Value::Null => {}
        value => {
            out.insert(path.to_owned(), value.to_string());
        }
    }
}

fn changed<'a>(a: &'a Side, b: &'a Side) -> Vec<(&'a str, Pair<Option<&'a str>>)> {
    let keys: std::collections::BTreeSet<&String> = a.settings.keys().chain(b.settings.keys()).collect();
    let pair =
        |key: &String| Pair { a: a.settings.get(key).map(String::as_str), b: b.settings.get(key).map(String::as_str) };
    keys.into_iter().map(|key| (key.as_str(), pair(key))).filter(|(_, pair)| pair.a != pair.b).collect()
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let (a, b) = (side(&arguments.a, arguments.seed)?, side(&arguments.b, arguments.seed)?);
    let mut how = How::suited(&a.recording, &b.recording);
    how.context = usize::from(arguments.context);
    match arguments.tolerance {
        None => {}
        Some(Tolerance::Micros(micros)) => how.tolerance_us = Some(micros),
        Some(Tolerance::Any) => {
            how = How { reading: Reading::Story, tolerance_us: None, from_us: Some(0), ..how };
        }
    }
    how.from_us = arguments.from.or(how.from_us);
    let diff = Diff::of(&a.recording, &b.recording, how);
    match arguments.format {
        Format::Json => json(&a, &b, how, &diff, &mut anstream::stdout().lock())?,
        Format::Text => text(&a, &b, how, &diff, &mut super::results())?,
    }
    Ok(if diff.is_same() { Verdict::Fine } else { Verdict::Missed })
}

fn json(a: &Side, b: &Side, how: How, diff: &Diff, out: &mut impl Write) -> std::io::Result<()> {
    let side = |side: &Side| {
        let header = &side.recording.header;
        let source = if header.source == Source::Real { "real" } else { "sim" };
        serde_json::json!({ "path": side.path, "scenario": header.scenario, "source": source, "run": header.run })
    };
    let settings: Vec<serde_json::Value> =
        changed(a, b).iter().map(|(key, pair)| serde_json::json!({ "key": key, "a": pair.a, "b": pair.b })).collect();
    let mut all = serde_json::json!({
        "schema": 1,
        "same": diff.is_same(),
        "a": side(a),
        "b": side(b),
        "compared": how.reading,
        "tolerance_us": how.tolerance_us,
        "from_us": how.from_us,
        "settings": settings,
    });
    let found = serde_json::to_value(diff).expect("a difference has nothing that JSON cannot say");
    all.as_object_mut().expect("an object").extend(found.as_object().expect("an object").clone());
    writeln!(out, "{}", serde_json::to_string_pretty(&all).expect("it is valid JSON"))
}

const A: Style = AnsiColor::Red.on_default();
const B: Style = AnsiColor::Green.on_default();
const FAINT: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

fn time(at_us: i64) -> String {
    format!("{:.4} s", at_us as f64 / 1e6)
}

fn text(a: &Side, b: &Side, how: How, diff: &Diff, out: &mut impl Write) -> std::io::Result<()> {
    for (mark, style, side) in [("a", A, a), ("b", B, b)] {
        let header = &side.recording.header;
        let run = if header.source == Source::Real { "real run" } else { "simulated, seed" };
        writeln!(out, "{style}{mark}{style:#}  {} ({}, {run} {})", side.path, header.scenario, header.run)?;
    }
    let compared = match how.reading {
        Reading::Verbatim => "every line",
        Reading::Story => "the story: without identities and counters, equal outcomes of a client in a row once",
    };
    let times = how.tolerance_us.map_or("times do not count".into(), |us| match us {
        0 => "times to the last digit".to_owned(),
        us => format!("times within {} ms", us as f64 / 1e3),
    });
    let from = how.from_us.map_or(String::new(), |us| format!(", from {} s on", us as f64 / 1e6));
    writeln!(out, "{FAINT}compared: {compared}; {times}{from}{FAINT:#}")?;
    let changed = changed(a, b);
    if !changed.is_empty() {
        writeln!(out, "\n{BOLD}settings that differ{BOLD:#}")?;
        let value = |value: Option<&str>| value.unwrap_or("-").to_owned();
        let rows = changed.iter().map(|(key, pair)| [(*key).to_owned(), value(pair.a), value(pair.b)]).collect();
        writeln!(out, "{}", table(["", "a", "b"], rows, CellAlignment::Left))?;
    }
    match diff.nodes.first() {
        None => writeln!(out, "\n{BOLD}nothing differs{BOLD:#} in {} lines", diff.common)?,
        Some(first) => parted(diff, first, out)?,
    }
    if !diff.facts.is_empty() {
        writeln!(out, "\n{BOLD}script and final state{BOLD:#}")?;
        for fact in &diff.facts {
            writeln!(out, "  {}\n    {A}a  {}{A:#}\n    {B}b  {}{B:#}", fact.what, fact.a, fact.b)?;
        }
    }
    if !diff.metrics.is_empty() {
        writeln!(out, "\n{BOLD}figures that differ{BOLD:#}")?;
        let row = |m: &MetricDifference| {
            let figure = |value: f64| shown(Metric::named(m.name), value);
            let number = |value: Option<f64>| value.map_or("-".to_owned(), figure);
            let sign = |value: f64| if value < 0.0 { "−" } else { "+" };
            let delta = m.delta.map_or("-".to_owned(), |value| sign(value).to_owned() + &figure(value.abs()));
            [m.name.to_owned(), number(m.a), number(m.b), delta]
        };
        let rows = diff.metrics.iter().map(row).collect();
        writeln!(out, "{}", table(["", "a", "b", "b − a"], rows, CellAlignment::Right))?;
    }
    Ok(())
}

/// Where the recordings part, and how the difference spread.
fn parted(diff: &Diff, first: &NodeDifference, out: &mut impl Write) -> std::io::Result<()> {
    let (common, at, node) = (diff.common, time(first.at_us), &first.node);
    writeln!(out, "\n{BOLD}the first difference: {node}, at {at}{BOLD:#}, after {common} lines in common\n")?;
    let width = diff.before.iter().chain(&diff.after.a).chain(&diff.after.b).map(|line| line.node.len()).max();
    let print = |out: &mut dyn Write, mark: &str, style: Style, line: &Line| {
        let (at, width) = (time(line.at_us), width.unwrap_or(0));
        writeln!(out, "{style}{mark} {at:>12}  {:width$}  {}{style:#}", line.node, line.text)
    };
    for line in &diff.before {
        print(out, " ", FAINT, line)?;
    }
    for (mark, style, lines) in [("a", A, &diff.after.a), ("b", B, &diff.after.b)] {
        lines.iter().try_for_each(|line| print(out, mark, style, line))?;
        if lines.is_empty() {
            writeln!(out, "{style}{mark} (says no more){style:#}")?;
        }
    }
    writeln!(out, "\n{BOLD}how it spread{BOLD:#}: each node's last line in common, and its first that differs")?;
    for difference in &diff.nodes {
        writeln!(out, "  {}, {} lines in common", difference.node, difference.common)?;
        let print = |out: &mut dyn Write, mark: &str, style: Style, line: Option<&Line>| {
            let (at, text) = line.map_or((String::new(), "(says no more)"), |line| (time(line.at_us), &line.text));
            writeln!(out, "  {style}{mark} {at:>12}  {text}{style:#}")
        };
        if difference.last_common.is_some() {
            print(out, " ", FAINT, difference.last_common.as_ref())?;
        }
        print(out, "a", A, difference.line.a.as_ref())?;
        print(out, "b", B, difference.line.b.as_ref())?;
    }
    Ok(())
}

fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, alignment: CellAlignment) -> Table {
    let mut table = Table::new();
    let cells = |row: Vec<String>| {
        row.into_iter()
            .enumerate()
            .map(move |(i, text)| Cell::new(text).set_alignment(if i == 0 { CellAlignment::Left } else { alignment }))
    };
    table.load_preset(presets::NOTHING).set_header(cells(header.map(str::to_owned).to_vec()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(cells(row.to_vec()).collect::<Vec<_>>());
    }
    table
}
