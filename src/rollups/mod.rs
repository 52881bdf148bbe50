//! Stage 4: one pass over the day's exports, and the seven daily tables that come of it.
//!
//! `orders` and `traffic` add up the used rows as they stream by, one entry for each shop, channel, product, SKU,
//! content and sub-campaign; a file for each table then lays the sums out. No rows are kept.

mod ad_hourly;
mod channel_daily;
mod content_daily;
mod groups;
mod orders;
mod product_daily;
mod shop_daily;
mod sku_daily;
mod sub_campaign_daily;
pub mod tally;
mod traffic;

use anyhow::Result;
use polars::prelude::DataFrame;

use crate::contracts::{Table, tables};
use crate::days::calendar::CivilDay;
use crate::exports::batch::Batch;
use crate::exports::snapshots::Snapshots;
use orders::OrderSums;
use tally::Tally;
use traffic::TrafficSums;

/// What the streamed rows of a day add up to.
#[derive(Default)]
pub struct Sums {
    orders: OrderSums,
    traffic: TrafficSums,
    pub tally: Tally,
}

impl Sums {
    /// Adds used rows of `order_lines` or `product_traffic`.
    pub fn add(&mut self, batch: &Batch) {
        self.tally.add(batch);
        match batch.dataset.name {
            "order_lines" => self.orders.add(batch),
            "product_traffic" => self.traffic.add(batch),
            other => unreachable!("{other} is not streamed"),
        }
    }
}

/// Every daily table whose exports are there, conformed to its contract and reconciled with the used rows.
pub fn daily_tables(sums: &Sums, snapshots: &Snapshots, civil: &CivilDay) -> Result<Vec<(&'static Table, DataFrame)>> {
    let (orders, traffic) = (&sums.orders, &sums.traffic);
    let mut daily = vec![
        (&tables::SHOP_DAILY, shop_daily::shop_daily(orders, traffic, snapshots, civil)?),
        (&tables::CHANNEL_DAILY, channel_daily::channel_daily(orders, traffic)?),
        (&tables::PRODUCT_DAILY, product_daily::product_daily(orders, traffic, snapshots)?),
        (&tables::SKU_DAILY, sku_daily::sku_daily(orders)?),
    ];
    if let Some(contents) = snapshots.contents() {
        daily.push((&tables::CONTENT_DAILY, content_daily::content_daily(orders, traffic, contents)?));
    }
    if let Some(sub_campaigns) = snapshots.sub_campaigns() {
        daily.push((&tables::SUB_CAMPAIGN_DAILY, sub_campaign_daily::sub_campaign_daily(orders, sub_campaigns)?));
    }
    if let Some(ad_hours) = snapshots.ad_hours() {
        daily.push((&tables::AD_HOURLY, ad_hourly::ad_hourly(ad_hours, civil)?));
    }
    let conformed = |(table, rows): (&'static Table, DataFrame)| {
        let rows = table.conform(rows)?;
        sums.tally.reconcile(table, &rows)?;
        Ok((table, rows))
    };
    daily.into_iter().map(conformed).collect()
}
