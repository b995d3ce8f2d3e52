//! Several scenarios at once: files, folders, names and themes; what came of each beside its limit, and one exit status.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::miette;

use super::run::{self, Arguments, Format, Job};
use super::source::Source;
use super::{Failure, Verdict, folders};
use crate::explore::in_order;
use crate::report::suite::{Case, closing, junit, markdown};
use crate::scenario::{RUNS, shipped};

/// The scenarios that the arguments name: a folder stands for its files, a theme for its scenarios.
pub(super) fn named(arguments: &Arguments) -> Result<Vec<Source>, Failure> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in &arguments.files {
        let theme =
            path.to_str().filter(|name| !path.exists() && shipped::THEMES.iter().any(|(theme, _)| theme == name));
        if path.is_dir() {
            paths.extend(files_in(path)?);
        } else if let Some(theme) = theme {
            let of_theme = shipped::all().into_iter().filter(|shipped| shipped.theme == theme);
            paths.extend(of_theme.map(|shipped| PathBuf::from(shipped.name())));
        } else {
            paths.push(path.clone());
        }
    }
    if let Some(filter) = &arguments.filter {
        paths.retain(|path| path.to_string_lossy().contains(filter.as_str()));
        if paths.is_empty() {
            return Err(Failure::Bad(miette!(
                help = "a part of a path or name",
                "--filter {filter}: no scenario is left"
            )));
        }
    }
    paths.iter().map(|path| Source::read(path)).collect()
}

/// The scenario files of a folder, in order of their names.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(Failure::io(folder.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(Failure::io(folder.display()))?;
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    paths.retain(|path| {
        path.extension().is_some_and(|extension| extension == "toml") && !is_hidden(path) && path.is_file()
    });
    paths.sort();
    match paths.is_empty() {
        false => Ok(paths),
        true => {
            Err(Failure::Bad(miette!(help = "a suite's folder holds *.toml", "{} holds no scenario", folder.display())))
        }
    }
}

/// Reads all of them before anything runs; every file that is wrong is told.
pub(super) fn jobs(arguments: &Arguments, sources: &[Source]) -> Result<Vec<Job>, Failure> {
    let (mut jobs, mut wrong, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
    for source in sources {
        match source.parse_with(arguments.client, &arguments.set) {
            Err(Failure::Bad(report)) => wrong.push(report),
            Err(other) => return Err(other),
            Ok(scenario) => {
                let of_many = scenario.expect.as_ref().is_some_and(|expect| expect.runs.is_some());
                let runs = arguments.runs.unwrap_or(if of_many { RUNS } else { 1 });
                let suffix = match arguments.branching.wanted() {
                    true => String::new(),
                    false => folders::suffix(&arguments.out, &scenario, arguments.seed, &source.name, &mut taken)?,
                };
                jobs.push(Job { file: source.name.clone(), scenario: Arc::new(scenario), runs, suffix });
            }
        }
    }
    let Some(last) = wrong.pop() else { return Ok(jobs) };
    wrong.iter().for_each(|report| super::tell(&format!("{report:?}")));
    Err(Failure::Bad(last))
}

/// Runs them in their order and says of each what came of it.
pub(super) fn main(arguments: &Arguments, jobs: &[Job]) -> Result<Verdict, Failure> {
    let mut out = super::said();
    let pool = super::threads(arguments.jobs)?;
    let text = arguments.format == Format::Text;
    let mut cases: Vec<Case> = Vec::new();
    let mut over = false;
    let mut take = |case: Case| -> Result<(), Stop> {
        // Another thread may have been at work on it.
        if over {
            return Err(Stop::Early);
        }
        if text {
            write!(out, "{}", case.text(super::quiet())).map_err(|error| Stop::Failed(error.into()))?;
        }
        let stops = arguments.fail_fast && !case.met;
        cases.push(case);
        over = stops;
        if stops { Err(Stop::Early) } else { Ok(()) }
    };
    let stopped = if jobs.iter().all(|job| job.runs == 1) {
        let work = |number: u64| one(arguments, &jobs[number as usize]).map_err(Stop::Failed);
        pool.install(|| in_order(0..jobs.len() as u64, work, &mut take))
    } else {
        jobs.iter().try_for_each(|job| {
            let case = if job.runs == 1 { one(arguments, job) } else { many(arguments, job) };
            take(case.map_err(Stop::Failed)?)
        })
    };
    if let Err(Stop::Failed(failure)) = stopped {
        return Err(failure);
    }
    let left: Vec<String> = jobs[cases.len()..].iter().map(|job| job.scenario.name.clone()).collect();
    if let Some(last) = cases.last() {
        folders::link_latest(Path::new(&last.folder))?;
    }
    files(arguments, &cases, &left)?;
    match arguments.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&cases).expect("cases are valid JSON");
            writeln!(anstream::stdout(), "{json}")?;
        }
        Format::Text => {
            let note = if left.is_empty() { String::new() } else { format!("; {} not run (--fail-fast)", left.len()) };
            writeln!(out, "\n{}{note}", closing(&cases))?;
        }
    }
    Ok(if cases.iter().all(|case| case.met) { Verdict::Fine } else { Verdict::Missed })
}

/// Why a suite ends before its end.
enum Stop {
    /// The first that failed, with `--fail-fast`.
    Early,
    Failed(Failure),
}

/// Writes what was asked for with `--junit` and `--markdown`.
pub(super) fn files(arguments: &Arguments, cases: &[Case], left: &[String]) -> Result<(), Failure> {
    let write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => crate::files::write(path, text().as_bytes()).map_err(Failure::io(path.display())),
        None => Ok(()),
    };
    write(&arguments.junit, &|| junit(cases, left))?;
    write(&arguments.markdown, &|| markdown(cases, left))
}

fn one(arguments: &Arguments, job: &Job) -> Result<Case, Failure> {
    let (run, folder) = run::single(arguments, job)?;
    Ok(run::case_of_run(arguments, job, &run, &folder))
}

fn many(arguments: &Arguments, job: &Job) -> Result<Case, Failure> {
    let (many, _, folder) = run::many(arguments, job)?;
    Ok(run::case_of_many(arguments, job, &many, &folder))
}
