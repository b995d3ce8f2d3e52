//! `sim explain`: why a message was lost, why a failover took as long as it did, why none happened.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;

use super::{Failure, VERSION, Verdict};
use crate::analysis::Analysis;
use crate::explain::{NoAnswer, Question, Subject, Traced, text};
use crate::record::Recording;
use crate::scenario::{Scenario, shipped, units};

/// Explain a run in words: what happened, by which rule, timer and setting
///
/// RUN is a run folder, a scenario file (with --seed), or a recording, simulated or real. A run folder or scenario is
/// run again, event for event, with every cause kept; of a recording only its lines are known.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Run folder, scenario (a file or a name that `sim list` shows) or recording
    #[arg(add = ArgValueCompleter::new(super::completions::scenarios_and_files))]
    run: PathBuf,
    /// Seed, if RUN is a scenario file
    #[arg(long)]
    #[arg(value_parser = super::seed())]
    seed: Option<u64>,
    #[command(flatten)]
    question: Questions,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sim explain output/partition-1                     what is worth asking
  sim explain output/partition-1 --message 892       why was it lost?
  sim explain output/partition-1 --write writer:181  acknowledged and lost?
  sim explain output/partition-1 --failover          what took how long?
  sim explain quorum-loss --between 12s 28s          why no failover?";

#[derive(clap::Args)]
#[group(multiple = false)]
struct Questions {
    /// What became of a message: its number, or PUBLISHER:NUMBER
    #[arg(long, value_name = "[NAME:]N", value_parser = message)]
    message: Option<(Option<String>, u32)>,
    /// What became of a write: its number, or CLIENT:NUMBER
    #[arg(long, value_name = "[NAME:]N", value_parser = message)]
    write: Option<(Option<String>, u32)>,
    /// What took how long in a failover: the N-th attempt, counted from 1
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    failover: Option<usize>,
    /// Why no failover happened between two instants
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], value_parser = instant)]
    between: Option<Vec<i64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Sentences and tables
    Text,
    /// JSON
    Json,
}

fn message(text: &str) -> Result<(Option<String>, u32), String> {
    let (name, number) = text.rsplit_once(':').map_or((None, text), |(name, number)| (Some(name.to_string()), number));
    let number = number.parse().map_err(|_| format!("`{number}` is not a number: a whole number, or NAME:NUMBER"))?;
    Ok((name, number))
}

/// An instant after time 0, in microseconds.
fn instant(text: &str) -> Result<i64, String> {
    let span = units::parse_span(text).map_err(|error| error.to_string())?;
    i64::try_from(span.0 / 1_000).map_err(|_| format!("`{text}` lies too far away"))
}

fn bad(problem: impl Into<String>, remedy: impl Into<String>) -> Failure {
    Failure::Bad(NoAnswer { problem: problem.into(), remedy: remedy.into() }.into())
}

impl Questions {
    fn question(&self) -> Question {
        if let Some((name, number)) = &self.write {
            return Question::Write(name.clone(), *number);
        }
        match (&self.message, self.failover, self.between.as_deref()) {
            (Some((name, number)), ..) => Question::Message(name.clone(), *number),
            (_, Some(number), _) => Question::Failover(number),
            (_, _, Some(&[from, to])) => Question::Between(from, to),
            _ => Question::Summary,
        }
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let question = arguments.question.question();
    let (subject, warning) = subject(arguments)?;
    let mut explanation = subject.explain(&question).map_err(|error| Failure::Bad(error.into()))?;
    explanation.remarks.extend(warning);
    match arguments.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&explanation).expect("an explanation has nothing JSON cannot say");
            writeln!(anstream::stdout(), "{text}")?;
        }
        Format::Text => write!(
            super::said(),
            "{}",
            text::text_within(&explanation, &named(arguments), super::manner::line_width())
        )?,
    }
    Ok(Verdict::Fine)
}

fn named(arguments: &Arguments) -> String {
    let seed = arguments.seed.map_or(String::new(), |seed| format!(" --seed {seed}"));
    format!("{}{seed}", arguments.run.display())
}

/// What is known of the run, and what is to be said of how it is known.
fn subject(arguments: &Arguments) -> Result<(Subject, Option<String>), Failure> {
    let path = &arguments.run;
    if path.is_dir() {
        if arguments.seed.is_some() {
            return Err(bad("a run folder has its own seed", "leave --seed out, or give the scenario file"));
        }
        return folder(path);
    }
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    if name.ends_with(".toml") {
        let scenario = super::source::load(path)?;
        return Ok((traced(scenario, arguments.seed.unwrap_or(1))?, None));
    }
    if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
        if arguments.seed.is_some() {
            return Err(bad("a recording is of one run", "leave --seed out, or give the scenario file"));
        }
        let recording = Recording::read(path).map_err(|error| Failure::Bad(error.into()))?;
        let analysis = Analysis::of(&recording, None);
        return Ok((Subject::Lines(Box::new((recording, analysis))), None));
    }
    if !path.exists() && shipped::find(&path.to_string_lossy()).is_some() {
        return Ok((traced(super::source::load(path)?, arguments.seed.unwrap_or(1))?, None));
    }
    let remedy = "give a run folder (output/NAME-SEED), a scenario file (.toml) or a recording (.jsonl, .jsonl.gz)";
    let problem = if path.exists() { "is neither a run folder, a scenario nor a recording" } else { "does not exist" };
    Err(bad(format!("{} {problem}", path.display()), remedy))
}

pub(super) fn traced(scenario: Scenario, seed: u64) -> Result<Subject, Failure> {
    let run = Traced::run(Arc::new(scenario), seed).map_err(|error| Failure::Bad(error.into()))?;
    Ok(Subject::Traced(Box::new(run)))
}

/// Runs the scenario of a run folder again and sees whether that gives the same recording.
pub(super) fn folder(path: &Path) -> Result<(Subject, Option<String>), Failure> {
    let file = path.join("scenario.toml");
    let text = crate::limits::read_text(&file).map_err(|error| {
        let problem = format!("{}: {error}", file.display());
        bad(problem, "a run folder is what `sim run` leaves under output/; it holds scenario.toml")
    })?;
    let Some((version, seed)) = as_run(&text) else {
        let problem = format!("{} does not say with which seed it was run", file.display());
        return Err(bad(
            problem,
            "its first line is \"# As run by sim VERSION with seed N, …\"; or name the file with --seed",
        ));
    };
    let scenario = Scenario::parse(&file.display().to_string(), &text).map_err(|error| Failure::Bad(error.into()))?;
    let subject = traced(scenario, seed)?;
    let recorded = path.join("recording.jsonl");
    let same = std::fs::read_to_string(&recorded).map(|recorded| recorded == subject.recording().to_jsonl());
    let warning = match same {
        Ok(true) => None,
        Ok(false) if version != VERSION => Some(format!(
            "This folder was written by sim {version}; run again by sim {VERSION} the recording comes out differently. \
             What is said here is true of the new run."
        )),
        Ok(false) => Some(format!(
            "{} is not what this scenario and seed give; what is said here is true of the run made just now.",
            recorded.display()
        )),
        Err(error) => Some(format!("{} cannot be compared: {error}.", recorded.display())),
    };
    Ok((subject, warning))
}

/// Version and seed in the first line of a run folder's scenario.
fn as_run(text: &str) -> Option<(String, u64)> {
    let rest = text.lines().next()?.strip_prefix("# As run by sim ")?;
    let (version, rest) = rest.split_once(" with seed ")?;
    let seed = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((version.to_string(), seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_folder_says_its_version_and_seed() {
        let text = Scenario::parse("a.toml", "").expect("an empty file is right").to_toml(77, "1.2.3");
        assert_eq!(as_run(&text), Some(("1.2.3".into(), 77)));
        assert_eq!(as_run("name = \"x\"\n"), None);
    }

    #[test]
    fn messages_and_instants_are_read() {
        assert_eq!(message("4711"), Ok((None, 4711)));
        assert_eq!(message("publisher:7"), Ok((Some("publisher".into()), 7)));
        assert!(message("seven").is_err() && message("publisher:").is_err());
        assert_eq!(instant("12s"), Ok(12_000_000));
        assert!(instant("soon").is_err());
    }
}
