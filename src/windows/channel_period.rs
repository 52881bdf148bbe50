//! channel_period: each campaign's shops by channel, summed over the period.

use anyhow::Result;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, Periods};
use crate::contracts::tables::CHANNEL_DAILY;
use crate::metrics;

static SUMS: PeriodSums = PeriodSums {
    daily: &CHANNEL_DAILY,
    key: &["shop_id", "channel"],
    columns: &[
        ("product_impressions", Adds::Sum),
        ("product_clicks", Adds::Sum),
        ("sku_orders", Adds::Sum),
        ("gmv", Adds::Sum),
    ],
    days: Days::Published,
};

/// Grain: each campaign, shop of shop_period and channel with a row in the period.
///
/// Source: SPEC.md section 3.2.
pub(super) fn channel_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let periods = Periods::of_shop_period(inputs)?;
    let finish = |_: &Period, sums| {
        let table = metrics::with_impression_share(sums)?;
        metrics::with_ratios(table, &[metrics::CTR, metrics::CTOR])
    };
    periods.add_up(inputs, &SUMS, &finish, emit)
}
