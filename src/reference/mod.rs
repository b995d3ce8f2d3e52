//! The real stack from the same scenario files: real Redis servers, Sentinels and HAProxy, recorded in the same format.
//!
//! A [`Backend`] is a place where programs run, each on a host with an address of its own: plain processes in network
//! namespaces (`netns`), or containers (`docker`). A [`stack::Stack`] writes the configuration files of a
//! scenario's programs, starts them there and waits until they are ready; a `script` does to them what the scenario
//! says; and `gather` turns what they leave behind into a [`crate::record::Recording`]. [`record`] does all of it.
//!
//! All traffic stays on networks that the backend makes for the stack, one for each stack, so that several run side by
//! side. Nothing is left behind: whoever holds a backend and drops it removes what it made, and an interrupt is an
//! error like any other. What a driver that was killed itself leaves behind, `leftovers` removes.

mod ask;
mod backend;
pub(crate) mod client;
mod dataset;
pub(crate) mod delay;
pub(crate) mod docker;
mod error;
mod gather;
mod interrupt;
pub(crate) mod leftovers;
mod libraries;
pub(crate) mod netns;
mod programs;
mod refuse;
mod rounds;
mod script;
mod settings;
mod stack;

use std::path::Path;

pub use backend::{Backend, Host, Launch, Output, Running};
pub use error::Error;
pub use interrupt::Interrupt;
pub use programs::Programs;
pub use refuse::refuse;
pub use rounds::{Part, Rounds};
pub use stack::Stack;

use crate::record::Recording;
use crate::scenario::Scenario;

/// Where the programs run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum BackendKind {
    /// Plain processes in network namespaces: needs root and the programs.
    #[default]
    Netns,
    /// Containers of a Docker engine, by images of your choice. Programs of these images are started in the containers'
    /// namespaces, but as the host's root with all that root may do, and outside of the containers' limits: choose only
    /// images that you would run as root.
    Docker,
}

impl BackendKind {
    /// The programs of a scenario: of namespaces those of this machine; of containers those of their images, which are chosen
    /// by the environment and not by the scenario.
    pub fn programs(
        self,
        scenario: &Scenario,
        folder: Option<&Path>,
        clients: Option<&Path>,
    ) -> Result<Programs, Error> {
        match self {
            BackendKind::Netns => Programs::find(scenario, folder, clients),
            BackendKind::Docker if folder.is_some() || clients.is_some() => Err(Error::Refused(
                "--programs and --clients name programs of this machine, and containers run those of their images"
                    .into(),
            )),
            BackendKind::Docker => Programs::of_images(scenario),
        }
    }

    /// A new network of this kind for the stack in `slot`, named after this process.
    pub fn open(self, slot: usize, work: &Path) -> Result<Box<dyn Backend>, Error> {
        match self {
            BackendKind::Netns => Ok(Box::new(netns::Netns::new(slot, work)?)),
            BackendKind::Docker => Ok(Box::new(docker::Docker::new(slot, work)?)),
        }
    }
}

/// Runs a scenario once on the real stack and records it as run number `run`.
///
/// `slot` tells stacks apart that run side by side, and `rounds` makes those wait for each other whose clients take long to
/// start. A run in which the machine was too busy to do what the script says when
/// it says so is thrown away and repeated; after a few of them this fails.
pub fn record(
    scenario: &Scenario,
    (backend, programs): (BackendKind, &Programs),
    (slot, rounds): (usize, &Rounds),
    run: u64,
    interrupt: &Interrupt,
) -> Result<Recording, Error> {
    refuse(scenario)?;
    let mut why = String::new();
    let in_rounds = scenario.clients.iter().any(|client| !client.runs_as_recorded());
    for _ in 0..TRIES {
        let mut part = in_rounds.then(|| rounds.begin(interrupt)).transpose()?;
        let work = leftovers::work_folder(slot)?;
        let mut stack = Stack::new(scenario, backend.open(slot, work.path())?, programs.clone(), work.path());
        stack.boot(interrupt)?;
        let played = script::run(&mut stack, run, part.as_mut(), interrupt)?;
        match stack.late.take() {
            None => return gather::recording(&mut stack, played, interrupt),
            Some(late) => {
                tell(&format!("sim: run {run} of {} is thrown away: {late}", scenario.name));
                why = late;
            }
        }
    }
    Err(Error::Failed(format!("the machine is too busy: {why}")))
}

/// Says something on standard error; if nobody can be told, nobody is.
fn tell(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How often a run is tried.
const TRIES: usize = 3;
