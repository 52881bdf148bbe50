//! sub_campaign_period: each campaign's shops by its sub-campaigns, summed over the period.

use anyhow::Result;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, PeriodSums, periods};
use crate::contracts::tables::SUB_CAMPAIGN_DAILY;
use crate::metrics;

static SUMS: PeriodSums = PeriodSums {
    daily: &SUB_CAMPAIGN_DAILY,
    key: &["shop_id", "sub_campaign_id"],
    columns: &[
        ("sub_campaign_name", Adds::Latest),
        ("orders", Adds::Sum),
        ("sku_orders", Adds::Sum),
        ("items_sold", Adds::Sum),
        ("gmv", Adds::Sum),
    ],
    days: Days::WithDailyTable,
    of_own_campaign: true,
};

/// Grain: each campaign, shop of shop_period and sub-campaign of that campaign with a row in the
/// period.
///
/// Source: SPEC.md section 3.2.
pub(super) fn sub_campaign_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let shops = period.shops(inputs)?;
        period.add_up(inputs, &shops, &SUMS, &mut |sums| {
            emit(metrics::with_gmv_rank(
                sums,
                &["shop_id"],
                "sub_campaign_id",
            )?)
        })?;
    }
    Ok(())
}
