//! The form of a result table's contract: columns, key, reads, needs, version.

use std::fmt;

use chrono::NaiveDate;

use super::column::{Column, Lineage, Source, position};
use super::ids::{SnapshotId, TableId};
use super::metrics::metric_columns;

/// The days of another table that a table of day D reads, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// D only.
    Day,
    /// From the first day of D's oldest campaign through D; D only where D has no campaign.
    Period,
    /// As many days, the last of them D.
    Trailing(u64),
    /// From six calendar months before D through D.
    SixMonths,
}

/// Another table and the days of it that are read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub table: &'static Table,
    pub span: Span,
}

/// One result table: `<results>/<name>/dt=YYYY-MM-DD/part-0.parquet`.
pub struct Table {
    /// Says of which stage it is.
    pub id: TableId,
    pub name: &'static str,
    pub grain: &'static str,
    /// File order.
    pub columns: &'static [Column],
    /// Columns that identify a row; rows are sorted by them.
    pub key: &'static [&'static str],
    /// Tables that it reads; it sees no other, and a change of one makes it stale.
    pub reads: &'static [Read],
    /// Snapshots of the day itself that it reads, beside those behind the tables that it reads; it
    /// sees no other. Of a rollup: all that it is computed from, beside the streamed datasets.
    pub snapshots: &'static [SnapshotId],
    /// Optional exports without which the table is not written for the day.
    pub needs: &'static [SnapshotId],
    /// Sums of every used row that the table must hold, added up apart from it.
    pub reconciled: &'static [Total],
    /// Of its formulas. Raised when a formula changes, so that published files count as stale;
    /// changed columns, settings and row rules are noticed without it.
    pub version: u32,
}

/// A sum over all used rows of the streamed datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    Gmv,
    SkuOrders,
    ItemsSold,
    ProductImpressions,
    ProductClicks,
}

impl Total {
    /// The column that adds up to it.
    pub fn column(self) -> &'static str {
        match self {
            Total::Gmv => "gmv",
            Total::SkuOrders => "sku_orders",
            Total::ItemsSold => "items_sold",
            Total::ProductImpressions => "product_impressions",
            Total::ProductClicks => "product_clicks",
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.name)
    }
}

impl Table {
    /// A table that reads and needs nothing, with formulas that never changed.
    pub(super) const fn of(id: TableId) -> Table {
        Table {
            id,
            name: id.name(),
            grain: "",
            columns: &[],
            key: &[],
            reads: &[],
            snapshots: &[],
            needs: &[],
            reconciled: &[],
            version: 1,
        }
    }

    pub fn is_rollup(&self) -> bool {
        matches!(self.id, TableId::Rollup(_))
    }

    pub fn is_benchmark(&self) -> bool {
        matches!(self.id, TableId::Benchmark(_))
    }

    /// # Panics
    /// When the contract has no such column: a typing error in this program.
    pub fn column(&self, name: &str) -> &'static Column {
        &self.columns[position(self.columns, name, self.name)]
    }

    /// `<name>/dt=<day>`
    pub fn partition(&self, day: NaiveDate) -> String {
        format!("{}/dt={day}", self.name)
    }

    /// The columns that are null without an optional export, by export.
    pub fn columns_that_need(&self) -> Vec<(SnapshotId, Vec<&'static str>)> {
        let mut by_export: Vec<(SnapshotId, Vec<&'static str>)> = Vec::new();
        for column in self.columns {
            let Some(needed) = column.needs else { continue };
            match by_export.iter_mut().find(|(export, _)| *export == needed) {
                Some((_, columns)) => columns.push(column.name),
                None => by_export.push((needed, vec![column.name])),
            }
        }
        by_export
    }

    /// The columns of another table that the formulas of this one use, and that table's key.
    pub fn columns_read_of(&self, other: &Table) -> Vec<&'static str> {
        let mut read = other.key.to_vec();
        for column in self.columns {
            match column.lineage {
                Lineage::SameColumnOf(id) if id == other.id => read.push(column.name),
                Lineage::SameColumnOf(_) => {}
                Lineage::From(sources) => {
                    sources.iter().for_each(|source| match *source {
                        Source::Published(id, columns) if id == other.id => read.extend(columns),
                        Source::Metrics(id) if id == other.id => read.extend(metric_columns(id)),
                        _ => {}
                    });
                }
            }
        }
        read
    }
}
