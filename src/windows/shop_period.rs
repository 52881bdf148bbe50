//! shop_period: each campaign's shops with everything summed over the period so far.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{in_period, inner_join, keys, left_join, registrations, sum_or_null, sums};
use crate::contracts::tables::SHOP_DAILY;
use crate::metrics;

/// Columns of shop_daily that are never null.
const SUMMED: [&str; 16] = [
    "gmv",
    "gmv_live",
    "gmv_video",
    "gmv_product_card",
    "orders",
    "sku_orders",
    "items_sold",
    "contribution_product",
    "contribution_shipping",
    "estimated_tiktok_contribution",
    "product_impressions",
    "product_clicks",
    "page_views",
    "add_to_carts",
    "unique_page_viewers",
    "unique_cart_adders",
];
/// Columns that are null on a day without their export.
const SUMMED_IF_KNOWN: [&str; 6] = [
    "creator_new_videos",
    "creator_new_lives",
    "seller_new_videos",
    "seller_new_lives",
    "ad_spend",
    "ad_gross_revenue",
];

/// Grain: each campaign of the day and shop of its `campaign_shops` with a published row in the period.
///
/// Null: a sum is null where its value is null on every day.
///
/// Source: SPEC.md section 3.2.
pub fn shop_period(inputs: &WindowInputs) -> Result<DataFrame> {
    let key = ["campaign_id", "shop_id"];
    let registrations = registrations(inputs)?.lazy();
    let read: Vec<&str> = SUMMED.iter().chain(&SUMMED_IF_KNOWN).chain(&["category"]).copied().collect();
    let daily = in_period(inputs, registrations.clone(), &SHOP_DAILY, &read)?;
    let category = daily
        .clone()
        .filter(col("category").is_not_null())
        .sort(["day"], SortMultipleOptions::default())
        .group_by(keys(&key))
        .agg([col("category").last()]);
    let known = SUMMED_IF_KNOWN.iter().map(|name| sum_or_null(name));
    let summed = daily.group_by(keys(&key)).agg(sums(&SUMMED).into_iter().chain(known).collect::<Vec<_>>());
    let table = left_join(inner_join(registrations, summed, &key), category, &key).with_columns([
        metrics::avg_order_value(),
        metrics::ctr(),
        metrics::ctor(),
        metrics::ad_roi(),
        metrics::add_to_cart_rate(),
        metrics::ratio(col("gmv"), col("target_gmv")).alias("target_progress"),
    ]);
    Ok(table.collect()?)
}
