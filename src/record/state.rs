//! What is published, day by day, as the newest manifest of each day tells.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use super::manifest::Manifest;
use crate::contracts::Table;
use crate::store::{Store, StoreFailed};

/// The folder of manifests.
pub const RUNS: &str = "_runs";

/// Manifests are listed once and read when asked for.
pub struct State {
    store: Store,
    newest: RefCell<BTreeMap<NaiveDate, String>>,
    read: RefCell<HashMap<NaiveDate, Rc<Manifest>>>,
}

impl State {
    pub fn load(results: &Store) -> Result<State> {
        let mut newest = BTreeMap::new();
        // Sorted, so the greatest run id of a day comes last and stays.
        for path in results.list_all(RUNS)? {
            if let Some(day) = day_of(&path) {
                newest.insert(day, path);
            }
        }
        Ok(State { store: results.clone(), newest: RefCell::new(newest), read: RefCell::default() })
    }

    /// The newest manifest of a day.
    ///
    /// # Errors
    /// When it cannot be read; names the file and what to do.
    pub fn manifest(&self, day: NaiveDate) -> Result<Option<Rc<Manifest>>> {
        if let Some(manifest) = self.read.borrow().get(&day) {
            return Ok(Some(manifest.clone()));
        }
        let Some(path) = self.newest.borrow().get(&day).cloned() else { return Ok(None) };
        let shown = self.store.show(&path);
        let damaged = |why: String| StoreFailed(format!("{shown} {why}; delete it and run the day again"));
        let bytes = self.store.read(&path)?.ok_or_else(|| damaged("is gone".into()))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("is not a manifest of this program: {e}")))?;
        let manifest = Rc::new(manifest);
        self.read.borrow_mut().insert(day, manifest.clone());
        Ok(Some(manifest))
    }

    /// The days that have a manifest, oldest first.
    pub fn days(&self) -> Vec<NaiveDate> {
        self.newest.borrow().keys().copied().collect()
    }

    /// Writes a manifest; it is the day's newest from then on, also where the clock went back since the last one.
    pub fn record(&self, mut manifest: Manifest) -> Result<()> {
        if let Some(newest) = self.manifest(manifest.day)?
            && newest.run_id >= manifest.run_id
        {
            // `_` sorts after the `.` of the file's ending.
            manifest.run_id = format!("{}_1", newest.run_id);
        }
        let path = format!("{RUNS}/dt={}/{}.json", manifest.day, manifest.run_id);
        self.store.write(&path, serde_json::to_vec_pretty(&manifest)?)?;
        self.newest.borrow_mut().insert(manifest.day, path);
        self.read.borrow_mut().insert(manifest.day, Rc::new(manifest));
        Ok(())
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

/// The day of `_runs/dt=YYYY-MM-DD/<run_id>.json`.
fn day_of(path: &str) -> Option<NaiveDate> {
    let (folder, file) = path.strip_prefix(RUNS)?.trim_start_matches('/').split_once('/')?;
    file.ends_with(".json").then_some(())?;
    folder.strip_prefix("dt=")?.parse().ok()
}
