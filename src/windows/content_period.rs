//! content_period: each campaign's shops by video or LIVE, summed over the period.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{in_period, inner_join, keys, period_shops, sum_or_null, sums, table_days};
use crate::contracts::tables::CONTENT_DAILY;
use crate::metrics;

const SUMMED: [&str; 6] = ["product_impressions", "product_clicks", "orders", "sku_orders", "items_sold", "gmv"];
/// Taken from the latest day with the row.
const LATEST: [&str; 7] =
    ["content_type", "account_type", "creator_handle", "title", "published_at", "has_violation", "is_key_live"];

/// Grain: each campaign, shop of shop_period and content with a row in the period.
///
/// Null: `views` where no day knows them.
///
/// Source: SPEC.md section 3.2.
pub fn content_period(inputs: &WindowInputs) -> Result<DataFrame> {
    let read: Vec<&str> = ["content_id", "views"].iter().chain(&LATEST).chain(&SUMMED).copied().collect();
    let shops = period_shops(inputs, &["gmv"])?.rename(["gmv"], ["shop_gmv"], true);
    let daily = in_period(inputs, shops.clone(), &CONTENT_DAILY, &read)?;
    let latest = LATEST.iter().map(|name| col(*name).last());
    let by_content = daily
        .sort(["day"], SortMultipleOptions::default())
        .group_by(keys(&["campaign_id", "shop_id", "content_id"]))
        .agg(sums(&SUMMED).into_iter().chain(latest).chain([sum_or_null("views")]).collect::<Vec<_>>());
    let with_shop = inner_join(by_content, shops, &["campaign_id", "shop_id"]);
    let table = inner_join(with_shop, table_days(inputs, &CONTENT_DAILY)?, &["campaign_id"])
        .with_columns([
            metrics::ctr(),
            metrics::ctor(),
            metrics::gpm(),
            metrics::ratio(col("gmv"), col("shop_gmv")).alias("gmv_share"),
        ])
        .collect()?;
    metrics::with_gmv_rank(table, &["campaign_id", "shop_id", "content_type"], "content_id")
}
