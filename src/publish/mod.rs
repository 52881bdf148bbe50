//! Stage 6: a day's tables are staged, verified, committed and moved into place.
//!
//! 1. `lease`: one run at a time writes. `writer` first rolls an interrupted commit forward.
//! 2. `stage`: every changed file is written under `_staging/<run_id>/<day>/`, where no reader of a
//!    table looks, and is read back. Its bytes, schema and row count must be right, and its sums
//!    must equal those of the used rows.
//! 3. `commit_log`: one record, written with put-if-absent, names every file with size and hash.
//!    From then on the day is published.
//! 4. `writer`: the `_SUCCESS` of every changed table is removed, each file is moved into place,
//!    `_SUCCESS` is written again, and the manifest is moved last. The next writer can continue at
//!    any point.
//!
//! docs/publishing.md shows the folders at each step. `vacuum` removes files that are no longer
//! needed.

pub(crate) mod footer;
pub mod lease;
pub(crate) mod parquet;
pub mod reader;
mod row_groups;
pub(crate) mod vacuum;
pub(crate) mod writer;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use chrono::NaiveDate;

use crate::catalog::commit_log::{Commit, CommittedFile};
use crate::catalog::layout::{
    history_path, manifest_path, part_path, quarantine_path, success_path,
};
use crate::catalog::manifest::{Manifest, StageTime};
use crate::contracts::arrow::from_batch;
use crate::contracts::{Column, Dataset, Table};
use crate::exports::set_aside::SetAside;
use crate::fingerprint::sha256;
use crate::messages;
use crate::resources::Resources;
use crate::rollups::tally::{Tally, Totals};
use crate::stop::Stop;
use crate::store::{Digested, Store};
use crate::threads::side_by_side;
use crate::windows::Rows;
pub use parquet::TableFile;

/// Bytes of small files that are written side by side. A greater file is written by itself.
const AT_ONCE_BYTES: usize = 16 << 20;

/// The change of a day: the files that differ from the published ones, and the new manifest.
pub struct Change {
    /// The manifest after the change.
    pub manifest: Manifest,
    /// Tables to write.
    pub files: Vec<TableFile>,
    /// Tables that do not exist for the day. The present manifest may list them or not.
    pub absent: Vec<&'static Table>,
    /// The number of absent tables that were published until now.
    pub removed: usize,
    /// The quarantined rows of each dataset that was read; `None`: no row is quarantined. The
    /// quarantine of other datasets does not change.
    pub quarantine: Vec<(&'static Dataset, Option<SetAside>)>,
    /// Totals over the used rows, when rollups are among the files. The rows that the store returns
    /// must add up to them.
    pub tally: Option<Tally>,
}

impl Change {
    /// `manifest` lists the present files, under the id of this run. Only the `files` that differ
    /// from it are written (early cutoff). The manifest gets the new `inputs` of every table, also
    /// of a table whose bytes stay the same.
    pub fn new(
        mut manifest: Manifest,
        files: impl IntoIterator<Item = TableFile>,
        absent: impl IntoIterator<Item = &'static Table>,
        inputs: &BTreeMap<&'static str, String>,
    ) -> Change {
        let mut changed = Vec::new();
        for file in files {
            if manifest
                .tables
                .get(file.table.name)
                .is_none_or(|published| published.sha256 != file.sha256)
            {
                manifest
                    .tables
                    .insert(file.table.name.into(), file.published(&manifest.run_id));
                changed.push(file);
            }
        }
        let absent: Vec<_> = absent.into_iter().collect();
        let removed = absent
            .iter()
            .filter(|t| manifest.tables.remove(t.name).is_some())
            .count();
        for (name, inputs) in inputs {
            if let Some(table) = manifest.tables.get_mut(*name) {
                table.inputs.clone_from(inputs);
            }
        }
        Change {
            manifest,
            files: changed,
            absent,
            removed,
            quarantine: vec![],
            tally: None,
        }
    }

    /// The paths of every new file, and of the `_SUCCESS` beside it.
    fn paths(&self) -> Vec<String> {
        let day = self.manifest.day;
        let tables = self
            .files
            .iter()
            .flat_map(|file| [part_path(file.table, day), success_path(file.table, day)]);
        let quarantine = self.quarantine.iter().filter(|(_, rows)| rows.is_some());
        let quarantine = quarantine.map(|(dataset, _)| quarantine_path(dataset, day));
        tables.chain(quarantine).collect()
    }

    /// Whether any table is written or removed.
    pub fn touches_tables(&self) -> bool {
        !self.files.is_empty() || self.removed > 0
    }
}

/// The staging folder of one commit.
pub struct Staging {
    results: Store,
    folder: String,
    /// The number that the commit will have.
    commit_number: u64,
    /// Whether files that the commit replaces or removes are kept.
    keeps_history: bool,
}

/// A verified day that readers do not see yet.
pub struct Staged {
    commit: Commit,
    commit_number: u64,
    pub manifest: Manifest,
}

/// Writes every file of a change into the staging folder, and reads back what the store has not confirmed.
///
/// `finished_at` gives the time in the manifest, which is written last.
///
/// # Errors
/// When the store fails, when it returns other bytes than were written, when a file does not hold what was
/// computed or could not be moved to its place later, or when the run is asked to stop. Nothing is visible
/// then; the next writer removes what was staged.
pub fn stage(
    staging: Staging,
    change: &Change,
    resources: &Resources,
    finished_at: impl FnOnce() -> String,
) -> Result<Staged> {
    let (day, begun, stop) = (change.manifest.day, Instant::now(), &resources.stop);
    for path in change
        .paths()
        .iter()
        .chain([&manifest_path(day, staging.commit_number)])
    {
        staging.results.check_move(&staging.folder, path)?;
    }
    let replaced = change.files.iter().map(|file| file.table);
    let replaced: Vec<&Table> = replaced.chain(change.absent.iter().copied()).collect();
    stop.check()?;
    let new = change.files.iter().map(|file| NewFile {
        path: part_path(file.table, day),
        bytes: file.bytes.clone(),
        sha256: file.sha256.clone(),
    });
    let mut new: Vec<NewFile> = new.collect();
    let mut gone: Vec<String> = change
        .absent
        .iter()
        .map(|table| part_path(table, day))
        .collect();
    for (dataset, rows) in &change.quarantine {
        let path = quarantine_path(dataset, day);
        match rows {
            None => gone.push(path),
            Some(rows) => new.push(NewFile::new(path, parquet::encode_quarantine(rows)?)),
        }
    }
    let (mut files, removed) = staging.keep_and_find(&replaced, day, gone)?;
    // No reader sees the files before the commit, so they may be written while they are checked.
    let (check, write) = (
        || check_tables(change, resources),
        || staging.write(new, stop),
    );
    files.extend(match resources.threads {
        1 => check().and_then(|()| write())?,
        _ => {
            let (checked, written) = side_by_side(check, write);
            checked.and(written)?
        }
    });
    let commit_number = staging.commit_number;
    let mut manifest = Manifest {
        commit_number,
        finished_at: finished_at(),
        ..change.manifest.clone()
    };
    manifest
        .stages
        .push(StageTime::new("staging", begun.elapsed()));
    for file in &change.files {
        if let Some(published) = manifest.tables.get_mut(file.table.name) {
            published.commit_number = Some(commit_number);
        }
    }
    let json = serde_json::to_vec_pretty(&manifest)?;
    let of_manifest = NewFile::new(manifest_path(day, commit_number), json);
    let committed = of_manifest.committed();
    staging.write(vec![of_manifest], stop)?;
    let commit = Commit {
        day,
        staging: staging.folder,
        files,
        removed,
        manifest: committed,
    };
    Ok(Staged {
        commit,
        commit_number,
        manifest,
    })
}

impl Staging {
    /// Whether files that the commit replaces or removes are kept under `_history/`.
    pub fn keeping_history(self, keeps_history: bool) -> Staging {
        Staging {
            keeps_history,
            ..self
        }
    }

    /// The path of a file until it is in place.
    fn staged(&self, path: &str) -> String {
        format!("{}/{path}", self.folder)
    }

    /// Copies the present files of tables, if there are any and history is kept, to where the commit
    /// moves them into the history. Gives the copies, and the present files at the paths of `gone`.
    fn keep_and_find(
        &self,
        tables: &[&Table],
        day: NaiveDate,
        gone: Vec<String>,
    ) -> Result<(Vec<CommittedFile>, Vec<CommittedFile>)> {
        let tables = tables.iter().filter(|_| self.keeps_history);
        let (present, kept): (Vec<String>, Vec<String>) = tables
            .map(|table| {
                let kept = history_path(table, day, self.commit_number);
                (part_path(table, day), kept)
            })
            .unzip();
        let staged = kept.iter().map(|path| self.staged(path));
        let copies: Vec<(String, String)> = present.into_iter().zip(staged).collect();
        let (copied, found) = self.results.copy_and_digest(&copies, &gone)?;
        let kept = committed(kept, copied);
        for file in &kept {
            self.results.check_move(&self.folder, &file.path)?;
        }
        Ok((kept, committed(gone, found)))
    }

    /// Writes files, side by side as long as they are small. Those that the store has not confirmed are
    /// read back.
    ///
    /// # Errors
    /// When the store returns other bytes than were written.
    fn write(&self, files: Vec<NewFile>, stop: &Stop) -> Result<Vec<CommittedFile>> {
        for some in at_once(&files) {
            stop.check()?;
            let objects: Vec<(String, Bytes)> = some
                .iter()
                .map(|file| (self.staged(&file.path), file.bytes.clone()))
                .collect();
            let are_confirmed = self.results.write_each(&objects)?;
            let unconfirmed = some.iter().zip(are_confirmed);
            let unconfirmed = unconfirmed.filter(|(_, is_confirmed)| !is_confirmed);
            self.verify(unconfirmed.map(|(file, _)| file).collect())?;
        }
        Ok(files.iter().map(NewFile::committed).collect())
    }

    /// # Errors
    /// When the store returns other bytes than were written.
    fn verify(&self, files: Vec<&NewFile>) -> Result<()> {
        let paths: Vec<String> = files.iter().map(|file| self.staged(&file.path)).collect();
        let found = self.results.digest_each(&paths)?;
        for ((path, found), file) in paths.iter().zip(found).zip(files) {
            let expected = (file.bytes.len() as u64, file.sha256.clone());
            ensure!(
                found == Some(expected),
                messages::other_bytes(self.results.show(path))
            );
        }
        Ok(())
    }
}

/// The files that were found, by their sizes and hashes.
fn committed(paths: Vec<String>, digests: Vec<Digested>) -> Vec<CommittedFile> {
    let found = paths.into_iter().zip(digests);
    let found = found.filter_map(|(path, digest)| Some((path, digest?)));
    found
        .map(|(path, (bytes, sha256))| CommittedFile {
            path,
            bytes,
            sha256,
        })
        .collect()
}

/// A file to stage.
struct NewFile {
    /// Below the results.
    path: String,
    bytes: Bytes,
    sha256: String,
}

impl NewFile {
    fn new(path: String, bytes: Vec<u8>) -> NewFile {
        NewFile {
            path,
            sha256: sha256(&bytes),
            bytes: bytes.into(),
        }
    }

    fn committed(&self) -> CommittedFile {
        CommittedFile {
            path: self.path.clone(),
            bytes: self.bytes.len() as u64,
            sha256: self.sha256.clone(),
        }
    }
}

/// Runs of files that together have at most [`AT_ONCE_BYTES`], or one file each.
fn at_once(files: &[NewFile]) -> impl Iterator<Item = &[NewFile]> {
    let mut rest = files;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |file: &&NewFile| {
            bytes += file.bytes.len();
            bytes <= AT_ONCE_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (some, after) = rest.split_at(count);
        rest = after;
        (!some.is_empty()).then_some(some)
    })
}

/// Checks the schema, row count and sums of every new file of a table.
///
/// # Errors
/// When a file does not hold what was computed, and when the run is asked to stop.
fn check_tables(change: &Change, resources: &Resources) -> Result<()> {
    let (day, tally, stop) = (change.manifest.day, change.tally.as_ref(), &resources.stop);
    let checked = resources.map(change.files.iter().collect(), |file: &TableFile| {
        stop.check()?;
        let path = part_path(file.table, day);
        check_table(file, tally, stop).with_context(|| format!("verifying {path}"))
    });
    checked.into_iter().collect()
}

/// Checks the bytes of a file that the store is asked to keep.
fn check_table(file: &TableFile, tally: Option<&Tally>, stop: &Stop) -> Result<()> {
    let names: Vec<&str> = file.table.columns.iter().map(|c| c.name).collect();
    let tallied: Vec<&Column> = file
        .table
        .reconciled
        .iter()
        .map(|total| file.table.column(total.column()))
        .collect();
    let mut totals = Totals::new(file.table);
    let mut rows = 0;
    file.footer.check(file.table, &names)?;
    parquet::decode(
        file.bytes.clone(),
        &file.footer,
        file.footer.groups_with(&Rows::default()),
        &names,
        &mut |batch| {
            stop.check()?;
            rows += batch.num_rows() as u64;
            totals.add(&from_batch(&tallied, &batch)?)
        },
    )?;
    ensure!(
        rows == file.rows,
        "{rows} rows where {} were computed",
        file.rows
    );
    tally.map_or(Ok(()), |tally| tally.compare(&totals))
}
