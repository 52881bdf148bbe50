//! Stage 4: one pass over each of the two large exports, and the seven daily tables that come of
//! it.
//!
//! `orders` and `traffic` take the used rows from several threads, split them by shop (`shuffle`)
//! and add each shop up with its channels, products, SKUs, contents and sub-campaigns; a file for
//! each table then lays the sums out. No rows are kept.

mod ad_hourly;
mod channel_daily;
mod channels;
mod content_daily;
mod groups;
mod orders;
mod product_daily;
mod shop_daily;
mod sku_daily;
mod sub_campaign_daily;
pub mod tally;
mod traffic;

use anyhow::{Context, Result};
use polars::prelude::DataFrame;

use crate::contracts::datasets::{ORDER_LINES, PRODUCT_TRAFFIC};
use crate::contracts::sums::SumTooLarge;
use crate::contracts::tables;
use crate::contracts::{RollupId, Table};
use crate::days::calendar::CivilDay;
use crate::exports::open_export::OpenExport;
use crate::exports::snapshots::Snapshots;
use crate::exports::{RowSink, RowWriter};
use crate::resources::Resources;
use orders::{OrderSums, Orders};
use tally::Tally;
use traffic::{Traffic, TrafficSums};

/// What the used rows of a day add up to.
pub struct Sums {
    orders: OrderSums,
    traffic: TrafficSums,
    pub tally: Tally,
}

/// The two large datasets on their way to [`Sums`]; each is added up when its last row is there.
pub struct Rows {
    resources: Resources,
    reading: Option<Begun>,
    orders: Option<OrderSums>,
    traffic: Option<TrafficSums>,
    tally: Tally,
}

/// The dataset whose rows come in.
enum Begun {
    Orders(Orders),
    Traffic(Traffic),
}

impl Rows {
    pub fn new(resources: &Resources) -> Rows {
        let resources = resources.clone();
        Rows {
            resources,
            reading: None,
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
    fn begin(&mut self, export: &OpenExport) -> Result<()> {
        self.reading = Some(match export.dataset.name {
            name if name == ORDER_LINES.name => Begun::Orders(Orders::new(export, &self.resources)),
            name if name == PRODUCT_TRAFFIC.name => {
                Begun::Traffic(Traffic::new(export, &self.resources))
            }
            other => unreachable!("{other} is not streamed"),
        });
        Ok(())
    }

    fn writer(&self) -> Box<dyn RowWriter + '_> {
        match self
            .reading
            .as_ref()
            .expect("a dataset is begun before its rows come")
        {
            Begun::Orders(orders) => Box::new(orders.writer()),
            Begun::Traffic(traffic) => Box::new(traffic.writer()),
        }
    }

    fn end(&mut self, repeated: &[u64]) -> Result<()> {
        let tally = match self.reading.take().context("a dataset ends once")? {
            Begun::Orders(orders) => {
                let (sums, tally) = orders.sum(repeated, &self.resources)?;
                self.orders = Some(sums);
                tally
            }
            Begun::Traffic(traffic) => {
                let (sums, tally) = traffic.sum()?;
                self.traffic = Some(sums);
                tally
            }
        };
        self.tally.merge(&tally);
        Ok(())
    }
}

/// Every daily table whose exports are there, conformed to its contract and reconciled with the
/// used rows; `finish` makes of each what is kept, so that only those that are being laid out are
/// in memory as they are computed. A table with a sum that does not fit is an inner error: the
/// others do not depend on it.
pub fn daily_tables<T: Send>(
    sums: &Sums,
    snapshots: &Snapshots,
    civil: &CivilDay,
    resources: &Resources,
    finish: impl Fn(&'static Table, DataFrame) -> Result<T> + Sync,
) -> Result<Vec<Result<T, SumTooLarge>>> {
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
    let sum_apart = |table: Result<T>| match table {
        Ok(table) => Ok(Ok(table)),
        Err(error) => error.downcast::<SumTooLarge>().map(Err),
    };
    finished
        .into_iter()
        .filter_map(Result::transpose)
        .map(sum_apart)
        .collect()
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
