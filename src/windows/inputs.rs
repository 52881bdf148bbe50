//! The inputs of a window table, and the traits by which it reads and emits rows.

use std::collections::HashSet;

use anyhow::{Result, anyhow};
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::config::Config;
use crate::contracts::arrow::empty;
use crate::contracts::{SnapshotId, Table};
use crate::exports::snapshots::{
    Campaign, CampaignProduct, CampaignShop, InventoryItem, Snapshots,
};
use crate::resources::Resources;
use crate::stop::Stop;

/// Which rows of a table are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'a> {
    /// Of a table that has campaigns; `None`: of every campaign.
    pub campaign_id: Option<i64>,
    /// Ascending; `None`: of every shop.
    pub shops: Option<&'a [i64]>,
}

/// Published tables, with those that this run is about to publish for the same day.
pub trait PublishedTables {
    /// The days of `[first, last]` on which the table is published, oldest first.
    fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>>;

    /// Gives `consume` the named columns of the wanted rows of published days, some at a time, with
    /// the position of the day among `days`: day by day, and those of a day in key order. Projection
    /// and row group pruning keep everything else unread.
    fn read_days(
        &self,
        table: &'static Table,
        days: &[NaiveDate],
        columns: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
    ) -> Result<()>;

    /// The same of one day.
    fn read(
        &self,
        table: &'static Table,
        day: NaiveDate,
        columns: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        self.read_days(table, &[day], columns, rows, &mut |_, rows| consume(rows))
    }

    /// The rows as one table: few columns, or those of few shops.
    fn read_all(
        &self,
        table: &'static Table,
        day: NaiveDate,
        columns: &[&str],
        rows: Rows,
    ) -> Result<DataFrame> {
        let mut all = empty(
            &columns
                .iter()
                .map(|name| table.column(name))
                .collect::<Vec<_>>(),
        )?;
        self.read(table, day, columns, rows, &mut |rows| {
            all.vstack_mut_owned(rows)?;
            Ok(())
        })?;
        all.rechunk_mut();
        Ok(all)
    }
}

/// The snapshots of a day, less those that a table does not declare to read.
#[derive(Clone, Copy)]
pub struct DaySnapshots<'a> {
    snapshots: &'a Snapshots,
    /// `None`: of every table.
    of: Option<&'static Table>,
}

impl<'a> DaySnapshots<'a> {
    pub fn new(snapshots: &'a Snapshots) -> Self {
        DaySnapshots {
            snapshots,
            of: None,
        }
    }

    /// Those that a table declares.
    pub(super) fn declared_by(self, table: &'static Table) -> Self {
        DaySnapshots {
            of: Some(table),
            ..self
        }
    }

    /// The first day of the day's oldest campaign; `None`: no campaign.
    pub(super) fn first_campaign_day(self) -> Option<NaiveDate> {
        self.snapshots.first_campaign_day()
    }

    pub(super) fn campaigns(self) -> Result<&'a [Campaign]> {
        self.check(SnapshotId::Campaigns)?;
        Ok(&self.snapshots.campaigns)
    }

    pub(super) fn campaign_shops(self) -> Result<&'a [CampaignShop]> {
        self.check(SnapshotId::CampaignShops)?;
        Ok(&self.snapshots.campaign_shops)
    }

    /// `None` where the export is absent.
    pub(super) fn campaign_products(self) -> Result<Option<&'a [CampaignProduct]>> {
        self.check(SnapshotId::CampaignProducts)?;
        Ok(self.snapshots.campaign_products())
    }

    /// Every (shop, product) of a campaign of the day; `None` where the export is absent.
    pub(super) fn products_of_any_campaign(self) -> Result<Option<HashSet<(i64, i64)>>> {
        self.check(SnapshotId::CampaignProducts)?;
        Ok(self.snapshots.products_of_any_campaign())
    }

    /// `None` where the export is absent.
    pub(super) fn inventory(self) -> Result<Option<&'a [InventoryItem]>> {
        self.check(SnapshotId::Inventory)?;
        Ok(self.snapshots.inventory())
    }

    /// # Errors
    /// When the table does not declare the snapshot: a bug, because a change of it would not make
    /// the table stale.
    fn check(self, id: SnapshotId) -> Result<()> {
        match self.of {
            Some(table) if !table.snapshots.contains(&id) => Err(anyhow!(
                "{} reads {} and does not declare it",
                table.name,
                id.name()
            )),
            _ => Ok(()),
        }
    }
}

/// The inputs of the window tables of a day.
pub struct WindowInputs<'a> {
    pub day: NaiveDate,
    pub config: &'a Config,
    pub snapshots: DaySnapshots<'a>,
    pub published: &'a dyn PublishedTables,
    /// How many rows may be in memory at a time, at least 1; the tables are the same with any
    /// number. A row counts as [`BYTES_PER_ROW`].
    pub rows_at_once: usize,
    pub threads: usize,
    /// Checked before each part of the rows that are read or emitted.
    pub stop: &'a Stop,
}

/// Bytes of memory for each row that may be in memory at a time. A row of the widest table takes 400
/// bytes while it is laid out. Half of the memory may hold sums, and an eighth decoded columns; the rest
/// is for snapshots and compressed tables. Measured with 200 000 shops (docs/decisions/0008). Too small a value makes a run exceed
/// the limit, too large a one makes it read days more than once.
pub const BYTES_PER_ROW: u64 = 4096;

/// How many rows of window tables may be in memory at a time.
pub fn rows_at_once(resources: &Resources) -> usize {
    usize::try_from(resources.memory_bytes / BYTES_PER_ROW)
        .unwrap_or(usize::MAX)
        .max(1)
}

/// Takes a table's rows, some at a time, in the order of its key.
pub type Emit<'a> = &'a mut dyn FnMut(DataFrame) -> Result<()>;
