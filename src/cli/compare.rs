//! `sim compare`: how well simulated recordings agree with real ones.

use std::io::Write;
use std::path::{Path, PathBuf};

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::{Failure, Verdict};
use crate::analysis::score::{Measure, Score, score_dirs};
use crate::analysis::sequences::{Finding, ScenarioSequences, Sequences, sequences_of_dirs};
use crate::files;
use crate::report::chart::{Chart, Theme};
use crate::report::compare::CompareChart;
use crate::report::safe_name;

/// Compare recordings of the simulator with recordings of the real stack
///
/// For every scenario of the real recordings, each quantity that a recording yields is compared as two samples. Cells
/// that disagree are listed. With --sequences the orders in which each Sentinel's events come are compared instead.
/// Exit status 1 if fewer agree than --at-least asks for.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folders of recordings of the real stack (DIR/NAME.RUN.jsonl.gz or DIR/NAME/NAME.RUN.jsonl.gz); several count as one
    #[arg(required = true)]
    real: Vec<PathBuf>,
    /// Folder of simulated recordings
    sim: PathBuf,
    /// Compare in which order Sentinels' events come, instead of when
    #[arg(long)]
    sequences: bool,
    /// Fail if a smaller part of the cells, or of the orderings, agrees
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    at_least: Option<f64>,
    /// Write a chart of each scenario into this folder, SVG and PNG: real and simulated distribution of every cell
    #[arg(long, value_name = "DIR", conflicts_with = "sequences")]
    charts: Option<PathBuf>,
    /// Draw only cells whose names contain one of these texts
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',', requires = "charts")]
    cells: Vec<String>,
    /// List what agrees as well
    #[arg(long)]
    all: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables of what disagrees
    Text,
    /// Everything as JSON
    Json,
    /// One line a scenario, as a table in Markdown
    Markdown,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number from 0 to 100".into()),
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let figure = if arguments.sequences { compare_sequences(arguments)? } else { compare_cells(arguments)? };
    let reached = figure * 100.0;
    Ok(if arguments.at_least.is_some_and(|least| reached < least) { Verdict::Missed } else { Verdict::Fine })
}

fn compare_cells(arguments: &Arguments) -> Result<f64, Failure> {
    let score = score_dirs(&arguments.real, &arguments.sim).map_err(|error| Failure::Bad(error.into()))?;
    if let Some(folder) = &arguments.charts {
        draw(&score, &arguments.cells, folder)?;
    }
    match arguments.format {
        Format::Json => json(&score, &mut anstream::stdout())?,
        Format::Markdown => markdown(&score, &mut anstream::stdout())?,
        Format::Text => print(&score, arguments.all, &mut super::results())?,
    }
    Ok(score.figure())
}

fn compare_sequences(arguments: &Arguments) -> Result<f64, Failure> {
    let sequences = sequences_of_dirs(&arguments.real, &arguments.sim).map_err(|error| Failure::Bad(error.into()))?;
    match arguments.format {
        Format::Json => json(&sequences, &mut anstream::stdout())?,
        Format::Text => print_sequences(&sequences, arguments.all, &mut super::results())?,
        Format::Markdown => {
            let help = "--format text or json";
            return Err(Failure::Bad(miette::miette!(help = help, "--sequences has no table in Markdown")));
        }
    }
    Ok(sequences.figure())
}

fn json(value: &impl serde::Serialize, out: &mut impl Write) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(value).expect("a comparison has nothing that JSON cannot say");
    writeln!(out, "{text}")
}

fn draw(score: &Score, wanted: &[String], folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::io(folder.display()))?;
    let shown = |name: &str| wanted.is_empty() || wanted.iter().any(|text| name.contains(text.as_str()));
    for scenario in &score.scenarios {
        let Some(chart) = CompareChart::of(scenario, shown) else { continue };
        let path = folder.join(safe_name(&scenario.scenario));
        let (svg, png) = (path.with_added_extension("svg"), path.with_added_extension("png"));
        files::write(&svg, chart.svg(Theme::Light).as_bytes()).map_err(Failure::io(svg.display()))?;
        files::write(&png, &chart.png(Theme::Light)).map_err(Failure::io(png.display()))?;
    }
    Ok(())
}

fn markdown(score: &Score, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "| scenario | cells that agree | real runs | simulated |\n| --- | --- | --- | --- |")?;
    for scenario in &score.scenarios {
        let (agree, cells) = (scenario.agree(), scenario.cells());
        writeln!(
            out,
            "| {} | {agree} of {cells} | {} | {} |",
            scenario.scenario, scenario.real_runs, scenario.sim_runs
        )?;
    }
    writeln!(out, "| **all** | **{} of {} = {:.1} %** | | |", score.agree(), score.cells(), score.figure() * 100.0)
}

fn print(score: &Score, all: bool, out: &mut impl Write) -> std::io::Result<()> {
    for scenario in &score.scenarios {
        writeln!(
            out,
            "{}: {} of {} cells agree ({} real runs, {} simulated)",
            scenario.scenario,
            scenario.agree(),
            scenario.cells(),
            scenario.real_runs,
            scenario.sim_runs
        )?;
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
        for verdict in scenario.verdicts.iter().filter(|verdict| all || !verdict.agrees) {
            // What is not counted is a time.
            let unit = if verdict.cell.ends_with("| count") { "" } else { " s" };
            let side = |side: &crate::analysis::score::Side| {
                format!("{}{unit} [{}..{}{unit}]", number(side.median), number(side.min), number(side.max))
            };
            let why = match verdict.measure {
                Measure::Presence => {
                    format!(
                        "in {:.0}% and {:.0}% of the runs",
                        verdict.real.present * 100.0,
                        verdict.sim.present * 100.0
                    )
                }
                Measure::Samples { distance, tolerance, p } => {
                    format!("distance {distance:.3}{unit}, tolerance {tolerance:.3}{unit}, p {p:.3}")
                }
            };
            table.add_row(vec![
                Cell::new(if verdict.agrees { "  ok" } else { "  OFF" }),
                Cell::new(&verdict.cell),
                Cell::new(format!("real {}", side(&verdict.real))).set_alignment(CellAlignment::Left),
                Cell::new(format!("sim {}", side(&verdict.sim))),
                Cell::new(why),
            ]);
        }
        if table.row_iter().next().is_some() {
            writeln!(out, "{table}")?;
        }
    }
    writeln!(out, "{} of {} cells agree = {:.1}%", score.agree(), score.cells(), score.figure() * 100.0)
}

fn print_sequences(sequences: &Sequences, all: bool, out: &mut impl Write) -> std::io::Result<()> {
    for scenario in &sequences.scenarios {
        writeln!(
            out,
            "{}: {} of {} orderings agree ({} real runs, {} simulated)",
            scenario.scenario,
            scenario.count(Finding::Agrees),
            scenario.orderings(),
            scenario.real_runs,
            scenario.sim_runs
        )?;
        print_orderings(scenario, all, out)?;
    }
    let chance = sequences.chance();
    writeln!(
        out,
        "{} orderings: {} agree, {} are off; too few runs to say: {} never simulated ({:.1} expected by chance), {} never \
         seen in reality ({:.1} expected by chance)",
        sequences.orderings(),
        sequences.count(Finding::Agrees),
        sequences.count(Finding::Frequency),
        sequences.count(Finding::NotSimulated),
        chance.not_simulated,
        sequences.count(Finding::NotSeen),
        chance.not_seen
    )?;
    writeln!(out, "{:.1}% are not off", sequences.figure() * 100.0)
}

fn print_orderings(scenario: &ScenarioSequences, all: bool, out: &mut impl Write) -> std::io::Result<()> {
    let mut kind = "";
    for verdict in scenario.verdicts.iter().filter(|verdict| all || verdict.finding != Finding::Agrees) {
        if verdict.kind != kind {
            kind = &verdict.kind;
            writeln!(out, "  {kind}")?;
        }
        let word = match verdict.finding {
            Finding::Agrees => "ok",
            Finding::Frequency => "OFF",
            Finding::NotSimulated => "not simulated",
            Finding::NotSeen => "not seen",
        };
        let part = |n: usize, of: usize| format!("{n}/{of} = {:.0}%", n as f64 / of as f64 * 100.0);
        writeln!(
            out,
            "    {word:<13}  real {:<12}  sim {:<14}  p {:.3}  {}",
            part(verdict.real, scenario.real_runs),
            part(verdict.sim, scenario.sim_runs),
            verdict.p,
            verdict.ordering.join(" → ")
        )?;
    }
    Ok(())
}
