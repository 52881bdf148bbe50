//! sub_campaign_period: each campaign's shops by its sub-campaigns, summed over the period.

use anyhow::Result;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, Periods};
use crate::contracts::tables::SUB_CAMPAIGN_DAILY;
use crate::metrics;

static SUMS: PeriodSums = PeriodSums {
    daily: &SUB_CAMPAIGN_DAILY,
    key: &["campaign_id", "shop_id", "sub_campaign_id"],
    columns: &[
        ("sub_campaign_name", Adds::Latest),
        ("orders", Adds::Sum),
        ("sku_orders", Adds::Sum),
        ("items_sold", Adds::Sum),
        ("gmv", Adds::Sum),
    ],
    days: Days::WithDailyTable,
};

/// Grain: each campaign, shop of shop_period and sub-campaign of that campaign with a row in the
/// period.
///
/// Source: SPEC.md section 3.2.
pub(super) fn sub_campaign_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let periods = Periods::of_shop_period(inputs)?;
    let finish = |_: &Period, sums| metrics::with_gmv_rank(sums, &["shop_id"], "sub_campaign_id");
    periods.add_up(inputs, &SUMS, &finish, emit)
}
