//! The second route to published numbers: plain loops over the rows of one shop.
//!
//! It shares no code with `rollups/` and `windows/`. Daily tables are computed from the exports,
//! windows from the published daily tables (`is_deep`: from the exports of every day), benchmarks from
//! the published tables of the benchmark day.
//!
//! | file | holds |
//! | --- | --- |
//! | `shop_day` | the rows of the shop in the exports of a day, counted |
//! | `daily` | the daily tables |
//! | `windows` | the tables over longer windows |
//! | `benchmarks`, `cohorts` | the benchmark tables |
//! | `changes` | whether the inputs are still those that the day was published from |
//! | `cells`, `sums` | rows by column, exact sums |

mod benchmarks;
mod cells;
mod changes;
mod cohorts;
mod daily;
mod shop_day;
mod sums;
mod windows;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use benchmarks::Benchmark;
pub(crate) use benchmarks::BenchmarkStory;
pub(crate) use cells::Cells;
pub(crate) use shop_day::{RowsOfKey, Telling};
use shop_day::{ShopDay, ShopDayRead};
use windows::Windows;

use super::outcome::{Outcome, SecondRoute};
use super::row::{read_now, rows_of};
use super::{LOST, is_lost};
use crate::catalog::history::{FileNow, History};
use crate::catalog::manifest::{Manifest, PublishedTable};
use crate::contracts::column::{Lineage, Source};
use crate::contracts::datasets::dataset;
use crate::contracts::{BenchmarkId, Kind, Table, TableId};
use crate::days::readiness::{DayExports, Readiness};
use crate::plan::{Facts, settings, snapshots_behind};
use crate::report::versions::TableRows;
use crate::resources::Resources;

/// A file that a number was computed from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub(crate) struct InputFile {
    pub location: Location,
    /// Below the location.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Location {
    Exports,
    Results,
}

/// The shop's rows of daily tables, by table and day; `None`: the day does not have the table.
type DailyTables = HashMap<(&'static str, NaiveDate), Option<Rc<Vec<Cells>>>>;

/// Computes the rows of one shop again.
pub(super) struct Recompute<'a> {
    facts: &'a Facts<'a>,
    history: &'a History,
    resources: &'a Resources,
    shop_id: i64,
    day: NaiveDate,
    manifest: &'a Manifest,
    /// Windows from the exports of every day.
    is_deep: bool,
    /// The exports that are read of the day itself.
    wanted: BTreeSet<&'static str>,
    telling: Telling,
    today: RefCell<Option<Rc<ShopDayRead>>>,
    daily: RefCell<DailyTables>,
    benchmark: OnceCell<Option<Rc<Benchmark<'a>>>>,
    files: RefCell<BTreeSet<InputFile>>,
    changed: RefCell<BTreeSet<String>>,
    damaged: RefCell<BTreeSet<String>>,
}

impl<'a> Recompute<'a> {
    /// `tables`: those that will be asked for.
    pub(super) fn new(
        facts: &'a Facts<'a>,
        history: &'a History,
        resources: &'a Resources,
        (shop_id, manifest): (i64, &'a Manifest),
        tables: &[&'static Table],
        is_deep: bool,
        telling: Telling,
    ) -> Recompute<'a> {
        Recompute {
            facts,
            history,
            resources,
            shop_id,
            day: manifest.day,
            manifest,
            is_deep,
            wanted: tables
                .iter()
                .flat_map(|table| exports_behind(table))
                .collect(),
            telling,
            today: RefCell::default(),
            daily: RefCell::default(),
            files: RefCell::default(),
            changed: RefCell::default(),
            damaged: RefCell::default(),
            benchmark: OnceCell::new(),
        }
    }

    /// The shop's rows of a table. `None`: an input is not there any more; [`Recompute::finish`] says
    /// which. `metric`: of the benchmarks, only this one.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn rows(
        &self,
        table: &'static Table,
        metric: Option<&str>,
    ) -> Result<Option<Vec<Cells>>> {
        let changes = changes::since_published(self.facts, self.manifest, table)?;
        self.changed.borrow_mut().extend(changes);
        match table.id {
            TableId::Rollup(id) => {
                let today = self.today()?;
                Ok(today.and_then(|today| daily::rows(id, self.shop_id, &today.day)))
            }
            TableId::Window(id) => {
                let Some(today) = self.today()? else {
                    return Ok(None);
                };
                let daily = |table, day| self.daily_rows(table, day);
                let windows = Windows {
                    shop_id: self.shop_id,
                    today: &today.day,
                    daily: &daily,
                    config: self.facts.config,
                };
                windows.rows(id)
            }
            TableId::Benchmark(id) => Ok(self.benchmark()?.map(|b| b.rows(id, metric))),
        }
    }

    /// The benchmark of a metric: tiers, cohorts, and the rules that were tried; `None`: the shop is in no cohort.
    pub(super) fn story(&self, key: &Cells, metric: &str) -> Result<Option<BenchmarkStory>> {
        Ok(self
            .benchmark()?
            .and_then(|benchmark| benchmark.story(key, metric)))
    }

    /// Whether an input that was read so far is not that of the publication.
    pub(super) fn has_other_inputs(&self) -> bool {
        !self.changed.borrow().is_empty() || !self.damaged.borrow().is_empty()
    }

    /// The outcome and the inputs. `is_same`: the computed numbers are the published ones. Files of
    /// exports are read once more, for their hashes.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn finish(&self, is_same: bool) -> Result<SecondRoute> {
        let list = |found: &RefCell<BTreeSet<String>>| found.borrow().iter().cloned().collect();
        let (changed, damaged): (Vec<String>, Vec<String>) =
            (list(&self.changed), list(&self.damaged));
        let outcome = match (damaged.is_empty(), changed.is_empty(), is_same) {
            (false, _, _) | (true, true, false) => Outcome::Differs,
            (true, false, _) => Outcome::InputsChanged,
            (true, true, true) => Outcome::Agrees,
        };
        let today = self.today.borrow();
        let rows = today.as_ref().map(|today| today.rows.clone());
        Ok(SecondRoute {
            outcome,
            is_deep: self.is_deep,
            changed,
            damaged,
            rows: rows.unwrap_or_default(),
            settings: settings(self.facts.config).into(),
            files: self.files()?,
        })
    }

    /// Notes a published file that was read; it is damaged if it has other bytes than were published.
    pub(super) fn note_result(&self, file: &FileNow, entry: &PublishedTable) {
        if !file.is(entry) {
            let other = format!("{} has other bytes than were published", file.path);
            self.damaged.borrow_mut().insert(other);
        }
        self.files.borrow_mut().insert(InputFile {
            location: Location::Results,
            path: file.path.clone(),
            bytes: file.bytes.len() as u64,
            sha256: file.sha256.clone(),
        });
    }

    /// Notes the damage of a table that was published, and whose file is gone or has another size.
    pub(super) fn note_lost(&self, table: &Table, manifest: &Manifest) {
        if is_lost(manifest, table) {
            let path = self
                .history
                .path(table, manifest.day, manifest.commit_number);
            self.damaged.borrow_mut().insert(format!("{path}: {LOST}"));
        }
    }

    /// The files that were read, with their hashes.
    fn files(&self) -> Result<Vec<InputFile>> {
        let mut files = self.files.borrow_mut();
        let unread: Vec<InputFile> = files
            .iter()
            .filter(|file| file.sha256.is_empty())
            .cloned()
            .collect();
        for file in unread {
            files.remove(&file);
            let digest = self.facts.exports.digest(&file.path)?;
            if let Some((bytes, sha256)) = digest {
                files.insert(InputFile {
                    bytes,
                    sha256,
                    ..file
                });
            }
        }
        Ok(files.iter().cloned().collect())
    }

    /// The day's own exports; `None`: a required one is not final any more.
    fn today(&self) -> Result<Option<Rc<ShopDayRead>>> {
        if let Some(today) = &*self.today.borrow() {
            return Ok(Some(today.clone()));
        }
        let read = self.read_exports(self.day, &self.wanted, &self.telling)?;
        let read = read.map(Rc::new);
        (*self.today.borrow_mut()).clone_from(&read);
        Ok(read)
    }

    fn read_exports(
        &self,
        day: NaiveDate,
        wanted: &BTreeSet<&'static str>,
        telling: &Telling,
    ) -> Result<Option<ShopDayRead>> {
        let Readiness::Ready(exports) = self.facts.readiness(day)? else {
            self.changed
                .borrow_mut()
                .insert(format!("the exports of {day} are not final any more"));
            return Ok(None);
        };
        let read = ShopDay::read(
            self.facts.exports,
            &exports,
            self.facts.config,
            self.resources,
            self.shop_id,
            &|dataset| wanted.contains(dataset.name),
            telling,
        )?;
        self.note_exports(&exports, wanted);
        Ok(Some(read))
    }

    /// Notes the files of exports; they are hashed when somebody asks for the hashes.
    fn note_exports(&self, exports: &DayExports, wanted: &BTreeSet<&'static str>) {
        for folder in wanted.iter().filter_map(|name| exports.folder(name)) {
            for file in &folder.files {
                self.files.borrow_mut().insert(InputFile {
                    location: Location::Exports,
                    path: format!("{}/{}", folder.path, file.name),
                    bytes: file.size_bytes,
                    sha256: String::new(),
                });
            }
        }
    }

    /// The shop's rows of a daily table; `None`: the day does not have the table.
    fn daily_rows(&self, table: &'static Table, day: NaiveDate) -> Result<Option<Rc<Vec<Cells>>>> {
        if let Some(known) = self.daily.borrow().get(&(table.name, day)) {
            return Ok(known.clone());
        }
        let manifest = self.facts.manifest(day)?;
        if let Some(manifest) = &manifest {
            self.note_lost(table, manifest);
        }
        let published = manifest
            .as_deref()
            .and_then(|m| Some((m, m.tables.get(table.name)?)));
        let Some((manifest, entry)) = published else {
            return Ok(None);
        };
        if self.is_deep {
            self.compute_day(manifest)?;
            if let Some(known) = self.daily.borrow().get(&(table.name, day)) {
                return Ok(known.clone());
            }
        }
        let rows = self.read_rows(table, manifest, entry, Some(self.shop_id))?;
        let cells = Some(Rc::new(cells_of(table, &rows)));
        let key = (table.name, day);
        self.daily.borrow_mut().insert(key, cells.clone());
        Ok(cells)
    }

    /// Computes every daily table of a published day from its exports.
    fn compute_day(&self, manifest: &Manifest) -> Result<()> {
        let published = crate::contracts::tables::ROLLUPS
            .into_iter()
            .filter(|table| manifest.has(table));
        let published: Vec<&'static Table> = published.collect();
        let wanted = published
            .iter()
            .flat_map(|table| exports_behind(table))
            .collect();
        for table in &published {
            let changes = changes::since_published(self.facts, manifest, table)?;
            self.changed.borrow_mut().extend(changes);
        }
        let Some(read) = self.read_exports(manifest.day, &wanted, &Telling::default())? else {
            return Ok(());
        };
        for table in published {
            let TableId::Rollup(id) = table.id else {
                continue;
            };
            let rows = daily::rows(id, self.shop_id, &read.day).map(Rc::new);
            let key = (table.name, manifest.day);
            self.daily.borrow_mut().insert(key, rows);
        }
        Ok(())
    }

    /// The rows of a published file; all of them, or those of a shop.
    fn read_rows(
        &self,
        table: &'static Table,
        manifest: &Manifest,
        entry: &PublishedTable,
        shop_id: Option<i64>,
    ) -> Result<TableRows> {
        let file = read_now(self.history, table, manifest)?;
        self.note_result(&file, entry);
        rows_of(table, &file, manifest.day, shop_id)
    }

    /// The benchmark of the day; `None`: none is published, or a table of its day is not.
    fn benchmark(&self) -> Result<Option<Rc<Benchmark<'a>>>> {
        if let Some(known) = self.benchmark.get() {
            return Ok(known.clone());
        }
        let loaded = self.load_benchmark()?.map(Rc::new);
        Ok(self.benchmark.get_or_init(|| loaded).clone())
    }

    fn load_benchmark(&self) -> Result<Option<Benchmark<'a>>> {
        let Some(published) = &self.manifest.benchmark else {
            return Ok(None);
        };
        let day = published.benchmark_day;
        let Some(manifest) = self.facts.manifest(day)? else {
            return Ok(None);
        };
        let load = |table: &'static Table| {
            self.note_lost(table, &manifest);
            match manifest.tables.get(table.name) {
                Some(entry) => self.read_rows(table, &manifest, entry, None),
                None => TableRows::new(table, None, None),
            }
        };
        let of = (day, published.fallback_reason.clone());
        Benchmark::load(self.facts.config, self.shop_id, of, &load).map(Some)
    }
}

/// The exports of the day that a table is computed from, with those that decide which rows are in
/// scope.
pub(super) fn exports_behind(table: &Table) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    if !table.is_rollup() {
        names.extend(snapshots_behind(table).into_iter().map(|id| id.name()));
        // The periods of shops are computed again, not read.
        let is_window = |table: &&Table| matches!(table.id, TableId::Window(_));
        let read = table.reads.iter().map(|read| read.table);
        if is_window(&table) {
            names.extend(read.filter(is_window).flat_map(exports_behind));
        }
        return names;
    }
    for column in table.columns {
        if let Lineage::From(sources) = column.lineage {
            for source in sources {
                if let Source::Export(id, _) = source {
                    names.insert(id.name());
                }
            }
        }
    }
    names.extend(table.snapshots.iter().map(|id| id.name()));
    let scopes = names.iter().filter_map(|name| dataset(name)?.scoped_by);
    let scopes: Vec<_> = scopes.collect();
    names.extend(scopes.iter().map(|id| id.name()));
    names
}

fn cells_of(table: &'static Table, rows: &TableRows) -> Vec<Cells> {
    let row = |number| {
        let columns = table.columns.iter();
        columns
            .map(|column| (column.name, rows.shown(column, number)))
            .collect()
    };
    rows.numbers().map(row).collect()
}

/// Whether a value that was computed again is the published one. Doubles may differ by 1e-9 of their
/// size: a mean of ratios depends on the order in which they are added. `row`: the computed one.
pub(super) fn is_same(table: &Table, column: &str, published: Option<&str>, row: &Cells) -> bool {
    let computed = row.get(column).and_then(|value| value.as_deref());
    let (Some(published), Some(computed)) = (published, computed) else {
        return published == computed;
    };
    let contract = table.column(column);
    if contract.kind != Kind::Double {
        return published == computed;
    }
    let (Ok(a), Ok(b)) = (published.parse::<f64>(), computed.parse::<f64>()) else {
        return false;
    };
    let number = |name| cells::double(row, name).unwrap_or(0.0).abs();
    // A difference of two doubles is as exact as the greater of them.
    let size = match table.id {
        TableId::Benchmark(BenchmarkId::GmvGap) => number("gmv") + number("benchmark_gmv"),
        _ if contract.unit.starts_with("percent") => a.abs().max(b.abs()).max(100.0),
        _ => a.abs().max(b.abs()),
    };
    (a - b).abs() <= 1e-9 * size
}
