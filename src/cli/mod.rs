//! The command line: one file a subcommand, and nothing else.
//!
//! Exit status: 0 fine; 1 an expectation failed; 2 bad usage or a bad file. A closed pipe is no error. Progress goes to
//! standard error, and only to a terminal; colour follows the terminal and `NO_COLOR`.

mod branch;
mod check;
mod compare;
mod completions;
mod diff;
mod explain;
mod plot;
#[cfg(target_os = "linux")]
mod reference;
#[cfg(not(target_os = "linux"))]
#[path = "reference_elsewhere.rs"]
mod reference;
mod run;
mod schema;
mod shard;
mod sweep;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::scenario::units;

/// The version that outputs carry.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Simulates a Redis Sentinel high-availability stack: what happens, to whom, when and why.
#[derive(Parser)]
#[command(name = "sim", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sim run scenarios/partition.toml                 the split brain, explained
  sim run scenarios/master-kill-container.toml --seed 7 --runs 1000
  sim schema > scenario.schema.json                completion and checks in your editor";

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Sweep(sweep::Arguments),
    Check(check::Arguments),
    Plot(plot::Arguments),
    Compare(compare::Arguments),
    Explain(explain::Arguments),
    Diff(diff::Arguments),
    Reference(reference::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
}

/// How a subcommand that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Fine.
    Fine,
    /// An expectation or a comparison failed.
    Missed,
}

/// Why a subcommand could not do its work.
enum Failure {
    /// The user's file or usage is wrong: exit status 2.
    Bad(miette::Report),
    /// Reading or writing failed.
    Io(String, io::Error),
}

impl Failure {
    /// A failure to read or write `what`.
    fn io(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure::Io(what.to_string(), error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io("output".into(), error)
    }
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Sweep(arguments) => sweep::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Plot(arguments) => plot::main(&arguments),
        Command::Compare(arguments) => compare::main(&arguments),
        Command::Explain(arguments) => explain::main(&arguments),
        Command::Diff(arguments) => diff::main(&arguments),
        Command::Reference(arguments) => reference::main(&arguments),
        Command::Schema(arguments) => schema::main(&arguments),
        Command::Completions(arguments) => completions::main(&arguments),
    };
    match outcome {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Missed) => ExitCode::from(1),
        // Whoever closed the pipe has read what it wanted.
        Err(Failure::Io(_, error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Io(what, error)) => {
            anstream::eprintln!("sim: {what}: {error}");
            ExitCode::from(2)
        }
        Err(Failure::Bad(report)) => {
            anstream::eprintln!("{report:?}");
            ExitCode::from(2)
        }
    }
}

/// Reads a time relative to time 0, such as `7.3s`, `250ms` or `-2s`, as microseconds.
fn time(text: &str) -> Result<i64, String> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let span = units::parse_span(rest).map_err(|error| error.to_string())?;
    Ok(sign * (span.0 / 1_000) as i64)
}

/// The arguments as clap knows them, for completions.
fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        super::command().debug_assert();
    }
}
