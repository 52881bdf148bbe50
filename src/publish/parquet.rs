//! Result tables as Parquet files, and back; equal rows always give equal bytes.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use chrono::NaiveDate;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowWriter, ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnPath;
use polars::prelude::DataFrame;

use super::footer::{Footer, column_sha256, footer_mark};
use super::row_groups::RowGroups;
use crate::catalog::manifest::{FooterMark, PublishedTable};
use crate::columns;
use crate::contracts::arrow::{published_field, published_schema, to_array};
use crate::contracts::fingerprint::table_fingerprint;
use crate::contracts::{Column, Table, metadata};
use crate::exports::quarantine;
use crate::exports::set_aside::SetAside;
use crate::fingerprint::sha256;
use crate::stop::Stop;

/// The default of zstd: twice as fast as its next useful level, for a few percent of size.
const ZSTD_LEVEL: i32 = 3;
/// Where the dictionary of a column of numbers reaches this (16 384 different ones), the rest of the column
/// chunk is written without it: with as many in a row group, a dictionary takes time and saves no bytes.
const NUMBERS_DICTIONARY_BYTES: usize = 128 << 10;
/// Rows per row group. With fewer rows, a reader of a few shops decodes fewer unwanted rows. With
/// more rows, footers are shorter and readers of whole tables have less work.
const ROW_GROUP_ROWS: usize = 65_536;
/// Rows that are encoded or decoded at a time. It divides the rows of a row group, and it is a
/// multiple of 1024: the writer checks after every 1024 rows whether a page is full. So the pages
/// do not depend on the sizes of the parts that are pushed.
pub(super) const BATCH_ROWS: usize = 16_384;

/// Writes a result table's file. Rows are pushed in parts, in the order of the key. Only the rows of
/// unfinished row groups and compressed bytes are kept, and these do not depend on the sizes of the
/// parts.
pub(crate) struct TableWriter {
    table: &'static Table,
    /// Rows of the next row group.
    waiting: Vec<DataFrame>,
    waiting_rows: usize,
    group_rows: usize,
    groups: RowGroups,
    rows: u64,
    /// The key of the last row so far.
    last: Option<DataFrame>,
    stop: Stop,
}

impl TableWriter {
    /// `threads` threads encode the columns of a row group while the rows of the next one come.
    pub(crate) fn new(
        table: &'static Table,
        day: NaiveDate,
        threads: usize,
        stop: &Stop,
    ) -> Result<TableWriter> {
        TableWriter::with_row_groups(table, day, threads, stop, ROW_GROUP_ROWS)
    }

    fn with_row_groups(
        table: &'static Table,
        day: NaiveDate,
        threads: usize,
        stop: &Stop,
        group_rows: usize,
    ) -> Result<TableWriter> {
        let schema = published_schema(table.name, table.columns);
        let writer = writer(schema, metadata::key_values(table, day), group_rows)?;
        Ok(TableWriter {
            table,
            waiting: vec![],
            waiting_rows: 0,
            group_rows,
            groups: RowGroups::new(writer, threads)?,
            rows: 0,
            last: None,
            stop: stop.clone(),
        })
    }

    /// Adds rows that are conformed to the contract.
    ///
    /// # Errors
    /// `SumTooLarge` when an amount of money of these or of earlier rows does not fit
    /// `DECIMAL(18,2)`.
    /// `Interrupted` or `Terminated` when the run is asked to stop; the next rows are not encoded.
    /// Rows out of order are a bug.
    pub(crate) fn push(&mut self, rows: &DataFrame) -> Result<()> {
        if rows.height() == 0 {
            return Ok(());
        }
        self.check_order(rows)?;
        let mut first = 0;
        while first < rows.height() {
            let part = rows.slice(first as i64, self.group_rows - self.waiting_rows);
            first += part.height();
            self.waiting_rows += part.height();
            self.waiting.push(part);
            if self.waiting_rows == self.group_rows {
                self.end_group()?;
            }
        }
        self.rows += rows.height() as u64;
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        self.stop.check()?;
        let mut parts = std::mem::take(&mut self.waiting).into_iter();
        self.waiting_rows = 0;
        let mut rows = parts.next().context("a row group has rows")?;
        parts.try_for_each(|part| rows.vstack_mut_owned(part).map(drop))?;
        let (table, batch_rows) = (self.table, BATCH_ROWS.min(self.group_rows));
        let batches: Vec<DataFrame> = (0..rows.height())
            .step_by(batch_rows)
            .map(|first| rows.slice(first as i64, batch_rows))
            .collect();
        self.groups
            .push(move |column, writer| encode(table, &table.columns[column], &batches, writer))
    }

    fn check_order(&mut self, rows: &DataFrame) -> Result<()> {
        let keys = rows.select(self.table.key.iter().copied())?;
        if let Some(last) = self.last.replace(keys.tail(Some(1))) {
            let neighbours = last.vstack(&keys.head(Some(1)))?;
            ensure!(
                columns::ascends(&neighbours, self.table.key)?,
                "table {}: parts out of order",
                self.table.name
            );
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<TableFile> {
        if self.waiting_rows > 0 {
            self.end_group()?;
        }
        let mut file = self.groups.finish()?;
        file.flush()?;
        let hashes = column_sha256(file.flushed_row_groups(), file.inner());
        file.append_key_value_metadata(hashes);
        let bytes = Bytes::from(file.into_inner()?);
        Ok(TableFile {
            table: self.table,
            rows: self.rows,
            sha256: sha256(&bytes),
            footer: Arc::new(Footer::parse(&bytes)?),
            footer_mark: footer_mark(&bytes)?,
            bytes,
        })
    }
}

/// One table's file, ready to be published. Clones share its bytes.
#[derive(Clone)]
pub struct TableFile {
    pub table: &'static Table,
    pub rows: u64,
    pub bytes: Bytes,
    pub sha256: String,
    pub footer: Arc<Footer>,
    footer_mark: FooterMark,
}

impl TableFile {
    pub(crate) fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Encodes a conformed table as a file. Ends early when the run is asked to stop.
    pub fn new(
        table: &'static Table,
        day: NaiveDate,
        threads: usize,
        stop: &Stop,
        rows: &DataFrame,
    ) -> Result<TableFile> {
        let mut writer = TableWriter::new(table, day, threads, stop)?;
        writer.push(rows)?;
        writer.finish()
    }

    /// The entry in the manifest, still without the fingerprint of the inputs and the commit.
    pub(super) fn published(&self, run_id: &str) -> PublishedTable {
        PublishedTable {
            rows: self.rows,
            bytes: self.bytes.len() as u64,
            sha256: self.sha256.clone(),
            footer: Some(self.footer_mark.clone()),
            inputs: String::new(),
            run_id: run_id.to_owned(),
            commit_number: None,
            contract: Some(table_fingerprint(self.table)),
        }
    }
}

/// Encodes a column of a row group, given in batches. Results have no nested types: each column has
/// one writer.
fn encode(
    table: &Table,
    column: &Column,
    batches: &[DataFrame],
    mut writer: ArrowColumnWriter,
) -> Result<ArrowColumnChunk> {
    let field = published_field(table.name, column);
    for rows in batches {
        for leaf in compute_leaves(&field, &to_array(table, column, rows)?)? {
            writer.write(&leaf)?;
        }
    }
    Ok(writer.close()?)
}

/// Quarantined rows as a file.
pub(crate) fn encode_quarantine(rows: &SetAside) -> Result<Vec<u8>> {
    let mut writer = writer(quarantine::schema(), vec![], ROW_GROUP_ROWS)?;
    rows.batches(&mut |batch| Ok(writer.write(&batch)?))?;
    Ok(writer.into_inner()?)
}

fn writer(
    schema: SchemaRef,
    key_values: Vec<KeyValue>,
    group_rows: usize,
) -> Result<ArrowWriter<Vec<u8>>> {
    let fields = schema.fields().iter();
    let numbers = fields.filter(|field| *field.data_type() != DataType::Utf8);
    let numbers: Vec<ColumnPath> = numbers
        .map(|field| ColumnPath::from(field.name().as_str()))
        .collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by("campaign-etl".into())
        .set_max_row_group_row_count(Some(group_rows))
        .set_key_value_metadata(Some(key_values).filter(|kv| !kv.is_empty()));
    let properties = numbers.into_iter().fold(properties, |properties, column| {
        properties.set_column_dictionary_page_size_limit(column, NUMBERS_DICTIONARY_BYTES)
    });
    // Parquet's own types are sufficient. An embedded Arrow schema would only bind readers to
    // Arrow's types.
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_skip_arrow_metadata(true);
    Ok(ArrowWriter::try_new_with_options(
        Vec::new(),
        schema,
        options,
    )?)
}

/// Decodes columns of some row groups, batch by batch. `file` holds at least their chunks.
pub(crate) fn decode<F: ChunkReader + 'static>(
    file: F,
    footer: &Footer,
    groups: Vec<usize>,
    names: &[&str],
    consume: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.metadata.clone());
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let batches = builder
        .with_projection(mask)
        .with_row_groups(groups)
        .with_batch_size(BATCH_ROWS)
        .build()?;
    for batch in batches {
        consume(batch?)?;
    }
    Ok(())
}

/// Decodes every column of a file, of this or an earlier version of its table. `shop_id`: only the
/// rows of this shop, of a table that has shops.
pub(crate) fn decode_all(file: Bytes, shop_id: Option<i64>) -> Result<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = builder.schema().clone();
    let mut batches = Vec::new();
    for batch in builder.with_batch_size(BATCH_ROWS).build()? {
        let batch = batch?;
        let shops = batch
            .column_by_name("shop_id")
            .map(|ids| ids.as_primitive::<Int64Type>());
        batches.push(match shop_id.zip(shops) {
            None => batch,
            Some((shop, shops)) => {
                let is_wanted: BooleanArray =
                    shops.iter().map(|id| Some(id == Some(shop))).collect();
                filter_record_batch(&batch, &is_wanted)?
            }
        });
    }
    Ok(concat_batches(&schema, &batches)?)
}

/// Decodes columns of a whole file, some rows at a time.
pub(crate) fn for_each_batch(
    file: Bytes,
    names: &[&str],
    consume: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
    for batch in builder.build()? {
        consume(batch?)?;
    }
    Ok(())
}

/// Some column chunks of a file, with their positions.
pub(crate) struct Chunks {
    pub file_bytes: u64,
    /// The position of the first byte, and the bytes.
    pub chunks: Vec<(u64, Bytes)>,
}

impl Chunks {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let holds =
            |(first, bytes): &&(u64, Bytes)| (*first..first + bytes.len() as u64).contains(&start);
        let (first, bytes) = self
            .chunks
            .iter()
            .find(holds)
            .ok_or_else(|| ParquetError::EOF(format!("byte {start} was not fetched")))?;
        Ok(bytes.slice((start - first) as usize..))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Chunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let from = self.from(start)?;
        if from.len() < length {
            return Err(ParquetError::EOF(format!(
                "{length} bytes from byte {start} were not fetched"
            )));
        }
        Ok(from.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::Column;
    use crate::contracts::arrow::from_batch;
    use crate::contracts::tables::SKU_DAILY;
    use crate::windows::Rows;

    /// Three SKUs of each shop.
    fn rows(shops: std::ops::Range<i64>) -> DataFrame {
        let skus: Vec<(i64, i64)> = shops
            .flat_map(|shop| (0..3).map(move |sku| (shop, sku)))
            .collect();
        let ints =
            |name, value: fn(&(i64, i64)) -> i64| columns::ints(name, skus.iter().map(value));
        let gmv = columns::money(
            "gmv",
            skus.iter().map(|(shop, sku)| i128::from(shop * 100 + sku)),
        );
        let columns = vec![
            ints("shop_id", |(shop, _)| *shop),
            ints("product_id", |(shop, _)| shop * 10),
            ints("sku_id", |(_, sku)| *sku),
            ints("items_sold", |_| 1),
            gmv,
        ];
        DataFrame::new(skus.len(), columns).unwrap()
    }

    /// `parts`: ranges of shops, with the end excluded.
    fn file(parts: &[(i64, i64)]) -> Result<TableFile> {
        file_by(1, parts)
    }

    fn file_by(threads: usize, parts: &[(i64, i64)]) -> Result<TableFile> {
        let mut writer = TableWriter::with_row_groups(
            &SKU_DAILY,
            "2026-03-14".parse().unwrap(),
            threads,
            &Stop::default(),
            4,
        )?;
        for (first, end) in parts {
            writer.push(&rows(*first..*end))?;
        }
        writer.finish()
    }

    #[test]
    fn the_sizes_of_parts_and_the_number_of_threads_do_not_change_a_file() {
        let whole = file(&[(0, 20)]).unwrap();
        assert_eq!(whole.rows, 60);
        for threads in [2, 3, 20] {
            let same = file_by(threads, &[(0, 20)]).unwrap();
            assert!(same.bytes == whole.bytes, "{threads} threads");
        }
        for parts in [[(0, 1), (1, 20)], [(0, 13), (13, 20)], [(0, 20), (20, 20)]] {
            assert!(file(&parts).unwrap().bytes == whole.bytes, "{parts:?}");
        }
    }

    #[test]
    fn parts_out_of_order_and_repeated_rows_are_refused() {
        for parts in [[(1, 3), (0, 1)], [(0, 2), (1, 3)]] {
            let error = file(&parts).err().unwrap().to_string();
            assert_eq!(error, "table sku_daily: parts out of order");
        }
    }

    #[test]
    fn rows_of_a_few_shops_are_in_a_few_row_groups() {
        // Groups of four rows: shops 0 0 0 1 | 1 1 2 2 | 2 3 3 3 | 4 4 4 5 | 5 5
        let file = file(&[(0, 6)]).unwrap();
        let groups = |shops: &[i64]| {
            file.footer.groups_with(&Rows {
                campaign_id: None,
                shops: Some(shops),
            })
        };
        assert_eq!(groups(&[1]), [0, 1]);
        assert_eq!(groups(&[0, 5]), [0, 3, 4]);
        assert_eq!(groups(&[9]), [0; 0]);
        // Only their chunks are there.
        let names = ["shop_id", "gmv"];
        let chunks = file.footer.chunks(2, &names).map(|(range, _)| {
            (
                range.start,
                file.bytes.slice(range.start as usize..range.end as usize),
            )
        });
        let chunks = Chunks {
            file_bytes: file.bytes.len() as u64,
            chunks: chunks.collect(),
        };
        let mut cents = Vec::new();
        let described: Vec<&Column> = names.iter().map(|name| SKU_DAILY.column(name)).collect();
        decode(chunks, &file.footer, vec![2], &names, &mut |batch| {
            cents.extend(
                from_batch(&described, &batch)?
                    .column("gmv")?
                    .i128()?
                    .iter()
                    .flatten(),
            );
            Ok(())
        })
        .unwrap();
        assert_eq!(cents, [202, 300, 301, 302]);
    }
}
