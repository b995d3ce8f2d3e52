//! The command line: one file a subcommand, and nothing else.
//!
//! Exit status: 0 fine; 1 an expectation failed; 2 bad usage or a bad file; 130 or 143 if SIGINT or SIGTERM ended it. A closed pipe is no error. Progress goes to
//! standard error, and only to a terminal; colour follows the terminal and `NO_COLOR`, unless `--color` says otherwise.

mod branch;
mod check;
mod compare;
mod complain;
mod completions;
mod diff;
mod explain;
mod folders;
mod import;
mod lint;
mod man;
mod manner;
mod messages;
mod plot;
mod prove;
mod read;
#[cfg(all(target_os = "linux", feature = "reference"))]
mod reference;
#[cfg(not(all(target_os = "linux", feature = "reference")))]
#[path = "reference_elsewhere.rs"]
mod reference;
mod run;
mod scenarios;
mod schema;
mod shard;
mod source;
mod suite;
mod sweep;
mod watch;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::manner::{Manner, detail, fitting, note, quiet, results, said, shows_progress, tell, terminal_width};
use crate::files;
use crate::scenario::{Cost, limits, units};

/// The version that outputs carry.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Simulates a Redis Sentinel high-availability stack: what happens, to whom, when and why.
#[derive(Parser)]
#[command(name = "sim", version, propagate_version = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    manner: Manner,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sim list                          the scenarios that are in the program
  sim run partition                 the split brain, explained
  sim run master-kill-container --seed 7 --runs 1000
  sim new my-stack                  a file to begin with: my-stack.toml
  sim schema > scenario.schema.json completion and checks in your editor";

#[derive(Subcommand)]
enum Command {
    List(scenarios::List),
    Show(scenarios::Show),
    New(scenarios::New),
    Run(run::Arguments),
    Sweep(sweep::Arguments),
    Check(check::Arguments),
    Plot(plot::Arguments),
    Read(read::Arguments),
    Compare(compare::Arguments),
    Explain(explain::Arguments),
    Diff(diff::Arguments),
    Import(import::Arguments),
    Lint(lint::Arguments),
    Reference(reference::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Command {
    /// Whether printing is all that it does: with `--quiet` nothing would be left of it.
    fn only_prints(&self) -> bool {
        match self {
            Command::List(_)
            | Command::Show(_)
            | Command::Explain(_)
            | Command::Schema(_)
            | Command::Completions(_) => true,
            Command::Lint(arguments) => arguments.only_prints(),
            Command::Check(arguments) => arguments.only_prints(),
            _ => false,
        }
    }
}

/// How a subcommand that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Fine.
    Fine,
    /// An expectation or a comparison failed.
    Missed,
    /// A signal ended it early; what was complete is there.
    Interrupted(i32),
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
    completions::answer();
    let foreseen = manner::When::foreseen(std::env::args());
    let asked = command().color(foreseen.of_help()).try_get_matches();
    let arguments = match asked.and_then(|asked| Arguments::from_arg_matches(&asked)) {
        Ok(arguments) => arguments,
        Err(error) => return complain::of_arguments(&error, Manner::coloured(foreseen)),
    };
    arguments.manner.begin();
    // Who drives real programs has more to clean up, and does it himself.
    if !matches!(arguments.command, Command::Reference(_))
        && let Err(error) = files::clean_up_on_signals()
    {
        tell(&format!("{:?}", complain::of_system("listening to signals", &error)));
        return ExitCode::from(2);
    }
    let outcome = match arguments.command {
        command if quiet() && command.only_prints() => Err(Failure::Bad(miette::miette!(
            help = "leave --quiet out: it leaves results, notes and progress out of commands that do something",
            "--quiet: this command does nothing but print"
        ))),
        Command::List(arguments) => scenarios::list(&arguments),
        Command::Show(arguments) => scenarios::show(&arguments),
        Command::New(arguments) => scenarios::new(&arguments),
        Command::Run(arguments) => run::main(&arguments),
        Command::Sweep(arguments) => sweep::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Plot(arguments) => plot::main(&arguments),
        Command::Read(arguments) => read::main(&arguments),
        Command::Compare(arguments) => compare::main(&arguments),
        Command::Explain(arguments) => explain::main(&arguments),
        Command::Diff(arguments) => diff::main(&arguments),
        Command::Import(arguments) => import::main(&arguments),
        Command::Lint(arguments) => lint::main(&arguments),
        Command::Reference(arguments) => reference::main(&arguments),
        Command::Schema(arguments) => schema::main(&arguments),
        Command::Completions(arguments) => completions::main(&arguments),
        Command::Man(arguments) => man::main(&arguments),
    };
    match outcome {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Missed) => ExitCode::from(1),
        Ok(Verdict::Interrupted(signal)) => ExitCode::from(128 + signal as u8),
        // Whoever closed the pipe has read what it wanted.
        Err(Failure::Io(_, error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Io(what, error)) => {
            tell(&format!("{:?}", complain::of_system(&what, &error)));
            ExitCode::from(2)
        }
        Err(Failure::Bad(report)) => {
            tell(&format!("{report:?}"));
            ExitCode::from(2)
        }
    }
}

/// Says beforehand what `runs` runs will take if that is much, and refuses what has no place in the machine's memory.
///
/// `reported` of the runs that are under way at one time are drawn, `counted` only counted.
fn afford(cost: Cost, runs: u64, (reported, counted): (u64, u64), large: bool) -> Result<(), Failure> {
    const GIB: u64 = 1 << 30;
    const SLOW_S: u64 = 600;
    let bytes = cost.bytes(reported, counted);
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / GIB as f64);
    if let Some(free) = free_memory().filter(|free| bytes > *free && !large) {
        let help = "shorten `duration`, let clients act less often, use fewer --jobs, or give --large to try it";
        return Err(Failure::Bad(miette::miette!(
            help = help,
            "this would take about {} of memory ({} attempts and messages a run), and {} are free",
            gib(bytes),
            cost.lines,
            gib(free)
        )));
    }
    let seconds = cost.core_seconds.saturating_mul(runs);
    if bytes > GIB || seconds > SLOW_S {
        let time = match seconds {
            seconds if seconds > 2 * 86_400 => format!("{} days", seconds / 86_400),
            seconds if seconds > 7_200 => format!("{} hours", seconds / 3_600),
            seconds => format!("{} minutes", seconds.div_ceil(60)),
        };
        note(&format!("this will take about {} of memory and {time} of one core", gib(bytes)));
    }
    Ok(())
}

/// Bytes of memory that are free, as Linux says, within the limit of a container.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.split_whitespace().next()?.parse::<u64>().ok()? << 10;
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let most = number("/sys/fs/cgroup/memory.max").unwrap_or(u64::MAX);
    let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
    Some(free.min(most.saturating_sub(used)))
}

/// So many of something, in words: `1 run`, `2 runs`.
fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// How many run at a time.
fn at_once(jobs: u64, runs: u64) -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    if jobs == 0 { cores.min(runs) } else { jobs.min(runs) }
}

/// What `--seed` takes: a limit that leaves room for the runs that follow.
fn seed() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(..=limits::SEED_MAX)
}

/// What `--jobs` takes.
fn jobs() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(..=limits::JOBS_MAX)
}

/// So many threads; 0: one a core.
fn threads(jobs: u64) -> Result<rayon::ThreadPool, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs as usize).build();
    pool.map_err(|error| Failure::Io(format!("{jobs} threads (--jobs)"), io::Error::other(error)))
}

/// Reads a time relative to time 0, such as `7.3s`, `250ms` or `-2s`, as microseconds.
fn time(text: &str) -> Result<i64, String> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let span = units::parse_span(rest).map_err(|error| error.to_string())?;
    Ok(sign * (span.0 / 1_000) as i64)
}

/// The arguments as clap knows them, for this terminal.
fn command() -> clap::Command {
    Arguments::command().term_width(terminal_width().min(manner::WIDEST))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        super::command().debug_assert();
    }

    /// What clap does not wrap well: examples are lines to copy.
    #[test]
    fn examples_fit_a_terminal() {
        fn check(command: &clap::Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&super::command());
    }
}
