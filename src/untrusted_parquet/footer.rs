//! The footer of a file: read within size limits, and compared with the size of the file.

use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FooterTail, ParquetMetaData, ParquetMetaDataReader,
};

use super::failure::{FileError, damaged, isolated};
use super::thrift::{FooterKind, check_footer};
use crate::store::{ParquetObject, Store};

/// Four bytes at the start, four for the length of the footer and four at the end. In a shorter
/// file the footer's position would be negative, and no store can serve such a byte range.
const LEAST_FILE_BYTES: u64 = 12;

/// A footer of this size describes several thousand row groups of a hundred columns. In memory it
/// takes several times as much.
const MOST_FOOTER_BYTES: usize = 64 << 20;

/// Rows that one byte of a file may stand for. Every row has a key or a user of its own, which
/// takes a byte or more in every encoding. A footer that claims endless rows would be read
/// endlessly.
const ROWS_PER_BYTE: u64 = 128;

/// Reads the footer of a file. An embedded Arrow schema is ignored: only the Parquet types count,
/// for every writer. Byte ranges are not checked yet ([`check_ranges`]).
pub(crate) fn read_footer(
    store: &Store,
    path: &str,
    size_bytes: u64,
) -> Result<ParquetMetaData, FileError> {
    if size_bytes < LEAST_FILE_BYTES {
        return Err(FileError::Damaged(format!("a file of {size_bytes} bytes")));
    }
    let mut object = store.parquet_object(path, size_bytes)?;
    let loaded = isolated(|| store.runtime().block_on(load(&mut object, size_bytes)));
    match loaded {
        Ok(Footer::Plain(metadata)) => Ok(metadata),
        Ok(Footer::Encrypted) => Err(FileError::Encrypted),
        Err(error) => Err(FileError::new(store, path, error)),
    }
}

enum Footer {
    Plain(ParquetMetaData),
    Encrypted,
}

/// A file ends with its footer, the footer's length in four bytes, and four magic bytes.
async fn load(object: &mut ParquetObject, size_bytes: u64) -> Result<Footer, ParquetError> {
    let end = size_bytes - 8;
    let tail = FooterTail::try_from(&object.get_bytes(end..size_bytes).await?[..])?;
    let length = tail.metadata_length();
    if tail.is_encrypted_footer() {
        return Ok(Footer::Encrypted);
    }
    if length > MOST_FOOTER_BYTES || length as u64 > end {
        return Err(damaged(format!("a footer of {length} bytes")));
    }
    let footer = object.get_bytes(end - length as u64..end).await?;
    match check_footer(&footer) {
        FooterKind::Invalid => Err(damaged("an invalid Parquet footer")),
        FooterKind::WithEncryptedColumns => Ok(Footer::Encrypted),
        FooterKind::Plain => Ok(Footer::Plain(ParquetMetaDataReader::decode_metadata(
            &footer,
        )?)),
    }
}

/// Checks that every column chunk lies within the file, that all of them together are not larger
/// than the file, and that no count is negative or out of proportion.
pub(crate) fn check_ranges(metadata: &ParquetMetaData, size_bytes: u64) -> Result<(), FileError> {
    range_error(metadata, size_bytes).map_or(Ok(()), |found| Err(FileError::Damaged(found)))
}

fn range_error(metadata: &ParquetMetaData, size_bytes: u64) -> Option<String> {
    let file_rows = metadata.file_metadata().num_rows();
    if file_rows < 0 {
        return Some(format!("a footer that says {file_rows} rows"));
    }
    let (mut rows, mut bytes) = (0_i64, 0_u64);
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Some(format!("a row group of {} rows", group.num_rows()));
        }
        rows = rows.saturating_add(group.num_rows());
        for chunk in group.columns() {
            if !lies_within(chunk, size_bytes) {
                return Some("a footer that points outside the file".into());
            }
            bytes = bytes.saturating_add(chunk.compressed_size() as u64);
        }
    }
    if bytes > size_bytes {
        return Some(format!(
            "a footer that says {bytes} bytes of columns in a file of {size_bytes}"
        ));
    }
    if rows as u64 / ROWS_PER_BYTE > size_bytes {
        return Some(format!(
            "a footer that says {rows} rows in a file of {size_bytes} bytes"
        ));
    }
    (rows != file_rows)
        .then(|| format!("a footer that says {file_rows} rows for row groups of {rows}"))
}

/// Whether the bytes of a column chunk are bytes of the file.
fn lies_within(chunk: &ColumnChunkMetaData, size_bytes: u64) -> bool {
    let start = chunk
        .dictionary_page_offset()
        .unwrap_or(i64::MAX)
        .min(chunk.data_page_offset());
    let end = start.checked_add(chunk.compressed_size());
    start >= 0 && chunk.compressed_size() >= 0 && end.is_some_and(|end| end as u64 <= size_bytes)
}
