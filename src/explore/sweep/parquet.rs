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

use super::rows::{Columns, METRICS, Row};
use crate::files::Whole;

/// Rows that are kept back until they are written as a row group.
const GROUP: usize = 4_096;

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

/// A Parquet file under way; it appears under its name when it is complete.
pub(super) struct ParquetFile {
    writer: SerializedFileWriter<std::fs::File>,
    file: Whole,
    path: std::path::PathBuf,
    rows: Vec<(Row, Vec<String>)>,
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

fn column(name: &str, physical: Physical, logical: Option<LogicalType>, repetition: Repetition) -> Arc<Type> {
    let column = Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(repetition);
    Arc::new(column.build().expect("the column is one of Parquet's kinds"))
}

impl ParquetFile {
    pub(super) fn create(path: &Path, columns: &Columns) -> io::Result<ParquetFile> {
        let text = |name: &str| column(name, Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED);
        let number = |name: &str| column(name, Physical::INT64, None, Repetition::REQUIRED);
        let mut fields = vec![number("run"), number("seed")];
        fields.extend(columns.keys.iter().map(|key| text(key)));
        fields.extend([text("digest"), number("events")]);
        fields.extend(METRICS.iter().map(|name| column(name, Physical::DOUBLE, None, Repetition::OPTIONAL)));
        let schema = Type::group_type_builder("run").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder().set_created_by("sim".to_owned()).build();
        let file = Whole::create(path)?;
        let writer =
            SerializedFileWriter::new(file.handle()?, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(ParquetFile { writer, file, path: path.to_owned(), rows: Vec::new() })
    }

    pub(super) fn write(&mut self, row: &Row, values: &[String]) -> io::Result<()> {
        self.rows.push((row.clone(), values.to_vec()));
        if self.rows.len() == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let Some((_, first)) = rows.first() else { return Ok(()) };
        let keys = first.len();
        let mut group = self.writer.next_row_group().map_err(failed)?;
        let mut index = 0;
        while let Some(mut column) = group.next_column().map_err(failed)? {
            match column.untyped() {
                ColumnWriter::Int64ColumnWriter(writer) => {
                    let value = |row: &Row| match index {
                        0 => row.run,
                        1 => row.seed,
                        _ => row.events,
                    };
                    let values: Vec<i64> = rows.iter().map(|(row, _)| value(row) as i64).collect();
                    writer.write_batch(&values, None, None).map_err(failed)?;
                }
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    let value = |row: &Row, values: &[String]| match index - 2 {
                        key if key < keys => ByteArray::from(values[key].as_str()),
                        _ => ByteArray::from(format!("{:032x}", row.digest).as_str()),
                    };
                    let values: Vec<ByteArray> = rows.iter().map(|(row, values)| value(row, values)).collect();
                    writer.write_batch(&values, None, None).map_err(failed)?;
                }
                ColumnWriter::DoubleColumnWriter(writer) => {
                    let metric = |row: &Row| row.metrics[index - keys - 4];
                    let values: Vec<f64> = rows.iter().filter_map(|(row, _)| metric(row)).collect();
                    let there: Vec<i16> = rows.iter().map(|(row, _)| i16::from(metric(row).is_some())).collect();
                    writer.write_batch(&values, Some(&there), None).map_err(failed)?;
                }
                _ => unreachable!("there are columns of three kinds"),
            }
            column.close().map_err(failed)?;
            index += 1;
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
