//! What is published, day by day: the newest manifest of each day, less the files that are not there any more.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use super::manifest::{Manifest, PublishedTable};
use crate::contracts::tables::TABLES;
use crate::contracts::{PART_FILE, SUCCESS_FILE, Table};
use crate::messages;
use crate::publish::commit_log::{file_name, number_of};
use crate::store::Store;

/// The folder of manifests.
pub const RUNS: &str = "_runs";

/// Where the manifest of a commit is.
pub fn manifest_path(day: NaiveDate, commit_number: u64) -> String {
    format!("{RUNS}/dt={day}/{}", file_name(commit_number))
}

/// Manifests and tables are listed once; a manifest is read when it is asked for.
pub struct State {
    store: Store,
    newest: RefCell<BTreeMap<NaiveDate, u64>>,
    read: RefCell<HashMap<NaiveDate, Rc<Manifest>>>,
    /// Sizes of the files of tables, by their paths.
    sizes: OnceCell<HashMap<String, u64>>,
}

impl State {
    pub fn load(results: &Store) -> Result<State> {
        let mut newest = BTreeMap::new();
        // Sorted, so the greatest number of a day comes last and stays.
        for entry in results.list_all(RUNS)? {
            if let Some((day, number)) = manifest_of(&entry.name) {
                newest.insert(day, number);
            }
        }
        let (newest, read) = (RefCell::new(newest), RefCell::default());
        Ok(State { store: results.clone(), newest, read, sizes: OnceCell::new() })
    }

    /// The newest manifest of a day. A table whose file or `_SUCCESS` is not there, or that is not as long as it was, is
    /// lost: it is not published any more.
    ///
    /// # Errors
    /// When it cannot be read; names the file and what to do.
    pub fn manifest(&self, day: NaiveDate) -> Result<Option<Rc<Manifest>>> {
        if let Some(manifest) = self.read.borrow().get(&day) {
            return Ok(Some(manifest.clone()));
        }
        let Some(number) = self.newest.borrow().get(&day).copied() else { return Ok(None) };
        let path = manifest_path(day, number);
        let shown = self.store.show(&path);
        let damaged = |why: String| messages::damaged_manifest(&shown, why);
        let bytes = self.store.read(&path)?.ok_or_else(|| damaged("is gone".into()))?;
        let mut manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("is not a manifest of this program: {e}")))?;
        let sizes = self.sizes()?;
        let lost = manifest.tables.extract_if(.., |table, published| !is_there(sizes, table, day, published));
        manifest.lost = lost.map(|(table, _)| table).collect();
        let manifest = Rc::new(manifest);
        self.read.borrow_mut().insert(day, manifest.clone());
        Ok(Some(manifest))
    }

    fn sizes(&self) -> Result<&HashMap<String, u64>> {
        if let Some(sizes) = self.sizes.get() {
            return Ok(sizes);
        }
        let tables = TABLES.map(|table| table.name);
        let mut sizes = HashMap::new();
        for (table, listed) in tables.iter().zip(self.store.list_all_of_each(&tables)?) {
            sizes.extend(listed.into_iter().map(|entry| (format!("{table}/{}", entry.name), entry.size_bytes)));
        }
        Ok(self.sizes.get_or_init(|| sizes))
    }

    /// The days that have a manifest, oldest first.
    pub fn days(&self) -> Vec<NaiveDate> {
        self.newest.borrow().keys().copied().collect()
    }

    /// Learns of a manifest that was published.
    pub fn learn(&self, mut manifest: Manifest) {
        manifest.lost.retain(|table| !manifest.tables.contains_key(table));
        self.newest.borrow_mut().insert(manifest.day, manifest.commit_number);
        self.read.borrow_mut().insert(manifest.day, Rc::new(manifest));
    }

    /// The days of `[first, last]` on which a table is published, oldest first.
    pub fn published_days(&self, table: &Table, first: NaiveDate, last: NaiveDate) -> Result<Vec<NaiveDate>> {
        let mut days = Vec::new();
        for day in self.days().into_iter().filter(|day| (first..=last).contains(day)) {
            if self.manifest(day)?.is_some_and(|m| m.has(table)) {
                days.push(day);
            }
        }
        Ok(days)
    }
}

fn is_there(sizes: &HashMap<String, u64>, table: &str, day: NaiveDate, published: &PublishedTable) -> bool {
    let size = |file: &str| sizes.get(&format!("{table}/dt={day}/{file}"));
    size(PART_FILE) == Some(&published.bytes) && size(SUCCESS_FILE).is_some()
}

/// The day and number of `dt=YYYY-MM-DD/<number>.json`.
fn manifest_of(path: &str) -> Option<(NaiveDate, u64)> {
    let (folder, file) = path.split_once('/')?;
    Some((folder.strip_prefix("dt=")?.parse().ok()?, number_of(file)?))
}
