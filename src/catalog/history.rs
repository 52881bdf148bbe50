//! The tables of a day as they were at an earlier commit.
//!
//! A published file stays at its place until a commit replaces or removes it. That commit keeps it in
//! the history, under the commit's own number. So the file that readers saw after commit 17 is the
//! one in the history with the smallest number above 17, and otherwise the published file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use chrono::NaiveDate;

use super::layout::{HISTORY, history_of, history_path, manifest_path, part_path};
use super::manifest::{Manifest, PublishedTable};
use super::state::{State, read_manifest};
use crate::contracts::{Table, TableId, tables};
use crate::fingerprint::sha256;
use crate::messages;
use crate::store::Store;

/// The commits of each day that still have a manifest, and the files that commits have kept.
pub(crate) struct History {
    results: Store,
    /// Oldest first.
    commits: BTreeMap<NaiveDate, Vec<u64>>,
    /// Numbers of the commits that replaced or removed a table's file; oldest first.
    kept: BTreeMap<(String, NaiveDate), Vec<u64>>,
    /// Manifests that were read, by their numbers.
    read: RefCell<HashMap<u64, Arc<Manifest>>>,
}

impl History {
    /// Lists the kept files. The commits are those that the state has listed.
    pub(crate) fn load(state: &State) -> Result<History> {
        let results = &state.store;
        let mut kept: BTreeMap<(String, NaiveDate), Vec<u64>> = BTreeMap::new();
        for entry in results.list_all(HISTORY)? {
            if let Some((table, day, number)) = history_of(&entry.name) {
                kept.entry((table.to_owned(), day))
                    .or_default()
                    .push(number);
            }
        }
        kept.values_mut()
            .for_each(|numbers| numbers.sort_unstable());
        Ok(History {
            results: results.clone(),
            commits: state.commits(),
            kept,
            read: RefCell::default(),
        })
    }

    /// The days with a manifest, in order.
    pub(crate) fn days(&self) -> impl Iterator<Item = NaiveDate> {
        self.commits.keys().copied()
    }

    /// The commits of a day, oldest first.
    pub(crate) fn commits(&self, day: NaiveDate) -> &[u64] {
        self.commits.get(&day).map_or(&[], Vec::as_slice)
    }

    /// The commits that replaced or removed a file of the table on the day; oldest first.
    pub(crate) fn replaced_by(&self, table: &Table, day: NaiveDate) -> &[u64] {
        let kept = self.kept.get(&(table.name.to_owned(), day));
        kept.map_or(&[], Vec::as_slice)
    }

    /// The commits that replaced or removed tables of a day that are not benchmarks; oldest first.
    /// The benchmarks of a day that stood in are replaced every time.
    pub(crate) fn restated_by(&self, day: NaiveDate) -> Vec<u64> {
        let is_own = |table: &&Table| !matches!(table.id, TableId::Benchmark(_));
        let own = tables::all().filter(is_own);
        let commits: BTreeSet<u64> = own
            .flat_map(|table| self.replaced_by(table, day).iter().copied())
            .collect();
        commits.into_iter().collect()
    }

    /// Reads the manifests of all days after a commit, side by side. A failure is reported when its day is
    /// needed.
    pub(crate) fn look_ahead(&self, commit: u64) {
        let number = |day: NaiveDate| {
            let until = self
                .commits(day)
                .partition_point(|number| *number <= commit);
            self.commits(day)[..until].last().copied()
        };
        let newest = self.days().filter_map(|day| Some((day, number(day)?)));
        let unread = newest.filter(|(_, number)| !self.read.borrow().contains_key(number));
        let (numbers, paths): (Vec<u64>, Vec<String>) = unread
            .map(|(day, number)| (number, manifest_path(day, number)))
            .unzip();
        let found = self.results.read_each(&paths).unwrap_or_default();
        for (number, manifest) in numbers.into_iter().zip(found) {
            let manifest = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if let Some(manifest) = manifest {
                self.read.borrow_mut().insert(number, Arc::new(manifest));
            }
        }
    }

    /// The manifest of a day after a commit, of any day; `None`: nothing of the day was published.
    ///
    /// # Errors
    /// When the manifest is damaged.
    pub(crate) fn manifest(&self, day: NaiveDate, commit: u64) -> Result<Option<Arc<Manifest>>> {
        let numbers = self.commits(day);
        let until = numbers.partition_point(|number| *number <= commit);
        let Some(number) = numbers[..until].last() else {
            return Ok(None);
        };
        if let Some(manifest) = self.read.borrow().get(number) {
            return Ok(Some(manifest.clone()));
        }
        let manifest = Arc::new(read_manifest(&self.results, day, *number)?);
        self.read.borrow_mut().insert(*number, manifest.clone());
        Ok(Some(manifest))
    }

    /// The path of a table's file after a commit.
    pub(crate) fn path(&self, table: &Table, day: NaiveDate, commit: u64) -> String {
        let replaced_by = self.replaced_by(table, day);
        let next = replaced_by.partition_point(|number| *number <= commit);
        match replaced_by.get(next) {
            Some(number) => history_path(table, day, *number),
            None => part_path(table, day),
        }
    }

    /// The file of a table after a commit, with the bytes that were published.
    ///
    /// # Errors
    /// When the file was not kept, or is not the one that was published.
    pub(crate) fn read(
        &self,
        table: &Table,
        day: NaiveDate,
        commit: u64,
        published: &PublishedTable,
    ) -> Result<Bytes> {
        let found = self.find(table, day, commit, published)?;
        let path = self.results.show(&self.path(table, day, commit));
        Ok(found.ok_or_else(|| messages::no_version(table.name, day, commit, path))?)
    }

    /// The same; `None`: the file was not kept, or is not the one that was published.
    pub(crate) fn find(
        &self,
        table: &Table,
        day: NaiveDate,
        commit: u64,
        published: &PublishedTable,
    ) -> Result<Option<Bytes>> {
        let found = self.file_now(table, day, commit)?;
        let found = found.filter(|file| file.is(published));
        Ok(found.map(|file| file.bytes))
    }

    /// The file at the place of a table's version, also with other bytes than were published; `None`:
    /// there is none.
    pub(crate) fn file_now(
        &self,
        table: &Table,
        day: NaiveDate,
        commit: u64,
    ) -> Result<Option<FileNow>> {
        let path = self.path(table, day, commit);
        let bytes = self.results.read(&path)?;
        Ok(bytes.map(|bytes| FileNow {
            sha256: sha256(&bytes),
            path,
            bytes,
        }))
    }
}

/// A file of the results as it is now.
pub(crate) struct FileNow {
    /// Below the results.
    pub path: String,
    pub bytes: Bytes,
    pub sha256: String,
}

impl FileNow {
    /// Whether it has the bytes that were published.
    pub(crate) fn is(&self, published: &PublishedTable) -> bool {
        self.sha256 == published.sha256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::SHOP_TIER;
    use crate::testing::{Memory, manifest, march};

    /// Commits 3, 5 and 8 published the day; 5 and 8 replaced a file of the commit before.
    fn history() -> (Memory, History) {
        let memory = Memory::new("results");
        for number in [3, 5, 8] {
            memory.put_manifest(&manifest(march(14), number));
        }
        for number in [5, 8] {
            memory.put(&history_path(&SHOP_TIER, march(14), number), "x");
        }
        let state = State::load(&memory.store).unwrap();
        let history = History::load(&state).unwrap();
        (memory, history)
    }

    #[test]
    fn a_file_is_in_the_history_under_the_commit_that_replaced_it() {
        let (_memory, history) = history();
        let path = |commit| history.path(&SHOP_TIER, march(14), commit);
        let first = "_history/shop_tier/dt=2026-03-14/0000000005.parquet";
        let second = "_history/shop_tier/dt=2026-03-14/0000000008.parquet";
        for (commit, expected) in [(3, first), (4, first), (5, second), (7, second)] {
            assert_eq!(path(commit), expected, "{commit}");
        }
        assert_eq!(path(8), "shop_tier/dt=2026-03-14/part-0.parquet");
    }

    #[test]
    fn the_manifest_after_a_commit_is_the_newest_up_to_it() {
        let (_memory, history) = history();
        let number = |commit| {
            let manifest = history.manifest(march(14), commit).unwrap();
            manifest.map(|manifest| manifest.commit_number)
        };
        assert_eq!([2, 3, 4, 9].map(number), [None, Some(3), Some(3), Some(8)]);
        assert_eq!(history.commits(march(14)), [3, 5, 8]);
        assert_eq!(history.commits(march(15)), [0; 0]);
    }

    #[test]
    fn a_file_of_other_bytes_is_not_taken_for_the_published_one() {
        let (_memory, history) = history();
        let published = |bytes: &[u8]| PublishedTable {
            rows: 0,
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
            footer: None,
            inputs: String::new(),
            run_id: "a".into(),
            commit_number: Some(3),
            contract: None,
        };
        let read = |bytes| history.read(&SHOP_TIER, march(14), 3, &published(bytes));
        assert_eq!(read(b"x").unwrap().as_ref(), b"x");
        let said = read(b"y").unwrap_err().to_string();
        assert!(said.contains("shop_tier of 2026-03-14"), "{said}");
    }
}
