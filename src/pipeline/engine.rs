//! The engine: a ready day's exports in; daily tables, accounts, quarantine and tally out.
//!
//! [`Engine`] is the seam to another engine for rollups.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use crate::config::Config;
use crate::contracts::sums::SumTooLarge;
use crate::days::calendar::CivilDay;
use crate::days::readiness::{DayExports, changed_since};
use crate::exports::{DayRead, read_day};
use crate::mapping::Mapping;
use crate::publish::TableFile;
use crate::resources::Resources;
use crate::rollups::{self, Rows, Sums, tally::Tally};
use crate::store::Store;

/// Computes the daily tables of one day from its exports. It sees neither paths of results nor the
/// clock.
pub trait Engine: Sync {
    /// # Errors
    /// When the store fails. A broken export is a defect of [`DayRead`].
    fn roll_up(&self, exports: &DayExports, resources: &Resources) -> Result<RolledUp>;
}

/// The result of rolling up one day.
#[derive(Default)]
pub struct RolledUp {
    /// Snapshots, accounts, quarantine and defects.
    pub read: DayRead,
    /// The daily tables; none when the day is blocked.
    pub daily: Vec<TableFile>,
    /// Sums that do not fit. Their tables are left out.
    pub too_large: Vec<SumTooLarge>,
    /// Totals over the used rows.
    pub tally: Tally,
    /// Bytes of rows that did not fit into memory.
    pub spilled_bytes: u64,
    /// The time from the first byte of the exports to the last table; the job measures it.
    pub took: Duration,
}

/// The engine of this program: one pass in this process.
pub struct LocalEngine<'a> {
    pub exports: &'a Store,
    pub config: &'a Config,
}

impl Engine for LocalEngine<'_> {
    fn roll_up(&self, exports: &DayExports, resources: &Resources) -> Result<RolledUp> {
        let resources = resources.counted_apart();
        let mut rows = Rows::new(&resources);
        let read = read_day(
            self.exports,
            exports,
            self.config,
            &resources,
            &|_| true,
            &mut rows,
        )?;
        if read.blocking(self.config).next().is_some() {
            return Ok(RolledUp {
                read,
                ..RolledUp::default()
            });
        }
        let sums = rows
            .into_sums()
            .context("a day that is not blocked was read to its end")?;
        laid_out(read, &sums, exports.day, self.config, &resources)
    }
}

/// The daily tables from the sums of a day.
pub(super) fn laid_out(
    read: DayRead,
    sums: &Sums,
    day: NaiveDate,
    config: &Config,
    resources: &Resources,
) -> Result<RolledUp> {
    let civil = CivilDay::new(day, config.time_zone);
    // Tables are encoded side by side.
    let file = |table, rows| TableFile::new(table, day, 1, &resources.stop, &rows);
    let daily = rollups::daily_tables(sums, &read.snapshots, &civil, resources, file)?;
    Ok(RolledUp {
        read,
        daily: daily.tables,
        too_large: daily.too_large,
        tally: sums.tally,
        spilled_bytes: resources.spilled_bytes(),
        took: Duration::ZERO,
    })
}

/// The result of reading exports. It is valid only if the exports did not change meanwhile.
pub enum Reading<T> {
    Whole(T),
    /// The datasets that changed meanwhile, sorted.
    Changed(Vec<&'static str>),
}

/// Reads exports, and then checks that their files are still the listed ones.
pub fn read_unchanged<T>(
    store: &Store,
    mapping: &Mapping,
    exports: &DayExports,
    resources: &Resources,
    read: impl FnOnce() -> Result<T>,
) -> Result<Reading<T>> {
    let read = read();
    resources.stop.check()?;
    let changed = changed_since(store, mapping, exports)?;
    // The read may have failed because a file was replaced. So changes are checked before its
    // error.
    Ok(if changed.is_empty() {
        Reading::Whole(read?)
    } else {
        Reading::Changed(changed)
    })
}
