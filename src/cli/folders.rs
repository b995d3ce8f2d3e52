//! Where runs go: folders that no other scenario's run is lost in, and the link to the newest.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::{Failure, VERSION};
use crate::report::safe_name;
use crate::scenario::Scenario;

/// How a run folder's scenario says which file it was read from.
const FROM: &str = "# From: ";

/// The scenario as a run folder holds it, with where it was read from.
pub(super) fn scenario_toml(scenario: &Scenario, seed: u64, file: &str) -> String {
    let text = scenario.to_toml(seed, VERSION);
    let (first, rest) = text.split_once('\n').expect("it begins with a comment");
    let file: String = file.chars().filter(|c| !c.is_control()).collect();
    format!("{first}\n{FROM}{file}\n{rest}")
}

/// Whether the folder holds a run of another scenario that came from another file.
fn is_of_another(folder: &Path, scenario: &Scenario, file: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join("scenario.toml")) else { return false };
    let from = text.lines().take(3).find_map(|line| line.strip_prefix(FROM));
    from.is_some_and(|from| from != file)
        && Scenario::parse("scenario.toml", &text).is_ok_and(|other| other != *scenario)
}

/// What a run's folder is called beyond NAME-SEED: nothing, or, where that is the folder of another file's run, the stem of
/// its own file. `taken`: folders that this invocation writes.
pub(super) fn suffix(
    out: &Path,
    scenario: &Scenario,
    seed: u64,
    file: &str,
    taken: &mut BTreeSet<PathBuf>,
) -> Result<String, Failure> {
    let plain = out.join(format!("{}-{seed}", scenario.name));
    if !taken.contains(&plain) && !is_of_another(&plain, scenario, file) {
        taken.insert(plain);
        return Ok(String::new());
    }
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let suffix = format!("-{}", safe_name(&stem));
    let own = out.join(format!("{}-{seed}{suffix}", scenario.name));
    if taken.contains(&own) || is_of_another(&own, scenario, file) {
        return Err(Failure::Bad(miette::miette!(
            help = "give one of the two files another `name`, or this run another --out DIR",
            "{file}: {} and {} are the runs of other files",
            plain.display(),
            own.display()
        )));
    }
    super::note(&format!("{} is the run of another file and stays; this one's is {}", plain.display(), own.display()));
    taken.insert(own);
    Ok(suffix)
}

/// Lets `latest` beside a run folder lead to it. What else may be called so is left alone.
pub(super) fn link_latest(folder: &Path) -> Result<(), Failure> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    let latest = parent.join("latest");
    let is_other = latest.symlink_metadata().is_ok_and(|found| !found.is_symlink());
    if is_other {
        return Ok(());
    }
    link(Path::new(name), &latest).map_err(Failure::io(latest.display()))
}

/// A link appears under its name at once, over the one that was there.
#[cfg(unix)]
fn link(target: &Path, at: &Path) -> io::Result<()> {
    let hidden = at.with_file_name(format!(".sim-latest-{}", std::process::id()));
    let _ = std::fs::remove_file(&hidden);
    std::os::unix::fs::symlink(target, &hidden)?;
    std::fs::rename(&hidden, at).inspect_err(|_| drop(std::fs::remove_file(&hidden)))
}

/// Elsewhere not everybody may make links.
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}
