//! The pages of a row group in memory: what their headers and counts claim is checked before a
//! decoder believes it.
//!
//! A decoder sets memory aside for the size, or the number of values, that a page claims, and some
//! inflate without an end. So, before the first value is decoded:
//!
//! 1. `check_headers` walks the headers of a column's pages, which are not compressed: sizes,
//!    numbers of values.
//! 2. The pages that a row group's columns hold in memory at once stay below `MOST_PAGE_BYTES`.
//! 3. `CheckedPages` looks at each inflated page: encodings that count their values once more must
//!    count as many.

use std::io::{Read, copy, sink};
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::thrift::{Compact, PageHeader};
use crate::store::{ParquetObject, Store};

/// What the pages that are decoded side by side may take: each column's dictionary and its largest
/// data page, inflated, and what is kept for each of their values. Writers end a page at about 1
/// MiB or 20 000 rows; some put a column of a row group into one page, which for the 14 columns of
/// a million order lines is 170 MB.
const MOST_PAGE_BYTES: u64 = 512 << 20;
/// What a decoder keeps for each value of a page besides its bytes: a length or a level.
const BYTES_PER_VALUE: u64 = 4;

/// The bytes of a column chunk, as they are in the file, and which column of the file it is.
pub type ColumnBytes = (usize, Bytes);

/// One row group's column chunks, checked.
pub struct RowGroup<'a> {
    metadata: &'a ParquetMetaData,
    position: usize,
    /// `None`: a column that is not wanted.
    chunks: Vec<Option<Bytes>>,
}

impl<'a> RowGroup<'a> {
    /// Reads the columns.
    pub fn fetch(
        store: &Store,
        object: &mut ParquetObject,
        metadata: &ParquetMetaData,
        position: usize,
    ) -> Result<Vec<ColumnBytes>, ParquetError> {
        let group = metadata.row_group(position);
        let range = |column: usize| {
            let (start, length) = group.column(column).byte_range();
            start..start + length
        };
        let ranges = (0..group.num_columns()).map(range).collect();
        Ok(store
            .runtime()
            .block_on(object.get_byte_ranges(ranges))?
            .into_iter()
            .enumerate()
            .collect())
    }

    /// Checks what the pages claim.
    pub fn check(
        metadata: &'a ParquetMetaData,
        position: usize,
        fetched: Vec<ColumnBytes>,
    ) -> Result<Self, ParquetError> {
        let group = metadata.row_group(position);
        let mut chunks = vec![None; group.num_columns()];
        let mut page_bytes = 0;
        for (column, bytes) in fetched {
            page_bytes += check_headers(group, group.column(column), &bytes)?;
            chunks[column] = Some(bytes);
        }
        if page_bytes > MOST_PAGE_BYTES {
            return Err(damaged(format!(
                "pages of {page_bytes} bytes to hold at once: write smaller pages"
            )));
        }
        Ok(RowGroup {
            metadata,
            position,
            chunks,
        })
    }

    fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.position)
    }
}

impl RowGroups for RowGroup<'_> {
    fn num_rows(&self) -> usize {
        self.group().num_rows() as usize
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        let chunk = self.group().column(column);
        let bytes = self.chunks[column]
            .clone()
            .ok_or_else(|| damaged("a column that was not read".into()))?;
        Ok(Box::new(OneChunk(Some(Box::new(CheckedPages::new(
            chunk,
            bytes,
            self.num_rows(),
        )?)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The column chunks of one column in one row group: one.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

/// The pages of one column chunk.
struct CheckedPages {
    pages: SerializedPageReader<Bytes>,
    column: ColumnDescPtr,
}

impl CheckedPages {
    fn new(chunk: &ColumnChunkMetaData, bytes: Bytes, rows: usize) -> Result<Self, ParquetError> {
        // The reader seeks by the file's offsets; here the chunk starts at 0.
        let start = chunk.byte_range().0 as i64;
        let moved = chunk
            .clone()
            .into_builder()
            .set_data_page_offset(chunk.data_page_offset() - start)
            .set_dictionary_page_offset(chunk.dictionary_page_offset().map(|offset| offset - start))
            .build()?;
        let pages = SerializedPageReader::new(Arc::new(bytes), &moved, rows, None)?;
        Ok(CheckedPages {
            pages,
            column: chunk.column_descr_ptr(),
        })
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.pages.get_next_page()?;
        let has_nulls = self.column.max_def_level() > 0;
        match &page {
            Some(page) if !counts_agree(page, has_nulls) => {
                Err(damaged("a page that counts its values in two ways".into()))
            }
            Some(page)
                if self.column.physical_type() == PhysicalType::INT96
                    && !has_civil_days(page, has_nulls) =>
            {
                let column = self.column.name();
                Err(damaged(format!(
                    "column {column}: an INT96 instant outside the years 1 to 9999"
                )))
            }
            _ => Ok(page),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        self.pages.at_record_boundary()
    }
}

fn damaged(found: String) -> ParquetError {
    ParquetError::General(found)
}

/// Walks the headers of a chunk's pages; gives the bytes that its dictionary and its largest data
/// page take in memory.
fn check_headers(
    group: &RowGroupMetaData,
    chunk: &ColumnChunkMetaData,
    bytes: &[u8],
) -> Result<u64, ParquetError> {
    let mut rest = bytes;
    let (mut dictionary_bytes, mut data_bytes) = (0, 0);
    while !rest.is_empty() {
        let mut thrift = Compact(rest);
        let header = PageHeader::read(&mut thrift)
            .ok_or_else(|| damaged("a page without a header".into()))?;
        rest = thrift.0;
        let claims = |what: &str| damaged(format!("a page header that claims {what}"));
        if header.compressed_bytes > rest.len() as u64 {
            return Err(claims("more bytes than there are"));
        }
        let (page, after) = rest.split_at(header.compressed_bytes as usize);
        rest = after;
        let is_compressed = chunk.compression() != Compression::UNCOMPRESSED;
        let inflated_bytes = if is_compressed {
            header.inflated_bytes
        } else {
            header.compressed_bytes
        };
        let page_bytes = inflated_bytes.max(header.compressed_bytes)
            + BYTES_PER_VALUE.saturating_mul(header.values);
        if page_bytes > MOST_PAGE_BYTES {
            return Err(claims(&format!(
                "{} values in {inflated_bytes} bytes",
                header.values
            )));
        }
        if header.is_dictionary {
            if header
                .values
                .saturating_mul(least_bytes(chunk.column_descr()))
                > inflated_bytes
            {
                return Err(claims(&format!(
                    "{} values in {inflated_bytes} bytes",
                    header.values
                )));
            }
            dictionary_bytes = page_bytes.max(dictionary_bytes);
        } else {
            if header.values > group.num_rows() as u64 {
                return Err(claims(&format!(
                    "{} values for {} rows",
                    header.values,
                    group.num_rows()
                )));
            }
            data_bytes = page_bytes.max(data_bytes);
        }
        if !inflates_within(chunk.compression(), &header, page) {
            return Err(claims("another size than its content has"));
        }
    }
    Ok(dictionary_bytes + data_bytes)
}

/// What a value takes at least in a dictionary, where values are stored plainly.
fn least_bytes(column: &ColumnDescriptor) -> u64 {
    match column.physical_type() {
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT | PhysicalType::BYTE_ARRAY => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        PhysicalType::INT96 => 12,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => column.type_length().max(1) as u64,
    }
}

/// The decoders of gzip and Brotli go on to the end of what they are given, whatever size the
/// header claims; so these pages are inflated once before, into nothing. The other codecs stop by
/// themselves.
fn inflates_within(codec: Compression, header: &PageHeader, page: &[u8]) -> bool {
    let Some(most) = header.inflated_bytes.checked_sub(header.level_bytes) else {
        return false;
    };
    let Some(packed) = page.get(header.level_bytes as usize..) else {
        return false;
    };
    if most == 0 || !header.is_packed {
        return true;
    }
    let inflated = match codec {
        Compression::GZIP(_) => copy(
            &mut flate2::read::MultiGzDecoder::new(packed).take(most + 1),
            &mut sink(),
        ),
        Compression::BROTLI(_) => copy(
            &mut brotli::Decompressor::new(packed, 4096).take(most + 1),
            &mut sink(),
        ),
        _ => return true,
    };
    inflated.is_ok_and(|bytes| bytes <= most)
}

/// The delta encodings of texts begin with a number of values of their own.
fn counts_agree(page: &Page, has_nulls: bool) -> bool {
    let lists = match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return true,
    };
    let Some(values) = without_levels(page, has_nulls) else {
        return false;
    };
    let most = u64::from(page.num_values());
    let mut deltas = Compact(values);
    (0..lists).all(|_| skip_deltas(&mut deltas, most).is_some())
}

/// Julian days of 0001-01-01 and 9999-12-31.
const JULIAN_DAYS: RangeInclusive<u32> = 1_721_426..=5_373_484;
/// Nanoseconds of the day, then the Julian day.
const INT96_BYTES: usize = 12;

/// Whether INT96 values, where they are stored plainly (in dictionaries too), are of days that
/// every reader can hold. A decoder computes with them modulo 2^64, and what it gives cannot be
/// told from a right value any more.
fn has_civil_days(page: &Page, has_nulls: bool) -> bool {
    if !matches!(page.encoding(), Encoding::PLAIN) && !page.is_dictionary_page() {
        return true;
    }
    let Some(values) = without_levels(page, has_nulls) else {
        return false;
    };
    let day = |value: &[u8]| {
        value
            .last_chunk()
            .is_some_and(|day| JULIAN_DAYS.contains(&u32::from_le_bytes(*day)))
    };
    values.chunks_exact(INT96_BYTES).all(day)
}

/// The values of a data page of a column that is not nested, after the levels that say which of
/// them are null.
fn without_levels(page: &Page, has_nulls: bool) -> Option<&[u8]> {
    match page {
        Page::DataPage {
            buf,
            def_level_encoding,
            num_values,
            ..
        } if has_nulls => match def_level_encoding {
            Encoding::RLE => {
                let length = u32::from_le_bytes(buf.get(..4)?.try_into().ok()?);
                buf.get(4 + length as usize..)
            }
            _ => buf.get((*num_values as usize).div_ceil(8)..),
        },
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => buf.get(*def_levels_byte_len as usize + *rep_levels_byte_len as usize..),
        _ => Some(page.buffer()),
    }
}

/// Skips a list of whole numbers in `DELTA_BINARY_PACKED`, whose numbers look as in Thrift; `None`
/// where there are more than `most`.
///
/// Source: <https://github.com/apache/parquet-format/blob/master/Encodings.md>
fn skip_deltas(bytes: &mut Compact<'_>, most: u64) -> Option<()> {
    let (block, parts, count) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
    bytes.number()?;
    let part = block.checked_div(parts).filter(|part| *part > 0)?;
    if count > most {
        return None;
    }
    let mut left = count.saturating_sub(1);
    while left > 0 {
        bytes.number()?;
        for width in bytes.take(parts)? {
            if left > 0 {
                bytes.take(u64::from(*width).checked_mul(part)? / 8)?;
            }
            left = left.saturating_sub(part);
        }
    }
    Some(())
}
