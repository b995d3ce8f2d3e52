//! `sim reference`: the real stack, from the same scenario files.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Failure, Verdict};
use crate::client::{Kind, LibraryId, Wait};
use crate::kernel::Span;
use crate::reference::{BackendKind, Error, Interrupt, Rounds, Stack, client, delay, leftovers, record, refuse};
use crate::scenario::{Scenario, units};

/// Run a scenario on the real stack: real Redis servers, Sentinels and HAProxy
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Up(UpArguments),
    Down(DownArguments),
    Record(RecordArguments),
    Client(ClientArguments),
    Delay(DelayArguments),
}

/// Start the stack of a scenario, without clients and faults, and leave it running
#[derive(clap::Args)]
struct UpArguments {
    /// The scenario file
    file: PathBuf,
    /// Where the programs run
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,
    /// Folder of programs of other releases, as reference/programs makes it; what it lacks is taken from PATH
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Remove the stacks that `up` or a driver that was killed has left behind
#[derive(clap::Args)]
struct DownArguments {
    /// Also those whose driver still runs
    #[arg(long)]
    all: bool,
}

/// Play a scenario on the real stack and record it
#[derive(clap::Args)]
struct RecordArguments {
    /// The scenario file
    file: PathBuf,
    /// How many runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// The number of the first run
    #[arg(long, default_value_t = 0, value_parser = super::seed())]
    first: u64,
    /// Folder of the recordings NAME.RUN.jsonl.gz
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the programs run
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,
    /// Folder of programs of other releases, as reference/programs makes it; what it lacks is taken from PATH
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Every client runs on this library: a real one, whose program is in the folder of --clients
    #[arg(long, value_name = "LIBRARY", value_parser = LibraryId::parse)]
    client: Option<LibraryId>,
    /// Folder of programs that call real client libraries, as reference/clients/fetch makes it
    #[arg(long, value_name = "DIR")]
    clients: Option<PathBuf>,
    /// How many stacks side by side
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
}

/// Be one of the clients
#[derive(clap::Args)]
#[command(hide = true)]
struct ClientArguments {
    /// publish, set, get or subscribe
    kind: String,
    /// Address and port of the service
    addr: SocketAddr,
    /// The file for what it does and sees
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value = "ch")]
    channel: String,
    /// What keys begin with
    #[arg(long, default_value = "k:")]
    keys: String,
    /// Time between two attempts
    #[arg(long, default_value = "50ms", value_parser = units::parse_span)]
    every: Span,
    /// The last attempt
    #[arg(long)]
    requests: Option<u64>,
    /// To so many bytes a message is filled up
    #[arg(long, default_value_t = 0)]
    payload: usize,
    /// What a publisher adds to its numbers
    #[arg(long)]
    mark: Option<String>,
    /// SET with PX
    #[arg(long, value_parser = units::parse_span)]
    px: Option<Span>,
    /// Follow each SET that succeeds by WAIT for so many replicas
    #[arg(long)]
    wait_replicas: Option<u32>,
    /// How long the server waits for them
    #[arg(long, default_value = "1s", value_parser = units::parse_span)]
    wait_timeout: Span,
    /// Follow each PUBLISH that succeeds by a SET
    #[arg(long)]
    then_set: bool,
}

/// Be a slow link
#[derive(clap::Args)]
#[command(hide = true)]
struct DelayArguments {
    /// The queue that packets are held in
    queue: u16,
    #[arg(long, value_parser = units::parse_span)]
    latency: Span,
    #[arg(long, value_parser = units::parse_span)]
    jitter: Span,
    /// Bits a second
    #[arg(long)]
    rate: Option<u64>,
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    match &arguments.command {
        Command::Up(arguments) => up(arguments),
        Command::Down(arguments) => {
            let mut out = super::results();
            leftovers::remove(arguments.all).iter().try_for_each(|what| writeln!(out, "removed {what}"))?;
            Ok(Verdict::Fine)
        }
        Command::Record(arguments) => record_all(arguments),
        Command::Client(arguments) => be_a_client(arguments),
        Command::Delay(arguments) => {
            let delay =
                delay::Delay { latency: arguments.latency, jitter: arguments.jitter, bits_per_second: arguments.rate };
            delay::run(arguments.queue, &delay, u64::from(std::process::id()))?;
            Ok(Verdict::Fine)
        }
    }
}

fn bad(error: Error) -> Failure {
    Failure::Bad(error.into())
}

fn load(file: &Path, client: Option<LibraryId>) -> Result<Scenario, Failure> {
    let scenario = super::source::load_with_client(file, client)?;
    refuse(&scenario).map_err(bad)?;
    Ok(scenario)
}

fn up(arguments: &UpArguments) -> Result<Verdict, Failure> {
    let scenario = load(&arguments.file, None)?;
    let interrupt = Interrupt::on_signals()?;
    let work = leftovers::work_folder(0).map_err(bad)?;
    let backend = arguments.backend.open(0, work.path()).map_err(bad)?;
    let programs = arguments.backend.programs(&scenario, arguments.programs.as_deref(), None).map_err(bad)?;
    let mut stack = Stack::new(&scenario, backend, programs, work.path()).without_reader();
    stack.boot(&interrupt).map_err(bad)?;
    let mut out = super::results();
    for (name, addr, port) in stack.addresses() {
        writeln!(out, "{name:12} {addr}:{port}")?;
    }
    stack.keep();
    writeln!(out, "files: {}", work.keep().display())?;
    writeln!(out, "`sim reference down` ends it.")?;
    Ok(Verdict::Fine)
}

fn record_all(arguments: &RecordArguments) -> Result<Verdict, Failure> {
    let scenario = load(&arguments.file, arguments.client)?;
    let programs = arguments.backend.programs(&scenario, arguments.programs.as_deref(), arguments.clients.as_deref());
    let programs = programs.map_err(bad)?;
    std::fs::create_dir_all(&arguments.out).map_err(Failure::io(arguments.out.display()))?;
    let interrupt = Interrupt::on_signals()?;
    let rounds = Rounds::default();
    let next = AtomicU64::new(arguments.first);
    let last = arguments.first + arguments.runs;
    let slots = u64::from(arguments.parallel).min(arguments.runs) as usize;
    let work = |slot: usize| {
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= last {
                return Ok(());
            }
            // Not all at once: a start costs more than everything after it.
            interrupt.wait(Duration::from_millis(400 * slot as u64)).map_err(bad)?;
            let recording = record(&scenario, (arguments.backend, &programs), (slot, &rounds), run, &interrupt)
                .map_err(|error| {
                    interrupt.set();
                    bad(error)
                })?;
            let path = arguments.out.join(format!("{}.{run:02}.jsonl.gz", scenario.name));
            recording.write(&path).map_err(Failure::io(path.display()))?;
            if !super::quiet() {
                super::tell(&path.display().to_string());
            }
        }
    };
    let outcomes: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..slots).map(|slot| scope.spawn(move || work(slot))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a driver does not panic")).collect()
    });
    // What went wrong first is what the others were interrupted for.
    let interrupted =
        |failure: &Failure| matches!(failure, Failure::Bad(report) if report.to_string() == "interrupted");
    let mut failures: Vec<Failure> = outcomes.into_iter().filter_map(Result::err).collect();
    failures.sort_by_key(interrupted);
    failures.into_iter().next().map_or(Ok(Verdict::Fine), Err)
}

fn be_a_client(arguments: &ClientArguments) -> Result<Verdict, Failure> {
    let kind = match arguments.kind.as_str() {
        "publish" => Kind::Publish,
        "subscribe" => Kind::Subscribe,
        "get" => Kind::Get,
        _ => Kind::Set,
    };
    let task = client::Task {
        kind,
        addr: arguments.addr,
        channel: arguments.channel.clone(),
        keys: arguments.keys.clone(),
        every: Duration::from_nanos(arguments.every.0),
        then_set: arguments.then_set,
        mark: arguments.mark.clone(),
        payload: arguments.payload,
        requests: arguments.requests,
        px: arguments.px,
        wait: arguments.wait_replicas.map(|replicas| Wait { replicas, timeout: arguments.wait_timeout }),
    };
    client::run(&task, &arguments.out).map_err(Failure::io(arguments.out.display()))?;
    Ok(Verdict::Fine)
}
