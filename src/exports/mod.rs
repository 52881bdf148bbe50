//! Stage 3: a ready day's files, checked against the contract and read; bad rows are set aside.
//!
//! 1. `contract`: every file's footer against the dataset's columns (`schema`) and the `_SUCCESS`
//!    list; no rows yet. The result is an `open_export`, or a `defect`.
//! 2. `stream`: the rows, decoded by several threads as `batch::Batch`es. `exact` checks that each
//!    value is exactly one of the contract's type; `mapped` changes the values of columns that the job
//!    file maps, and `text_ids` gives ids to their texts.
//! 3. `row_filter`: a row that breaks one of the `rules` goes to `quarantine` with its reason, and
//!    `set_aside` keeps it. `repeats` finds repeated keys among more rows than fit into memory.
//! 4. `snapshots`: the small datasets as typed rows, and which of their rows are in scope.
//! 5. `shared_ids`: where two texts have one id, their exports may not be used.
//!
//! `shop_rows` reads the rows of one shop, used or not, for `explain`. `trial` reads some rows of a file of
//! unknown columns, for `init`.

pub(crate) mod batch;
mod contract;
pub mod defect;
mod exact;
pub(crate) mod mapped;
pub(crate) mod open_export;
pub mod quarantine;
mod read_rows;
mod repeats;
pub(crate) mod row_filter;
mod row_sink;
mod rules;
mod schema;
pub(crate) mod set_aside;
mod shared_ids;
pub(crate) mod shop_rows;
pub(crate) mod show;
pub(crate) mod snapshots;
mod stream;
pub(crate) mod stream_reader;
mod success_list;
mod text_ids;
pub(crate) mod trial;

use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::config::Config;
use crate::contracts::datasets::{DATASETS, dataset};
use crate::contracts::{Dataset, DatasetId, SnapshotId};
use crate::days::calendar::CivilDay;
use crate::days::readiness::DayExports;
use crate::resources::Resources;
use crate::store::{SMALL_BYTES, Store};
use defect::{Defect, Issue, ReadError};
use open_export::OpenExport;
use quarantine::Accounting;
use read_rows::read_snapshot;
use row_filter::{FilterReport, RowFilter};
pub use row_sink::{OpenSink, RowSink, RowWriter, Unused};
use set_aside::SetAside;
use snapshots::{SnapshotRows, Snapshots};
use stream_reader::InProcess;
pub(crate) use stream_reader::StreamReader;
use text_ids::TextIds;

/// Bytes of small files that are in memory at a time.
const FETCHED_BYTES: u64 = 32 << 20;

/// The result of reading a day, without the rows of the two large datasets: these went to the
/// caller's [`RowSink`].
#[derive(Default)]
pub struct DayRead {
    pub snapshots: Arc<Snapshots>,
    /// One entry for each dataset that was read to its end.
    pub accounts: Vec<Accounting>,
    /// Rows set aside, by dataset; no entry where there are none.
    pub quarantine: Vec<(&'static Dataset, SetAside)>,
    /// Exports that nothing may be computed from, and why.
    pub defects: Vec<(&'static Dataset, Defect)>,
}

impl DayRead {
    /// The required datasets that block the day, and why.
    pub fn blocking<'a>(
        &'a self,
        config: &'a Config,
    ) -> impl Iterator<Item = &'a (&'static Dataset, Defect)> {
        self.defects
            .iter()
            .filter(|(dataset, _)| config.required.contains(&dataset.name))
    }

    /// The accounts whose rows in scope are known. An account is left out where the export that
    /// decides its scope is broken: its rows were only checked against the row rules.
    pub fn scoped_accounts(&self) -> impl Iterator<Item = &Accounting> {
        let scoped_by = |account: &Accounting| dataset(&account.dataset)?.scoped_by;
        self.accounts
            .iter()
            .filter(move |account| !scoped_by(account).is_some_and(|id| self.is_broken(id)))
    }

    /// A line for each dataset with quarantined rows within the budget.
    pub(crate) fn quarantined_within_budget(&self, day: NaiveDate, zone: Tz) -> Vec<String> {
        let bounds = CivilDay::new(day, zone).told();
        let is_refused = |account: &&Accounting| {
            let mut refused = self.defects.iter().map(|(dataset, _)| dataset.name);
            refused.any(|name| name == account.dataset)
        };
        let some = self.accounts.iter().filter(|it| it.rows_quarantined > 0);
        let told = some.filter(|it| !is_refused(it)).map(|it| {
            let (rows, read) = (it.rows_quarantined, it.rows_read);
            let reasons = it.reasons_told(&bounds);
            format!(
                "{}: {rows} of {read} rows quarantined: {reasons}",
                it.dataset
            )
        });
        told.collect()
    }

    fn is_broken(&self, id: SnapshotId) -> bool {
        let mut broken = self.defects.iter().map(|(dataset, _)| dataset.id);
        broken.any(|broken| broken == DatasetId::Snapshot(id))
    }
}

/// Reads the datasets of a final day that `wanted` accepts.
///
/// All contracts are checked before any row is read, so that every breach is reported at once. The
/// used rows of `order_lines` and `product_traffic` go to `rows`. Once a required export is known
/// to be broken, the rows of the others are only checked: every blocking export is reported, with
/// the account of its rows.
///
/// # Errors
/// When the store fails, or a local disk that rows are spilled to. A broken export is not an error
/// but a defect.
pub fn read_day(
    store: &Store,
    exports: &DayExports,
    config: &Config,
    resources: &Resources,
    wanted: &dyn Fn(&Dataset) -> bool,
    rows: &mut dyn RowSink,
) -> Result<DayRead> {
    let store = &with_small_files(store, exports, wanted);
    let mut streams = InProcess {
        store,
        resources,
        rows,
    };
    read_day_with(store, exports, config, resources, wanted, &mut streams)
}

/// Bytes at the end of a greater file that are fetched before it is opened: most footers are shorter.
const END_BYTES: u64 = 128 << 10;

/// The store with the small files of a day and the ends of the others in memory, where each call is a
/// request.
fn with_small_files(
    store: &Store,
    exports: &DayExports,
    wanted: &dyn Fn(&Dataset) -> bool,
) -> Store {
    if !store.is_remote() {
        return store.clone();
    }
    let folders = exports.folders.iter();
    let folders = folders.filter(|folder| folder.is_final() && wanted(folder.dataset));
    let (mut ends, mut bytes) = (Vec::new(), 0);
    for folder in folders {
        let files = folder.files.iter().chain(folder.mark());
        for file in files {
            let length = match file.size_bytes {
                small if small <= SMALL_BYTES => small,
                _ => END_BYTES,
            };
            bytes += length;
            if bytes <= FETCHED_BYTES {
                let end = file.size_bytes - length..file.size_bytes;
                ends.push((format!("{}/{}", folder.path, file.name), end));
            }
        }
    }
    store.with_fetched(ends)
}

/// [`read_day`], with another reader for the two large datasets.
pub(crate) fn read_day_with(
    store: &Store,
    exports: &DayExports,
    config: &Config,
    resources: &Resources,
    wanted: &dyn Fn(&Dataset) -> bool,
    streams: &mut dyn StreamReader,
) -> Result<DayRead> {
    let mut read = DayRead::default();
    let ids = Arc::new(TextIds::compared(resources.memory_bytes / 8));
    let opened = open_all(store, exports, wanted, &ids, &mut read)?;
    let civil = CivilDay::new(exports.day, config.time_zone);
    let filter = |export| RowFilter::new(export, &civil, config.quarantine);
    // Those that decide the scope of others come first.
    for decide in [true, false] {
        let together = opened.iter().filter_map(|export| match export.dataset.id {
            DatasetId::Snapshot(id) => Some((id, export)),
            DatasetId::Stream(_) => None,
        });
        let together = together.filter(|(_, export)| decides_scope(export.dataset) == decide);
        let outcomes = resources.map(together.collect(), |(id, export)| {
            let rows = SnapshotRows::new(id, exports.day, &read.snapshots);
            let outcome = read_snapshot(store, export, filter(export), resources, rows);
            (export, outcome)
        });
        for (export, outcome) in outcomes {
            let outcome = outcome.map(|(report, rows)| {
                Arc::make_mut(&mut read.snapshots).append(rows);
                report
            });
            read.add(export, exports, config, &civil, outcome)?;
        }
    }
    for export in &opened {
        if let DatasetId::Stream(id) = export.dataset.id {
            // The rows of a blocked day are only checked.
            let is_blocked = read.blocking(config).next().is_some();
            let outcome = streams.read(id, export, filter(export), is_blocked);
            read.add(export, exports, config, &civil, outcome)?;
        }
    }
    for (dataset, issues) in shared_ids::refused(store, &opened, &ids, &resources.stop)? {
        read.refuse(dataset, issues);
    }
    read.accounts
        .sort_by_key(|account| DATASETS.iter().position(|d| d.name == account.dataset));
    Ok(read)
}

/// Checks the contracts of all wanted exports, and returns those that keep theirs: first those that
/// decide the scope of others.
fn open_all(
    store: &Store,
    exports: &DayExports,
    wanted: &dyn Fn(&Dataset) -> bool,
    ids: &Arc<TextIds>,
    read: &mut DayRead,
) -> Result<Vec<OpenExport>> {
    let mut opened = Vec::new();
    for dataset in DATASETS.into_iter().filter(|d| wanted(d)) {
        let Some(folder) = exports.folder(dataset.name).filter(|f| f.is_final()) else {
            continue;
        };
        match contract::open(store, folder, ids) {
            Ok(export) => opened.push(export),
            Err(error) => read.defects.push((dataset, error.into_defect()?)),
        }
    }
    opened.sort_by_key(|export| !decides_scope(export.dataset));
    Ok(opened)
}

impl DayRead {
    /// Adds the account of an export that was read to its end, and decides whether it may be used.
    fn add(
        &mut self,
        export: &OpenExport,
        exports: &DayExports,
        config: &Config,
        civil: &CivilDay,
        outcome: Result<FilterReport, ReadError>,
    ) -> Result<()> {
        let dataset = export.dataset;
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                self.defects.push((dataset, error.into_defect()?));
                return Ok(());
            }
        };
        let account = report.accounting(export);
        let hidden = exports.folder(dataset.name).map(|f| f.hidden.as_slice());
        let hidden = hidden.unwrap_or_default();
        match account.defect(dataset, config, &civil.told(), hidden) {
            Some(defect) => self.defects.push((dataset, defect)),
            None => Arc::make_mut(&mut self.snapshots).set_present(dataset),
        }
        self.accounts.push(account);
        if !report.set_aside.is_empty() {
            self.quarantine.push((dataset, report.set_aside));
        }
        Ok(())
    }
}

impl DayRead {
    /// Leaves out an export that was read to its end before its fault was found.
    fn refuse(&mut self, dataset: &'static Dataset, issues: Vec<Issue>) {
        Arc::make_mut(&mut self.snapshots).set_absent(dataset);
        if self
            .defects
            .iter()
            .all(|(broken, _)| broken.name != dataset.name)
        {
            self.defects.push((dataset, Defect::Contract(issues)));
        }
    }
}

/// Whether the dataset's rows decide which rows of another one are in scope.
fn decides_scope(dataset: &Dataset) -> bool {
    let scopes = DATASETS.iter().filter_map(|dataset| dataset.scoped_by);
    scopes.map(DatasetId::Snapshot).any(|id| id == dataset.id)
}
