//! The files of all tables that readers see now, or saw after a commit.
//!
//! Nothing of the files is read: manifests and listings are enough. A file counts as the one of a
//! commit if the manifests say so and its size is right.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};

use super::commit_log::{Record, greatest_manifest};
use super::history::History;
use super::layout::{COMMIT_LOG, HISTORY, QUARANTINE, day_of, number_of};
use super::manifest::PublishedTable;
use crate::contracts::datasets::DATASETS;
use crate::contracts::{PART_FILE, Table, tables};
use crate::messages;
use crate::store::Store;

/// The folders of tables and of quarantined rows that hold a file of any day.
pub(crate) fn folders_with_files(results: &Store) -> Result<BTreeSet<String>> {
    let of_tables = tables::all().map(|table| table.name.to_owned());
    let of_quarantine = DATASETS.map(|dataset| format!("{QUARANTINE}/{}", dataset.name));
    let folders: Vec<String> = of_tables.chain(of_quarantine).collect();
    let names: Vec<&str> = folders.iter().map(String::as_str).collect();
    let listed = results.list_all_of_each(&names)?;
    let is_part = |name: &str| {
        let parts = name.split_once('/');
        parts.is_some_and(|(folder, file)| day_of(folder).is_some() && file == PART_FILE)
    };
    let has_parts = listed
        .iter()
        .map(|entries| entries.iter().any(|entry| is_part(&entry.name)));
    let found = folders.iter().zip(has_parts);
    let found = found.filter(|(_, has_parts)| *has_parts);
    Ok(found.map(|(folder, _)| folder.clone()).collect())
}

/// Paths in the results by table, each in the order of days. A table without a file has no entry.
pub(crate) type Files = BTreeMap<&'static str, Vec<String>>;

/// Finds the files of every table after a commit.
///
/// `kept_since`: replaced files and superseded manifests are kept if they were replaced after this.
///
/// # Errors
/// `ConfigWrong` when there is no such commit yet, or it is not in place. `StoreFailed` when a file of it
/// is no longer kept.
pub(crate) fn files_as_of(
    results: &Store,
    history: &History,
    head: Option<&Record>,
    unfinished: Option<&Record>,
    commit: u64,
    kept_since: DateTime<Utc>,
) -> Result<Files> {
    check_commit(results, head, unfinished, commit)?;
    let sizes = sizes(results)?;
    let is_complete = is_complete(results, history, commit)?;
    let mut files = Files::new();
    for day in history.days() {
        let Some(manifest) = history.manifest(day, commit)? else {
            check_first(history, day, commit, is_complete, kept_since)?;
            continue;
        };
        for table in tables::all() {
            let Some(published) = manifest.tables.get(table.name) else {
                continue;
            };
            let path = history.path(table, day, commit);
            let lies_there = published_at(history, table, day, commit)?;
            let is_of_commit = lies_there.is_some_and(|found| found.sha256 == published.sha256)
                && sizes.get(&path) == Some(&published.bytes);
            if !is_of_commit {
                let path = results.show(&path);
                return Err(messages::no_version(table.name, day, commit, path).into());
            }
            files.entry(table.name).or_default().push(path);
        }
    }
    Ok(files)
}

/// A commit after the newest one is not known yet, and later commits would change its files.
fn check_commit(
    results: &Store,
    head: Option<&Record>,
    unfinished: Option<&Record>,
    commit: u64,
) -> Result<()> {
    if let Some(unfinished) = unfinished.filter(|record| commit >= record.number) {
        return Err(messages::commit_not_in_place(unfinished.number).into());
    }
    let newest = head.and_then(Record::newest_commit).unwrap_or_default();
    let newest = newest.max(greatest_manifest(results)?);
    if commit == 0 || commit > newest {
        return Err(messages::no_such_commit(commit, newest).into());
    }
    Ok(())
}

/// The sizes of all published and kept files of tables, by their paths.
fn sizes(results: &Store) -> Result<BTreeMap<String, u64>> {
    let mut folders: Vec<&str> = tables::all().map(|table| table.name).collect();
    folders.push(HISTORY);
    let listed = results.list_all_of_each(&folders)?;
    let with_folder = folders.iter().zip(listed);
    let entries = with_folder.flat_map(|(folder, entries)| {
        let path = move |name: String| format!("{folder}/{name}");
        entries
            .into_iter()
            .map(move |entry| (path(entry.name), entry.size_bytes))
    });
    Ok(entries.collect())
}

/// Whether every number up to the commit is that of a manifest or of a record that still exists: then
/// `vacuum` has removed no manifest of these.
fn is_complete(results: &Store, history: &History, commit: u64) -> Result<bool> {
    let records = results.list_all(COMMIT_LOG)?;
    let records = records.iter().filter_map(|entry| number_of(&entry.name));
    let manifests = history.days().flat_map(|day| history.commits(day).to_vec());
    let known: BTreeSet<u64> = records.chain(manifests).collect();
    Ok(known.range(1..=commit).count() as u64 == commit)
}

/// Whether the day was first published after the commit. Its oldest manifest is newer than the commit;
/// an older one may have been removed.
fn check_first(
    history: &History,
    day: NaiveDate,
    commit: u64,
    is_complete: bool,
    kept_since: DateTime<Utc>,
) -> Result<()> {
    if is_complete {
        return Ok(());
    }
    let oldest = history.commits(day).first().copied().unwrap_or_default();
    let manifest = history.manifest(day, oldest)?;
    let published_at = manifest.and_then(|manifest| manifest.finished_at.parse().ok());
    match published_at {
        Some(published_at) if kept_since < published_at => Ok(()),
        Some::<DateTime<Utc>>(_) | None => {
            Err(messages::before_history(commit, day, oldest).into())
        }
    }
}

/// The entry of the table's file that lies at `History::path` of the commit: that of the manifest before
/// the commit that replaced it, or of the newest manifest.
fn published_at(
    history: &History,
    table: &Table,
    day: NaiveDate,
    commit: u64,
) -> Result<Option<PublishedTable>> {
    let replaced_by = history.replaced_by(table, day);
    let next = replaced_by.iter().find(|number| **number > commit);
    let last = next.map_or(u64::MAX, |number| number - 1);
    let manifest = history.manifest(day, last)?;
    Ok(manifest.and_then(|manifest| manifest.tables.get(table.name).cloned()))
}
