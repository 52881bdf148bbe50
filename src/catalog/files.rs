//! The files of all tables that readers see now, or saw after a commit.
//!
//! Nothing of the files is read: manifests and listings are enough. A file counts as the one of a
//! commit if the manifests say so and its size is right.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};

use super::commit_log::{Record, find_unfinished, greatest_manifest, read_head};
use super::history::History;
use super::layout::{COMMIT_LOG, HISTORY, QUARANTINE, day_of, number_of};
use super::manifest::PublishedTable;
use super::state::State;
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
/// `ConfigWrong` when there is no such commit yet. `Held` when files of any commit are not all in place.
/// `StoreFailed` when a file of it is no longer kept.
pub(crate) fn files_as_of(
    results: &Store,
    commit: u64,
    kept_since: DateTime<Utc>,
) -> Result<Files> {
    let head = read_head(results)?;
    if let Some(unfinished) = find_unfinished(results, head.as_ref())? {
        return Err(messages::commit_not_in_place(unfinished.number).into());
    }
    check_commit(results, head.as_ref(), commit)?;
    let files = find_files(results, commit, kept_since)?;
    // A commit that began meanwhile may have moved files while they were listed.
    let newest = |record: Option<Record>| record.and_then(|record| record.newest_commit());
    let (before, after) = (newest(head), newest(read_head(results)?));
    match after.filter(|_| after != before) {
        Some(number) => Err(messages::commit_not_in_place(number).into()),
        None => Ok(files),
    }
}

fn find_files(results: &Store, commit: u64, kept_since: DateTime<Utc>) -> Result<Files> {
    let history = &History::load(&State::load(results)?)?;
    let sizes = sizes(results)?;
    let is_complete = is_complete(results, history, commit)?;
    history.look_ahead(commit);
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
fn check_commit(results: &Store, head: Option<&Record>, commit: u64) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::commit_log::{Commit, CommittedFile, append};
    use crate::catalog::layout::{history_path, manifest_path};
    use crate::catalog::manifest::Manifest;
    use crate::contracts::tables::{SHOP_DAILY, SHOP_TIER};
    use crate::exit_code::ExitCode;
    use crate::failure::exit_code_of;
    use crate::testing::{Memory, instant, manifest, march, noon, owner};

    fn record(number: u64) -> Record {
        let manifest = CommittedFile {
            path: manifest_path(march(14), number),
            bytes: 2,
            sha256: String::new(),
        };
        let commit = Commit {
            day: march(14),
            staging: "_staging/a/2026-03-14".into(),
            files: vec![],
            removed: vec![],
            manifest,
        };
        Record {
            number,
            fencing_number: 1,
            owner: owner("a"),
            written_at: noon(),
            previous_commit: None,
            commit: Some(commit),
        }
    }

    /// Commit 2 published shop_daily and shop_tier of the 14th; commit 5 replaced shop_daily, and the file
    /// was kept. Commit 6 published shop_daily of the 15th.
    fn results() -> Memory {
        let memory = Memory::new("results");
        let finished_at = "2026-03-15T12:00:00Z".to_owned();
        let mut before = manifest(march(14), 2);
        before.finished_at.clone_from(&finished_at);
        memory.publish(&mut before, &SHOP_DAILY, "old", "a");
        memory.publish(&mut before, &SHOP_TIER, "tier", "a");
        let mut after = Manifest {
            commit_number: 5,
            ..before.clone()
        };
        memory.publish(&mut after, &SHOP_DAILY, "newer", "b");
        memory.put(&history_path(&SHOP_DAILY, march(14), 5), "old");
        let mut next = manifest(march(15), 6);
        next.finished_at = finished_at;
        memory.publish(&mut next, &SHOP_DAILY, "next", "a");
        [before, after, next]
            .iter()
            .for_each(|one| memory.put_manifest(one));
        append(&memory.store, &record(6), false).unwrap();
        memory
    }

    fn files(memory: &Memory, commit: u64, kept_since: &str) -> Result<Files> {
        files_as_of(&memory.store, commit, instant(kept_since))
    }

    const LONG_AGO: &str = "2026-02-01T00:00:00Z";

    #[test]
    fn a_replaced_file_is_taken_from_the_history_and_any_other_from_its_place() {
        let memory = results();
        let kept = "_history/shop_daily/dt=2026-03-14/0000000005.parquet";
        let (daily, tier) = (
            "shop_daily/dt=2026-03-14/part-0.parquet",
            "shop_tier/dt=2026-03-14/part-0.parquet",
        );
        let found = |commit| files(&memory, commit, LONG_AGO).unwrap();
        for commit in [2, 4] {
            assert_eq!(found(commit)["shop_daily"], [kept]);
            assert_eq!(found(commit)["shop_tier"], [tier]);
        }
        assert_eq!(found(5)["shop_daily"], [daily]);
        let next = "shop_daily/dt=2026-03-15/part-0.parquet";
        assert_eq!(found(6)["shop_daily"], [daily, next]);
        assert_eq!(found(1), Files::new());
    }

    #[test]
    fn a_file_that_was_not_kept_or_has_another_size_is_refused() {
        let memory = results();
        let said = |commit| files(&memory, commit, LONG_AGO).unwrap_err().to_string();
        memory
            .store
            .remove("shop_tier/dt=2026-03-14/part-0.parquet")
            .unwrap();
        assert!(
            said(5).contains("the version of shop_tier of 2026-03-14 after commit 5"),
            "{}",
            said(5)
        );
        let memory = results();
        memory
            .store
            .remove("_history/shop_daily/dt=2026-03-14/0000000005.parquet")
            .unwrap();
        let said = files(&memory, 2, LONG_AGO).unwrap_err().to_string();
        assert!(
            said.contains("the version of shop_daily of 2026-03-14 after commit 2"),
            "{said}"
        );
    }

    #[test]
    fn a_commit_before_the_history_is_refused_unless_no_number_is_missing() {
        let memory = results();
        let refused = |commit, since| {
            let said = files(&memory, commit, since).unwrap_err().to_string();
            assert!(
                said.contains("the oldest manifest of 2026-03-15 is that of commit 6"),
                "{said}"
            );
        };
        // Numbers 3 and 4 were leases, or manifests that are gone.
        let after_the_15th = "2026-03-16T00:00:00Z";
        refused(5, after_the_15th);
        files(&memory, 5, LONG_AGO).unwrap();
        for lease in [1, 3, 4] {
            append(
                &memory.store,
                &Record {
                    commit: None,
                    ..record(lease)
                },
                false,
            )
            .unwrap();
        }
        files(&memory, 5, after_the_15th).unwrap();
    }

    #[test]
    fn a_commit_that_is_not_written_is_refused() {
        let memory = results();
        for commit in [0, 7] {
            let said = files(&memory, commit, LONG_AGO).unwrap_err().to_string();
            assert!(said.contains("give --as-of from 1 to 6"), "{said}");
        }
    }

    #[test]
    fn no_commit_is_shown_while_files_of_one_are_moved() {
        let memory = results();
        let manifest = "_staging/a/2026-03-14/_runs/dt=2026-03-14/0000000006.json";
        memory.put(manifest, "{}");
        let error = files(&memory, 5, LONG_AGO).unwrap_err();
        assert!(
            error.to_string().contains("commit 6 are not all in place"),
            "{error}"
        );
        assert_eq!(exit_code_of(&error), ExitCode::TryLater);
        memory.store.remove(manifest).unwrap();
        files(&memory, 5, LONG_AGO).unwrap();
    }
}
