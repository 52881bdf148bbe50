//! sub_campaign_period: each campaign's shops by its sub-campaigns, summed over the period.

use anyhow::Result;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{periods, shop_ids};
use crate::contracts::tables::SUB_CAMPAIGN_DAILY;
use crate::metrics;

const COLUMNS: [(&str, Adds); 5] = [
    ("sub_campaign_name", Adds::Latest),
    ("orders", Adds::Sum),
    ("sku_orders", Adds::Sum),
    ("items_sold", Adds::Sum),
    ("gmv", Adds::Sum),
];

/// Grain: each campaign, shop of shop_period and sub-campaign of that campaign with a row in the
/// period.
///
/// Source: SPEC.md section 3.2.
pub fn sub_campaign_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let shops = shop_ids(&period.shops(inputs, &[])?)?;
        let days = period.days_with(inputs, &SUB_CAMPAIGN_DAILY)?;
        let daily = DailyRows {
            table: &SUB_CAMPAIGN_DAILY,
            days: &days,
            // The daily row names its own campaign; only rows of the period's campaign count.
            campaign_id: Some(period.campaign_id),
            key: &["shop_id", "sub_campaign_id"],
            columns: &COLUMNS,
        };
        daily.add_up(inputs, &shops, &mut |sums, _| {
            let table = period.with_columns(sums, days.len())?;
            emit(metrics::with_gmv_rank(
                table,
                &["shop_id"],
                "sub_campaign_id",
            )?)
        })?;
    }
    Ok(())
}
