//! One row a run: `runs.csv`, and its twin for data tools.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::parquet::ParquetFile;
use super::{Axis, Shard};
use crate::analysis::ledger::Cause;
use crate::analysis::phases::Phase;
use crate::files::Whole;
use crate::record::csv_field;

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
    /// In the order of [`METRICS`].
    pub metrics: Vec<Option<f64>>,
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

    /// The names of all columns, in their order.
    fn names(&self) -> Vec<String> {
        let fixed = ["run", "seed"].map(str::to_owned);
        let more = ["digest", "events"].map(str::to_owned);
        fixed.into_iter().chain(self.keys.iter().cloned()).chain(more).chain(METRICS.iter().cloned()).collect()
    }

    fn header(&self) -> String {
        self.names().iter().map(|name| csv_field(name)).collect::<Vec<_>>().join(",")
    }
}

/// `runs.csv`.
pub(super) struct CsvFile(Whole);

impl CsvFile {
    pub(super) fn create(path: &Path, columns: &Columns, with_header: bool) -> io::Result<CsvFile> {
        let mut file = Whole::create(path)?;
        if with_header {
            writeln!(file, "{}", columns.header())?;
        }
        Ok(CsvFile(file))
    }

    pub(super) fn write(&mut self, row: &Row, values: &[String]) -> io::Result<()> {
        let out = &mut self.0;
        write!(out, "{},{}", row.run, row.seed)?;
        for value in values {
            write!(out, ",{}", csv_field(value))?;
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

    pub(super) fn finish_as(self, path: &Path) -> io::Result<()> {
        self.0.finish_as(path)
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
    // As `csv_field` wrote it.
    let plain = |field: String| match field.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest.to_owned(),
        _ => field,
    };
    fields.into_iter().map(plain).collect()
}

fn wrong(path: &Path, line: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}, line {line}: this is no row of a sweep", path.display()))
}

/// The order of the rows of a sweep, found while they go by: every run has the same settings in the same order, and
/// seeds count with the runs.
#[derive(Default)]
struct Order {
    /// The settings of the first run.
    settings: Vec<Vec<String>>,
    /// The first seed.
    seed: u64,
    /// Rows that went by.
    rows: u64,
}

impl Order {
    /// Whether this row can come next.
    fn takes(&mut self, row: &Row, values: &[String]) -> bool {
        if self.rows == 0 {
            self.seed = row.seed;
        }
        if row.run == 0 {
            self.settings.push(values.to_vec());
        }
        let count = self.settings.len() as u64;
        let (run, place) = (self.rows / count.max(1), self.rows % count.max(1));
        let in_order = match row.run {
            0 => self.rows + 1 == count,
            run_of_row => run_of_row == run && self.settings[place as usize] == values,
        };
        self.rows += 1;
        in_order && self.seed.checked_add(row.run) == Some(row.seed)
    }

    /// Whether the last run is complete.
    fn is_complete(&self) -> bool {
        self.rows.is_multiple_of(self.settings.len().max(1) as u64)
    }
}

/// Puts parts together, which must be the parts of one sweep, whole and in their order.
pub(super) fn merge(parts: &[PathBuf], csv: &Path, parquet: &Path) -> io::Result<Vec<PathBuf>> {
    let mut whole = Whole::create(csv)?;
    let mut twin: Option<(ParquetFile, Columns)> = None;
    let mut order = Order::default();
    let mut counts = Vec::new();
    for part in parts {
        let before = order.rows;
        let mut input = BufReader::new(File::open(part)?);
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            if input.read_line(&mut line)? == 0 {
                break;
            }
            let text = line.strip_suffix('\n').ok_or_else(|| wrong(part, number))?;
            writeln!(whole, "{text}")?;
            let fields = fields(text);
            match &mut twin {
                None => {
                    let keys = fields.len().checked_sub(4 + METRICS.len()).ok_or_else(|| wrong(part, number))?;
                    let columns = Columns { keys: fields[2..2 + keys].to_vec() };
                    if columns.header() != text {
                        return Err(wrong(part, number));
                    }
                    twin = Some((ParquetFile::create(parquet, &columns)?, columns));
                }
                Some((file, columns)) => {
                    let keys = columns.keys.len();
                    let row = row(&fields, keys).ok_or_else(|| wrong(part, number))?;
                    let values = &fields[2..2 + keys];
                    if !order.takes(&row, values) {
                        return Err(stray(part, number, "this row does not follow: the parts are not of one sweep"));
                    }
                    file.write(&row, values)?;
                }
            }
        }
        let count = order.rows - before;
        compare_twin(part, count, twin.as_ref().map(|(_, columns)| columns))?;
        counts.push(count);
    }
    let share = |index: usize| {
        let range = Shard { index: index as u64, of: parts.len() as u64 }.range(order.rows);
        range.end - range.start
    };
    if let Some(index) = (0..counts.len()).find(|index| !order.is_complete() || share(*index) != counts[*index]) {
        let message = format!("{} rows; of {} in all, this part has {}", counts[index], order.rows, share(index));
        return Err(stray(&parts[index], counts[index] as usize, &format!("{message}: one of the parts is cut")));
    }
    let Some((file, _)) = twin else { return Err(wrong(&parts[0], 1)) };
    whole.finish()?;
    file.finish()?;
    Ok(vec![csv.to_owned(), parquet.to_owned()])
}

/// A row, or a part, that does not belong to the others.
fn stray(path: &Path, line: usize, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}, line {line}: {why}", path.display()))
}

/// The Parquet file of a part, where it is there, has the same columns and as many rows.
fn compare_twin(part: &Path, rows: u64, columns: Option<&Columns>) -> io::Result<()> {
    let path = part.with_extension("parquet");
    let Some(columns) = columns.filter(|_| path.exists()) else { return Ok(()) };
    let (names, twin_rows) = super::parquet::contents(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    if names != columns.names() {
        let keys = columns.keys.join(", ");
        return Err(stray(&path, 1, &format!("this part has other columns than the first, which varies {keys}")));
    }
    match twin_rows == rows {
        true => Ok(()),
        false => Err(stray(part, rows as usize, &format!("{rows} rows, but {twin_rows} in {}", path.display()))),
    }
}

fn row(fields: &[String], keys: usize) -> Option<Row> {
    let metric = |text: &String| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let metrics = fields.get(4 + keys..)?;
    Some(Row {
        run: fields.first()?.parse().ok()?,
        place: 0,
        seed: fields.get(1)?.parse().ok()?,
        digest: u128::from_str_radix(fields.get(2 + keys)?, 16).ok()?,
        events: fields.get(3 + keys)?.parse().ok()?,
        metrics: metrics.iter().map(metric).collect::<Option<Vec<_>>>().filter(|all| all.len() == METRICS.len())?,
    })
}
