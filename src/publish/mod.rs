//! Stage 6: a day's tables staged beside the results, verified by reading back, then made visible.
//!
//! 1. `stage`: every changed file is written under `_staging/<run_id>/`, where no reader of a table looks.
//! 2. `verify`: each is read back: the same bytes, the contract's schema, the row count, sums equal to the used rows.
//! 3. `commit`: `_SUCCESS` goes, the file is replaced, `_SUCCESS` comes back; then tables that no longer exist for the
//!    day go, and the manifest is written.
//!
//! Nothing is visible before everything is verified.

pub mod parquet;
pub mod reader;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::contracts::{Dataset, PART_FILE, SUCCESS_FILE, Table};
use crate::exports::quarantine::Quarantined;
use crate::record::fingerprint::sha256;
use crate::rollups::tally::Tally;
use crate::store::Store;

/// One table's file, ready to be published.
pub struct TableFile {
    pub table: &'static Table,
    pub rows: DataFrame,
    pub bytes: bytes::Bytes,
    pub sha256: String,
}

impl TableFile {
    /// Lays a conformed table out as a file.
    pub fn new(table: &'static Table, day: NaiveDate, rows: DataFrame) -> Result<TableFile> {
        let bytes = bytes::Bytes::from(parquet::encode(table, day, &rows)?);
        let sha256 = sha256(&bytes);
        Ok(TableFile { table, rows, bytes, sha256 })
    }
}

/// What changes for a day.
pub struct Change<'a> {
    pub day: NaiveDate,
    pub run_id: &'a str,
    /// Tables to write.
    pub files: Vec<&'a TableFile>,
    /// Tables that do not exist for the day any more.
    pub removed: Vec<&'static Table>,
    /// `None`: the exports were not read, so their quarantine stays as it is.
    pub quarantine: Option<BTreeMap<&'static str, Vec<Quarantined>>>,
    /// Totals over the used rows, where rollups are among the files.
    pub tally: Option<Tally>,
}

/// Files that are verified, and that nobody sees yet.
pub struct Staged<'a> {
    change: Change<'a>,
}

/// Writes every file where no reader looks, and reads it back.
///
/// # Errors
/// When the store fails, or what it gives back is not what was computed. Nothing is visible then.
pub fn stage<'a>(results: &Store, change: Change<'a>) -> Result<Staged<'a>> {
    for file in &change.files {
        let path = staged_path(&change, file.table);
        results.write(&path, file.bytes.clone())?;
        verify(results, &path, file, change.tally.as_ref())
            .with_context(|| format!("verifying {}", results.show(&path)))?;
    }
    Ok(Staged { change })
}

/// Makes a staged day visible, table by table.
pub fn commit(results: &Store, staged: Staged, datasets: &[&'static Dataset]) -> Result<()> {
    let change = staged.change;
    for file in &change.files {
        let folder = file.table.partition(change.day);
        results.remove(&format!("{folder}/{SUCCESS_FILE}"))?;
        results.copy(&staged_path(&change, file.table), &format!("{folder}/{PART_FILE}"))?;
        results.write(&format!("{folder}/{SUCCESS_FILE}"), bytes::Bytes::new())?;
    }
    for table in &change.removed {
        let folder = table.partition(change.day);
        results.remove(&format!("{folder}/{SUCCESS_FILE}"))?;
        results.remove(&format!("{folder}/{PART_FILE}"))?;
    }
    if let Some(quarantine) = &change.quarantine {
        publish_quarantine(results, change.day, quarantine, datasets)?;
    }
    for file in &change.files {
        results.remove(&staged_path(&change, file.table))?;
    }
    Ok(())
}

/// Replaces the day's quarantine files; none is left of a dataset that has no rows there.
pub fn publish_quarantine(
    results: &Store,
    day: NaiveDate,
    quarantine: &BTreeMap<&'static str, Vec<Quarantined>>,
    datasets: &[&'static Dataset],
) -> Result<()> {
    for dataset in datasets {
        let path = format!("_quarantine/{}/{PART_FILE}", dataset.partition(day));
        match quarantine.get(dataset.name) {
            Some(rows) => results.write(&path, parquet::encode_quarantine(rows)?)?,
            None => results.remove(&path)?,
        }
    }
    Ok(())
}

fn staged_path(change: &Change, table: &Table) -> String {
    format!("_staging/{}/{}/{PART_FILE}", change.run_id, table.partition(change.day))
}

fn verify(results: &Store, path: &str, file: &TableFile, tally: Option<&Tally>) -> Result<()> {
    let bytes = results.read(path)?.context("the file just written is not there")?;
    ensure!(sha256(&bytes) == file.sha256, "the store gives back other bytes than were written");
    let names: Vec<&str> = file.table.columns.iter().map(|c| c.name).collect();
    let rows = parquet::decode(file.table, bytes, &names)?;
    ensure!(rows.height() == file.rows.height(), "{} rows where {} were computed", rows.height(), file.rows.height());
    tally.map_or(Ok(()), |tally| tally.reconcile(file.table, &rows))
}
