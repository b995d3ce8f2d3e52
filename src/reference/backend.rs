//! Where programs run: what a stack needs of a place with hosts, addresses and processes.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal};

use super::Error;
use crate::record::NodeKind;

/// A host: what has an address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name in the scenario.
    pub name: String,
    /// What runs there, or, of several programs, what the first of them is.
    pub kind: NodeKind,
    /// Its address.
    pub addr: Ipv4Addr,
    /// The hardware address of its interface: new with every container, kept by a machine.
    pub mac: [u8; 6],
}

/// What becomes of what a program prints.
#[derive(Clone, Debug)]
pub enum Output {
    /// It goes to a file.
    File(PathBuf),
    /// Each line is kept with the microsecond of the Unix epoch at which it came.
    Lines(Lines),
}

/// Lines with the time, in microseconds of the Unix epoch, at which they came.
pub(super) type Lines = Arc<Mutex<Vec<(i64, String)>>>;

/// A program to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The node's name.
    pub node: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its data folder.
    pub folder: PathBuf,
    /// What becomes of its standard output; its standard error goes to a file in its folder.
    pub output: Output,
}

/// A running program.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Pid,
}

impl Running {
    /// Starts a process as its own process group, so that an interrupt of the terminal does not reach it.
    pub(super) fn spawn(launch: &Launch, mut command: Command) -> Result<Running, Error> {
        use std::os::unix::process::CommandExt as _;
        let complaint = launch.folder.join(format!("{}.stderr", launch.node));
        let append = |path: &Path| {
            std::fs::File::options().create(true).append(true).open(path).map_err(Error::io(path.display()))
        };
        command.current_dir(&launch.folder).stdin(Stdio::null()).stderr(append(&complaint)?).process_group(0);
        // Dates in logs are read back as UTC.
        command.env("TZ", "UTC").env("LC_ALL", "C");
        match &launch.output {
            Output::File(path) => command.stdout(append(path)?),
            Output::Lines(_) => command.stdout(Stdio::piped()),
        };
        let mut child = command.spawn().map_err(Error::io(&launch.command[0]))?;
        if let (Output::Lines(lines), Some(stdout)) = (&launch.output, child.stdout.take()) {
            let lines = lines.clone();
            std::thread::spawn(move || {
                use std::io::BufRead as _;
                for line in std::io::BufReader::new(stdout).lines().map_while(Result::ok) {
                    let now = epoch_micros(SystemTime::now());
                    lines.lock().expect("nothing panics while it holds the lines").push((now, line));
                }
            });
        }
        let pid = Pid::from_child(&child);
        Ok(Running { child, pid })
    }

    /// Sends a signal; a program that has ended already does not mind.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(self.pid, signal);
    }

    /// Whether the program has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the program and waits for its end.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A place with hosts on one network, where programs run. Dropped, it leaves nothing behind.
pub trait Backend: Send {
    /// The first two numbers of all addresses.
    fn network(&self) -> [u8; 2];

    /// A host appears on the network, with a new kernel: no socket of an earlier host of its name is left.
    fn plug(&mut self, host: &Host) -> Result<(), Error>;

    /// How long [`Backend::plug`] may take before the machine, not the place, is to blame.
    fn plug_limit(&self) -> Duration;

    /// A host's interface disappears at once, and with it everything that its kernel still had to say.
    fn unplug(&mut self, host: &str) -> Result<(), Error>;

    /// Starts a program on a host.
    fn launch(&mut self, host: &str, launch: &Launch) -> Result<Running, Error>;

    /// The network namespace of a host: packet filters are set there, and questions asked.
    fn namespace(&self, host: &str) -> PathBuf;

    /// Keeps everything when this is dropped: another process will remove it.
    fn keep(&mut self);
}

/// Microseconds of the Unix epoch.
pub(super) fn epoch_micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    since.as_micros() as i64
}

/// Runs a tool; what it complains about becomes the error.
pub(super) fn tool(command: &mut Command) -> Result<String, Error> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.stdin(Stdio::null()).output().map_err(Error::io(&shown))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Failed(format!("{shown}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// As [`tool`], for one that reads `input`.
pub(super) fn tool_with_input(command: &mut Command, input: &str) -> Result<(), Error> {
    let shown = format!("{command:?}").replace('"', "");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(Error::io(&shown))?;
    let mut pipe = child.stdin.take().expect("it was asked for");
    pipe.write_all(input.as_bytes()).map_err(Error::io(&shown))?;
    drop(pipe);
    let output = child.wait_with_output().map_err(Error::io(&shown))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Failed(format!("{shown}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// A command that runs in a network namespace.
pub(super) fn within(namespace: &Path, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
    command
}
