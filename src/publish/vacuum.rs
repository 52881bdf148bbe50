//! Finds files beside the tables that are no longer needed.
//!
//! These are leftovers of staging, superseded manifests, old history, and old records, leases and
//! quarantine.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::writer::Writers;
use crate::catalog::commit_log::Record;
use crate::catalog::layout::{
    COMMIT_LOG, HISTORY, LOCKS, QUARANTINE, RUNS, STAGING, history_of, manifest_of, number_of,
    staging_of_run,
};
use crate::store::{Entry, Store};

/// A file that can be removed, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Superfluous {
    /// The path in the results.
    pub path: String,
    pub bytes: u64,
    pub why: &'static str,
}

/// Lists the files that can be removed: leftovers of staging of any age, and other files that were
/// written or superseded before `before`.
///
/// The newest manifest of a day, the newest records of the commit log, and the staged files of a
/// live run or an interrupted commit always stay. Tables are never listed.
///
/// Files that commits replaced or removed before `history_before` are listed too. As long as they are
/// kept, the manifests that list them stay.
///
/// A number of the commit log that a process may still try to take must not become free again. So
/// `before` must lie much more than a lease in the past.
pub(crate) fn find_superfluous(
    results: &Store,
    now: DateTime<Utc>,
    before: DateTime<Utc>,
    history_before: DateTime<Utc>,
) -> Result<Vec<Superfluous>> {
    let writers = Writers::find(results)?;
    let head = writers.head.as_ref();
    let mut found = staged_leftovers(results, &writers, now)?;
    let runs = results.list_all(RUNS)?;
    found.extend(old_records(&runs, head, before));
    found.extend(superseded_manifests(&runs, before.min(history_before)));
    found.extend(old_history(
        &results.list_all(HISTORY)?,
        &runs,
        history_before,
    ));
    found.extend(old_leases(&results.list_all(LOCKS)?, head, before));
    let quarantined = results.list_all(QUARANTINE)?;
    let old_quarantine = quarantined
        .iter()
        .filter(|entry| entry.modified_at < before);
    found.extend(old_quarantine.map(|entry| superfluous(QUARANTINE, entry, "old quarantine")));
    for folder in [COMMIT_LOG, LOCKS] {
        let half_written = results.list_half_written(folder)?;
        let old = half_written
            .iter()
            .filter(|entry| entry.modified_at < before);
        found.extend(old.map(|entry| superfluous(folder, entry, "half written")));
    }
    Ok(found)
}

fn superfluous(folder: &str, entry: &Entry, why: &'static str) -> Superfluous {
    Superfluous {
        path: format!("{folder}/{}", entry.name),
        bytes: entry.size_bytes,
        why,
    }
}

/// Staged files of any age, except those of a live run and of an interrupted commit.
fn staged_leftovers(
    results: &Store,
    writers: &Writers,
    now: DateTime<Utc>,
) -> Result<Vec<Superfluous>> {
    let live = writers.holder.iter().filter(|holder| holder.is_live(now));
    let of_live_run = live.map(|holder| staging_of_run(&holder.owner.run_id));
    let interrupted = writers.unfinished.iter().filter_map(|r| r.commit.as_ref());
    let needed: Vec<String> = of_live_run
        .chain(interrupted.map(|commit| commit.staging.clone()))
        .collect();
    let mut staged = results.list_all(STAGING)?;
    staged.retain(|entry| !is_below_any(&format!("{STAGING}/{}", entry.name), &needed));
    let leftovers = staged.iter();
    Ok(leftovers
        .map(|entry| superfluous(STAGING, entry, "staged and never committed"))
        .collect())
}

fn is_below_any(path: &str, folders: &[String]) -> bool {
    folders.iter().any(|folder| {
        path.strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Manifests that a newer one of their day superseded before `before`.
fn superseded_manifests(runs: &[Entry], before: DateTime<Utc>) -> Vec<Superfluous> {
    let mut by_day: BTreeMap<&str, Vec<(Option<u64>, &Entry)>> = BTreeMap::new();
    for entry in runs {
        if let Some((folder, file)) = entry.name.split_once('/')
            && folder.starts_with("dt=")
        {
            let number = number_of(file);
            // Manifests of version 0.1.0 have no number, and count as older than all with a number.
            // Other files are not ours.
            if number.is_some() || is_of_0_1_0(&entry.name) {
                by_day.entry(folder).or_default().push((number, entry));
            }
        }
    }
    let mut superseded = Vec::new();
    for of_day in by_day.values_mut() {
        of_day.sort_by_key(|(number, entry)| (*number, &entry.name));
        for pair in of_day.windows(2) {
            let ((_, older), (number, newer)) = (pair[0], pair[1]);
            if number.is_some() && newer.modified_at < before {
                superseded.push(superfluous(RUNS, older, "a superseded manifest"));
            }
        }
    }
    superseded
}

/// Files that a commit replaced or removed before `before`. Its time is that of its manifest: a copied
/// file may be as old as the file itself.
fn old_history(history: &[Entry], runs: &[Entry], before: DateTime<Utc>) -> Vec<Superfluous> {
    let committed_at: BTreeMap<(NaiveDate, u64), DateTime<Utc>> = runs
        .iter()
        .filter_map(|entry| Some((manifest_of(&entry.name)?, entry.modified_at)))
        .collect();
    let old = history.iter().filter(|entry| {
        history_of(&entry.name).is_some_and(|(_, day, number)| {
            let replaced_at = committed_at.get(&(day, number));
            replaced_at.unwrap_or(&entry.modified_at) < &before
        })
    });
    old.map(|entry| superfluous(HISTORY, entry, "old history"))
        .collect()
}

fn old_records(runs: &[Entry], head: Option<&Record>, before: DateTime<Utc>) -> Vec<Superfluous> {
    let records = runs.iter().filter(|entry| {
        let path = format!("{RUNS}/{}", entry.name);
        let name = path
            .strip_prefix(COMMIT_LOG)
            .and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| precedes(name, head)) && entry.modified_at < before
    });
    records
        .map(|entry| superfluous(RUNS, entry, "an old record of the commit log"))
        .collect()
}

/// Lease files older than the current one, and probes whose process was killed.
fn old_leases(locks: &[Entry], head: Option<&Record>, before: DateTime<Utc>) -> Vec<Superfluous> {
    let current = head.map(|head| head.fencing_number);
    let old = locks.iter().filter(|entry| {
        let is_current = current.is_some_and(|current| number_of(&entry.name) >= Some(current));
        entry.modified_at < before && !is_current
    });
    let why = |entry: &Entry| match number_of(&entry.name) {
        Some(_) => "an old lease",
        None => "an old probe",
    };
    old.map(|entry| superfluous(LOCKS, entry, why(entry)))
        .collect()
}

/// Whether the record is no longer read. Only the newest record and the newest commit are read.
fn precedes(file_name: &str, head: Option<&Record>) -> bool {
    let oldest_needed =
        head.and_then(|head| head.newest_commit().into_iter().chain([head.number]).min());
    number_of(file_name)
        .zip(oldest_needed)
        .is_some_and(|(number, needed)| number < needed)
}

/// Example: `dt=2026-03-14/20260315T090000.123456Z-4711.json`.
fn is_of_0_1_0(path: &str) -> bool {
    let name = path
        .rsplit('/')
        .next()
        .and_then(|file| file.strip_suffix(".json"));
    let time = name
        .and_then(|name| name.split_once("Z-"))
        .map(|(time, _)| time);
    time.is_some_and(|time| NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S%.6f").is_ok())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::catalog::commit_log::{Commit, CommittedFile, append};
    use crate::testing::{Memory, manifest, march, owner};

    /// A log of three records: a lease, a commit, a lease; and a file of each kind.
    fn results() -> Memory {
        let memory = Memory::new("results");
        for number in 1..=3 {
            let record = Record {
                number,
                fencing_number: if number == 3 { 3 } else { 1 },
                owner: owner("a"),
                written_at: DateTime::UNIX_EPOCH,
                previous_commit: (number == 3).then_some(2),
                commit: (number == 2).then(|| commit(2)),
            };
            append(&memory.store, &record, false).unwrap();
        }
        for number in [1, 2] {
            memory.put_manifest(&manifest(march(14), number));
        }
        for path in [
            "_runs/dt=2026-03-14/20260315T090000.123456Z-4711.json",
            "_runs/dt=2026-03-14/notes.txt",
            "_locks/0000000001.json",
            "_locks/0000000003.json",
            "_locks/probe-doctor-7-0",
            "_staging/gone/2026-03-14/x",
            "_quarantine/shops/dt=2026-03-14/part-0.parquet",
            "shop_daily/dt=2026-03-14/part-0.parquet",
            "_history/shop_daily/dt=2026-03-14/0000000002.parquet",
        ] {
            memory.put(path, "x");
        }
        memory
    }

    fn commit(number: u64) -> Commit {
        let manifest = CommittedFile {
            path: format!("_runs/dt=2026-03-14/{number:010}.json"),
            bytes: 1,
            sha256: "x".into(),
        };
        Commit {
            day: march(14),
            staging: "_staging/a/2026-03-14".into(),
            files: vec![],
            removed: vec![],
            manifest,
        }
    }

    fn found(memory: &Memory, before: DateTime<Utc>) -> Vec<(String, &'static str)> {
        let now = Utc::now();
        let found = find_superfluous(&memory.store, now, before, before).unwrap();
        let mut found: Vec<_> = found.into_iter().map(|f| (f.path, f.why)).collect();
        found.sort();
        found
    }

    #[test]
    fn everything_that_nobody_needs_is_found_and_nothing_else() {
        let memory = results();
        // Objects in memory are as old as this test.
        let tomorrow = Utc::now() + TimeDelta::days(1);
        let expected = [
            (
                "_history/shop_daily/dt=2026-03-14/0000000002.parquet",
                "old history",
            ),
            ("_locks/0000000001.json", "an old lease"),
            ("_locks/probe-doctor-7-0", "an old probe"),
            (
                "_quarantine/shops/dt=2026-03-14/part-0.parquet",
                "old quarantine",
            ),
            (
                "_runs/commit_log/0000000001.json",
                "an old record of the commit log",
            ),
            (
                "_runs/dt=2026-03-14/0000000001.json",
                "a superseded manifest",
            ),
            (
                "_runs/dt=2026-03-14/20260315T090000.123456Z-4711.json",
                "a superseded manifest",
            ),
            ("_staging/gone/2026-03-14/x", "staged and never committed"),
        ];
        let expected = expected.map(|(path, why)| (path.to_owned(), why));
        assert_eq!(found(&memory, tomorrow), expected);
    }

    #[test]
    fn recent_files_stay_but_for_staged_ones() {
        let memory = results();
        let yesterday = Utc::now() - TimeDelta::days(1);
        let expected = [(
            "_staging/gone/2026-03-14/x".to_owned(),
            "staged and never committed",
        )];
        assert_eq!(found(&memory, yesterday), expected);
    }

    #[test]
    fn as_long_as_history_is_kept_the_manifests_that_list_it_stay() {
        let memory = results();
        let (now, day) = (Utc::now(), TimeDelta::days(1));
        let found = find_superfluous(&memory.store, now, now + day, now - day).unwrap();
        let of_history =
            |found: &Superfluous| found.why.contains("manifest") || found.why.contains("history");
        assert!(!found.iter().any(of_history), "{found:?}");
    }

    #[test]
    fn the_staged_files_of_an_interrupted_commit_stay() {
        let memory = results();
        let staged = "_staging/a/2026-03-14/_runs/dt=2026-03-14/0000000002.json";
        memory.put(staged, "x");
        let tomorrow = Utc::now() + TimeDelta::days(1);
        let found = found(&memory, tomorrow);
        assert!(found.iter().all(|(path, _)| path != staged), "{found:?}");
    }
}
