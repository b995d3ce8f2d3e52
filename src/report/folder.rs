//! The run folder: every file that a run leaves, all of them or none.

use std::fs;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use super::chart::{Chart, Theme};
use super::latency::LatencyChart;
use super::loss::LossChart;
use super::timeline::Timeline;
use super::{RunReport, html, lanes, metrics, trace};
use crate::analysis::{RunFacts, Summary};

/// Names of the files of a run.
const RUN: [&str; 11] = [
    "recording.jsonl",
    "messages.csv",
    "summary.json",
    "timeline.svg",
    "timeline.png",
    "loss.svg",
    "latency.svg",
    "report.html",
    "trace.json",
    "metrics.om",
    "scenario.toml",
];

/// What a run inside of a run folder makes: it stays when the run folder is replaced.
const KEPT: &str = "output";

/// What `sim plot --messages` adds to a run folder; a run that replaces the folder takes it away.
pub const MESSAGES: &str = "messages.svg";

/// Writes the files of a run into the folder `dir` and returns their paths. The folder appears with all its files at once:
/// they are written into a folder beside it, which then takes its name. A run folder that is there already is replaced,
/// but for the folder `output` in it; a folder that holds anything else is refused.
pub fn write_run_folder(dir: &Path, run: &RunReport<'_>) -> io::Result<Vec<PathBuf>> {
    write_folder(dir, &files(run), &RUN)
}

/// Writes the files of a run over those that the folder has, and keeps what says more there: the scenario, if the run
/// does not know it; the report, if it tells causes and the run has none. Returns the names of the reports that stay.
pub fn redraw_run_folder(dir: &Path, run: &RunReport<'_>) -> io::Result<Vec<&'static str>> {
    let mut files = files(run);
    let mut kept = Vec::new();
    if run.causes.is_empty()
        && let Ok(report) = fs::read_to_string(dir.join("report.html"))
        && html::tells_causes(&report)
    {
        let place = files.iter().position(|(name, _)| *name == "report.html").expect("a run has a report");
        files[place].1 = report.into_bytes();
        kept.push("report.html");
    }
    if run.scenario_toml.is_empty()
        && let Ok(scenario) = fs::read(dir.join("scenario.toml"))
    {
        files.push(("scenario.toml", scenario));
    }
    write_folder(dir, &files, &RUN)?;
    Ok(kept)
}

/// Writes `files` into the folder `dir` as [`write_run_folder`] does; a folder that is there already may hold `ours` and
/// nothing else.
fn write_folder(dir: &Path, files: &[(&'static str, Vec<u8>)], ours: &[&str]) -> io::Result<Vec<PathBuf>> {
    write_folder_with(dir, files, None, ours)
}

/// As [`write_folder`], with one more file that may be larger than memory: its name, and where its content lies.
pub(super) fn write_folder_with(
    dir: &Path,
    files: &[(&'static str, Vec<u8>)],
    mut large: Option<(&'static str, &mut fs::File)>,
    ours: &[&str],
) -> io::Result<Vec<PathBuf>> {
    refuse_foreign(dir, ours)?;
    let mut paths: Vec<PathBuf> = files.iter().map(|(name, _)| dir.join(name)).collect();
    paths.extend(large.iter().map(|(name, _)| dir.join(name)));
    crate::files::write_folder(dir, KEPT, |fresh| {
        for (name, bytes) in files {
            fs::write(fresh.join(name), bytes)?;
        }
        if let Some((name, content)) = &mut large {
            content.rewind()?;
            io::copy(content, &mut fs::File::create(fresh.join(name))?)?;
        }
        Ok(())
    })?;
    Ok(paths)
}

fn refuse_foreign(dir: &Path, ours: &[&str]) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        // Another run may just set it aside.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != KEPT && name != MESSAGES && !ours.iter().any(|file| *file == name) {
            let message = format!("{} holds {}, which is not a file of a run", dir.display(), name.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
    }
    Ok(())
}

/// The files of a run folder: names and contents; without the scenario if it is not known.
pub fn files(run: &RunReport<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let (recording, analysis) = (run.recording, run.analysis);
    let lanes = lanes::lanes(recording);
    let timeline = Timeline::new(&lanes, analysis);
    let facts = RunFacts { version: run.version.into(), digest: format!("{:032x}", run.digest), events: run.events };
    let mut files = vec![
        ("recording.jsonl", recording.to_jsonl().into_bytes()),
        ("messages.csv", analysis.ledger.write_csv().into_bytes()),
        ("summary.json", Summary::new(analysis, run.misses, &facts).to_json().into_bytes()),
        ("timeline.svg", timeline.svg(Theme::Light).into_bytes()),
        ("timeline.png", timeline.png(Theme::Light)),
        ("loss.svg", LossChart::new(&lanes, analysis).svg(Theme::Light).into_bytes()),
        ("latency.svg", LatencyChart::new(&lanes, analysis).svg(Theme::Light).into_bytes()),
        ("report.html", html::html(run, &lanes).into_bytes()),
        ("trace.json", trace::trace(recording, analysis, &lanes).into_bytes()),
        ("metrics.om", metrics::metrics(recording, &lanes, run.scrape).into_bytes()),
    ];
    if !run.scenario_toml.is_empty() {
        files.push(("scenario.toml", run.scenario_toml.as_bytes().to_vec()));
    }
    files
}
