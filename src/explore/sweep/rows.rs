//! One row a run: `runs.csv`, and its twin for data tools.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::cell::{Cell, Kind};
use super::parquet::ParquetFile;
use super::{Axis, Combination, Found, Merged, Shard};
use crate::analysis::metrics::{Metric, Unit, Value, field, met_field};
use crate::files::Whole;
use crate::kernel::Span;
use crate::record::csv_field;

/// A run's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The place of its combination.
    pub place: usize,
    /// The run: its seed.
    pub seed: u64,
    pub digest: u128,
    pub events: u64,
    /// Whether it met the scenario's expectations; none if it has none.
    pub met: Option<bool>,
    /// In the order of the table of metrics; all unknown if the stack was never ready.
    pub metrics: Vec<Option<Value>>,
    /// Why the script was not played.
    pub unready: Option<String>,
}

/// A key that varies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its path.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

/// The columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The keys that vary.
    pub keys: Vec<Key>,
}

/// Columns beside those of keys and metrics: the run, and after the keys digest, events and whether the expectations were met.
const BEFORE: usize = 1;
const BETWEEN: usize = 3;

impl Columns {
    pub(super) fn new(axes: &[Axis], combinations: &[Combination]) -> Columns {
        let key = |(place, axis): (usize, &Axis)| {
            let values = combinations.iter().map(|combination| Cell::of(&combination.values[place]));
            let kind = values.fold(None, |kind, value| Some(value.join(kind))).unwrap_or(Kind::Text);
            Key { name: axis.key.clone(), kind }
        };
        Columns { keys: axes.iter().enumerate().map(key).collect() }
    }

    /// The values of a combination, as these columns hold them.
    pub(super) fn cells(&self, values: &[String]) -> Vec<Cell> {
        values.iter().zip(&self.keys).map(|(value, key)| Cell::of(value).cast(key.kind)).collect()
    }

    /// The names of all columns, in their order.
    pub(super) fn names(&self) -> Vec<String> {
        let keys = self.keys.iter().map(|key| key.name.clone());
        let metrics = Metric::all().map(|metric| metric.name().to_owned());
        let between = ["digest", "events", "met"].map(str::to_owned);
        std::iter::once("run".to_owned()).chain(keys).chain(between).chain(metrics).collect()
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

    pub(super) fn write(&mut self, row: &Row, values: &[Cell]) -> io::Result<()> {
        let out = &mut self.0;
        write!(out, "{}", row.seed)?;
        for value in values {
            write!(out, ",{value}")?;
        }
        write!(out, ",{:032x},{},{}", row.digest, row.events, met_field(row.met))?;
        for metric in &row.metrics {
            write!(out, ",{}", field(*metric))?;
        }
        writeln!(out)
    }

    pub(super) fn finish_as(self, path: &Path) -> io::Result<()> {
        self.0.finish_as(path)
    }
}

/// Splits a line at its commas: each field, and whether it was quoted.
fn fields(line: &str) -> Vec<(String, bool)> {
    let (mut fields, mut field, mut inside, mut was_quoted) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => (inside, was_quoted) = (!inside, true),
            ',' if !inside => fields.push((std::mem::take(&mut field), std::mem::take(&mut was_quoted))),
            c => field.push(c),
        }
    }
    fields.push((field, was_quoted));
    fields
}

fn wrong(path: &Path, line: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}, line {line}: this is not a row of a sweep", path.display()))
}

/// The header of the first part, whose kinds are those of all values in the parts.
fn columns(parts: &[PathBuf]) -> io::Result<Columns> {
    let mut keys: Vec<(String, Option<Kind>)> = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        for (index, line) in BufReader::new(File::open(part)?).lines().enumerate() {
            let fields = fields(&line?);
            let count = fields.len().checked_sub(BEFORE + BETWEEN + Metric::count());
            let count = count.ok_or_else(|| wrong(part, index + 1))?;
            let values = fields.into_iter().skip(BEFORE).take(count);
            if (place, index) == (0, 0) {
                keys = values.map(|(name, _)| (name, None)).collect();
                continue;
            }
            for ((text, was_quoted), (_, kind)) in values.zip(&mut keys) {
                *kind = Some(Cell::read(&text, was_quoted).join(*kind));
            }
        }
    }
    let key = |(name, kind): (String, Option<Kind>)| Key { name, kind: kind.unwrap_or(Kind::Text) };
    Ok(Columns { keys: keys.into_iter().map(key).collect() })
}

/// The order of the rows of a sweep, found while they go by: every run has the same settings in the same order, and its
/// seed follows that of the run before.
#[derive(Default)]
struct Order {
    /// The settings of the first run.
    settings: Vec<Vec<Cell>>,
    /// The first seed.
    seed: u64,
    /// Rows that went by.
    rows: u64,
}

impl Order {
    /// Whether this row can come next.
    fn takes(&mut self, row: &Row, values: &[Cell]) -> bool {
        if self.rows == 0 {
            self.seed = row.seed;
        }
        if row.seed == self.seed {
            self.settings.push(values.to_vec());
        }
        let count = self.settings.len() as u64;
        let (run, place) = (self.rows / count.max(1), self.rows % count.max(1));
        self.rows += 1;
        match row.seed.checked_sub(self.seed) {
            Some(0) => self.rows == count,
            later => later == Some(run) && self.settings[place as usize] == values,
        }
    }

    /// The setting of the row that went by last.
    fn last_place(&self) -> usize {
        ((self.rows - 1) % self.settings.len().max(1) as u64) as usize
    }

    /// Whether the last run is complete.
    fn is_complete(&self) -> bool {
        self.rows.is_multiple_of(self.settings.len().max(1) as u64)
    }
}

/// A row, or a part, that does not belong to the others.
fn stray(path: &Path, line: usize, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}, line {line}: {why}", path.display()))
}

/// The Parquet file of a part, where it is there, has the same columns and as many rows.
fn compare_twin(part: &Path, rows: u64, columns: &Columns) -> io::Result<()> {
    let path = part.with_extension("parquet");
    if !path.exists() {
        return Ok(());
    }
    let twin_rows = super::parquet::rows(&path, columns)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    match twin_rows {
        None => Err(stray(&path, 1, "this part has other columns than the first, or another version wrote it")),
        Some(twin_rows) if twin_rows == rows => Ok(()),
        Some(twin_rows) => {
            Err(stray(part, rows as usize, &format!("{rows} rows, but {twin_rows} in {}", path.display())))
        }
    }
}

/// Every part has its share of the rows.
fn compare_shares(parts: &[PathBuf], counts: &[u64], order: &Order) -> io::Result<()> {
    for (index, (part, count)) in parts.iter().zip(counts).enumerate() {
        let range = Shard { index: index as u64, of: parts.len() as u64 }.range(order.rows);
        let share = range.end - range.start;
        if !order.is_complete() || share != *count {
            let why = format!("{count} rows, but {share} of {} are its share: one of the parts is cut", order.rows);
            return Err(stray(part, *count as usize, &why));
        }
    }
    Ok(())
}

/// Puts parts together, which must be the parts of one sweep, whole and in their order; answers the files, and whether
/// every run met its expectations.
pub(super) fn merge(parts: &[PathBuf], csv: &Path, parquet: &Path) -> io::Result<Merged> {
    let columns = columns(parts)?;
    let header = columns.header();
    let mut whole = Whole::create(csv)?;
    let mut twin = ParquetFile::create(parquet, &columns)?;
    let (mut met, mut order, mut counts) = (true, Order::default(), Vec::new());
    let mut found: Vec<Found> = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let before = order.rows;
        let mut input = BufReader::new(File::open(part)?);
        let mut text = String::new();
        for index in 0.. {
            text.clear();
            if input.read_line(&mut text)? == 0 {
                break;
            }
            let line = text.strip_suffix('\n').ok_or_else(|| wrong(part, index + 1))?;
            writeln!(whole, "{line}")?;
            if (place, index) == (0, 0) {
                if line != header {
                    return Err(wrong(part, 1));
                }
                continue;
            }
            let (row, values) = row(&fields(line), &columns).ok_or_else(|| wrong(part, index + 1))?;
            if !order.takes(&row, &values) {
                return Err(stray(part, index + 1, "this row does not follow: the parts are not of one sweep"));
            }
            met &= row.met != Some(false);
            found.resize_with(order.settings.len(), Found::none);
            found[order.last_place()].add(&row);
            twin.write(&row, &values)?;
        }
        compare_twin(part, order.rows - before, &columns)?;
        counts.push(order.rows - before);
    }
    compare_shares(parts, &counts, &order)?;
    whole.finish()?;
    twin.finish()?;
    let values = |cells: &Vec<Cell>| cells.iter().map(Cell::said).collect();
    let settings = order.settings.iter().map(values).zip(found).collect();
    let keys = columns.keys.iter().map(|key| key.name.clone()).collect();
    Ok(Merged { files: vec![csv.to_owned(), parquet.to_owned()], met, keys, settings })
}

/// The complete rows of a part, with their settings.
pub(super) fn read(path: &Path, columns: &Columns, with_header: bool) -> io::Result<Vec<(Row, Vec<Cell>)>> {
    let mut rows = Vec::new();
    for (index, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let line = line?;
        if index == 0 && with_header {
            if line != columns.header() {
                return Err(wrong(path, 1));
            }
            continue;
        }
        let (mut row, values) = row(&fields(&line), columns).ok_or_else(|| wrong(path, index + 1))?;
        if row.metrics.iter().all(Option::is_none) {
            row.unready = Some(format!("seed {}: it was not ready", row.seed));
        }
        rows.push((row, values));
    }
    Ok(rows)
}

fn row(fields: &[(String, bool)], columns: &Columns) -> Option<(Row, Vec<Cell>)> {
    let keys = columns.keys.len();
    if fields.len() != BEFORE + keys + BETWEEN + Metric::count() {
        return None;
    }
    let text = |place: usize| fields[place].0.as_str();
    let value = |metric: Metric| match text(BEFORE + keys + BETWEEN + metric.index()) {
        "" => Some(None),
        text => match metric.unit() {
            Unit::Count => text.parse().ok().map(|count| Some(Value::Count(count))),
            Unit::Ratio => text.parse().ok().map(|ratio| Some(Value::Ratio(ratio))),
            Unit::Seconds => {
                let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
                // Written with all its digits: what is read is the time that was written.
                Some(Some(Value::Span(Span::from_nanos(libm::round(seconds * 1e9) as u64))))
            }
        },
    };
    let values = fields[BEFORE..BEFORE + keys].iter().zip(&columns.keys);
    let cells = values.map(|((text, was_quoted), key)| Cell::read(text, *was_quoted).cast(key.kind)).collect();
    let row = Row {
        place: 0,
        seed: text(0).parse().ok()?,
        digest: u128::from_str_radix(text(BEFORE + keys), 16).ok()?,
        events: text(BEFORE + keys + 1).parse().ok()?,
        met: match text(BEFORE + keys + 2) {
            "" => None,
            "0" => Some(false),
            "1" => Some(true),
            _ => return None,
        },
        metrics: Metric::all().map(value).collect::<Option<Vec<_>>>()?,
        unready: None,
    };
    Some((row, cells))
}
