//! The pages of a column chunk: the claims of their headers and counts are checked before decoding.
//!
//! A decoder reserves memory for the size, or the number of values, that a page claims, and some
//! decoders inflate without a limit. So, before the first value is decoded:
//!
//! 1. `check_headers` reads the headers of a column's pages, which are not compressed: sizes and
//!    numbers of values.
//! 2. `row_group` refuses a row group whose pages would take more than `MOST_PAGE_BYTES` in memory
//!    at once.
//! 3. `CheckedPages` looks at each inflated page: encodings that store their number of values once
//!    more must store the same number.

use std::io::{Read, copy, sink};
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::failure::damaged;
use super::thrift::{Compact, PageHeader};

/// Memory for the pages that are decoded side by side: each column's dictionary and its largest
/// data page, inflated, and `BYTES_PER_VALUE` or `BYTES_PER_VIEW` for each of their values. Writers end
/// a page at about 1 MiB or 20 000 rows. Some put a column of a row group into one page: for the 14 columns of a
/// million order lines these are 170 MB.
pub(super) const MOST_PAGE_BYTES: u64 = 512 << 20;
/// Bytes that a decoder keeps for each value of a page beside its content: a length or a level.
const BYTES_PER_VALUE: u64 = 4;
/// For each text of a dictionary: a view of it, which is the greatest form.
const BYTES_PER_VIEW: u64 = 16;

/// The pages of one column chunk.
pub(super) struct CheckedPages {
    pages: SerializedPageReader<Bytes>,
    column: ColumnDescPtr,
}

impl CheckedPages {
    pub(super) fn new(
        chunk: &ColumnChunkMetaData,
        bytes: Bytes,
        rows: usize,
    ) -> Result<Self, ParquetError> {
        // The reader seeks by the offsets in the file, but `bytes` starts with the chunk.
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
                Err(damaged("a page that counts its values in two ways"))
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

/// Checks the headers of a chunk's pages. Returns the bytes that its dictionary and its largest
/// data page take in memory.
pub(super) fn check_headers(
    group: &RowGroupMetaData,
    chunk: &ColumnChunkMetaData,
    bytes: &[u8],
) -> Result<u64, ParquetError> {
    let mut rest = bytes;
    let (mut dictionary_bytes, mut data_bytes) = (0, 0);
    while !rest.is_empty() {
        let mut thrift = Compact(rest);
        let header =
            PageHeader::read(&mut thrift).ok_or_else(|| damaged("a page without a header"))?;
        rest = thrift.0;
        let page = rest
            .get(..header.compressed_bytes as usize)
            .ok_or_else(|| false_claim("more bytes than there are"))?;
        rest = &rest[page.len()..];
        let page_bytes = check_header(group, chunk, &header)?;
        if !inflates_within(chunk.compression(), &header, page) {
            return Err(false_claim("another size than its content has"));
        }
        let largest = if header.is_dictionary {
            &mut dictionary_bytes
        } else {
            &mut data_bytes
        };
        *largest = page_bytes.max(*largest);
    }
    Ok(dictionary_bytes + data_bytes)
}

/// Checks the sizes and counts of one page. Returns the bytes that it takes in memory.
fn check_header(
    group: &RowGroupMetaData,
    chunk: &ColumnChunkMetaData,
    header: &PageHeader,
) -> Result<u64, ParquetError> {
    let (values, rows) = (header.values, group.num_rows());
    let inflated_bytes = match chunk.compression() {
        Compression::UNCOMPRESSED => header.compressed_bytes,
        _ => header.inflated_bytes,
    };
    let is_text = chunk.column_descr().physical_type() == PhysicalType::BYTE_ARRAY;
    let bytes_per_value = match header.is_dictionary && is_text {
        true => BYTES_PER_VIEW,
        false => BYTES_PER_VALUE,
    };
    let page_bytes =
        inflated_bytes.max(header.compressed_bytes) + bytes_per_value.saturating_mul(values);
    let least_bytes = least_value_bytes(chunk.column_descr());
    let is_too_dense = header.is_dictionary && values.saturating_mul(least_bytes) > inflated_bytes;
    if page_bytes > MOST_PAGE_BYTES || is_too_dense {
        return Err(false_claim(&format!(
            "{values} values in {inflated_bytes} bytes"
        )));
    }
    if !header.is_dictionary && values > rows as u64 {
        return Err(false_claim(&format!("{values} values for {rows} rows")));
    }
    Ok(page_bytes)
}

fn false_claim(claim: &str) -> ParquetError {
    damaged(format!("a page header that claims {claim}"))
}

/// The least bytes of a value in a dictionary, where values are stored plainly.
fn least_value_bytes(column: &ColumnDescriptor) -> u64 {
    match column.physical_type() {
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT | PhysicalType::BYTE_ARRAY => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        PhysicalType::INT96 => 12,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => column.type_length().max(1) as u64,
    }
}

/// Whether a page inflates to at most the size that its header claims.
///
/// The decoders of gzip and Brotli ignore that size and inflate all of their input. So these pages
/// are inflated once beforehand, into nothing. The other codecs stop at the claimed size.
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
        Compression::GZIP(_) => inflated_bytes(flate2::read::MultiGzDecoder::new(packed), most),
        Compression::BROTLI(_) => inflated_bytes(brotli::Decompressor::new(packed, 4096), most),
        _ => return true,
    };
    inflated.is_some_and(|bytes| bytes <= most)
}

/// The size of inflated content, at most one byte more than `most`; `None` where it is damaged.
fn inflated_bytes(content: impl Read, most: u64) -> Option<u64> {
    copy(&mut content.take(most + 1), &mut sink()).ok()
}

/// Whether a page stores the same number of values in its header and in its content. Only the delta
/// encodings of texts store it twice.
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

/// Whether all INT96 values of a page are of days that every reader can hold, where they are stored
/// plainly (dictionaries too). The decoder computes modulo 2^64, so a wrong value looks like a
/// right one after decoding.
fn has_civil_days(page: &Page, has_nulls: bool) -> bool {
    if !matches!(page.encoding(), Encoding::PLAIN) && !page.is_dictionary_page() {
        return true;
    }
    let Some(values) = without_levels(page, has_nulls) else {
        return false;
    };
    values.chunks_exact(INT96_BYTES).all(is_civil_day)
}

/// Whether the last four bytes of an INT96 value, its Julian day, are within the years 1 to 9999.
fn is_civil_day(value: &[u8]) -> bool {
    value
        .last_chunk()
        .is_some_and(|day| JULIAN_DAYS.contains(&u32::from_le_bytes(*day)))
}

/// The values of a data page of a column that is not nested, without the levels before them, which
/// mark nulls.
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

/// Skips a list of whole numbers in `DELTA_BINARY_PACKED`, whose varints are those of Thrift;
/// `None` where there are more than `most` or the bytes end too early.
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
