//! Stage 4: one pass over each of the two large exports, and seven daily tables from it.
//!
//! `orders` and `traffic` take the used rows from several threads, split them by shop (`shuffle`)
//! and add each shop up with its channels, products, SKUs, contents and sub-campaigns; a file for
//! each table then lays the sums out. No rows are kept.

mod ad_hourly;
mod channel_daily;
mod channels;
mod content_daily;
#[cfg(feature = "spark")]
mod given;
mod groups;
mod orders;
mod product_daily;
mod shop_daily;
mod sku_daily;
mod sub_campaign_daily;
pub(crate) mod tally;
mod traffic;

use anyhow::Result;
use polars::prelude::DataFrame;

use crate::contracts::sums::SumTooLarge;
use crate::contracts::tables;
use crate::contracts::{RollupId, StreamId, Table};
use crate::days::calendar::CivilDay;
use crate::exports::open_export::OpenExport;
use crate::exports::snapshots::Snapshots;
use crate::exports::{OpenSink, RowSink, RowWriter};
use crate::resources::Resources;
#[cfg(feature = "spark")]
pub(crate) use given::GivenSums;
use orders::{OrderSums, Orders};
use tally::Tally;
use traffic::{Traffic, TrafficSums};

/// The sums over the used rows of a day.
pub struct Sums {
    orders: OrderSums,
    traffic: TrafficSums,
    pub tally: Tally,
}

/// The two large datasets while they are read; each is added up after its last row.
pub struct Rows {
    resources: Resources,
    orders: Option<OrderSums>,
    traffic: Option<TrafficSums>,
    tally: Tally,
}

impl Rows {
    pub fn new(resources: &Resources) -> Rows {
        Rows {
            resources: resources.clone(),
            orders: None,
            traffic: None,
            tally: Tally::default(),
        }
    }

    /// `None` where one of the datasets was not read to its end.
    pub fn into_sums(self) -> Option<Sums> {
        Some(Sums {
            orders: self.orders?,
            traffic: self.traffic?,
            tally: self.tally,
        })
    }
}

impl RowSink for Rows {
    fn begin<'a>(&'a mut self, id: StreamId, export: &OpenExport) -> Box<dyn OpenSink + 'a> {
        match id {
            StreamId::OrderLines => Box::new(OrderLines {
                orders: Orders::new(export, &self.resources),
                into: self,
            }),
            StreamId::ProductTraffic => Box::new(ProductTraffic {
                traffic: Traffic::new(export, &self.resources),
                into: self,
            }),
        }
    }
}

/// `order_lines` while its rows come.
struct OrderLines<'a> {
    orders: Orders,
    into: &'a mut Rows,
}

impl OpenSink for OrderLines<'_> {
    fn writer(&self) -> Box<dyn RowWriter + '_> {
        Box::new(self.orders.writer())
    }

    fn end(self: Box<Self>, repeated: &[u64]) -> Result<()> {
        let (sums, tally) = self.orders.sum(repeated, &self.into.resources)?;
        self.into.orders = Some(sums);
        self.into.tally.merge(&tally);
        Ok(())
    }
}

/// `product_traffic` while its rows come. It has no key, so no row is repeated.
struct ProductTraffic<'a> {
    traffic: Traffic,
    into: &'a mut Rows,
}

impl OpenSink for ProductTraffic<'_> {
    fn writer(&self) -> Box<dyn RowWriter + '_> {
        Box::new(self.traffic.writer())
    }

    fn end(self: Box<Self>, _repeated: &[u64]) -> Result<()> {
        let (sums, tally) = self.traffic.sum()?;
        self.into.traffic = Some(sums);
        self.into.tally.merge(&tally);
        Ok(())
    }
}

/// The daily tables of one day, in the order of their contracts.
pub struct DailyTables<T> {
    pub tables: Vec<T>,
    /// Sums that do not fit their column; their tables are left out.
    pub too_large: Vec<SumTooLarge>,
}

/// Every daily table whose exports are there, conformed to its contract and reconciled with the
/// used rows. `finish` turns each into its kept form, so that few tables are in memory uncompressed.
/// A sum that does not fit leaves out its table only: the others do not depend on it.
pub fn daily_tables<T: Send>(
    sums: &Sums,
    snapshots: &Snapshots,
    civil: &CivilDay,
    resources: &Resources,
    finish: impl Fn(&'static Table, DataFrame) -> Result<T> + Sync,
) -> Result<DailyTables<T>> {
    let finished = resources.map(RollupId::ALL.to_vec(), |id| {
        resources.stop.check()?;
        let table = tables::rollup(id);
        let Some(rows) = daily_table(id, sums, snapshots, civil)? else {
            return Ok(None);
        };
        let rows = table.conform(rows)?;
        sums.tally.reconcile(table, &rows)?;
        finish(table, rows).map(Some)
    });
    let mut daily = DailyTables {
        tables: Vec::new(),
        too_large: Vec::new(),
    };
    for table in finished {
        match table {
            Ok(table) => daily.tables.extend(table),
            Err(error) => daily.too_large.push(error.downcast()?),
        }
    }
    Ok(daily)
}

/// The rows of one daily table; `None` where an export that it needs is absent.
fn daily_table(
    id: RollupId,
    sums: &Sums,
    snapshots: &Snapshots,
    civil: &CivilDay,
) -> Result<Option<DataFrame>> {
    let Sums {
        orders, traffic, ..
    } = sums;
    let rows = match id {
        RollupId::ShopDaily => Some(shop_daily::shop_daily(orders, traffic, snapshots, civil)),
        RollupId::ChannelDaily => Some(channel_daily::channel_daily(orders, traffic)),
        RollupId::ProductDaily => Some(product_daily::product_daily(orders, traffic, snapshots)),
        RollupId::SkuDaily => Some(sku_daily::sku_daily(orders)),
        RollupId::ContentDaily => snapshots
            .contents()
            .map(|contents| content_daily::content_daily(orders, traffic, contents)),
        RollupId::SubCampaignDaily => snapshots
            .sub_campaigns()
            .map(|named| sub_campaign_daily::sub_campaign_daily(orders, named)),
        RollupId::AdHourly => snapshots
            .ad_hours()
            .map(|hours| ad_hourly::ad_hourly(hours, civil)),
    };
    rows.transpose()
}
