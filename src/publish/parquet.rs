//! Result tables as Parquet files, and back; the same rows always give the same bytes.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::RecordBatch;
use arrow_schema::Field;
use bytes::Bytes;
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::arrow::{ProjectionMask, arrow_reader::ArrowReaderOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use polars::prelude::DataFrame;

use crate::contracts::arrow::{from_batch, memory_type, schema, to_batch};
use crate::contracts::{Column, Table, metadata};
use crate::exports::quarantine::{self, Quarantined};

/// zstd's own default: twice the speed of its next useful level for a few percent of size.
const ZSTD_LEVEL: i32 = 3;

/// A conformed table as a file.
///
/// # Errors
/// When an amount of money does not fit `DECIMAL(18,2)`.
pub fn encode(table: &Table, day: NaiveDate, rows: &DataFrame) -> Result<Vec<u8>> {
    write(&to_batch(table, rows)?, metadata::key_values(table, day))
}

/// Quarantined rows as a file.
pub fn encode_quarantine(rows: &[Quarantined]) -> Result<Vec<u8>> {
    write(&quarantine::to_batch(rows)?, vec![])
}

fn write(batch: &RecordBatch, key_values: Vec<KeyValue>) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by("campaign-etl".into())
        .set_key_value_metadata(Some(key_values).filter(|kv| !kv.is_empty()))
        .build();
    // Parquet's own types say everything; an embedded Arrow schema would only bind readers to Arrow's.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// The named columns of a published file, in memory form and the order asked for.
///
/// # Errors
/// When the file is not as the contract says.
pub fn decode(table: &Table, bytes: Bytes, names: &[&str]) -> Result<DataFrame> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)?;
    let expected = schema(table.columns);
    for name in names {
        let found = builder.schema().field_with_name(name).context("not as its contract says")?;
        let expected: &Arc<Field> = &expected.fields()[expected.index_of(name)?];
        ensure!(
            (found.data_type(), found.is_nullable()) == (expected.data_type(), expected.is_nullable()),
            "column {name}: expected {}, found {}",
            expected.data_type(),
            found.data_type()
        );
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let columns: Vec<&Column> = names.iter().map(|name| table.column(name)).collect();
    let mut rows = empty(&columns)?;
    for batch in builder.with_projection(mask).build()? {
        rows.vstack_mut_owned(from_batch(&columns, &batch?)?)?;
    }
    rows.align_chunks_par();
    Ok(rows)
}

/// No rows of the columns.
pub fn empty(columns: &[&Column]) -> Result<DataFrame> {
    let empty = |c: &&Column| polars::prelude::Column::new_empty(c.name.into(), &memory_type(c.kind));
    Ok(DataFrame::new(0, columns.iter().map(empty).collect())?)
}
