//! One export folder while it is written: rows in, Parquet files and, last, `_SUCCESS` out.
//!
//! Rows are encoded batch by batch; a folder needs memory for one row group per file, whatever its
//! size.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use chrono::NaiveDate;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde_json::json;

use crate::contracts::{Dataset, Kind, SUCCESS_FILE, arrow};
use crate::messages;

/// Rows per batch handed to the encoder.
const BATCH_ROWS: usize = 8_192;
/// Rows per row group: what a file holds in memory, encoded, before it is written (a few MB).
const ROW_GROUP_ROWS: usize = 131_072;
/// The level from which the committed sample profits; large worlds are not slowed down much by it.
const ZSTD_LEVEL: i32 = 6;
/// Fixed, so that a newer release of the Parquet library does not change the bytes by its name
/// alone.
const CREATED_BY: &str = "campaign-etl-generate version 1.0.0 (build synthetic)";

/// One value of a row. Money in cents, days since 1970-01-01, instants in microseconds.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Flag(bool),
}

impl From<Option<i64>> for Cell<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Cell::Null, Cell::Int)
    }
}

/// An export folder being written.
pub(super) struct Folder {
    path: PathBuf,
    parts: Vec<Part>,
    rows: u64,
}

struct Part {
    name: String,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    columns: Vec<Values>,
    rows: u64,
}

enum Values {
    Int64(Int64Builder),
    Int32(Int32Builder),
    Money(Decimal128Builder),
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
}

impl Folder {
    /// Opens `<out>/<dataset>/dt=<day>` with `parts` files, over which rows are spread evenly.
    /// `nulls_anywhere` writes every column as optional, for exports that break the null rule.
    ///
    /// # Errors
    /// When the folder exists: an export is never mixed with what another call wrote.
    pub(super) fn create(
        out: &Path,
        dataset: &Dataset,
        day: NaiveDate,
        parts: u32,
        nulls_anywhere: bool,
    ) -> Result<Self> {
        let path = out.join(dataset.partition(day));
        ensure!(!path.exists(), messages::exists_already(path.display()));
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        let mut schema = arrow::schema(dataset.columns);
        if nulls_anywhere {
            let nullable =
                |field: &Arc<arrow_schema::Field>| field.as_ref().clone().with_nullable(true);
            schema = Arc::new(Schema::new(
                schema.fields().iter().map(nullable).collect::<Vec<_>>(),
            ));
        }
        let parts = (0..parts)
            .map(|n| Part::create(&path, dataset, schema.clone(), n))
            .collect::<Result<_>>()?;
        Ok(Folder {
            path,
            parts,
            rows: 0,
        })
    }

    /// Adds one row: a cell for each column, in contract order.
    pub(super) fn row(&mut self, cells: &[Cell]) -> Result<()> {
        let part = (self.rows % self.parts.len() as u64) as usize;
        self.rows += 1;
        self.parts[part].row(cells)
    }

    /// Writes what is left and the mark that makes the folder final: empty, or the list of its
    /// files.
    pub(super) fn finish(self, list_files: bool) -> Result<()> {
        let mut files = Vec::new();
        for part in self.parts {
            let (name, rows) = (part.name.clone(), part.rows);
            part.finish()?;
            let size = fs::metadata(self.path.join(&name))?.len();
            files.push(json!({"name": name, "size_bytes": size, "row_count": rows}));
        }
        let mark = if list_files {
            format!("{}\n", json!({"files": files}))
        } else {
            String::new()
        };
        fs::write(self.path.join(SUCCESS_FILE), mark)
            .with_context(|| format!("finish {}", self.path.display()))
    }
}

impl Part {
    fn create(folder: &Path, dataset: &Dataset, schema: SchemaRef, number: u32) -> Result<Self> {
        let name = format!("part-{number}.parquet");
        let file = File::create(folder.join(&name))
            .with_context(|| format!("create {name} in {}", folder.display()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            // The large exports have the statistics that any writer gives them; small ones are
            // mostly metadata already.
            .set_statistics_enabled(if dataset.is_streamed() {
                EnabledStatistics::Chunk
            } else {
                EnabledStatistics::None
            })
            .set_offset_index_disabled(true)
            .set_created_by(CREATED_BY.into())
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, schema.clone(), options)?;
        let columns = dataset
            .columns
            .iter()
            .map(|c| Values::new(c.kind))
            .collect::<Result<_>>()?;
        Ok(Part {
            name,
            writer,
            schema,
            columns,
            rows: 0,
        })
    }

    fn row(&mut self, cells: &[Cell]) -> Result<()> {
        ensure!(
            cells.len() == self.columns.len(),
            "{} cells for {} columns",
            cells.len(),
            self.columns.len()
        );
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(*cell)?;
        }
        self.rows += 1;
        if self.rows.is_multiple_of(BATCH_ROWS as u64) {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        let arrays = self
            .columns
            .iter_mut()
            .map(Values::take)
            .collect::<Result<Vec<_>>>()?;
        Ok(self
            .writer
            .write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?)
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close()?;
        Ok(())
    }
}

impl Values {
    fn new(kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Int64 => Values::Int64(Int64Builder::new()),
            Kind::Int32 => Values::Int32(Int32Builder::new()),
            Kind::Money => Values::Money(
                Decimal128Builder::new().with_data_type(arrow::data_type(Kind::Money)),
            ),
            Kind::Text => Values::Text(StringBuilder::new()),
            Kind::Boolean => Values::Boolean(BooleanBuilder::new()),
            Kind::Date => Values::Date(Date32Builder::new()),
            Kind::Instant => Values::Instant(
                TimestampMicrosecondBuilder::new().with_data_type(arrow::data_type(Kind::Instant)),
            ),
            Kind::Double => bail!("exports have no DOUBLE"),
        })
    }

    fn push(&mut self, cell: Cell) -> Result<()> {
        match (self, cell) {
            (Values::Int64(values), Cell::Int(v)) => values.append_value(v),
            (Values::Int64(values), Cell::Null) => values.append_null(),
            (Values::Int32(values), Cell::Int(v)) => values.append_value(i32::try_from(v)?),
            (Values::Int32(values), Cell::Null) => values.append_null(),
            (Values::Money(values), Cell::Int(v)) => values.append_value(i128::from(v)),
            (Values::Money(values), Cell::Null) => values.append_null(),
            (Values::Text(values), Cell::Text(v)) => values.append_value(v),
            (Values::Text(values), Cell::Null) => values.append_null(),
            (Values::Boolean(values), Cell::Flag(v)) => values.append_value(v),
            (Values::Boolean(values), Cell::Null) => values.append_null(),
            (Values::Date(values), Cell::Int(v)) => values.append_value(i32::try_from(v)?),
            (Values::Date(values), Cell::Null) => values.append_null(),
            (Values::Instant(values), Cell::Int(v)) => values.append_value(v),
            (Values::Instant(values), Cell::Null) => values.append_null(),
            _ => bail!("a cell of another type than its column"),
        }
        Ok(())
    }

    fn take(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Values::Int64(values) => Arc::new(values.finish()),
            Values::Int32(values) => Arc::new(values.finish()),
            Values::Money(values) => Arc::new(values.finish()),
            Values::Text(values) => Arc::new(values.finish()),
            Values::Boolean(values) => Arc::new(values.finish()),
            Values::Date(values) => Arc::new(values.finish()),
            Values::Instant(values) => Arc::new(values.finish()),
        })
    }
}
