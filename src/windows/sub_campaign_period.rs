//! sub_campaign_period: each campaign's shops by its sub-campaigns, summed over the period.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{in_period, inner_join, keys, period_shops, sums, table_days};
use crate::contracts::tables::SUB_CAMPAIGN_DAILY;
use crate::metrics;

/// Grain: each campaign, shop of shop_period and sub-campaign of that campaign with a row in the period.
///
/// Source: SPEC.md section 3.2.
pub fn sub_campaign_period(inputs: &WindowInputs) -> Result<DataFrame> {
    let summed = ["orders", "sku_orders", "items_sold", "gmv"];
    let read: Vec<&str> =
        ["campaign_id", "sub_campaign_id", "sub_campaign_name"].iter().chain(&summed).copied().collect();
    let shops = period_shops(inputs, &[])?;
    // The daily row names its own campaign; only rows of the period's campaign count.
    let daily = in_period(inputs, shops.clone(), &SUB_CAMPAIGN_DAILY, &read)?
        .filter(col("campaign_id").eq(col("campaign_id_right")));
    let by_sub_campaign = daily
        .sort(["day"], SortMultipleOptions::default())
        .group_by(keys(&["campaign_id", "shop_id", "sub_campaign_id"]))
        .agg(sums(&summed).into_iter().chain([col("sub_campaign_name").last()]).collect::<Vec<_>>());
    let with_shop = inner_join(by_sub_campaign, shops, &["campaign_id", "shop_id"]);
    let table = inner_join(with_shop, table_days(inputs, &SUB_CAMPAIGN_DAILY)?, &["campaign_id"]).collect()?;
    metrics::with_gmv_rank(table, &["campaign_id", "shop_id"], "sub_campaign_id")
}
