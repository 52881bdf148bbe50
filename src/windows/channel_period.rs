//! channel_period: each campaign's shops by channel, summed over the period.

use anyhow::Result;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{periods, shop_ids};
use crate::contracts::tables::CHANNEL_DAILY;
use crate::metrics;

const COLUMNS: [(&str, Adds); 4] = [
    ("product_impressions", Adds::Sum),
    ("product_clicks", Adds::Sum),
    ("sku_orders", Adds::Sum),
    ("gmv", Adds::Sum),
];

/// Grain: each campaign, shop of shop_period and channel with a row in the period.
///
/// Source: SPEC.md section 3.2.
pub fn channel_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let shops = shop_ids(&period.shops(inputs, &[])?)?;
        let days = period.days_with(inputs, &CHANNEL_DAILY)?;
        let (table, key) = (&CHANNEL_DAILY, &["shop_id", "channel"]);
        let daily = DailyRows {
            table,
            days: &days,
            campaign_id: None,
            key,
            columns: &COLUMNS,
        };
        daily.add_up(inputs, &shops, &mut |sums, _| {
            let table = period.with_columns(sums, period.published().len())?;
            let table = metrics::with_impression_share(table)?;
            emit(metrics::with_ratios(table, &[metrics::CTR, metrics::CTOR])?)
        })?;
    }
    Ok(())
}
