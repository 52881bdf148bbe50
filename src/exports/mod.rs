//! Stage 3: a ready day's files opened, checked against the contract, and read row by row; bad rows
//! set aside.
//!
//! 1. `contract`: every file's footer against the dataset's columns (`schema`) and the `_SUCCESS`
//!    list; no rows yet.
//! 2. `stream`: the rows, decoded as `batch::Batch`es by several threads; `pages` checks what the
//!    bytes claim before they are decoded, `exact` whether each value is of the contract's type,
//!    `row_groups` knows where each row lies.
//! 3. `rules`: the row rules; a row that breaks one goes to `quarantine` with its reason, and is
//!    kept by `set_aside`. `repeats` finds repeated keys among more rows than fit into memory.
//! 4. `snapshots`: the small datasets as typed rows, and which of their rows are in scope.

pub mod batch;
pub mod contract;
mod exact;
pub mod pages;
pub mod quarantine;
mod repeats;
pub mod row_groups;
pub mod rules;
mod schema;
pub mod set_aside;
pub mod snapshots;
pub mod stream;
mod success_list;
mod thrift;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use crate::config::Config;
use crate::contracts::datasets::{CAMPAIGNS, ORDER_LINES, PRODUCT_TRAFFIC, SHOPS};
use crate::contracts::{Dataset, datasets::DATASETS};
use crate::days::calendar::CivilDay;
use crate::days::readiness::DayExports;
use crate::resources::Resources;
use crate::stop::Stop;
use crate::store::Store;
use batch::Batch;
use contract::{Defect, OpenExport};
use quarantine::Accounting;
use repeats::{KeyWriter, Keys, Repeats};
use row_groups::RowGroupPlace;
use rules::{Sieve, Sifted};
use set_aside::SetAside;
use snapshots::Snapshots;
use stream::Worker;

/// What reading a day gave, apart from the rows of the two streamed datasets, which went to the
/// caller.
#[derive(Default)]
pub struct DayRead {
    pub snapshots: Snapshots,
    /// One entry for each dataset that was read to its end.
    pub accounts: Vec<Accounting>,
    /// Rows set aside, per dataset; no entry where there are none.
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

    /// The accounts, without those of datasets whose scope a broken export decides: their rows are
    /// checked against the row rules, but which of them are in scope is not known.
    pub fn scoped_accounts(&self) -> impl Iterator<Item = &Accounting> {
        let is_broken = |name: &str| self.defects.iter().any(|(dataset, _)| dataset.name == name);
        self.accounts
            .iter()
            .filter(move |account| !scope_of(&account.dataset).is_some_and(is_broken))
    }
}

/// Takes the used rows of the two large datasets, one dataset after the other.
pub trait RowSink {
    /// Gets ready for the rows of a dataset.
    fn begin(&mut self, export: &OpenExport) -> Result<()>;

    /// An entry for one of the threads that read.
    fn writer(&self) -> Box<dyn RowWriter + '_>;

    /// Every row of the dataset was written. Those at the `repeated` positions, which are sorted,
    /// repeat a key and are not used after all.
    fn end(&mut self, repeated: &[u64]) -> Result<()>;
}

/// One thread's entry to a [`RowSink`].
pub trait RowWriter: Send {
    fn write(&mut self, batch: &Batch) -> Result<()>;

    /// Every row of the row group at this position of [`OpenExport::row_groups`] was written.
    fn end_row_group(&mut self, position: usize) -> Result<()>;

    /// Every row is written.
    fn close(&mut self) -> Result<()>;
}

/// Rows that are only checked.
pub struct Unused;

impl RowSink for Unused {
    fn begin(&mut self, _export: &OpenExport) -> Result<()> {
        Ok(())
    }
    fn writer(&self) -> Box<dyn RowWriter + '_> {
        Box::new(Unused)
    }
    fn end(&mut self, _repeated: &[u64]) -> Result<()> {
        Ok(())
    }
}

impl RowWriter for Unused {
    fn write(&mut self, _batch: &Batch) -> Result<()> {
        Ok(())
    }
    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        Ok(())
    }
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Reads the datasets of a final day that `wanted` accepts.
///
/// All contracts are checked before any row is read, so that every breach is reported at once. The
/// used rows of `order_lines` and `product_traffic` go to `rows`. Once a required export turns out
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
    let civil = CivilDay::new(exports.day, config.time_zone);
    let mut read = DayRead::default();
    let mut opened: Vec<OpenExport> = Vec::new();
    for dataset in DATASETS.into_iter().filter(|d| wanted(d)) {
        let Some(folder) = exports.folder(dataset.name).filter(|f| f.is_final()) else {
            continue;
        };
        match contract::open(store, folder)? {
            Ok(export) => opened.push(export),
            Err(defect) => read.defects.push((dataset, defect)),
        }
    }
    opened.sort_by_key(|export| reading_order(export.dataset));
    let mut unused = Unused;
    for export in &opened {
        let is_blocked = read.blocking(config).next().is_some();
        let sieve = Sieve::new(export, &civil, config.quarantine);
        let mut out_of_scope = 0;
        let sifted = if is_streamed(export.dataset) {
            // Rows of a day that is blocked are only checked.
            let sink: &mut dyn RowSink = if is_blocked { &mut unused } else { rows };
            read_rows(store, export, sieve, resources, sink)?
        } else {
            read_snapshot(
                store,
                export,
                sieve,
                civil.day,
                resources,
                &mut read.snapshots,
                &mut out_of_scope,
            )?
        };
        match sifted {
            Ok(sifted) => {
                let hidden = exports
                    .folder(export.dataset.name)
                    .map(|folder| folder.hidden.as_slice());
                account(
                    export,
                    hidden.unwrap_or_default(),
                    config,
                    &civil,
                    sifted,
                    out_of_scope,
                    &mut read,
                );
            }
            Err(defect) => read.defects.push((export.dataset, defect)),
        }
    }
    read.accounts
        .sort_by_key(|account| DATASETS.iter().position(|d| d.name == account.dataset));
    Ok(read)
}

/// Shops and campaigns decide which rows of other datasets are in scope; the large datasets come
/// last.
fn reading_order(dataset: &Dataset) -> u8 {
    match dataset.name {
        "shops" | "campaigns" => 0,
        _ if is_streamed(dataset) => 2,
        _ => 1,
    }
}

/// The dataset that decides which rows of another are in scope.
fn scope_of(dataset: &str) -> Option<&'static str> {
    match dataset {
        "ad_hours" => Some(SHOPS.name),
        "campaign_shops" | "campaign_products" => Some(CAMPAIGNS.name),
        _ => None,
    }
}

/// The two datasets that are too large to keep.
pub fn is_streamed(dataset: &Dataset) -> bool {
    dataset.name == ORDER_LINES.name || dataset.name == PRODUCT_TRAFFIC.name
}

/// Reads a small dataset, with one thread: the first row of a key is the one that stays.
fn read_snapshot(
    store: &Store,
    export: &OpenExport,
    sieve: Sieve,
    day: NaiveDate,
    resources: &Resources,
    snapshots: &mut Snapshots,
    out_of_scope: &mut u64,
) -> Result<Result<Sifted, Defect>> {
    let take = |batch: &Batch| *out_of_scope += snapshots.add(batch, day);
    let workers = stream::read(
        store,
        export,
        vec![SnapshotWorker {
            sieve,
            take,
            stop: resources.stop.clone(),
        }],
    )?;
    let workers = match workers {
        Ok(workers) => workers,
        Err(defect) => return Ok(Err(defect)),
    };
    let mut sifted = workers
        .into_iter()
        .map(|worker| worker.sieve.sifted)
        .next()
        .context("the one worker")?;
    sifted.set_aside.keep_first()?;
    Ok(Ok(sifted))
}

struct SnapshotWorker<F> {
    sieve: Sieve,
    take: F,
    stop: Stop,
}

impl<F: FnMut(&Batch) + Send> Worker for SnapshotWorker<F> {
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()> {
        self.stop.check()?;
        (self.take)(&self.sieve.pass(group.file, first_row, batch)?);
        Ok(())
    }

    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        self.sieve.sifted.set_aside.end_row_group()
    }
}

/// Reads a large dataset, with all threads; which rows repeat a key is known at its end.
fn read_rows(
    store: &Store,
    export: &OpenExport,
    sieve: Sieve,
    resources: &Resources,
    sink: &mut dyn RowSink,
) -> Result<Result<Sifted, Defect>> {
    sink.begin(export)?;
    let keys = (!export.dataset.key.is_empty()).then(|| Keys::new(export, resources));
    let worker = || RowsWorker {
        sieve: sieve.clone(),
        keys: keys.as_ref().map(Keys::writer),
        rows: sink.writer(),
        stop: resources.stop.clone(),
    };
    let workers = match stream::read(
        store,
        export,
        (0..resources.threads).map(|_| worker()).collect(),
    )? {
        Ok(workers) => workers,
        Err(defect) => return Ok(Err(defect)),
    };
    let mut sifted = sieve.sifted.clone();
    for mut worker in workers {
        worker.rows.close()?;
        worker.keys.as_mut().map_or(Ok(()), KeyWriter::close)?;
        sifted.merge(worker.sieve.sifted)?;
    }
    let most = sifted.set_aside.most();
    let repeats = keys.map_or(Ok(Repeats::default()), |keys| keys.repeats(most, resources))?;
    sifted.set_repeats_aside(export, &repeats)?;
    sifted.set_aside.keep_first()?;
    // More repeats than are kept are over the budget.
    if repeats.rows == repeats.first.len() as u64 {
        sink.end(
            &repeats
                .first
                .iter()
                .map(|repeat| repeat.position)
                .collect::<Vec<_>>(),
        )?;
    }
    Ok(Ok(sifted))
}

struct RowsWorker<'a> {
    sieve: Sieve,
    keys: Option<KeyWriter<'a>>,
    rows: Box<dyn RowWriter + 'a>,
    stop: Stop,
}

impl Worker for RowsWorker<'_> {
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()> {
        self.stop.check()?;
        let used = self.sieve.pass(group.file, first_row, batch)?;
        if let Some(keys) = &mut self.keys {
            keys.write(&used)?;
        }
        self.rows.write(&used)
    }

    fn end_row_group(&mut self, position: usize) -> Result<()> {
        self.sieve.sifted.set_aside.end_row_group()?;
        self.rows.end_row_group(position)
    }
}

/// Where the rows of a dataset went, and whether it may be used. `hidden`: files of its folder that
/// are not data.
fn account(
    export: &OpenExport,
    hidden: &[String],
    config: &Config,
    civil: &CivilDay,
    sifted: Sifted,
    out_of_scope: u64,
    read: &mut DayRead,
) {
    let dataset = export.dataset;
    let account = sifted.accounting(export, out_of_scope);
    match account.defect(dataset, config, &civil.told()) {
        Some(Defect::NoRows { can_be_allowed, .. }) => {
            read.defects.push((
                dataset,
                Defect::NoRows {
                    hidden: hidden.to_vec(),
                    can_be_allowed,
                },
            ));
        }
        Some(defect) => read.defects.push((dataset, defect)),
        None => read.snapshots.set_present(dataset),
    }
    read.accounts.push(account);
    if !sifted.set_aside.is_empty() {
        read.quarantine.push((dataset, sifted.set_aside));
    }
}
