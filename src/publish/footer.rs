//! A result file's footer: the place, the hash and the statistics of each column chunk.
//!
//! The manifest holds the hash of the footer, and the footer holds the hashes of the column chunks.
//! So a reader can fetch a few chunks and verify them without the rest of the file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, KeyValue, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::catalog::manifest::FooterMark;
use crate::contracts::Table;
use crate::contracts::arrow::schema;
use crate::fingerprint::sha256;
use crate::windows::Rows;

/// JSON: for each column the SHA-256 of its chunks, one for each row group.
const COLUMN_SHA256: &str = "campaign_etl.column_sha256";

/// The metadata of a result file.
#[derive(Debug)]
pub struct Footer {
    pub metadata: ArrowReaderMetadata,
    column_sha256: BTreeMap<String, Vec<String>>,
}

impl Footer {
    /// `end` holds at least the footer.
    ///
    /// # Errors
    /// When the bytes do not end with a valid Parquet footer.
    pub fn parse(end: &[u8]) -> Result<Footer> {
        let length = footer_bytes(end)? as usize;
        let start = end
            .len()
            .checked_sub(length)
            .context("the footer is longer than the file")?;
        let metadata =
            ParquetMetaDataReader::decode_metadata(&end[start..end.len() - FOOTER_SIZE])?;
        let key_values = metadata.file_metadata().key_value_metadata();
        let hashes = key_values
            .into_iter()
            .flatten()
            .find(|kv| kv.key == COLUMN_SHA256);
        let column_sha256 = hashes
            .and_then(|kv| kv.value.as_deref())
            .map(serde_json::from_str)
            .transpose()?;
        // Parquet's own types are sufficient. An Arrow schema that a foreign writer may have
        // embedded is ignored.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)?;
        Ok(Footer {
            metadata,
            column_sha256: column_sha256.unwrap_or_default(),
        })
    }

    /// # Errors
    /// When a column is missing or differs from the contract in type or nulls.
    pub fn check(&self, table: &Table, names: &[&str]) -> Result<()> {
        for column in names.iter().map(|name| table.column(name)) {
            let found = self
                .metadata
                .schema()
                .field_with_name(column.name)
                .with_context(|| format!("no column {}", column.name))?;
            let expected = schema(&[*column]).field(0).clone();
            ensure!(
                (found.data_type(), found.is_nullable())
                    == (expected.data_type(), expected.is_nullable()),
                "column {}: expected {}, found {}",
                column.name,
                expected.data_type(),
                found.data_type()
            );
        }
        Ok(())
    }

    /// The row groups that may hold wanted rows (row group pruning by statistics).
    pub fn groups_with(&self, rows: &Rows) -> Vec<usize> {
        let groups = self.metadata.metadata().row_groups();
        (0..groups.len())
            .filter(|group| may_hold(&groups[*group], rows))
            .collect()
    }

    pub fn rows(&self) -> usize {
        let file = self.metadata.metadata().file_metadata();
        usize::try_from(file.num_rows()).unwrap_or_default()
    }

    pub fn rows_of(&self, group: usize) -> usize {
        let group = self.metadata.metadata().row_group(group);
        usize::try_from(group.num_rows()).unwrap_or_default()
    }

    /// The byte ranges and hashes of the chunks of columns in a row group; a hash is `None` when
    /// the file has none.
    pub fn chunks<'a>(
        &'a self,
        group: usize,
        names: &'a [&str],
    ) -> impl Iterator<Item = (Range<u64>, Option<&'a str>)> + 'a {
        let chunks = self.metadata.metadata().row_group(group).columns().iter();
        chunks.filter_map(move |chunk| {
            let name = chunk.column_descr().name();
            let (start, length) = chunk.byte_range();
            let sha256 = self
                .column_sha256
                .get(name)
                .and_then(|hashes| hashes.get(group))
                .map(String::as_str);
            names
                .contains(&name)
                .then_some((start..start + length, sha256))
        })
    }
}

/// The size and hash of a file's footer, for the manifest.
///
/// # Errors
/// As [`Footer::parse`].
pub(crate) fn footer_mark(file: &[u8]) -> Result<FooterMark> {
    let bytes = footer_bytes(file)?;
    let start = file
        .len()
        .checked_sub(bytes as usize)
        .context("the footer is longer than the file")?;
    Ok(FooterMark {
        bytes,
        sha256: sha256(&file[start..]),
    })
}

/// The length of the footer, including the eight bytes that end every Parquet file.
fn footer_bytes(end: &[u8]) -> Result<u64> {
    let tail = end
        .last_chunk::<FOOTER_SIZE>()
        .context("the file is shorter than any Parquet file")?;
    Ok((FooterTail::try_new(tail)?.metadata_length() + FOOTER_SIZE) as u64)
}

/// The hashes of a file's column chunks, for its footer. `written`: the file up to the footer.
pub(crate) fn column_sha256(groups: &[RowGroupMetaData], written: &[u8]) -> KeyValue {
    let mut hashes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for chunk in groups.iter().flat_map(|group| group.columns()) {
        let (start, length) = chunk.byte_range();
        let chunk_bytes = &written[start as usize..(start + length) as usize];
        hashes
            .entry(chunk.column_descr().name())
            .or_default()
            .push(sha256(chunk_bytes));
    }
    KeyValue::new(COLUMN_SHA256.into(), serde_json::json!(hashes).to_string())
}

fn may_hold(group: &RowGroupMetaData, rows: &Rows) -> bool {
    let of_campaign = rows.campaign_id.is_none_or(|campaign| {
        bounds(group, "campaign_id")
            .is_none_or(|(least, greatest)| (least..=greatest).contains(&campaign))
    });
    let of_shops = rows.shops.is_none_or(|shops| {
        bounds(group, "shop_id").is_none_or(|(least, greatest)| {
            let next = shops.get(shops.partition_point(|shop| *shop < least));
            next.is_some_and(|shop| *shop <= greatest)
        })
    });
    of_campaign && of_shops
}

/// The least and the greatest value of a column; `None` when the statistics lack them.
fn bounds(group: &RowGroupMetaData, name: &str) -> Option<(i64, i64)> {
    let mut chunks = group.columns().iter();
    let chunk = chunks.find(|chunk| chunk.column_descr().name() == name)?;
    match chunk.statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}
