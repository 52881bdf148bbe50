//! funnel_period: each campaign's shops with the daily averages of reach, clicks and customers.

use anyhow::Result;
use polars::prelude::*;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{periods, shop_ids};
use crate::contracts::tables::SHOP_DAILY;
use crate::metrics::ratio;

const COLUMNS: [(&str, Adds); 3] = [
    ("unique_reach", Adds::Sum),
    ("unique_clicks", Adds::Sum),
    ("customers", Adds::Sum),
];

/// Grain: the shops of shop_period.
///
/// Formula: means over the published days of the period of daily distinct counts, a day without a
/// row counting 0; the rates are quotients of those means, formed from the sums they share their
/// divisor with.
///
/// Source: SPEC.md section 3.2.
pub fn funnel_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let shops = shop_ids(&period.shops(inputs, &[])?)?;
        let (table, days) = (&SHOP_DAILY, period.published());
        let daily = DailyRows {
            table,
            days,
            campaign_id: None,
            key: &["shop_id"],
            columns: &COLUMNS,
        };
        daily.add_up(inputs, &shops, &mut |sums, _| {
            let table = sums.with_columns(period.columns(days.len())).with_columns([
                ratio(col("unique_reach"), col("days")).alias("avg_unique_reach"),
                ratio(col("unique_clicks"), col("days")).alias("avg_unique_clicks"),
                ratio(col("customers"), col("days")).alias("avg_daily_customers"),
                ratio(col("unique_clicks"), col("unique_reach")).alias("click_rate"),
                ratio(col("customers"), col("unique_clicks")).alias("customer_rate"),
            ]);
            emit(table.collect()?)
        })?;
    }
    Ok(())
}
