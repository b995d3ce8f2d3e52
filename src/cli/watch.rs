//! `sim run --watch`: again whenever a file is saved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::miette;

use super::{Failure, Verdict, note, tell};

/// How often the files are looked at: sooner than one looks up from the editor.
const EVERY: Duration = Duration::from_millis(150);

/// What the files hold; none while one of them is away, as it is while some editors save it.
type State = Option<Vec<(PathBuf, Vec<u8>)>>;

/// Runs, and again whenever a file has changed, until a signal ends the program.
pub(super) fn main(files: &[PathBuf], run: &dyn Fn() -> Result<Verdict, Failure>) -> Result<Verdict, Failure> {
    if let Some(other) = files.iter().find(|path| !path.exists()) {
        let help = "--watch waits for a file to be saved: name files or folders (sim show NAME > FILE makes one)";
        return Err(Failure::Bad(miette!(help = help, "{} is no file", other.display())));
    }
    loop {
        let before = state(files);
        match run() {
            Ok(_) => {}
            // The next save may put it right.
            Err(Failure::Bad(report)) => tell(&format!("{report:?}")),
            Err(other) => return Err(other),
        }
        note("waiting for a file to be saved; an interrupt ends it");
        wait_for_change(files, &before);
    }
}

fn wait_for_change(files: &[PathBuf], before: &State) {
    loop {
        std::thread::sleep(EVERY);
        let now = state(files);
        // Twice the same: nobody is in the middle of writing it.
        if now.is_some() && now != *before && {
            std::thread::sleep(EVERY);
            state(files) == now
        } {
            return;
        }
    }
}

fn state(paths: &[PathBuf]) -> State {
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => found.extend(inside(path)?),
            false => found.push(path.clone()),
        }
    }
    found.into_iter().map(|path| Some((path.clone(), std::fs::read(&path).ok()?))).collect()
}

/// The scenario files of a folder.
fn inside(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    paths.sort();
    Some(paths)
}
