//! The commit log: numbered, immutable records that order all actions of writers.
//!
//! A record is a file such as `_runs/commit_log/0000000017.json`. It says either that a run took
//! the lease, or that a day is published. Both kinds take the next free number with put-if-absent.
//! If the number exists, another run took over. So a run that lost its lease cannot publish, even
//! with a wrong clock.

use anyhow::{Result, bail};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layout::{COMMIT_LOG, RUNS, manifest_of, number_of, record_of, record_path};
use crate::messages;
use crate::store::{Creation, Store};

/// A run that writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// Unique among all runs.
    pub run_id: String,
    pub host: String,
    pub pid: u32,
    /// The run counts as dead this long after its last heartbeat.
    pub lease_seconds: u32,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    pub number: u64,
    /// The fencing token: the number of the record with which the writer took the lease.
    pub fencing_number: u64,
    pub owner: Owner,
    pub written_at: DateTime<Utc>,
    /// The newest commit before this record. An interrupted commit is found through it.
    pub previous_commit: Option<u64>,
    /// `None`: the record takes the lease.
    pub commit: Option<Commit>,
}

/// The changed files of a day, which this record publishes. They were staged and verified before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    pub day: NaiveDate,
    /// The folder of the staged files. Each file has its own path below it.
    pub staging: String,
    /// Files of tables and of the quarantine, by their paths in the results.
    pub files: Vec<CommittedFile>,
    /// Files to remove, as they were found.
    pub removed: Vec<CommittedFile>,
    /// The manifest. It is moved last.
    pub manifest: CommittedFile,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommittedFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Commit {
    pub fn staged_path(&self, file: &CommittedFile) -> String {
        format!("{}/{}", self.staging, file.path)
    }
}

impl Record {
    /// The number of the newest commit up to this record.
    pub fn newest_commit(&self) -> Option<u64> {
        if self.commit.is_some() {
            Some(self.number)
        } else {
            self.previous_commit
        }
    }
}

/// The record with the greatest number; `None` when nothing was ever written.
pub fn read_head(results: &Store) -> Result<Option<Record>> {
    let newest = newest_number(results)?;
    newest
        .map(|number| read_newest(results, number))
        .transpose()
}

/// The greatest number of a record; `None` when nothing was ever written.
pub(crate) fn newest_number(results: &Store) -> Result<Option<u64>> {
    let listed = results.list_all(COMMIT_LOG)?;
    Ok(listed
        .iter()
        .filter_map(|entry| number_of(&entry.name))
        .max())
}

/// The number of the newest record, and that of the next one.
///
/// `runs`: the files of [`RUNS`], by their paths there. `list_log` gives the number of the newest record as of
/// now.
pub(crate) fn newest_and_next(
    runs: &[&str],
    list_log: impl FnOnce() -> Result<Option<u64>>,
) -> Result<(Option<u64>, u64)> {
    let mut newest = runs.iter().filter_map(|path| record_of(path)).max();
    let greatest = greatest_of(runs.iter().copied());
    // Only a manifest without a record (a lost log) may raise the number beyond the next one. Otherwise
    // two runs could take the lease with different numbers. A record is written before its manifest, but one
    // listing may read the log first and miss it.
    if greatest > newest {
        newest = list_log()?;
    }
    Ok((newest, newest.max(greatest).unwrap_or(0) + 1))
}

/// A record that was just listed as the newest one.
pub(crate) fn read_newest(results: &Store, number: u64) -> Result<Record> {
    let Some(record) = read(results, number)? else {
        let path = results.show(&record_path(number));
        bail!(messages::damaged_record(
            path,
            "was removed while it was read"
        ));
    };
    Ok(record)
}

/// `None` when the record is missing.
///
/// # Errors
/// When the record is damaged; names it.
pub fn read(results: &Store, number: u64) -> Result<Option<Record>> {
    let path = record_path(number);
    let Some(bytes) = results.read(&path)? else {
        return Ok(None);
    };
    let record = parse(&bytes).map_err(|e| {
        let why = format!("is not a commit record of this program: {e}");
        messages::damaged_record(results.show(&path), why)
    })?;
    Ok(Some(record))
}

/// A record from its file.
pub fn parse(bytes: &[u8]) -> Result<Record, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// Writes a record under its number, with put-if-absent; `false`: another record has the number.
///
/// With `single_writer`, the store needs no put-if-absent: the path is read before it is written.
pub fn append(results: &Store, record: &Record, single_writer: bool) -> Result<bool> {
    let (path, bytes) = (
        record_path(record.number),
        Bytes::from(serde_json::to_vec_pretty(record)?),
    );
    if single_writer {
        return match results.read(&path)? {
            Some(found) => Ok(found == bytes),
            None => results.write(&path, bytes).map(|()| true),
        };
    }
    Ok(results.create(&path, bytes)? == Creation::Created)
}

/// The newest commit, if its files are not all in place. An operator may have deleted its damaged
/// record: nothing is unfinished then, and tables that it left half published count as lost.
pub fn find_unfinished(results: &Store, head: Option<&Record>) -> Result<Option<Record>> {
    let Some(number) = head.and_then(Record::newest_commit) else {
        return Ok(None);
    };
    let record = match head {
        Some(head) if head.number == number => head.clone(),
        _ => match read(results, number)? {
            Some(record) => record,
            None => return Ok(None),
        },
    };
    let Some(commit) = &record.commit else {
        return Ok(None);
    };
    // The manifest is placed last, and its staged file is removed last: it is staged as long as any file
    // may be missing at its place.
    Ok(if results.exists(&commit.staged_path(&commit.manifest))? {
        Some(record)
    } else {
        None
    })
}

/// Whether a file is at its place with its committed bytes.
pub fn is_in_place(results: &Store, file: &CommittedFile) -> Result<bool> {
    let found = results.digest(&file.path)?;
    Ok(found.is_some_and(|(_, sha256)| sha256 == file.sha256))
}

/// The greatest number of a manifest; 0 when there is none. It is greater than the number of the
/// log's head only if the log was lost.
pub fn greatest_manifest(results: &Store) -> Result<u64> {
    let listed = results.list_all(RUNS)?;
    let paths = listed.iter().map(|entry| entry.name.as_str());
    Ok(greatest_of(paths).unwrap_or(0))
}

/// The greatest number of a manifest among files of [`RUNS`].
fn greatest_of<'a>(runs: impl Iterator<Item = &'a str>) -> Option<u64> {
    runs.filter_map(manifest_of).map(|(_, number)| number).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::sha256;
    use crate::testing::{Memory, manifest, march, noon, owner};

    fn record(number: u64, commit: Option<Commit>, previous_commit: Option<u64>) -> Record {
        Record {
            number,
            fencing_number: 1,
            owner: owner("a"),
            written_at: noon(),
            previous_commit,
            commit,
        }
    }

    fn commit(number: u64) -> Commit {
        let manifest = CommittedFile {
            path: format!("_runs/dt=2026-03-14/{number:010}.json"),
            bytes: 2,
            sha256: sha256(b"{}"),
        };
        Commit {
            day: march(14),
            staging: "_staging/a/2026-03-14".into(),
            files: vec![],
            removed: vec![],
            manifest,
        }
    }

    #[test]
    fn a_number_is_taken_once() {
        for single_writer in [false, true] {
            let memory = Memory::new("results");
            let (mine, other) = (record(3, None, None), record(3, Some(commit(3)), None));
            assert!(append(&memory.store, &mine, single_writer).unwrap());
            assert!(!append(&memory.store, &other, single_writer).unwrap());
            assert_eq!(read(&memory.store, 3).unwrap(), Some(mine));
        }
    }

    #[test]
    fn a_record_whose_answer_was_lost_counts_as_written() {
        let memory = Memory::new("results");
        let mine = record(3, None, None);
        assert!(append(&memory.store, &mine, true).unwrap());
        assert!(append(&memory.store, &mine, true).unwrap());
    }

    #[test]
    fn the_head_is_the_record_with_the_greatest_number() {
        let memory = Memory::new("results");
        assert_eq!(read_head(&memory.store).unwrap(), None);
        for number in [9, 11, 10] {
            append(&memory.store, &record(number, None, None), false).unwrap();
        }
        memory.put("_runs/commit_log/notes.txt", "not ours");
        assert_eq!(read_head(&memory.store).unwrap().unwrap().number, 11);
    }

    #[test]
    fn a_manifest_whose_record_was_not_listed_yet_does_not_raise_the_next_number() {
        let runs = [
            "commit_log/0000000005.json",
            "commit_log/0000000006.json",
            "dt=2026-03-14/0000000006.json",
        ];
        let not_listed = || panic!("the log is known");
        assert_eq!(newest_and_next(&runs, not_listed).unwrap(), (Some(6), 7));
        assert_eq!(newest_and_next(&[], not_listed).unwrap(), (None, 1));
        // Commit 7 was made, and the lease taken by record 8, while the folder was listed.
        let later = [&runs[..], &["dt=2026-03-15/0000000007.json"]].concat();
        let with_log = |newest| newest_and_next(&later, || Ok(Some(newest))).unwrap();
        assert_eq!(with_log(8), (Some(8), 9));
        // A part of the log was lost.
        assert_eq!(with_log(6), (Some(6), 8));
    }

    #[test]
    fn a_damaged_record_is_named() {
        let memory = Memory::new("results");
        memory.put(&record_path(4), "{");
        let said = read_head(&memory.store).unwrap_err().to_string();
        assert!(
            said.contains("results/_runs/commit_log/0000000004.json"),
            "{said}"
        );
    }

    #[test]
    fn a_commit_is_unfinished_while_its_manifest_is_staged() {
        let memory = Memory::new("results");
        let head = record(6, None, Some(5));
        append(&memory.store, &record(5, Some(commit(5)), None), false).unwrap();
        append(&memory.store, &head, false).unwrap();
        assert_eq!(find_unfinished(&memory.store, Some(&head)).unwrap(), None);
        let staged = "_staging/a/2026-03-14/_runs/dt=2026-03-14/0000000005.json";
        memory.put(staged, "{}");
        let found = find_unfinished(&memory.store, Some(&head)).unwrap();
        assert_eq!(found.unwrap().number, 5);
        assert_eq!(find_unfinished(&memory.store, None).unwrap(), None);
    }

    #[test]
    fn a_damaged_record_behind_the_head_may_be_deleted() {
        let memory = Memory::new("results");
        let head = record(6, None, Some(5));
        memory.put(&record_path(5), "{");
        find_unfinished(&memory.store, Some(&head)).unwrap_err();
        memory.store.remove(&record_path(5)).unwrap();
        assert_eq!(find_unfinished(&memory.store, Some(&head)).unwrap(), None);
    }

    #[test]
    fn a_file_is_in_place_with_its_own_bytes_only() {
        let memory = Memory::new("results");
        let manifest = commit(5).manifest;
        assert!(!is_in_place(&memory.store, &manifest).unwrap());
        memory.put(&manifest.path, "[]");
        assert!(!is_in_place(&memory.store, &manifest).unwrap());
        memory.put(&manifest.path, "{}");
        assert!(is_in_place(&memory.store, &manifest).unwrap());
    }

    #[test]
    fn the_greatest_number_of_a_manifest_is_found_among_all_days() {
        let memory = Memory::new("results");
        assert_eq!(greatest_manifest(&memory.store).unwrap(), 0);
        memory.put_manifest(&manifest(march(14), 8));
        memory.put_manifest(&manifest(march(15), 3));
        append(&memory.store, &record(20, None, None), false).unwrap();
        assert_eq!(greatest_manifest(&memory.store).unwrap(), 8);
    }
}
