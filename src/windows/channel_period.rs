//! channel_period: each campaign's shops by channel, summed over the period.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{in_period, inner_join, keys, period_shops, sums};
use crate::contracts::tables::CHANNEL_DAILY;
use crate::metrics;

/// Grain: each campaign, shop of shop_period and channel with a row in the period.
///
/// Source: SPEC.md section 3.2.
pub fn channel_period(inputs: &WindowInputs) -> Result<DataFrame> {
    let summed = ["product_impressions", "product_clicks", "sku_orders", "gmv"];
    let read: Vec<&str> = ["channel"].iter().chain(&summed).copied().collect();
    let shops = period_shops(inputs, &["days"])?;
    let daily = in_period(inputs, shops.clone(), &CHANNEL_DAILY, &read)?;
    let by_channel = daily.group_by(keys(&["campaign_id", "shop_id", "channel"])).agg(sums(&summed));
    let table = inner_join(by_channel, shops, &["campaign_id", "shop_id"]).with_columns([
        metrics::impression_share(&["campaign_id", "shop_id"])?,
        metrics::ctr(),
        metrics::ctor(),
    ]);
    Ok(table.collect()?)
}
