//! Stage 3: a ready day's files opened, checked against the contract, and read row by row; bad rows set aside.
//!
//! 1. `contract`: every file's footer against the dataset's columns and the `_SUCCESS` list; no rows yet.
//! 2. `stream`: the rows, decoded in the order that decides among repeated keys, as `batch::Batch`es; `pages` checks what
//!    the bytes claim before they are decoded.
//! 3. `rules`: the row rules; what breaks one goes to `quarantine` with its reason.
//! 4. `snapshots`: the small datasets as typed rows, and which of their rows are in scope.

pub mod batch;
pub mod contract;
pub mod pages;
pub mod quarantine;
pub mod rules;
pub mod snapshots;
pub mod stream;
mod thrift;

use anyhow::Result;

use crate::config::Config;
use crate::contracts::arrow::MONEY_MAX_CENTS;
use crate::contracts::datasets::{CAMPAIGNS, ORDER_LINES, PRODUCT_TRAFFIC, SHOPS};
use crate::contracts::{Dataset, datasets::DATASETS};
use crate::days::calendar::CivilDay;
use crate::days::readiness::DayExports;
use crate::store::Store;
use batch::Batch;
use contract::{Defect, OpenExport};
use quarantine::{Accounting, Quarantined};
use snapshots::Snapshots;

/// What reading a day gave, apart from the rows of the two streamed datasets, which went to the caller.
#[derive(Default)]
pub struct DayRead {
    pub snapshots: Snapshots,
    /// One entry for each dataset that was read to its end.
    pub accounts: Vec<Accounting>,
    /// Rows set aside, per dataset; no entry where there are none.
    pub quarantine: Vec<(&'static Dataset, Vec<Quarantined>)>,
    /// Exports that nothing may be computed from, and why.
    pub defects: Vec<(&'static Dataset, Defect)>,
}

impl DayRead {
    /// The required datasets that block the day, and why.
    pub fn blocking<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = &'a (&'static Dataset, Defect)> {
        self.defects.iter().filter(|(dataset, _)| config.required.contains(&dataset.name))
    }

    /// The accounts, without those of datasets whose scope a broken export decides: their rows are checked against the
    /// row rules, but which of them are in scope is not known.
    pub fn scoped_accounts(&self) -> impl Iterator<Item = &Accounting> {
        let is_broken = |name: &str| self.defects.iter().any(|(dataset, _)| dataset.name == name);
        self.accounts.iter().filter(move |account| !scope_of(&account.dataset).is_some_and(is_broken))
    }
}

/// Reads the datasets of a final day that `wanted` accepts.
///
/// All contracts are checked before any row is read, so that a person sees every breach at once. The used rows of
/// `order_lines` and `product_traffic` go to `consume`, batch by batch, in file and row order; once a required export
/// turns out to be broken, what was consumed is worth nothing and only the other required ones are read, unless
/// `to_the_end` is set: a person, and the reason of a fallback, are owed every export that blocks the day.
///
/// # Errors
/// When the store fails. A broken export is not an error but a defect.
pub fn read_day(
    store: &Store,
    exports: &DayExports,
    config: &Config,
    wanted: &dyn Fn(&Dataset) -> bool,
    to_the_end: bool,
    consume: &mut dyn FnMut(&Batch) -> Result<()>,
) -> Result<DayRead> {
    let civil = CivilDay::new(exports.day, config.time_zone);
    let mut read = DayRead::default();
    let mut opened: Vec<OpenExport> = Vec::new();
    for dataset in DATASETS.into_iter().filter(|d| wanted(d)) {
        let Some(folder) = exports.folder(dataset.name).filter(|f| f.is_final()) else { continue };
        match contract::open(store, folder)? {
            Ok(export) => opened.push(export),
            Err(defect) => read.defects.push((dataset, defect)),
        }
    }
    opened.sort_by_key(|export| reading_order(export.dataset));
    for export in &opened {
        let is_blocked = read.blocking(config).next().is_some();
        if is_blocked && !to_the_end && !config.required.contains(&export.dataset.name) {
            continue;
        }
        read_dataset(store, export, config, &civil, &mut read, consume)?;
    }
    read.accounts.sort_by_key(|account| DATASETS.iter().position(|d| d.name == account.dataset));
    Ok(read)
}

/// Shops and campaigns decide which rows of other datasets are in scope; the large datasets come last.
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

fn read_dataset(
    store: &Store,
    export: &OpenExport,
    config: &Config,
    civil: &CivilDay,
    read: &mut DayRead,
    consume: &mut dyn FnMut(&Batch) -> Result<()>,
) -> Result<()> {
    let dataset = export.dataset;
    let mut out_of_scope = 0;
    let mut sort_in = |batch: &Batch| -> Result<()> {
        if is_streamed(dataset) {
            return consume(batch);
        }
        out_of_scope += read.snapshots.add(batch, civil.day);
        Ok(())
    };
    let sieve = match stream::read(store, export, civil, config.quarantine, &mut sort_in)? {
        Ok(sieve) => sieve,
        Err(defect) => {
            read.defects.push((dataset, defect));
            return Ok(());
        }
    };
    let account = sieve.accounting(out_of_scope);
    let required = config.required.contains(&dataset.name);
    let too_much =
        || (sieve.money_cents > MONEY_MAX_CENTS).then_some(Defect::TooMuchMoney { cents: sieve.money_cents });
    match account.defect(config.quarantine, required).or_else(too_much) {
        Some(defect) => read.defects.push((dataset, defect)),
        None => read.snapshots.set_present(dataset),
    }
    read.accounts.push(account);
    if !sieve.quarantined.is_empty() {
        read.quarantine.push((dataset, sieve.quarantined));
    }
    Ok(())
}
