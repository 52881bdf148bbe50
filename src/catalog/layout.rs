//! The paths under the results; no other file holds one.
//!
//! ```text
//! <table>/dt=YYYY-MM-DD/part-0.parquet, _SUCCESS     published tables
//! _runs/dt=YYYY-MM-DD/<number>.json                  manifests, by commit
//! _runs/commit_log/<number>.json                     commit records
//! _locks/<number>.json                               leases, by fencing number
//! _locks/probe-<name>                                an object that tests the store, removed at once
//! _staging/<run id>/<day>/<path>                     files of a commit that is not in place yet
//! _quarantine/<dataset>/dt=YYYY-MM-DD/part-0.parquet quarantined rows
//! _history/<table>/dt=YYYY-MM-DD/<number>.parquet    a file that a commit replaced or removed
//! ```

use chrono::NaiveDate;

use crate::contracts::{Dataset, PART_FILE, SUCCESS_FILE, Table};

/// The folder of manifests and of the commit log.
pub(crate) const RUNS: &str = "_runs";
/// The folder of commit records.
pub(crate) const COMMIT_LOG: &str = "_runs/commit_log";
/// The folder of lease files.
pub(crate) const LOCKS: &str = "_locks";
/// The folder of files that readers do not see yet.
pub(crate) const STAGING: &str = "_staging";
/// The folder of quarantined rows.
pub(crate) const QUARANTINE: &str = "_quarantine";

/// The folder of files that later commits replaced or removed.
pub(crate) const HISTORY: &str = "_history";

/// The published file of a table.
pub(crate) fn part_path(table: &Table, day: NaiveDate) -> String {
    format!("{}/{PART_FILE}", table.partition(day))
}

/// The mark beside the published file of a table.
pub(crate) fn success_path(table: &Table, day: NaiveDate) -> String {
    format!("{}/{SUCCESS_FILE}", table.partition(day))
}

/// The quarantined rows of a dataset.
pub(crate) fn quarantine_path(dataset: &Dataset, day: NaiveDate) -> String {
    format!("{QUARANTINE}/{}/{PART_FILE}", dataset.partition(day))
}

/// The file of a table that a commit replaced or removed.
pub(crate) fn history_path(table: &Table, day: NaiveDate, commit_number: u64) -> String {
    format!(
        "{HISTORY}/{}/{commit_number:010}.parquet",
        table.partition(day)
    )
}

/// The table, day and commit number of `<table>/dt=YYYY-MM-DD/<number>.parquet`, a path below [`HISTORY`].
pub(crate) fn history_of(path: &str) -> Option<(&str, NaiveDate, u64)> {
    let (table, rest) = path.split_once('/')?;
    let (folder, file) = rest.split_once('/')?;
    let number = number_before(file, ".parquet")?;
    Some((table, day_of(folder)?, number))
}

/// The manifest of a commit.
pub(crate) fn manifest_path(day: NaiveDate, commit_number: u64) -> String {
    format!("{RUNS}/dt={day}/{}", numbered(commit_number))
}

/// A record of the commit log.
pub(crate) fn record_path(number: u64) -> String {
    format!("{COMMIT_LOG}/{}", numbered(number))
}

/// The file of a lease.
pub(crate) fn lock_path(fencing_number: u64) -> String {
    format!("{LOCKS}/{}", numbered(fencing_number))
}

/// An object that tests the store. No reader looks for it; `vacuum` removes one that was left behind.
pub(crate) fn probe_path(name: &str) -> String {
    format!("{LOCKS}/probe-{name}")
}

/// The staged files of a run.
pub(crate) fn staging_of_run(run_id: &str) -> String {
    format!("{STAGING}/{run_id}")
}

/// The staged files of one commit.
pub(crate) fn staging_of_day(run_id: &str, day: NaiveDate) -> String {
    format!("{STAGING}/{run_id}/{day}")
}

/// The folder of a table's published file; `None` for a path that is not a table's.
pub(crate) fn table_folder(path: &str) -> Option<&str> {
    path.rsplit_once('/')
        .map(|(folder, _)| folder)
        .filter(|folder| !folder.starts_with('_'))
}

/// Decimal with leading zeros, so that names sort like numbers.
fn numbered(number: u64) -> String {
    format!("{number:010}.json")
}

/// The number in the name of a record, lease or manifest.
pub(crate) fn number_of(file_name: &str) -> Option<u64> {
    number_before(file_name, ".json")
}

fn number_before(file_name: &str, ending: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(ending)?;
    (digits.len() >= 10 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The number of a commit record, `commit_log/<number>.json`, a path below [`RUNS`].
pub(crate) fn record_of(path: &str) -> Option<u64> {
    number_of(path.strip_prefix("commit_log/")?)
}

/// The day and commit number of `dt=YYYY-MM-DD/<number>.json`, a path below [`RUNS`].
pub(crate) fn manifest_of(path: &str) -> Option<(NaiveDate, u64)> {
    let (folder, file) = path.split_once('/')?;
    Some((day_of(folder)?, number_of(file)?))
}

/// The day of a partition's folder, `dt=YYYY-MM-DD`.
pub(crate) fn day_of(folder: &str) -> Option<NaiveDate> {
    folder.strip_prefix("dt=")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::SHOP_TIER;

    #[test]
    fn names_with_numbers_survive_a_round_trip() {
        let day = "2026-03-14".parse().unwrap();
        assert_eq!(
            manifest_path(day, 17),
            "_runs/dt=2026-03-14/0000000017.json"
        );
        assert_eq!(
            manifest_of("dt=2026-03-14/0000000017.json"),
            Some((day, 17))
        );
        let record = record_path(17);
        assert_eq!(record_of(record.strip_prefix("_runs/").unwrap()), Some(17));
        assert_eq!(record_of("dt=2026-03-14/0000000017.json"), None);
        assert_eq!(number_of("12345678901.json"), Some(12_345_678_901));
        for other in ["17.json", "000000001x.json", "0000000017.json.tmp"] {
            assert_eq!(number_of(other), None, "{other}");
        }
        assert_eq!(manifest_of("commit_log/0000000017.json"), None);
        let kept = history_path(&SHOP_TIER, day, 17);
        assert_eq!(kept, "_history/shop_tier/dt=2026-03-14/0000000017.parquet");
        let below = kept.strip_prefix("_history/").unwrap();
        assert_eq!(history_of(below), Some(("shop_tier", day, 17)));
        assert_eq!(history_of("shop_tier/dt=2026-03-14/part-0.parquet"), None);
    }

    #[test]
    fn only_tables_have_a_folder_of_their_own() {
        assert_eq!(
            table_folder("shop_daily/dt=2026-03-14/part-0.parquet"),
            Some("shop_daily/dt=2026-03-14")
        );
        assert_eq!(
            table_folder("_quarantine/shops/dt=2026-03-14/part-0.parquet"),
            None
        );
    }
}
