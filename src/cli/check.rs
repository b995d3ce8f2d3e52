//! `sim check`: random fault schedules against the properties.

use std::io::Write;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap_complete::engine::ArgValueCompleter;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, VERSION, Verdict};
use crate::explore::campaign::{Campaign, First, Report, Source, all_properties};
use crate::explore::campaign_page::{self, Shown};
use crate::explore::compact::compact;
use crate::explore::generate::Limits;
use crate::explore::property::{self, EXPECTATIONS, Kind, NO_PANIC};
use crate::explore::shrink::{Shrunk, shrink};
use crate::world::World;

/// Hold random fault schedules against the properties
///
/// Draws stacks, settings and fault schedules, runs them on all cores, and checks every run. The first case that fails
/// a property is made small and written as a scenario file. With FILE, only the fault schedule is drawn; if FILE has
/// faults of its own, it is run as it is, under one seed after the other. The [expect] of FILE must be met in every run.
/// Exit status 1 if a property fails.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A scenario that says the stack, its settings and perhaps its faults
    #[arg(add = ArgValueCompleter::new(super::completions::scenarios_and_files))]
    file: Option<PathBuf>,
    /// How many cases
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    cases: u64,
    /// Begin with the case of this number
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    from: u64,
    /// The seed that the cases are drawn from
    #[arg(long, default_value_t = 1, value_parser = super::seed())]
    seed: u64,
    /// How many threads; 0: one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::jobs())]
    jobs: u64,
    /// Folder for the scenarios of failures, in `check/` below it
    #[arg(long, value_name = "DIR", default_value = "output")]
    out: PathBuf,
    /// More faults at a time than the protocol can survive
    #[arg(long = "unsafe")]
    beyond: bool,
    /// Write the smallest case of every rare thing that was met, too
    #[arg(long)]
    witnesses: bool,
    /// Check these properties only
    #[arg(long = "property", value_name = "NAME", value_parser = known_property,
          add = ArgValueCompleter::new(super::completions::properties))]
    properties: Vec<&'static property::Property>,
    /// List the properties and do nothing else
    #[arg(long)]
    list: bool,
}

fn known_property(name: &str) -> Result<&'static property::Property, String> {
    property::find(name).ok_or_else(|| "there is no such property: --list shows them all".into())
}

impl Arguments {
    /// Whether printing is all that it does.
    pub(super) fn only_prints(&self) -> bool {
        self.list
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut out = super::results();
    if arguments.list {
        writeln!(super::said(), "{}", list())?;
        return Ok(Verdict::Fine);
    }
    let source = match &arguments.file {
        None => Source::Random(Box::new(Limits { beyond: arguments.beyond, stack: None })),
        Some(path) => {
            let scenario = super::source::load(path)?;
            match scenario.faults.is_empty() {
                true => Source::Random(Box::new(Limits { beyond: arguments.beyond, stack: Some(scenario) })),
                false => Source::Fixed(Box::new(scenario)),
            }
        }
    };
    let random = matches!(source, Source::Random(_));
    if let Source::Fixed(scenario) = &source {
        super::afford(scenario.cost(), arguments.cases, (0, super::at_once(arguments.jobs, arguments.cases)), true)?;
    }
    let properties = if arguments.properties.is_empty() { all_properties() } else { arguments.properties.clone() };
    let campaign = Campaign {
        source,
        cases: arguments.cases,
        first: arguments.from,
        seed: arguments.seed,
        properties,
        build: &World::new,
    };
    let threads = super::threads(arguments.jobs)?;
    let bar = progress(arguments.cases);
    let report = threads.install(|| campaign.run(&|| bar.inc(1)));
    bar.finish_and_clear();
    writeln!(out, "{}", table(&campaign, &report))?;
    let cases = super::counted(arguments.cases, "case");
    writeln!(out, "{cases}, {} events, seed {}", report.events, arguments.seed)?;
    if let Some((number, why)) = &report.first_unready {
        writeln!(out, "{} cases say nothing: their stack was never ready (case {number}: {why})", report.unready)?;
    }
    let mut shown = Vec::new();
    for (name, first, is_failure) in wanted(arguments, &report) {
        let small = match name {
            // A run with less in it would miss what is expected for want of anything that happens.
            EXPECTATIONS if !random => Shrunk { case: first.case.clone(), finding: first.finding.clone(), runs: 0 },
            _ => threads.install(|| shrink(&first.case, &first.finding, name, &World::new)),
        };
        let finding = small.finding.to_string();
        let path = write(arguments, name, first, small, is_failure)?;
        let file = format!("{}{name}.toml", if is_failure { "" } else { "witness/" });
        shown.push(Shown { name, is_failure, file, again: format!("sim check {path}"), finding });
        let word = if is_failure { "FAILED" } else { "met" };
        writeln!(
            if is_failure { super::said() } else { super::results() },
            "\n{word} {name} in case {}: {}\n  sim check {}",
            first.number,
            first.finding,
            path
        )?;
    }
    let page = write_page(arguments, &campaign, &report, &shown)?;
    writeln!(out, "\npage: {}", page.display())?;
    let missing = report.never_met();
    if random && arguments.properties.is_empty() && !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|property| property.name).collect();
        writeln!(out, "\nThis campaign is too weak: it never met {}. Give it more cases.", names.join(", "))?;
    }
    Ok(if report.failures().is_empty() { Verdict::Fine } else { Verdict::Missed })
}

/// What is made small and written: failures, and with `--witnesses` the rare things, each with whether it is a failure.
fn wanted<'a>(arguments: &Arguments, report: &'a Report) -> Vec<(&'static str, &'a First, bool)> {
    let failures = report.failures().into_iter().map(|(name, first)| (name, first, true));
    let rare = property::ALL.iter().filter(|property| arguments.witnesses && property.kind.is_met());
    failures
        .chain(rare.filter_map(|property| Some((property.name, report.firsts.get(property.name)?, false))))
        .collect()
}

fn progress(cases: u64) -> ProgressBar {
    if !super::shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} cases, {eta} left").expect("a good template");
    ProgressBar::new(cases).with_style(style)
}

/// Writes the page of the campaign; answers its path.
fn write_page(
    arguments: &Arguments,
    campaign: &Campaign<'_>,
    report: &Report,
    shown: &[Shown],
) -> Result<PathBuf, Failure> {
    let folder = arguments.out.join("check");
    std::fs::create_dir_all(&folder).map_err(Failure::io(folder.display()))?;
    let path = folder.join("report.html");
    let title = match &arguments.file {
        None => "sim check".to_owned(),
        Some(file) => format!("sim check {}", file.display()),
    };
    let lead = campaign_page::lead(arguments.cases, arguments.seed, report);
    let text = campaign_page::text(&title, &lead, &campaign.properties, report, shown);
    crate::files::write(&path, text.as_bytes()).map_err(Failure::io(path.display()))?;
    Ok(path)
}

/// Writes the small case and answers its path and how to run it again.
fn write(arguments: &Arguments, name: &str, first: &First, small: Shrunk, is_failure: bool) -> Result<String, Failure> {
    let folder = arguments.out.join(if is_failure { "check" } else { "check/witness" });
    std::fs::create_dir_all(&folder).map_err(Failure::io(folder.display()))?;
    let path = folder.join(format!("{name}.toml"));
    let Shrunk { mut case, finding, runs } = small;
    name.clone_into(&mut case.scenario.name);
    let text = compact(&case.scenario, &head(arguments, name, first, case.seed, &finding.to_string(), runs, &path));
    crate::files::write(&path, text.as_bytes()).map_err(Failure::io(path.display()))?;
    Ok(format!("{} --cases 1 --seed {}", path.display(), case.seed))
}

fn head(
    arguments: &Arguments,
    name: &str,
    first: &First,
    seed: u64,
    finding: &str,
    runs: usize,
    path: &Path,
) -> String {
    let (says, source) = match property::find(name) {
        Some(property) => (property.says, property.source),
        None => ("no model panics", "a broken invariant is a panic"),
    };
    let file = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let mut from = match &arguments.file {
        Some(path) => format!("sim check {}", path.display()),
        None => "sim check".to_owned(),
    };
    if arguments.beyond {
        from.push_str(" --unsafe");
    }
    format!(
        "{name}: {says}\n({source})\nFirst event: {finding}\nSee it: sim run {file} --seed {seed}\nCheck it: sim check \
         {file} --cases 1 --seed {seed}\nFound by sim {VERSION}: {from} --seed {}, case {}; made small in {runs} runs.\n",
        arguments.seed, first.number,
    )
}

fn list() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["property", "kind", "says", "source"]);
    for property in property::ALL {
        table.add_row([property.name, property.kind.as_str(), property.says, property.source]);
    }
    table
}

fn table(campaign: &Campaign<'_>, report: &Report) -> String {
    let mut words = Vec::new();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["", "property", "kind", "checked in", "found in", "first"]);
    let mut row = |name: &'static str, kind: Kind| {
        let tally = report.tallies[name];
        let first = report.firsts.get(name);
        let (word, color) = match (kind, first) {
            (kind, Some(_)) if kind.is_met() => ("met", None),
            (Kind::Sometimes, None) => ("never", Some(AnsiColor::Yellow)),
            (Kind::Rarely, None) => ("never", None),
            (_, Some(_)) => ("FAILED", Some(AnsiColor::Red)),
            (_, None) if tally.holds == 0 => ("moot", Some(AnsiColor::Yellow)),
            (_, None) => ("ok", None),
        };
        let first = first.map_or(String::new(), |first| format!("case {}", first.number));
        table.add_row([
            word.to_owned(),
            name.into(),
            kind.as_str().into(),
            (tally.holds + tally.found).to_string(),
            tally.found.to_string(),
            first,
        ]);
        words.push((word, Style::new().fg_color(color.map(Into::into))));
    };
    row(NO_PANIC, Kind::Always);
    for property in &campaign.properties {
        row(property.name, property.kind);
    }
    // A row is a line, below that of the header, and begins with its word.
    let text = table.to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (line, (word, style)) in lines.iter_mut().skip(1).zip(words) {
        *line = line.replacen(word, &format!("{style}{word}{style:#}"), 1);
    }
    lines.join("\n")
}
