//! `sim plot --messages`: who told whom what between two instants.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use miette::miette;

use super::{Failure, Verdict};
use crate::explain::{Subject, Traced};
use crate::record::{NodeKind, What};
use crate::report::chart::{Chart as _, Theme};
use crate::report::flights::Family;
use crate::report::sequence::{Said, Sequence};
use crate::report::text::{ids, named};
use crate::report::{MESSAGES, safe_name};

/// Two instants, in microseconds after time 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(i64, i64);

/// Reads `5s..7s`.
pub(super) fn window(text: &str) -> Result<Window, String> {
    let (from, to) = text.split_once("..").ok_or("two instants: FROM..TO, such as 5s..7s")?;
    let (from, to) = (super::time(from)?, super::time(to)?);
    if to <= from { Err("FROM lies before TO".into()) } else { Ok(Window(from, to)) }
}

/// Reads the name of a family.
pub(super) fn family(text: &str) -> Result<Family, String> {
    let names = Family::ALL.map(Family::as_str).join(", ");
    Family::ALL.into_iter().find(|family| family.as_str() == text).ok_or(format!("there are {names}"))
}

/// If nobody says which: all but what clients do, of which there is most.
fn usual() -> Vec<Family> {
    Family::ALL.into_iter().filter(|family| *family != Family::Client).collect()
}

pub(super) fn main(
    runs: &[PathBuf],
    window: Window,
    families: &[Family],
    out: Option<&Path>,
) -> Result<Verdict, Failure> {
    let [run] = runs else {
        return Err(Failure::Bad(miette!(help = "name one run", "--messages is of one run, not of {}", runs.len())));
    };
    let (traced, warning) = traced(run)?;
    let recording = &traced.result.recording;
    let kind = |kind| recording.names.nodes.iter().filter(move |node| node.kind == kind);
    let order = [NodeKind::Client, NodeKind::Haproxy, NodeKind::Redis, NodeKind::Sentinel];
    let nodes: Vec<&str> = order.into_iter().flat_map(kind).map(|node| node.name.as_str()).collect();
    let ids = ids(recording);
    let said = recording.records.iter().filter_map(|record| match &record.what {
        What::Event(event) if event.is_logged() => Some(Said {
            at_us: recording.micros(record.time),
            node: recording.names.node(record.node).to_owned(),
            text: named(&event.text(&recording.names), &ids),
        }),
        _ => None,
    });
    let (flights, said) = (traced.flights(), said.collect::<Vec<_>>());
    let families = if families.is_empty() { usual() } else { families.to_vec() };
    let Window(from, to) = window;
    let seconds = |us: i64| us as f64 / 1e6;
    let title = format!("{}, seed {}, {} s to {} s", traced.scenario.name, traced.seed, seconds(from), seconds(to));
    let picture = Sequence::new(title, &nodes, (&flights, &said), (from, to), &families);
    let folder = match out {
        Some(out) => out.to_owned(),
        None if run.is_dir() => run.clone(),
        None => PathBuf::from("output").join(format!("{}-{}-messages", safe_name(&traced.scenario.name), traced.seed)),
    };
    std::fs::create_dir_all(&folder).map_err(Failure::io(folder.display()))?;
    let path = folder.join(MESSAGES);
    crate::files::write(&path, picture.svg(Theme::Light).as_bytes()).map_err(Failure::io(path.display()))?;
    warning.iter().for_each(|warning| super::note(warning));
    writeln!(super::results(), "{}", path.display())?;
    if picture.beyond() > 0 {
        super::note(&format!("{} rows did not fit: choose a shorter time, or fewer --families", picture.beyond()));
    }
    Ok(Verdict::Fine)
}

/// The run with its trace: a recording alone has lines only.
fn traced(path: &Path) -> Result<(Box<Traced>, Option<String>), Failure> {
    let (subject, warning) = match path.is_dir() {
        true => super::explain::folder(path)?,
        false if path.to_string_lossy().contains(".jsonl") => {
            let help = "name the run folder, or the scenario: sim runs it again, with every message";
            return Err(Failure::Bad(miette!(
                help = help,
                "{}: a recording has log lines, no messages",
                path.display()
            )));
        }
        false => (super::explain::traced(super::source::load(path)?, 1)?, None),
    };
    match subject {
        Subject::Traced(traced) => Ok((traced, warning)),
        Subject::Lines(_) => unreachable!("what was run again is traced"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_families_are_read() {
        assert_eq!(window("5s..7s"), Ok(Window(5_000_000, 7_000_000)));
        assert_eq!(window("-1s..250ms"), Ok(Window(-1_000_000, 250_000)));
        for wrong in ["5s", "7s..5s", "now..then"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
        assert_eq!(family("orders"), Ok(Family::Order));
        assert!(family("votes").is_err_and(|said| said.contains("election")));
    }
}
