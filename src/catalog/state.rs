//! The published state of each day: its commits, and its newest manifest without lost files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use chrono::NaiveDate;

use super::decoded::DecodedFiles;
use super::layout::{RUNS, manifest_of, manifest_path};
use super::manifest::{Manifest, PublishedTable};
use super::small_files::SmallFiles;
use crate::contracts::tables;
use crate::contracts::{PART_FILE, SUCCESS_FILE, Table, TableId};
use crate::messages;
use crate::store::{Entry, Store};
use crate::threads::lock;

/// The published state. Manifests and tables are listed once; a manifest is read on demand. Threads
/// share it: one publishes, and the others read.
pub struct State {
    pub(super) store: Store,
    known: Mutex<Known>,
    small_files: Mutex<SmallFiles>,
    pub(crate) decoded: Mutex<DecodedFiles>,
}

/// The part of the state that changes when days are published or fail.
#[derive(Default)]
struct Known {
    /// See [`State::generation`].
    generation: u64,
    /// Numbers of the manifests of each day, oldest first; never empty.
    commits: BTreeMap<NaiveDate, Vec<u64>>,
    read: HashMap<NaiveDate, Arc<Manifest>>,
    /// The newest manifest of each day as it is stored, with lost tables. A manifest never changes, so it
    /// is read once.
    stored: HashMap<NaiveDate, Arc<Manifest>>,
    /// Sizes of the files of tables, by path.
    sizes: Option<Arc<HashMap<String, u64>>>,
    /// Days with a published file or manifest that cannot be read. They count as not published.
    spoilt: BTreeSet<NaiveDate>,
    /// Tables that a run would publish, while its plan is made.
    announced: BTreeSet<(NaiveDate, TableId)>,
}

impl Known {
    fn newest(&self, day: NaiveDate) -> Option<u64> {
        self.commits.get(&day)?.last().copied()
    }
}

impl State {
    pub fn load(results: &Store) -> Result<State> {
        let (known, small_files, decoded) = Default::default();
        let state = State {
            store: results.clone(),
            known,
            small_files,
            decoded,
        };
        state.renew()?;
        Ok(state)
    }

    /// Lists everything again, in an object store side by side. Spoilt days stay spoilt.
    pub fn renew(&self) -> Result<()> {
        let mut folders = vec![RUNS];
        if self.store.is_remote() {
            folders.extend(tables::all().map(|table| table.name));
        }
        let mut listed = self.store.list_all_of_each(&folders)?;
        let mut commits: BTreeMap<NaiveDate, Vec<u64>> = BTreeMap::new();
        // Sorted, so the numbers of a day ascend.
        for entry in listed.remove(0) {
            if let Some((day, number)) = manifest_of(&entry.name) {
                commits.entry(day).or_default().push(number);
            }
        }
        let sizes = (!listed.is_empty()).then(|| Arc::new(sizes_of(listed)));
        let mut known = lock(&self.known);
        known.generation += 1;
        known.commits = commits;
        known.read.clear();
        known.sizes = sizes;
        Ok(())
    }

    /// Grows when a day is left out, or when everything is listed again. While it stays, tables change only by
    /// being published, and no version comes back that was replaced: one that is there at two times was there
    /// in between.
    pub(crate) fn generation(&self) -> u64 {
        lock(&self.known).generation
    }

    /// Whether the day counts as not published because a file of it cannot be read.
    pub fn is_left_out(&self, day: NaiveDate) -> bool {
        lock(&self.known).spoilt.contains(&day)
    }

    /// Counts the day as not published from now on. `false`: it did already.
    pub fn leave_out(&self, day: NaiveDate) -> bool {
        let mut known = lock(&self.known);
        known.generation += 1;
        known.spoilt.insert(day)
    }

    /// The newest manifest of a day. A table is lost when its file or `_SUCCESS` is missing, or
    /// when its file has another size. A lost table counts as not published.
    ///
    /// # Errors
    /// `SpoiltInput` when the manifest cannot be read; names the file and the next step.
    pub fn manifest(&self, day: NaiveDate) -> Result<Option<Arc<Manifest>>> {
        let known = lock(&self.known);
        if known.spoilt.contains(&day) {
            return Ok(None);
        }
        if let Some(manifest) = known.read.get(&day) {
            return Ok(Some(manifest.clone()));
        }
        let Some(number) = known.newest(day) else {
            return Ok(None);
        };
        let (generation, stored) = (known.generation, known.stored.get(&day).cloned());
        drop(known);
        let stored = match stored.filter(|stored| stored.commit_number == number) {
            Some(stored) => stored,
            None => Arc::new(read_manifest(&self.store, day, number)?),
        };
        self.keep(stored, generation).map(Some)
    }

    /// Remembers a manifest that was read, without its lost tables, unless the state has changed since that
    /// generation or the day was published again.
    fn keep(&self, stored: Arc<Manifest>, generation: u64) -> Result<Arc<Manifest>> {
        let day = stored.day;
        let sizes = self.sizes()?;
        let is_lost =
            |table: &str, published: &PublishedTable| !is_there(&sizes, table, day, published);
        let mut manifest = stored.clone();
        if manifest
            .tables
            .iter()
            .any(|(table, published)| is_lost(table, published))
        {
            let manifest = Arc::make_mut(&mut manifest);
            let lost = manifest
                .tables
                .extract_if(.., |table, published| is_lost(table, published));
            manifest.lost = lost.map(|(table, _)| table).collect();
        }
        let mut known = lock(&self.known);
        if known.generation == generation && known.newest(day) == Some(stored.commit_number) {
            known.stored.insert(day, stored);
            known.read.insert(day, manifest.clone());
        }
        Ok(manifest)
    }

    /// Reads the newest manifests of days side by side. A failure is reported when its day is needed.
    pub(crate) fn look_ahead(&self, first: NaiveDate, last: NaiveDate) {
        if !self.store.is_remote() {
            return;
        }
        let known = lock(&self.known);
        let is_known = |day: &NaiveDate, number: u64| {
            let stored = known.stored.get(day);
            known.spoilt.contains(day) || stored.is_some_and(|m| m.commit_number == number)
        };
        let newest = known.commits.range(first..=last);
        let newest = newest.filter_map(|(day, numbers)| Some((day, *numbers.last()?)));
        let unread = newest.filter(|(day, number)| !is_known(day, *number));
        let unread: Vec<String> = unread
            .map(|(day, number)| manifest_path(*day, number))
            .collect();
        let generation = known.generation;
        drop(known);
        let found = self.store.read_each(&unread).unwrap_or_default();
        for manifest in found.into_iter().flatten() {
            if let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) {
                // Only the listing of tables can fail, and then every manifest does.
                let _ = self.keep(Arc::new(manifest), generation);
            }
        }
    }

    /// A published file that is in memory.
    pub(crate) fn small_file(&self, sha256: &str) -> Option<Bytes> {
        lock(&self.small_files).get(sha256)
    }

    /// Keeps a file that was published, or that was read and is the published one.
    pub(crate) fn keep_small_file(&self, sha256: &str, file: &Bytes) {
        if self.store.is_remote() {
            lock(&self.small_files).add(sha256, file);
        }
    }

    fn sizes(&self) -> Result<Arc<HashMap<String, u64>>> {
        let known = lock(&self.known);
        if let Some(sizes) = &known.sizes {
            return Ok(sizes.clone());
        }
        let generation = known.generation;
        drop(known);
        let tables: Vec<&str> = tables::all().map(|table| table.name).collect();
        let sizes = Arc::new(sizes_of(self.store.list_all_of_each(&tables)?));
        let mut known = lock(&self.known);
        if known.generation == generation {
            known.sizes = Some(sizes.clone());
        }
        Ok(sizes)
    }

    /// The days that have a manifest, oldest first.
    pub fn days(&self) -> Vec<NaiveDate> {
        lock(&self.known).commits.keys().copied().collect()
    }

    /// Numbers of the manifests of each day, oldest first.
    pub(super) fn commits(&self) -> BTreeMap<NaiveDate, Vec<u64>> {
        lock(&self.known).commits.clone()
    }

    /// Adds a manifest that was just published.
    pub fn learn(&self, mut manifest: Manifest) {
        manifest
            .lost
            .retain(|table| !manifest.tables.contains_key(table));
        let mut known = lock(&self.known);
        known.spoilt.remove(&manifest.day);
        known
            .commits
            .entry(manifest.day)
            .or_default()
            .push(manifest.commit_number);
        known.read.insert(manifest.day, Arc::new(manifest));
    }

    /// The days that count as not published.
    pub fn left_out(&self) -> BTreeSet<NaiveDate> {
        lock(&self.known).spoilt.clone()
    }

    pub fn set_left_out(&self, days: BTreeSet<NaiveDate>) {
        let mut known = lock(&self.known);
        known.generation += 1;
        known.spoilt = days;
    }

    /// Counts the table of the day as newly published from now on, with unknown bytes.
    pub fn announce(&self, table: TableId, day: NaiveDate) {
        lock(&self.known).announced.insert((day, table));
    }

    pub fn is_announced(&self, table: TableId, day: NaiveDate) -> bool {
        lock(&self.known).announced.contains(&(day, table))
    }

    /// Removes the announcements of the day.
    pub fn withdraw(&self, day: NaiveDate) {
        lock(&self.known).announced.retain(|(of, _)| *of != day);
    }

    /// Removes all announcements.
    pub fn withdraw_all(&self) {
        lock(&self.known).announced.clear();
    }

    /// The days of `[first, last]` on which a table is published or announced; oldest first.
    pub fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>> {
        let mut days = Vec::new();
        for day in self.days() {
            let is_in_range = (first..=last).contains(&day) && !self.is_announced(table.id, day);
            if is_in_range && self.manifest(day)?.is_some_and(|m| m.has(table)) {
                days.push(day);
            }
        }
        let known = lock(&self.known);
        let announced = known.announced.iter().filter(|(_, of)| *of == table.id);
        days.extend(
            announced
                .map(|(day, _)| *day)
                .filter(|day| (first..=last).contains(day)),
        );
        days.sort_unstable();
        Ok(days)
    }
}

/// # Errors
/// `SpoiltInput` when the manifest cannot be read; names the file and the next step.
pub(super) fn read_manifest(store: &Store, day: NaiveDate, number: u64) -> Result<Manifest> {
    let path = manifest_path(day, number);
    let shown = store.show(&path);
    let damaged = |why: String| messages::damaged_manifest(&shown, why, day).spoils(day);
    let bytes = store.read(&path)?;
    let bytes = bytes.ok_or_else(|| damaged("is missing".into()))?;
    let read = serde_json::from_slice(&bytes);
    Ok(read.map_err(|e| damaged(format!("is not a manifest of this program: {e}")))?)
}

/// The sizes of the listed files of all tables, by path.
fn sizes_of(listed: Vec<Vec<Entry>>) -> HashMap<String, u64> {
    let mut sizes = HashMap::new();
    for (table, listed) in tables::all().zip(listed) {
        let files = listed.into_iter();
        sizes.extend(files.map(|file| (format!("{}/{}", table.name, file.name), file.size_bytes)));
    }
    sizes
}

fn is_there(
    sizes: &HashMap<String, u64>,
    table: &str,
    day: NaiveDate,
    published: &PublishedTable,
) -> bool {
    let size = |file: &str| sizes.get(&format!("{table}/dt={day}/{file}"));
    size(PART_FILE) == Some(&published.bytes) && size(SUCCESS_FILE).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::{SHOP_DAILY, SKU_DAILY};
    use crate::failure::{Failure, FailureKind};
    use crate::testing::{Memory, manifest, march};

    /// Two tables of 13 March and one of 14 March.
    fn published() -> Memory {
        let memory = Memory::new("results");
        let mut first = manifest(march(13), 2);
        memory.publish(&mut first, &SHOP_DAILY, "shops", "x");
        memory.publish(&mut first, &SKU_DAILY, "skus", "x");
        memory.put_manifest(&first);
        let mut second = manifest(march(14), 3);
        memory.publish(&mut second, &SHOP_DAILY, "shops", "x");
        memory.put_manifest(&second);
        memory
    }

    fn shop_days(state: &State) -> Vec<NaiveDate> {
        state
            .published_days(&SHOP_DAILY, march(1), march(31))
            .unwrap()
    }

    #[test]
    fn a_table_is_published_on_the_days_whose_manifest_lists_it() {
        let memory = published();
        let state = State::load(&memory.store).unwrap();
        assert_eq!(state.days(), [march(13), march(14)]);
        assert_eq!(shop_days(&state), [march(13), march(14)]);
        let skus = state.published_days(&SKU_DAILY, march(1), march(31));
        assert_eq!(skus.unwrap(), [march(13)]);
        let one = state.published_days(&SHOP_DAILY, march(14), march(14));
        assert_eq!(one.unwrap(), [march(14)]);
        assert!(state.manifest(march(12)).unwrap().is_none());
    }

    #[test]
    fn the_newest_manifest_counts() {
        let memory = published();
        memory.put_manifest(&manifest(march(14), 4));
        let state = State::load(&memory.store).unwrap();
        assert_eq!(shop_days(&state), [march(13)]);
        assert_eq!(state.manifest(march(14)).unwrap().unwrap().commit_number, 4);
    }

    #[test]
    fn a_file_that_is_gone_cut_short_or_without_its_mark_is_lost() {
        for damage in ["part", "short", "mark"] {
            let memory = published();
            match damage {
                "part" => memory
                    .store
                    .remove("shop_daily/dt=2026-03-13/part-0.parquet"),
                "mark" => memory.store.remove("shop_daily/dt=2026-03-13/_SUCCESS"),
                _ => memory
                    .store
                    .write("shop_daily/dt=2026-03-13/part-0.parquet", "shop"),
            }
            .unwrap();
            let state = State::load(&memory.store).unwrap();
            let manifest = state.manifest(march(13)).unwrap().unwrap();
            assert_eq!(manifest.lost, ["shop_daily"], "{damage}");
            assert!(manifest.has_lost_rollup());
            assert_eq!(shop_days(&state), [march(14)]);
        }
    }

    #[test]
    fn a_damaged_manifest_spoils_its_day_which_can_be_left_out() {
        let memory = published();
        memory.put("_runs/dt=2026-03-13/0000000002.json", "{");
        let state = State::load(&memory.store).unwrap();
        let error = state.manifest(march(13)).unwrap_err();
        assert_eq!(
            Failure::kind_of(&error),
            Some(FailureKind::SpoiltInput(march(13)))
        );
        assert!(
            error
                .to_string()
                .contains("results/_runs/dt=2026-03-13/0000000002.json")
        );
        assert!(state.leave_out(march(13)));
        assert!(!state.leave_out(march(13)), "twice");
        assert_eq!(shop_days(&state), [march(14)]);
        // A run that publishes the day again repairs it.
        state.learn(manifest(march(13), 9));
        assert!(!state.is_left_out(march(13)));
    }

    #[test]
    fn a_manifest_that_was_read_while_its_day_was_published_or_left_out_is_not_remembered() {
        let memory = published();
        let state = State::load(&memory.store).unwrap();
        let generation = state.generation();
        let old = state.manifest(march(13)).unwrap().unwrap();
        state.learn(manifest(march(13), 9));
        assert_eq!(state.generation(), generation, "days were only published");
        state.keep(old.clone(), generation).unwrap();
        let number = |day| state.manifest(march(day)).unwrap().map(|m| m.commit_number);
        assert_eq!(number(13), Some(9));
        let old = state.manifest(march(14)).unwrap().unwrap();
        memory
            .store
            .remove("shop_daily/dt=2026-03-14/_SUCCESS")
            .unwrap();
        state.renew().unwrap();
        assert!(state.generation() > generation);
        state.keep(old, generation).unwrap();
        assert_eq!(shop_days(&state), [march(13)]);
        let generation = state.generation();
        state.leave_out(march(13));
        assert!(state.generation() > generation);
    }

    #[test]
    fn an_announced_table_counts_as_published_until_it_is_withdrawn() {
        let memory = published();
        let state = State::load(&memory.store).unwrap();
        state.announce(SHOP_DAILY.id, march(15));
        state.announce(SHOP_DAILY.id, march(13));
        assert_eq!(shop_days(&state), [march(13), march(14), march(15)]);
        assert!(state.is_announced(SHOP_DAILY.id, march(15)));
        assert!(!state.is_announced(SKU_DAILY.id, march(15)));
        state.withdraw(march(15));
        assert_eq!(shop_days(&state), [march(13), march(14)]);
        assert!(state.is_announced(SHOP_DAILY.id, march(13)));
        state.withdraw_all();
        assert!(!state.is_announced(SHOP_DAILY.id, march(13)));
    }
}
