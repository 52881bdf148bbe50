//! Totals over the used rows, added up apart from the tables that must equal them.

use anyhow::{Result, ensure};
use polars::prelude::DataFrame;

use crate::contracts::{DatasetId, StreamId, Table, Total};
use crate::exports::batch::Batch;

/// Sums over all used rows of a day; money in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub(super) gmv: i128,
    pub(super) sku_orders: i128,
    pub(super) items_sold: i128,
    pub(super) product_impressions: i128,
    pub(super) product_clicks: i128,
}

impl Tally {
    pub fn add(&mut self, batch: &Batch) {
        match batch.dataset.id {
            DatasetId::Stream(StreamId::OrderLines) => {
                self.gmv += cents(batch, "sub_total") + cents(batch, "shipping_fee");
                self.sku_orders += batch.rows as i128;
                self.items_sold += sum(batch, "quantity");
            }
            DatasetId::Stream(StreamId::ProductTraffic) => {
                self.product_impressions += sum(batch, "impressions");
                self.product_clicks += sum(batch, "clicks");
            }
            DatasetId::Snapshot(_) => {}
        }
    }

    pub fn merge(&mut self, other: &Tally) {
        self.gmv += other.gmv;
        self.sku_orders += other.sku_orders;
        self.items_sold += other.items_sold;
        self.product_impressions += other.product_impressions;
        self.product_clicks += other.product_clicks;
    }

    /// Takes back lines that were added before it was known that they repeat a key; `gmv` in cents.
    pub fn leave_out(&mut self, gmv: i128, sku_orders: i64, items_sold: i64) {
        self.gmv -= gmv;
        self.sku_orders -= i128::from(sku_orders);
        self.items_sold -= i128::from(items_sold);
    }

    /// # Errors
    /// When a column of the table does not add up to the used rows: a bug, and a reason to publish
    /// nothing.
    pub fn reconcile(&self, table: &'static Table, rows: &DataFrame) -> Result<()> {
        let mut totals = Totals::new(table);
        totals.add(rows)?;
        self.compare(&totals)
    }

    /// # Errors
    /// As [`Tally::reconcile`].
    pub fn compare(&self, totals: &Totals) -> Result<()> {
        for (total, found) in totals.table.reconciled.iter().zip(&totals.sums) {
            let expected = self.total(*total);
            ensure!(
                *found == expected,
                "{}: {} adds up to {found}, the used rows to {expected}; nothing was published",
                totals.table.name,
                total.column()
            );
        }
        Ok(())
    }

    fn total(&self, total: Total) -> i128 {
        match total {
            Total::Gmv => self.gmv,
            Total::SkuOrders => self.sku_orders,
            Total::ItemsSold => self.items_sold,
            Total::ProductImpressions => self.product_impressions,
            Total::ProductClicks => self.product_clicks,
        }
    }
}

/// Sums of a table's tallied columns, added up some rows at a time.
pub struct Totals {
    table: &'static Table,
    /// In the order of `Table::reconciled`.
    sums: Vec<i128>,
}

impl Totals {
    pub fn new(table: &'static Table) -> Totals {
        Totals {
            table,
            sums: vec![0; table.reconciled.len()],
        }
    }

    /// Adds rows that have at least the tallied columns.
    pub fn add(&mut self, rows: &DataFrame) -> Result<()> {
        for (sum, total) in self.sums.iter_mut().zip(self.table.reconciled) {
            let column = rows.column(total.column())?;
            *sum += match column.i128() {
                Ok(cents) => cents.iter().flatten().sum::<i128>(),
                Err(_) => column.i64()?.iter().flatten().map(i128::from).sum(),
            };
        }
        Ok(())
    }

    /// The sum of each tallied column; money in cents.
    pub fn by_column(&self) -> impl Iterator<Item = (&'static str, i128)> {
        let columns = self.table.reconciled.iter().map(|total| total.column());
        columns.zip(self.sums.iter().copied())
    }
}

/// A batch has so few rows that the sum of its INT32 values fits 64 bits.
fn sum(batch: &Batch, column: &str) -> i128 {
    batch.ints(column).values().iter().sum::<i64>().into()
}

fn cents(batch: &Batch, column: &str) -> i128 {
    batch.money(column).values().iter().sum()
}
