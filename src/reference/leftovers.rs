//! Names of what a stack leaves on a machine while it runs, and the removal of all that bears such a name.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal};

use super::backend::tool;
use super::netns::NAMESPACES;
use super::{Error, docker};

/// What every name begins with.
pub(super) const PREFIX: &str = "simref-";

/// What all names of a stack begin with: the driver's process and the stack's slot in it.
pub(super) fn name(slot: usize) -> String {
    format!("{PREFIX}{}-{slot}", std::process::id())
}

/// A folder for a stack's files; dropped, it is removed.
pub(crate) fn work_folder(slot: usize) -> Result<tempfile::TempDir, Error> {
    let prefix = format!("{}-", name(slot));
    tempfile::Builder::new().prefix(&prefix).tempdir().map_err(Error::io("a folder for the stack's files"))
}

/// The process whose stack bears a name.
fn driver_of(name: &str) -> Option<i32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// Whether the driver of a name still runs.
fn is_driven(name: &str) -> bool {
    let this = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    driver_of(name)
        .and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok())
        .is_some_and(|comm| comm == this)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Ends every process in the namespaces whose names begin with `prefix` and a dash, and removes the namespaces. Never
/// fails: what is gone already is gone.
pub(super) fn remove_namespaces(prefix: &str) -> usize {
    let prefix = format!("{prefix}-");
    let names: Vec<String> = entries(Path::new(NAMESPACES))
        .iter()
        .map(|path| file_name(path).to_string())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    for name in &names {
        let pids = tool(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
        for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
    for name in &names {
        let _ = tool(Command::new("ip").args(["netns", "del", name]));
    }
    names.len()
}

/// Kills every process in a network namespace. That of this process is not meant, and not touched.
pub(super) fn kill_all_in(namespace: &Path) {
    let id = |path: &Path| std::fs::read_link(path).ok();
    let (wanted, own) = (id(namespace), id(Path::new("/proc/self/ns/net")));
    if wanted.is_none() || wanted == own {
        return;
    }
    for process in entries(Path::new("/proc")) {
        let Some(pid) = file_name(&process).parse().ok().and_then(Pid::from_raw) else { continue };
        if id(&process.join("ns/net")) == wanted {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// Removes what stacks have left behind whose drivers have ended, or, if `all`, of every driver: processes, namespaces
/// and files. Returns what was removed.
pub(crate) fn remove(all: bool) -> Vec<String> {
    let mut removed = Vec::new();
    let containers = docker::remove_containers(|name| driver_of(name).is_some() && (all || !is_driven(name)));
    if containers > 0 {
        removed.push(format!("{containers} containers and networks"));
    }
    let due = |name: &str| driver_of(name).is_some() && (all || !is_driven(name));
    for path in entries(Path::new(NAMESPACES)) {
        let name = file_name(&path);
        if due(name) && path.exists() {
            // The stack's prefix: driver and slot.
            let stack: Vec<&str> = name.splitn(4, '-').take(3).collect();
            let stack = stack.join("-");
            let count = remove_namespaces(&stack);
            removed.push(format!("{count} network namespaces of {stack}"));
        }
    }
    for path in entries(&std::env::temp_dir()) {
        if due(file_name(&path)) && std::fs::remove_dir_all(&path).is_ok() {
            removed.push(path.display().to_string());
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_driver() {
        assert_eq!(driver_of(&format!("{}-redis-1", name(3))), Some(std::process::id() as i32));
        assert!(is_driven(&name(0)));
        assert_eq!(driver_of("simref-x-1"), None);
        assert_eq!(driver_of("redis-1-2"), None);
    }
}
