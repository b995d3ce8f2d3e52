//! `runs.parquet`: the rows of `runs.csv` for data tools, column by column, plain and uncompressed.
//!
//! Written by hand: of all that the format can do this needs a page for each column of each group, and the library for the
//! whole of it took longer to build than everything else that the command line needs. The tests read what is written
//! with that library.
//!
//! Source: `README.md`, `Encodings.md` and `src/main/thrift/parquet.thrift` of apache/parquet-format; the numbers of
//! fields below are those of the latter.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::cell::{Cell, Kind};
use super::rows::{Columns, Row};
use super::thrift::{Struct, read_int, varint};
use crate::analysis::metrics::{Metric, Unit, Value};
use crate::files::Whole;

/// Rows that are kept back until they are written as a row group.
const GROUP: usize = 4_096;
/// The first and last bytes of a file.
const MAGIC: &[u8; 4] = b"PAR1";
/// `PageType.DATA_PAGE`
const DATA_PAGE: i32 = 0;
/// `Encoding.PLAIN`
const PLAIN: i32 = 0;
/// `Encoding.RLE`
const RLE: i32 = 3;
/// `CompressionCodec.UNCOMPRESSED`
const UNCOMPRESSED: i32 = 0;
/// `ConvertedType.UTF8`
const UTF8: i32 = 0;

/// `Type`: how a value is kept.
#[derive(Clone, Copy)]
enum Physical {
    Boolean = 0,
    Int64 = 2,
    Double = 5,
    ByteArray = 6,
}

/// A column, and whence its values come.
#[derive(Clone, Copy)]
enum Column {
    Run,
    Key(usize, Kind),
    Digest,
    Events,
    Met,
    Metric(Metric),
}

/// The values of a column, those that are there.
enum Values {
    Whole(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Switch(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
}

impl Column {
    fn all(columns: &Columns) -> Vec<Column> {
        let keys = columns.keys.iter().enumerate().map(|(place, key)| Column::Key(place, key.kind));
        let fixed = [Column::Digest, Column::Events, Column::Met];
        std::iter::once(Column::Run).chain(keys).chain(fixed).chain(Metric::all().map(Column::Metric)).collect()
    }

    fn physical(self) -> Physical {
        match self {
            Column::Run | Column::Events | Column::Met | Column::Key(_, Kind::Whole) => Physical::Int64,
            Column::Key(_, Kind::Real) => Physical::Double,
            Column::Key(_, Kind::Switch) => Physical::Boolean,
            Column::Digest | Column::Key(_, Kind::Text) => Physical::ByteArray,
            Column::Metric(metric) => match metric.unit() {
                Unit::Count => Physical::Int64,
                Unit::Seconds | Unit::Ratio => Physical::Double,
            },
        }
    }

    /// `SchemaElement`
    fn element(self, name: &str) -> Struct {
        let head = Struct::default().int32(1, self.physical() as i32).int32(3, i32::from(self.is_optional()));
        let named = head.text(4, name);
        match self.physical() {
            // `LogicalType.STRING`, an empty structure.
            Physical::ByteArray => named.int32(6, UTF8).inner(10, Struct::default().inner(1, Struct::default())),
            _ => named,
        }
    }

    const fn is_optional(self) -> bool {
        matches!(self, Column::Met | Column::Metric(_))
    }

    fn values(self, rows: &[(Row, Vec<Cell>)]) -> Values {
        let whole = |of: &dyn Fn(&Row) -> Option<i64>| Values::Whole(rows.iter().map(|(row, _)| of(row)).collect());
        match self {
            Column::Run => whole(&|row| Some(row.seed as i64)),
            Column::Events => whole(&|row| Some(row.events as i64)),
            Column::Met => whole(&|row| row.met.map(i64::from)),
            Column::Digest => {
                let digest = |(row, _): &(Row, Vec<Cell>)| Some(format!("{:032x}", row.digest));
                Values::Text(rows.iter().map(digest).collect())
            }
            Column::Metric(metric) if metric.unit() == Unit::Count => whole(&|row| match row.metrics[metric.index()] {
                Some(Value::Count(count)) => Some(count as i64),
                _ => None,
            }),
            Column::Metric(metric) => {
                let number = |(row, _): &(Row, Vec<Cell>)| row.metrics[metric.index()].map(Value::number);
                Values::Real(rows.iter().map(number).collect())
            }
            Column::Key(place, kind) => {
                let cells = || rows.iter().map(|(_, cells)| &cells[place]);
                macro_rules! all {
                    ($kind:ident, $value:ident => $as:expr) => {
                        Values::$kind(
                            cells()
                                .map(|cell| match cell {
                                    Cell::$kind($value) => Some($as),
                                    _ => unreachable!("a cell is of the kind of its column"),
                                })
                                .collect(),
                        )
                    };
                }
                match kind {
                    Kind::Whole => all!(Whole, number => *number),
                    Kind::Real => all!(Real, number => *number),
                    Kind::Switch => all!(Switch, yes => *yes),
                    Kind::Text => all!(Text, text => text.clone()),
                }
            }
        }
    }
}

impl Values {
    /// Which values are there.
    fn are_there(&self) -> Vec<bool> {
        fn of<T>(values: &[Option<T>]) -> Vec<bool> {
            values.iter().map(Option::is_some).collect()
        }
        match self {
            Values::Whole(values) => of(values),
            Values::Real(values) => of(values),
            Values::Switch(values) => of(values),
            Values::Text(values) => of(values),
        }
    }

    /// Those that are there, in the encoding `PLAIN`.
    fn plain(&self) -> Vec<u8> {
        match self {
            Values::Whole(values) => values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Real(values) => values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Switch(values) => {
                let bits: Vec<bool> = values.iter().flatten().copied().collect();
                let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
                bits.chunks(8).map(byte).collect()
            }
            Values::Text(values) => {
                let bytes = |text: &String| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
                values.iter().flatten().flat_map(bytes).collect()
            }
        }
    }
}

/// Definition levels of one bit in runs, with their length before them.
fn levels(there: &[bool]) -> Vec<u8> {
    let mut runs = Vec::new();
    for run in there.chunk_by(|a, b| a == b) {
        varint(&mut runs, (run.len() as u64) << 1);
        runs.push(u8::from(run[0]));
    }
    [&(runs.len() as u32).to_le_bytes(), &runs[..]].concat()
}

/// The begin of `FileMetaData`: version and schema.
fn head(columns: &Columns) -> Struct {
    let names = columns.names();
    let all = Column::all(columns);
    let root = Struct::default().text(4, "run").int32(5, all.len() as i32);
    let fields = all.iter().zip(&names).map(|(column, name)| column.element(name));
    Struct::default().int32(1, 1).structs(2, std::iter::once(root).chain(fields).collect())
}

/// How many rows a finished file with these columns has; none if it has other columns.
///
/// # Errors
/// If it is no Parquet file, or is cut.
pub(super) fn rows(path: &Path, columns: &Columns) -> io::Result<Option<u64>> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "this is no Parquet file, or it is cut");
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut end = [0; 8];
    file.seek(SeekFrom::Start(size.checked_sub(8).ok_or_else(cut)?))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, magic @ ..] = end;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *MAGIC || length + 12 > size {
        return Err(cut());
    }
    file.seek(SeekFrom::Start(size - 8 - length))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    match footer.strip_prefix(&head(columns).up_to_int64(3)[..]) {
        Some(rest) => read_int(rest).and_then(|rows| u64::try_from(rows).ok()).map(Some).ok_or_else(cut),
        None => Ok(None),
    }
}

/// A Parquet file under way; it appears under its name when it is complete.
pub(super) struct ParquetFile {
    file: Whole,
    path: PathBuf,
    /// How many bytes are written.
    at: u64,
    head: Struct,
    columns: Vec<Column>,
    names: Vec<String>,
    groups: Vec<Struct>,
    count: u64,
    rows: Vec<(Row, Vec<Cell>)>,
}

impl ParquetFile {
    pub(super) fn create(path: &Path, columns: &Columns) -> io::Result<ParquetFile> {
        let mut file = Whole::create(path)?;
        file.write_all(MAGIC)?;
        Ok(ParquetFile {
            file,
            path: path.to_owned(),
            at: MAGIC.len() as u64,
            head: head(columns),
            columns: Column::all(columns),
            names: columns.names(),
            groups: Vec::new(),
            count: 0,
            rows: Vec::new(),
        })
    }

    pub(super) fn write(&mut self, row: &Row, values: &[Cell]) -> io::Result<()> {
        self.rows.push((row.clone(), values.to_vec()));
        self.count += 1;
        if self.rows.len() == GROUP { self.flush() } else { Ok(()) }
    }

    /// Writes a column of the rows that were kept back as a page; returns its `ColumnChunk` and how many bytes it has.
    fn chunk(&mut self, column: Column, name: &str, rows: &[(Row, Vec<Cell>)]) -> io::Result<(Struct, i64)> {
        let (from, values) = (self.at, column.values(rows));
        let levels = if column.is_optional() { levels(&values.are_there()) } else { Vec::new() };
        let data = [levels, values.plain()].concat();
        let (count, size) = (rows.len() as i32, data.len() as i32);
        let page = Struct::default().int32(1, count).int32(2, PLAIN).int32(3, RLE).int32(4, RLE);
        let header = Struct::default().int32(1, DATA_PAGE).int32(2, size).int32(3, size).inner(5, page).finish();
        self.file.write_all(&header)?;
        self.file.write_all(&data)?;
        let bytes = (header.len() + data.len()) as i64;
        self.at += bytes as u64;
        let metadata = Struct::default()
            .int32(1, column.physical() as i32)
            .ints(2, &[PLAIN, RLE])
            .texts(3, &[name])
            .int32(4, UNCOMPRESSED)
            .int64(5, i64::from(count))
            .int64(6, bytes)
            .int64(7, bytes)
            .int64(9, from as i64);
        Ok((Struct::default().int64(2, from as i64).inner(3, metadata), bytes))
    }

    /// Writes the rows that were kept back as a `RowGroup`.
    fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        for place in 0..self.columns.len() {
            let (column, name) = (self.columns[place], self.names[place].clone());
            let (chunk, more) = self.chunk(column, &name, &rows)?;
            chunks.push(chunk);
            bytes += more;
        }
        self.groups.push(Struct::default().structs(1, chunks).int64(2, bytes).int64(3, rows.len() as i64));
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let path = self.path.clone();
        self.finish_as(&path)
    }

    /// As [`finish`](ParquetFile::finish), under another name.
    pub(super) fn finish_as(mut self, path: &Path) -> io::Result<()> {
        self.flush()?;
        let footer = self.head.int64(3, self.count as i64).structs(4, self.groups).text(6, "sim").finish();
        self.file.write_all(&footer)?;
        self.file.write_all(&(footer.len() as u32).to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.finish_as(path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Key;
    use super::*;
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field;

    fn columns() -> Columns {
        let kinds = [("a", Kind::Whole), ("b", Kind::Real), ("c", Kind::Switch), ("d", Kind::Text)];
        Columns { keys: kinds.map(|(name, kind)| Key { name: name.into(), kind }).into() }
    }

    /// Rows of all kinds: values that are there in turns and in stretches, texts of all lengths.
    fn row(number: u64) -> (Row, Vec<Cell>) {
        let metric = |(place, metric): (usize, Metric)| {
            (number / (place as u64 + 1)).is_multiple_of(2).then(|| match metric.unit() {
                Unit::Count => Value::Count(number),
                Unit::Seconds => Value::Span(crate::kernel::Span(number * 1_000_000)),
                Unit::Ratio => Value::Ratio(number as f64 / 7.0),
            })
        };
        let metrics = Metric::all().enumerate().map(metric).collect();
        let met = (!number.is_multiple_of(5)).then_some(number.is_multiple_of(2));
        let (digest, events) = (u128::from(number) << 70, number * 3);
        let row = Row { place: 0, seed: number, digest, events, met, metrics, unready: None };
        let text = "é".repeat(number as usize % 100);
        let real = number as f64 / 3.0;
        let whole = -(number as i64);
        (row, vec![Cell::Whole(whole), Cell::Real(real), Cell::Switch(number.is_multiple_of(3)), Cell::Text(text)])
    }

    fn write(path: &Path, count: u64) {
        let mut file = ParquetFile::create(path, &columns()).expect("a file");
        for number in 0..count {
            let (row, cells) = row(number);
            file.write(&row, &cells).expect("it can be written");
        }
        file.finish().expect("it can be written");
    }

    #[test]
    fn what_is_written_is_read_by_the_library_of_the_format() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        for count in [0, 1, 9, 2 * GROUP as u64 + 5] {
            write(&path, count);
            let reader = SerializedFileReader::new(File::open(&path).expect("a file")).expect("it is Parquet");
            let groups = count.div_ceil(GROUP as u64) as usize;
            assert_eq!((reader.num_row_groups(), rows(&path, &columns()).expect("whole")), (groups, Some(count)));
            let mut read = 0;
            for (number, found) in (0..).zip(reader.get_row_iter(None).expect("rows")) {
                let (row, cells) = row(number);
                let found = found.expect("a row");
                let fields: Vec<&Field> = found.get_column_iter().map(|(_, field)| field).collect();
                assert_eq!(fields[0], &Field::Long(number as i64));
                for (cell, field) in cells.iter().zip(&fields[1..]) {
                    let same = match (cell, field) {
                        (Cell::Whole(a), Field::Long(b)) => a == b,
                        (Cell::Real(a), Field::Double(b)) => a == b,
                        (Cell::Switch(a), Field::Bool(b)) => a == b,
                        (Cell::Text(a), Field::Str(b)) => a == b,
                        _ => false,
                    };
                    assert!(same, "row {number}: {cell:?}, and {field:?} was read");
                }
                assert_eq!(fields[5], &Field::Str(format!("{:032x}", row.digest)));
                assert_eq!(fields[7], &row.met.map_or(Field::Null, |met| Field::Long(i64::from(met))));
                for (value, field) in row.metrics.iter().zip(&fields[8..]) {
                    let same = match (value, field) {
                        (None, Field::Null) => true,
                        (Some(Value::Count(a)), Field::Long(b)) => *a as i64 == *b,
                        (Some(value), Field::Double(b)) => value.number() == *b,
                        _ => false,
                    };
                    assert!(same, "row {number}: {value:?}, and {field:?} was read");
                }
                read += 1;
            }
            assert_eq!(read, count);
        }
    }

    #[test]
    fn a_file_of_others_or_a_part_of_one_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write(&path, 3);
        let others = Columns { keys: Vec::new() };
        assert_eq!(rows(&path, &others).expect("it is whole"), None);
        let whole = std::fs::read(&path).expect("a file");
        for length in [0, 3, 11, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("a file");
            assert!(rows(&path, &columns()).is_err(), "{length} bytes");
        }
        // A footer that claims to be longer than the file.
        let end = whole.len() - 8;
        let claims = [&whole[..end], &u32::MAX.to_le_bytes(), MAGIC].concat();
        std::fs::write(&path, claims).expect("a file");
        assert!(rows(&path, &columns()).is_err());
    }
}
