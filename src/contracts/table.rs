//! The form of a result table's contract: columns, key, reads, needs, version.

use std::fmt;

use chrono::NaiveDate;

use super::column::{Column, Lineage, Source, position};
use super::ids::{SnapshotId, TableId};
use super::metrics::metric_columns;

/// The days of another table that a table of day D reads, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Only D.
    Day,
    /// From the first day of D's oldest campaign through D. Only D when D has no campaign.
    Period,
    /// This number of days, ending with D.
    Trailing(u64),
    /// From six calendar months before D through D.
    SixMonths,
}

/// A table that is read, and the days that are read of it.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub table: &'static Table,
    pub span: Span,
}

/// One result table: `<results>/<name>/dt=YYYY-MM-DD/part-0.parquet`.
pub struct Table {
    /// The id. It also says which stage computes the table.
    pub id: TableId,
    pub name: &'static str,
    pub grain: &'static str,
    /// The columns, in file order.
    pub columns: &'static [Column],
    /// Columns that identify a row. Rows are sorted by them.
    pub key: &'static [&'static str],
    /// The tables that it reads. It sees no other table, and a change of one makes it stale.
    pub reads: &'static [Read],
    /// The snapshots of the day itself that it reads; it sees no other snapshot. Snapshots behind
    /// the tables in `reads` are not listed. For a rollup: all its snapshots, beside the streamed
    /// datasets.
    pub snapshots: &'static [SnapshotId],
    /// The optional exports that it needs. Without one, the table is not written for the day.
    pub needs: &'static [SnapshotId],
    /// The sums over all used rows that the table must add up to. They are computed independently.
    pub reconciled: &'static [Total],
    /// The version of its formulas. Raise it when a formula changes, so that published files become
    /// stale. Changes of columns, settings and row rules need no new version.
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
    pub const ALL: [Total; 5] = [
        Total::Gmv,
        Total::SkuOrders,
        Total::ItemsSold,
        Total::ProductImpressions,
        Total::ProductClicks,
    ];

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
    /// A table that reads and needs nothing, with the first version of its formulas.
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
    /// When the contract has no such column. This is a typo in this program.
    pub fn column(&self, name: &str) -> &'static Column {
        &self.columns[position(self.columns, name, self.name)]
    }

    /// The folder `<name>/dt=<day>`.
    pub fn partition(&self, day: NaiveDate) -> String {
        format!("{}/dt={day}", self.name)
    }

    /// The columns that are null without an optional export, grouped by export.
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

    /// The columns of another table that the formulas of this table use, and the other table's key.
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
