//! Stage 6: a day's tables staged beside the results, verified by reading back, then made visible.
//!
//! 1. `stage`: every changed file is written under `_staging/<run_id>/`, where no reader of a table looks.
//! 2. `verify`: each is read back: the same bytes, the contract's schema, the row count, sums equal to the used rows.
//! 3. `commit`: `_SUCCESS` goes, the file is replaced, `_SUCCESS` comes back; then tables that no longer exist for the
//!    day go, and the manifest, which says what is published, is written.
//!
//! Nothing is visible before everything is verified.

pub mod parquet;
pub mod reader;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::contracts::datasets::DATASETS;
use crate::contracts::{Dataset, PART_FILE, SUCCESS_FILE, Table};
use crate::exports::quarantine::Quarantined;
use crate::record::fingerprint::sha256;
use crate::record::manifest::{Manifest, PublishedTable};
use crate::record::state::State;
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

    /// Its entry in the manifest, before it is known what it comes from.
    fn published(&self, run_id: &str) -> PublishedTable {
        PublishedTable {
            rows: self.rows.height() as u64,
            bytes: self.bytes.len() as u64,
            sha256: self.sha256.clone(),
            inputs: String::new(),
            run_id: run_id.to_owned(),
        }
    }
}

/// What changes for a day: files that differ from what is published, and the manifest that follows.
pub struct Change {
    /// What will be published of the day.
    pub manifest: Manifest,
    /// Tables to write.
    pub files: Vec<TableFile>,
    /// Tables that do not exist for the day, whether or not a manifest remembers them.
    pub absent: Vec<&'static Table>,
    /// How many of the absent tables were published until now.
    pub removed: usize,
    /// `None`: the exports were not read, so their quarantine stays as it is.
    pub quarantine: Option<BTreeMap<&'static str, Vec<Quarantined>>>,
    /// Totals over the used rows, where rollups are among the files: what the store gives back must add up to them.
    pub tally: Option<Tally>,
}

impl Change {
    /// `manifest` says what is published now, under the id of this run; of `files` only those that differ from it are
    /// written. It learns what each table now comes from, also where the bytes stay the same.
    pub fn new(
        mut manifest: Manifest,
        files: impl IntoIterator<Item = TableFile>,
        absent: impl IntoIterator<Item = &'static Table>,
        inputs: &BTreeMap<&'static str, String>,
    ) -> Change {
        let mut changed = Vec::new();
        for file in files {
            if manifest.tables.get(file.table.name).is_none_or(|published| published.sha256 != file.sha256) {
                manifest.tables.insert(file.table.name.into(), file.published(&manifest.run_id));
                changed.push(file);
            }
        }
        let absent: Vec<_> = absent.into_iter().collect();
        let removed = absent.iter().filter(|t| manifest.tables.remove(t.name).is_some()).count();
        for (name, inputs) in inputs {
            if let Some(table) = manifest.tables.get_mut(*name) {
                table.inputs.clone_from(inputs);
            }
        }
        Change { manifest, files: changed, absent, removed, quarantine: None, tally: None }
    }

    /// Whether any table is written or goes.
    pub fn touches_tables(&self) -> bool {
        !self.files.is_empty() || self.removed > 0
    }
}

/// Files that are verified, and that nobody sees yet.
pub struct Staged {
    change: Change,
}

/// Writes every file where no reader looks, and reads it back.
///
/// # Errors
/// When the store fails, or what it gives back is not what was computed. Nothing is visible then.
pub fn stage(results: &Store, change: Change) -> Result<Staged> {
    for file in &change.files {
        let path = staged_path(&change, file.table);
        results.write(&path, file.bytes.clone())?;
        verify(results, &path, file, change.tally.as_ref())
            .with_context(|| format!("verifying {}", results.show(&path)))?;
    }
    Ok(Staged { change })
}

/// Makes a staged day visible, table by table, and records it.
///
/// `finished_at` is the time for the manifest, asked for when everything else is done.
pub fn commit(results: &Store, state: &State, staged: Staged, finished_at: impl FnOnce() -> String) -> Result<Change> {
    let mut change = staged.change;
    let day = change.manifest.day;
    for file in &change.files {
        let folder = file.table.partition(day);
        results.remove(&format!("{folder}/{SUCCESS_FILE}"))?;
        results.copy(&staged_path(&change, file.table), &format!("{folder}/{PART_FILE}"))?;
        results.write(&format!("{folder}/{SUCCESS_FILE}"), bytes::Bytes::new())?;
    }
    for table in &change.absent {
        let folder = table.partition(day);
        results.remove(&format!("{folder}/{SUCCESS_FILE}"))?;
        results.remove(&format!("{folder}/{PART_FILE}"))?;
    }
    if let Some(quarantine) = &change.quarantine {
        publish_quarantine(results, day, quarantine, &DATASETS)?;
    }
    change.manifest.finished_at = finished_at();
    state.record(change.manifest.clone())?;
    for file in &change.files {
        results.remove(&staged_path(&change, file.table))?;
    }
    Ok(change)
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
    format!("_staging/{}/{}/{PART_FILE}", change.manifest.run_id, table.partition(change.manifest.day))
}

fn verify(results: &Store, path: &str, file: &TableFile, tally: Option<&Tally>) -> Result<()> {
    let bytes = results.read(path)?.context("the file just written is not there")?;
    ensure!(sha256(&bytes) == file.sha256, "the store gives back other bytes than were written");
    let names: Vec<&str> = file.table.columns.iter().map(|c| c.name).collect();
    let rows = parquet::decode(file.table, bytes, &names)?;
    ensure!(rows.height() == file.rows.height(), "{} rows where {} were computed", rows.height(), file.rows.height());
    tally.map_or(Ok(()), |tally| tally.reconcile(file.table, &rows))
}
