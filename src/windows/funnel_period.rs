//! funnel_period: each campaign's shops with the daily averages of reach, clicks and customers.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{in_period, inner_join, keys, period_shops, sums};
use crate::contracts::tables::SHOP_DAILY;
use crate::metrics::ratio;

/// Grain: the shops of shop_period.
///
/// Formula: means over the published days of the period of daily distinct counts, a day without a row counting 0; the
/// rates are quotients of those means, formed from the sums they share their divisor with.
///
/// Source: SPEC.md section 3.2.
pub fn funnel_period(inputs: &WindowInputs) -> Result<DataFrame> {
    let key = ["campaign_id", "shop_id"];
    let counted = ["unique_reach", "unique_clicks", "customers"];
    let shops = period_shops(inputs, &["days"])?;
    let daily = in_period(inputs, shops.clone(), &SHOP_DAILY, &counted)?;
    let summed = daily.group_by(keys(&key)).agg(sums(&counted));
    let table = inner_join(shops, summed, &key).with_columns([
        ratio(col("unique_reach"), col("days")).alias("avg_unique_reach"),
        ratio(col("unique_clicks"), col("days")).alias("avg_unique_clicks"),
        ratio(col("customers"), col("days")).alias("avg_daily_customers"),
        ratio(col("unique_clicks"), col("unique_reach")).alias("click_rate"),
        ratio(col("customers"), col("unique_clicks")).alias("customer_rate"),
    ]);
    Ok(table.collect()?)
}
