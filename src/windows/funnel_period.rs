//! funnel_period: each campaign's shops with the daily averages of reach, clicks and customers.

use anyhow::Result;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{periods, shop_ids};
use crate::contracts::tables::SHOP_DAILY;
use crate::metrics::{self, Ratio};

const COLUMNS: [(&str, Adds); 3] = [
    ("unique_reach", Adds::Sum),
    ("unique_clicks", Adds::Sum),
    ("customers", Adds::Sum),
];

const RATIOS: [Ratio; 5] = [
    Ratio::new("avg_unique_reach", "unique_reach", "days"),
    Ratio::new("avg_unique_clicks", "unique_clicks", "days"),
    Ratio::new("avg_daily_customers", "customers", "days"),
    Ratio::new("click_rate", "unique_clicks", "unique_reach"),
    Ratio::new("customer_rate", "customers", "unique_clicks"),
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
            let table = period.with_columns(sums, days.len())?;
            emit(metrics::with_ratios(table, &RATIOS)?)
        })?;
    }
    Ok(())
}
