//! `runs.parquet`: the rows of `runs.csv` for data tools, column by column, uncompressed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::cell::{Cell, Kind};
use super::rows::{Columns, Row};
use crate::analysis::metrics::{Metric, Unit, Value};
use crate::files::Whole;

/// Rows that are kept back until they are written as a row group.
const GROUP: usize = 4_096;

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
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
    Text(Vec<Option<ByteArray>>),
}

impl Column {
    fn all(columns: &Columns) -> Vec<Column> {
        let keys = columns.keys.iter().enumerate().map(|(place, key)| Column::Key(place, key.kind));
        let fixed = [Column::Digest, Column::Events, Column::Met];
        std::iter::once(Column::Run).chain(keys).chain(fixed).chain(Metric::all().map(Column::Metric)).collect()
    }

    fn field(self, columns: &Columns) -> Arc<Type> {
        let text = (Physical::BYTE_ARRAY, Some(LogicalType::String));
        let (name, (physical, logical)) = match self {
            Column::Run => ("run", (Physical::INT64, None)),
            Column::Digest => ("digest", text),
            Column::Events => ("events", (Physical::INT64, None)),
            Column::Met => ("met", (Physical::INT64, None)),
            Column::Key(place, kind) => {
                let physical = match kind {
                    Kind::Whole => (Physical::INT64, None),
                    Kind::Real => (Physical::DOUBLE, None),
                    Kind::Switch => (Physical::BOOLEAN, None),
                    Kind::Text => text,
                };
                (columns.keys[place].name.as_str(), physical)
            }
            Column::Metric(metric) => match metric.unit() {
                Unit::Count => (metric.name(), (Physical::INT64, None)),
                Unit::Seconds | Unit::Ratio => (metric.name(), (Physical::DOUBLE, None)),
            },
        };
        let repetition = if self.is_optional() { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let column =
            Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(repetition);
        Arc::new(column.build().expect("the column is one of Parquet's kinds"))
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
                let digest = |(row, _): &(Row, Vec<Cell>)| Some(format!("{:032x}", row.digest).as_str().into());
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
                    Kind::Text => all!(Text, text => text.as_str().into()),
                }
            }
        }
    }
}

/// Which values are there, and those that are.
fn levels<T>(values: Vec<Option<T>>) -> (Vec<i16>, Vec<T>) {
    (values.iter().map(|value| i16::from(value.is_some())).collect(), values.into_iter().flatten().collect())
}

/// What a finished file holds: the names of its columns, and how many rows.
///
/// # Errors
/// If it is no Parquet file, or is cut.
pub(super) fn contents(path: &Path) -> io::Result<(Vec<String>, u64)> {
    let reader = SerializedFileReader::new(std::fs::File::open(path)?).map_err(failed)?;
    let metadata = reader.metadata().file_metadata();
    let names = metadata.schema_descr().columns().iter().map(|column| column.name().to_owned()).collect();
    Ok((names, metadata.num_rows().unsigned_abs()))
}

/// A Parquet file under way; it appears under its name when it is complete.
pub(super) struct ParquetFile {
    writer: SerializedFileWriter<std::fs::File>,
    file: Whole,
    path: std::path::PathBuf,
    columns: Vec<Column>,
    rows: Vec<(Row, Vec<Cell>)>,
}

impl ParquetFile {
    pub(super) fn create(path: &Path, columns: &Columns) -> io::Result<ParquetFile> {
        let all = Column::all(columns);
        let fields = all.iter().map(|column| column.field(columns)).collect();
        let schema = Type::group_type_builder("run").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder().set_created_by("sim".to_owned()).build();
        let file = Whole::create(path)?;
        let writer =
            SerializedFileWriter::new(file.handle()?, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(ParquetFile { writer, file, path: path.to_owned(), columns: all, rows: Vec::new() })
    }

    pub(super) fn write(&mut self, row: &Row, values: &[Cell]) -> io::Result<()> {
        self.rows.push((row.clone(), values.to_vec()));
        if self.rows.len() == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in &self.columns {
            let mut writer = group.next_column().map_err(failed)?.expect("there is a writer for each column");
            macro_rules! batch {
                ($typed:expr, $values:expr) => {{
                    let (there, values) = levels($values);
                    let there = column.is_optional().then_some(&there[..]);
                    $typed.write_batch(&values, there, None).map_err(failed)?
                }};
            }
            match (writer.untyped(), column.values(&rows)) {
                (ColumnWriter::Int64ColumnWriter(typed), Values::Whole(values)) => batch!(typed, values),
                (ColumnWriter::DoubleColumnWriter(typed), Values::Real(values)) => batch!(typed, values),
                (ColumnWriter::BoolColumnWriter(typed), Values::Switch(values)) => batch!(typed, values),
                (ColumnWriter::ByteArrayColumnWriter(typed), Values::Text(values)) => batch!(typed, values),
                _ => unreachable!("a column has values of its own kind"),
            };
            writer.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let path = self.path.clone();
        self.finish_as(&path)
    }

    /// As [`finish`](ParquetFile::finish), under another name.
    pub(super) fn finish_as(mut self, path: &Path) -> io::Result<()> {
        self.flush()?;
        self.writer.close().map_err(failed)?;
        self.file.finish_as(path)
    }
}
