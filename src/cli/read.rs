//! `sim read`: a recording from the logs of a real stack.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use miette::miette;

use super::{Failure, Verdict};
use crate::limits::{self, RECORDING_MAX, read_all};
use crate::logs;

/// Make a recording of the logs of a real stack, for explain and plot
///
/// LOGS are log files of Redis, Sentinel and HAProxy, one a program, or what `docker compose logs --timestamps` or
/// `kubectl logs --prefix --timestamps` print; `-` is standard input. Who lives at which address follows from what the
/// programs say of each other, and so do clocks that differ; what is missing is said.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Log files, folders of them (*.log), or `-`
    #[arg(required = true, value_name = "LOGS")]
    files: Vec<PathBuf>,
    /// The recording
    #[arg(long, short, value_name = "FILE", default_value = "incident.jsonl")]
    out: PathBuf,
    /// What the incident is called; default: the recording's name
    #[arg(long)]
    name: Option<String>,
    /// Who lives at an address, where the logs do not tell (may be given several times)
    #[arg(long, value_name = "ADDRESS=NAME", value_parser = address)]
    address: Vec<(String, String)>,
}

const EXAMPLES: &str = "\
Examples:
  docker compose logs --timestamps | sim read - --out incident.jsonl
  sim read redis-*.log sentinel-*.log --address 10.0.0.2=redis-1
  sim explain incident.jsonl --failover  what took how long, and why
  sim plot incident.jsonl                timeline and report";

fn address(text: &str) -> Result<(String, String), String> {
    let (address, name) = text.split_once('=').ok_or("ADDRESS=NAME, such as 10.0.0.2=redis-1")?;
    match limits::name_fault(name, false) {
        None if !address.is_empty() => Ok((address.to_owned(), name.to_owned())),
        None => Err("the address is empty".into()),
        Some(fault) => Err(format!("the name `{name}`: {fault}")),
    }
}

fn text(path: &Path) -> Result<(String, String), Failure> {
    let io = |error| Failure::Io(path.display().to_string(), error);
    let (name, bytes) = match path.to_str() {
        Some("-") => ("stdin".to_owned(), read_all(std::io::stdin().lock(), RECORDING_MAX).map_err(io)?),
        _ => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mut file = std::fs::File::open(path).map_err(io)?;
            let mut bytes = Vec::new();
            if name.ends_with(".gz") {
                let mut packed = flate2::read::MultiGzDecoder::new(file).take(RECORDING_MAX + 1);
                packed.read_to_end(&mut bytes).map_err(io)?;
            } else {
                bytes = read_all(&mut file, RECORDING_MAX).map_err(io)?;
            }
            (name.strip_suffix(".gz").unwrap_or(&name).to_owned(), bytes)
        }
    };
    Ok((name, String::from_utf8_lossy(&bytes).into_owned()))
}

fn files(arguments: &Arguments) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in &arguments.files {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(Failure::io(path.display()))?;
        let inside = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
        let mut inside = inside.map_err(Failure::io(path.display()))?;
        inside.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        inside.sort();
        found.extend(inside);
    }
    Ok(found)
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let texts = files(arguments)?.iter().map(|path| text(path)).collect::<Result<Vec<_>, _>>()?;
    let stem = arguments.out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = arguments.name.clone().unwrap_or_else(|| limits::plain_name(&stem));
    if let Some(fault) = limits::name_fault(&name, true) {
        return Err(Failure::Bad(miette!(help = "give it one with --name", "the name `{name}`: {fault}")));
    }
    let found = logs::read(&name, &texts, &arguments.address).map_err(|error| {
        let help = "log lines of Redis and Sentinel look like `1:X 23 Nov 2026 16:01:02.345 # +sdown …`, with or without \
                    what docker compose or kubectl put before them";
        Failure::Bad(miette!(help = help, "{error}"))
    })?;
    let recording = &found.recording;
    recording.write(&arguments.out).map_err(Failure::io(arguments.out.display()))?;
    found.notes.iter().for_each(|note| super::note(note));
    let mut out = super::results();
    let nodes: Vec<&str> = recording.names.nodes.iter().map(|node| node.name.as_str()).collect();
    let (lines, path) = (recording.records.len(), arguments.out.display());
    writeln!(
        out,
        "{path}: {lines} lines of {}\n\n  sim explain {path} --failover\n  sim plot {path}",
        nodes.join(", ")
    )?;
    Ok(Verdict::Fine)
}
