//! ad_hourly: one row for each hour of a shop's primary ad account.

use anyhow::Result;
use polars::prelude::*;

use crate::columns;
use crate::days::calendar::CivilDay;
use crate::exports::snapshots::AdHour;
use crate::metrics;

/// Grain: each (shop, hour) of `ad_hours` of the shop's primary account.
///
/// Source: SPEC.md section 3.1.
pub(super) fn ad_hourly(ad_hours: &[AdHour], civil: &CivilDay) -> Result<DataFrame> {
    let table = DataFrame::new(
        ad_hours.len(),
        vec![
            columns::ints("shop_id", ad_hours.iter().map(|h| h.shop_id)),
            columns::ints("hour_start", ad_hours.iter().map(|h| h.hour_start_us)),
            columns::ints(
                "local_hour",
                ad_hours.iter().map(|h| civil.local_hour(h.hour_start_us)),
            ),
            columns::money("ad_spend", ad_hours.iter().map(|h| h.spend_cents)),
            columns::money(
                "ad_gross_revenue",
                ad_hours.iter().map(|h| h.gross_revenue_cents),
            ),
        ],
    )?;
    metrics::with_ratios(table, &[metrics::AD_ROI])
}
