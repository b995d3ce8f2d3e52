//! Which binaries a stack runs: for each node one of the release that the scenario names.
//!
//! A folder of programs (`reference/programs` makes one) has `redis-VERSION/redis-server`, `valkey-VERSION/valkey-server` and
//! `haproxy-VERSION/haproxy`; of what is not there the one in PATH is asked for its version. A release that neither has is
//! refused: a recording must not show another program than it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;
use super::libraries::Libraries;
use crate::client::LibraryId;
use crate::release::{AnyRelease, ProxyRelease, Release, ServerRelease};
use crate::scenario::{Action, Layout, Scenario, Seat};
use crate::wire::NodeId;

/// A program that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Its file, or its name if it is found in PATH.
    pub file: PathBuf,
    /// Its version as a recording tells it: `8.2.3`, `valkey-8.1.8`.
    pub version: String,
}

/// The programs of a stack.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// By node; clients have none.
    first: Vec<Option<Program>>,
    /// What clients run on that are not the reference's own.
    libraries: Libraries,
    /// What is installed by now.
    installed: Vec<Option<Program>>,
    /// What the script will install.
    to_come: Vec<(AnyRelease, Program)>,
}

impl Programs {
    /// Those of a scenario, from a folder and from PATH; client programs from a folder of their own.
    ///
    /// # Errors
    /// If a release or a client library is not there.
    pub fn find(scenario: &Scenario, folder: Option<&Path>, clients: Option<&Path>) -> Result<Programs, Error> {
        let libraries = Libraries::find(scenario, clients)?;
        let layout = Layout::of(scenario);
        let of = |kind: &Seat| match *kind {
            Seat::Redis(place) => server(scenario.redis[place].release, folder).map(Some),
            Seat::Sentinel(place) => server(scenario.sentinel[place].release, folder).map(Some),
            Seat::Haproxy => proxy(scenario.haproxy.release, folder).map(Some),
            Seat::Client(_) => Ok(None),
        };
        let first: Vec<Option<Program>> = layout.seats.iter().map(of).collect::<Result<_, _>>()?;
        let installed = scenario.faults.iter().filter_map(|fault| match fault.action {
            Action::Upgrade { release, .. } => Some(release),
            _ => None,
        });
        let found = |release: AnyRelease| {
            let program = match release {
                AnyRelease::Server(release) => server(release, folder),
                AnyRelease::Proxy(release) => proxy(release, folder),
            };
            program.map(|program| (release, program))
        };
        let to_come = installed.map(found).collect::<Result<_, _>>()?;
        Ok(Programs { installed: first.clone(), first, libraries, to_come })
    }

    /// None of this machine's: containers run those of their images.
    ///
    /// # Errors
    /// If the scenario names a release, or clients that are not the reference's own.
    pub fn of_images(scenario: &Scenario) -> Result<Programs, Error> {
        let servers = scenario.redis.iter().map(|config| config.release);
        let mut servers = servers.chain(scenario.sentinel.iter().map(|config| config.release));
        if servers.any(|release| release != ServerRelease::default())
            || scenario.haproxy.release != ProxyRelease::default()
            || scenario.faults.iter().any(|fault| matches!(fault.action, Action::Upgrade { .. }))
        {
            return Err(Error::Refused(
                "the scenario names a release, and containers run that of their image: take --backend netns".into(),
            ));
        }
        if let Some(client) = scenario.clients.iter().find(|client| !client.runs_as_recorded()) {
            return Err(Error::Refused(format!(
                "client `{}` runs on {}, which is installed on this machine and not in the image of containers: take \
                 --backend netns",
                client.name, client.library
            )));
        }
        Ok(Programs::default())
    }

    /// The program that calls a client library.
    pub(super) fn client(&self, library: LibraryId) -> Option<&Path> {
        self.libraries.of(library)
    }

    /// The program that a start of this node starts.
    pub(super) fn of(&self, node: NodeId) -> Option<&Program> {
        self.installed.get(node.0 as usize).and_then(Option::as_ref)
    }

    /// The program with which it began.
    pub(super) fn first_of(&self, node: NodeId) -> Option<&Program> {
        self.first.get(node.0 as usize).and_then(Option::as_ref)
    }

    /// From now on a start of this node starts this release.
    pub(super) fn install(&mut self, node: NodeId, release: AnyRelease) {
        let found = self.to_come.iter().find(|(other, _)| *other == release);
        if let (Some((_, program)), Some(slot)) = (found, self.installed.get_mut(node.0 as usize)) {
            *slot = Some(program.clone());
        }
    }
}

fn server(release: ServerRelease, folder: Option<&Path>) -> Result<Program, Error> {
    let fork = if release.program().0 == "Valkey" { "valkey" } else { "redis" };
    let binary = format!("{fork}-server");
    let version = |text: &str| {
        let (_, rest) = text.split_once("v=")?;
        let number = rest.split_whitespace().next()?;
        Some(if fork == "valkey" { format!("valkey-{number}") } else { number.to_owned() })
    };
    find(release, folder, fork, (&binary, "--version"), version)
}

fn proxy(release: ProxyRelease, folder: Option<&Path>) -> Result<Program, Error> {
    let version = |text: &str| {
        let (_, rest) = text.split_once("ersion ")?;
        rest.split(|c: char| c != '.' && !c.is_ascii_digit()).next().map(str::to_owned)
    };
    find(release, folder, "haproxy", ("haproxy", "-v"), version)
}

fn find<R: Release>(
    release: R,
    folder: Option<&Path>,
    kind: &str,
    (binary, flag): (&str, &str),
    version: impl Fn(&str) -> Option<String>,
) -> Result<Program, Error> {
    let mut files: Vec<PathBuf> = Vec::new();
    if let Some(folder) = folder {
        let entries = std::fs::read_dir(folder).map_err(Error::io(folder.display()))?;
        let named = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{kind}-")))
        };
        let folders = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(named);
        files = folders.map(|path| path.join(binary)).filter(|file| file.is_file()).collect();
        // Of two of one release the later one.
        files.sort_by_key(|file| std::cmp::Reverse(numbers(file)));
    }
    files.push(binary.into());
    let mut seen = Vec::new();
    for file in files {
        let Ok(said) = Command::new(&file).arg(flag).output() else { continue };
        let Some(found) = version(&String::from_utf8_lossy(&said.stdout)) else { continue };
        if R::of_version(&found) == Some(release) {
            return Ok(Program { file, version: found });
        }
        seen.push(found);
    }
    let there = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
    Err(Error::Refused(format!(
        "the scenario runs {}, and of {binary} there is {there}: fetch it with reference/programs DIR and name that folder with \
         --programs",
        release.title()
    )))
}

/// The numbers in the name of a program's folder, to put versions in order.
fn numbers(file: &Path) -> Vec<u64> {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    folder.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn script(folder: &Path, name: &str, binary: &str, says: &str) {
        fs::create_dir_all(folder.join(name)).expect("a folder");
        let file = folder.join(name).join(binary);
        fs::write(&file, format!("#!/bin/sh\necho '{says}'\n")).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    #[test]
    fn each_node_gets_a_program_of_its_release_or_the_stack_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        script(folder.path(), "redis-6.2.14", "redis-server", "Redis server v=6.2.14 sha=0:0 malloc=libc");
        script(folder.path(), "redis-6.2.5", "redis-server", "Redis server v=6.2.5 sha=0:0 malloc=libc");
        script(folder.path(), "valkey-8.1.8", "valkey-server", "Valkey server v=8.1.8 sha=0:1 malloc=libc");
        script(folder.path(), "haproxy-2.8.25", "haproxy", "HAProxy version 2.8.25-5cf5d0683 2026/06/26");
        let server = |release| server(release, Some(folder.path()));
        assert_eq!(server(ServerRelease::Redis6_2).expect("it is there").version, "6.2.14", "the later of two");
        let valkey = server(ServerRelease::Valkey8_1).expect("it is there");
        assert_eq!(
            (valkey.version.as_str(), valkey.file.ends_with("valkey-8.1.8/valkey-server")),
            ("valkey-8.1.8", true)
        );
        let proxy = proxy(ProxyRelease::Haproxy2_8, Some(folder.path())).expect("it is there");
        assert_eq!(proxy.version, "2.8.25");
        let refused = server(ServerRelease::Redis8_0).expect_err("it is not there").to_string();
        assert!(refused.contains("runs Redis 8.0") && refused.contains("6.2.14"), "{refused}");
    }
}
