//! One row group: its column chunks fetched, its pages checked, then its rows decoded.

use arrow_array::RecordBatch;
use arrow_schema::Fields;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::failure::{FileError, damaged, isolated};
use super::pages::{CheckedPages, MOST_PAGE_BYTES, check_headers};
use crate::store::Store;

/// Fetches the column chunks of a row group, in the order of its columns.
pub(crate) fn fetch(
    store: &Store,
    path: &str,
    size_bytes: u64,
    metadata: &ParquetMetaData,
    group: usize,
) -> Result<Vec<Bytes>, FileError> {
    let mut object = store.parquet_object(path, size_bytes)?;
    let chunks = metadata.row_group(group).columns().iter();
    let ranges = chunks.map(|chunk| {
        let (start, length) = chunk.byte_range();
        start..start + length
    });
    isolated(|| {
        let ranges = ranges.collect();
        store.runtime().block_on(object.get_byte_ranges(ranges))
    })
    .map_err(|error| FileError::new(store, path, error))
}

/// Decodes the rows of a row group, some at a time.
pub(crate) struct RowGroupReader {
    rows: ParquetRecordBatchReader,
    claimed_rows: u64,
    decoded_rows: u64,
}

impl RowGroupReader {
    /// Checks the pages of the fetched `chunks`. `types`: the Arrow type of each column.
    pub(crate) fn open(
        metadata: &ParquetMetaData,
        types: &Fields,
        group: usize,
        chunks: Vec<Bytes>,
        batch_rows: usize,
    ) -> Result<RowGroupReader, FileError> {
        let rows = isolated(|| decoder(metadata, types, group, chunks, batch_rows));
        Ok(RowGroupReader {
            rows: rows.map_err(|error| FileError::damaged(&error))?,
            claimed_rows: metadata.row_group(group).num_rows() as u64,
            decoded_rows: 0,
        })
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// `Damaged` too when the row group ends after another number of rows than its footer says.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, FileError> {
        let decoded = isolated(|| decode(&mut self.rows));
        match decoded.map_err(|error| FileError::damaged(&error))? {
            Some(batch) => {
                self.decoded_rows += batch.num_rows() as u64;
                Ok(Some(batch))
            }
            None if self.decoded_rows == self.claimed_rows => Ok(None),
            None => Err(FileError::Damaged(format!(
                "{} rows where the footer says {}",
                self.decoded_rows, self.claimed_rows
            ))),
        }
    }
}

fn decoder(
    metadata: &ParquetMetaData,
    types: &Fields,
    group: usize,
    chunks: Vec<Bytes>,
    batch_rows: usize,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let schema = metadata.file_metadata().schema_descr();
    let levels = parquet_to_arrow_field_levels(schema, ProjectionMask::all(), Some(types))?;
    let group = CheckedRowGroup::new(metadata, group, chunks)?;
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, batch_rows, None)
}

fn decode(rows: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>, ParquetError> {
    let decoded = rows.next().transpose();
    decoded.map_err(|error| damaged(error.to_string()))
}

/// A row group whose page headers are checked.
struct CheckedRowGroup<'a> {
    metadata: &'a ParquetMetaData,
    group: &'a RowGroupMetaData,
    chunks: Vec<Bytes>,
}

impl<'a> CheckedRowGroup<'a> {
    fn new(
        metadata: &'a ParquetMetaData,
        group: usize,
        chunks: Vec<Bytes>,
    ) -> Result<Self, ParquetError> {
        let group = metadata.row_group(group);
        let mut page_bytes = 0;
        for (column, bytes) in group.columns().iter().zip(&chunks) {
            page_bytes += check_headers(group, column, bytes)?;
        }
        if page_bytes > MOST_PAGE_BYTES {
            return Err(damaged(format!(
                "pages of {page_bytes} bytes to hold at once: write smaller pages"
            )));
        }
        Ok(CheckedRowGroup {
            metadata,
            group,
            chunks,
        })
    }
}

impl RowGroups for CheckedRowGroup<'_> {
    fn num_rows(&self) -> usize {
        self.group.num_rows() as usize
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        let bytes = self.chunks.get(column).cloned();
        let bytes = bytes.ok_or_else(|| damaged("a column that was not read"))?;
        let pages = CheckedPages::new(self.group.column(column), bytes, self.num_rows())?;
        Ok(Box::new(OneChunk(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The chunks of one column in one row group: exactly one.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}
