//! One row a run: `runs.csv`, and its twin for data tools.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::NamedTempFile;

use super::Axis;
use super::parquet::ParquetFile;
use crate::analysis::ledger::Cause;
use crate::analysis::phases::Phase;

/// The metrics that every row has, in their order: [`Analysis::metrics`](crate::analysis::Analysis::metrics) by name.
pub static METRICS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names: Vec<String> =
        ["failovers", "aborted-failovers", "failover-attempts", "first-failover-s"].map(str::to_owned).to_vec();
    let steps = Phase::ALL.into_iter().filter(|phase| *phase != Phase::Fault);
    names.extend(steps.map(|phase| format!("{}-s", phase.as_str())));
    names.extend(
        [
            "publish-outage-s",
            "set-outage-s",
            "get-outage-s",
            "receive-gap-s",
            "publish-attempts",
            "publish-acknowledged",
            "publish-failed",
            "publish-delivered",
            "publish-lost",
            "publish-lost-silently",
            "publish-failed-but-delivered",
            "publish-undecided",
            "duplicates",
            "set-attempts",
            "set-acknowledged",
            "set-failed",
            "lost-acked-sets",
            "two-masters-s",
            "no-server-s",
            "reconnects",
            "final-masters",
        ]
        .map(str::to_owned),
    );
    names.extend(Cause::ALL.map(|cause| format!("lost.{}", cause.as_str())));
    names
});

/// The unit of a metric: seconds, or a number of things.
pub fn unit(metric: &str) -> &'static str {
    if metric.ends_with("-s") { "s" } else { "count" }
}

/// A run's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub run: u64,
    pub place: usize,
    pub seed: u64,
    pub digest: u128,
    pub events: u64,
    /// In the order of [`METRICS`]; all unknown if the stack was never ready.
    pub metrics: Vec<Option<f64>>,
    /// Why the script was not played.
    pub unready: Option<String>,
}

/// The names of the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The keys that vary.
    pub keys: Vec<String>,
}

impl Columns {
    pub(super) fn new(axes: &[Axis]) -> Columns {
        Columns { keys: axes.iter().map(|axis| axis.key.clone()).collect() }
    }

    fn header(&self) -> String {
        let fixed = ["run", "seed"].map(str::to_owned);
        let keys = self.keys.iter().map(|key| quoted(key));
        let more = ["digest", "events"].map(str::to_owned);
        fixed.into_iter().chain(keys).chain(more).chain(METRICS.iter().cloned()).collect::<Vec<_>>().join(",")
    }
}

pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A file that appears under its name when it is complete.
pub(super) struct Whole {
    pub writer: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Whole {
    pub(super) fn create(path: &Path) -> io::Result<Whole> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Whole { writer: BufWriter::new(NamedTempFile::new_in(folder)?), path: path.to_owned() })
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        readable(file.as_file())?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Temporary files are their owner's alone; results are like any other file.
#[cfg(unix)]
pub(super) fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
pub(super) fn readable(_: &File) -> io::Result<()> {
    Ok(())
}

/// `runs.csv`.
pub(super) struct CsvFile(Whole);

impl CsvFile {
    pub(super) fn create(path: &Path, columns: &Columns, with_header: bool) -> io::Result<CsvFile> {
        let mut file = Whole::create(path)?;
        if with_header {
            writeln!(file.writer, "{}", columns.header())?;
        }
        Ok(CsvFile(file))
    }

    pub(super) fn write(&mut self, row: &Row, values: &[String]) -> io::Result<()> {
        let out = &mut self.0.writer;
        write!(out, "{},{}", row.run, row.seed)?;
        for value in values {
            write!(out, ",{}", quoted(value))?;
        }
        write!(out, ",{:032x},{}", row.digest, row.events)?;
        for metric in &row.metrics {
            match metric {
                Some(value) => write!(out, ",{value}")?,
                None => write!(out, ",")?,
            }
        }
        writeln!(out)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

/// Splits a line at its commas.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut inside) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => inside = !inside,
            ',' if !inside => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

fn wrong(path: &Path, line: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}, line {line}: this is no row of a sweep", path.display()))
}

/// Puts parts together.
pub(super) fn merge(parts: &[PathBuf], csv: &Path, parquet: &Path) -> io::Result<Vec<PathBuf>> {
    let mut whole = Whole::create(csv)?;
    let mut twin: Option<(ParquetFile, usize)> = None;
    for part in parts {
        for (index, line) in BufReader::new(File::open(part)?).lines().enumerate() {
            let line = line?;
            writeln!(whole.writer, "{line}")?;
            let fields = fields(&line);
            match &mut twin {
                None => {
                    let keys = fields.len().checked_sub(4 + METRICS.len()).ok_or_else(|| wrong(part, index + 1))?;
                    let columns = Columns { keys: fields[2..2 + keys].to_vec() };
                    if columns.header() != line {
                        return Err(wrong(part, index + 1));
                    }
                    twin = Some((ParquetFile::create(parquet, &columns)?, keys));
                }
                Some((file, keys)) => {
                    let row = row(&fields, *keys).ok_or_else(|| wrong(part, index + 1))?;
                    file.write(&row, &fields[2..2 + *keys])?;
                }
            }
        }
    }
    whole.finish()?;
    if let Some((file, _)) = twin {
        file.finish()?;
    }
    Ok(vec![csv.to_owned(), parquet.to_owned()])
}

fn row(fields: &[String], keys: usize) -> Option<Row> {
    let metric = |text: &String| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let metrics = fields.get(4 + keys..)?;
    Some(Row {
        unready: None,
        run: fields.first()?.parse().ok()?,
        place: 0,
        seed: fields.get(1)?.parse().ok()?,
        digest: u128::from_str_radix(fields.get(2 + keys)?, 16).ok()?,
        events: fields.get(3 + keys)?.parse().ok()?,
        metrics: metrics.iter().map(metric).collect::<Option<Vec<_>>>().filter(|all| all.len() == METRICS.len())?,
    })
}
