//! funnel_period: each campaign's shops with the daily averages of reach, clicks and customers.

use anyhow::Result;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, Periods};
use crate::contracts::tables::SHOP_DAILY;
use crate::metrics::{self, Ratio};

static SUMS: PeriodSums = PeriodSums {
    daily: &SHOP_DAILY,
    key: &["shop_id"],
    columns: &[
        ("unique_reach", Adds::Sum),
        ("unique_clicks", Adds::Sum),
        ("customers", Adds::Sum),
    ],
    days: Days::Published,
};

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
pub(super) fn funnel_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let periods = Periods::of_shop_period(inputs)?;
    let finish = |_: &Period, sums| metrics::with_ratios(sums, &RATIOS);
    periods.add_up(inputs, &SUMS, &finish, emit)
}
