//! shop_period: each campaign's shops with everything summed over the period so far.

use std::collections::HashMap;

use anyhow::Result;
use polars::prelude::*;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, periods, shop_ids};
use crate::columns;
use crate::contracts::tables::SHOP_DAILY;
use crate::exports::snapshots::CampaignShop;
use crate::metrics::{self, Ratio};

static SUMS: PeriodSums = PeriodSums {
    daily: &SHOP_DAILY,
    key: &["shop_id"],
    columns: &[
        ("gmv", Adds::Sum),
        ("gmv_live", Adds::Sum),
        ("gmv_video", Adds::Sum),
        ("gmv_product_card", Adds::Sum),
        ("orders", Adds::Sum),
        ("sku_orders", Adds::Sum),
        ("items_sold", Adds::Sum),
        ("contribution_product", Adds::Sum),
        ("contribution_shipping", Adds::Sum),
        ("estimated_tiktok_contribution", Adds::Sum),
        ("product_impressions", Adds::Sum),
        ("product_clicks", Adds::Sum),
        ("page_views", Adds::Sum),
        ("add_to_carts", Adds::Sum),
        ("unique_page_viewers", Adds::Sum),
        ("unique_cart_adders", Adds::Sum),
        // Null on a day without their export.
        ("creator_new_videos", Adds::SumIfKnown),
        ("creator_new_lives", Adds::SumIfKnown),
        ("seller_new_videos", Adds::SumIfKnown),
        ("seller_new_lives", Adds::SumIfKnown),
        ("ad_spend", Adds::SumIfKnown),
        ("ad_gross_revenue", Adds::SumIfKnown),
        ("category", Adds::LatestIfKnown),
    ],
    days: Days::Published,
    of_own_campaign: false,
};

const RATIOS: [Ratio; 6] = [
    metrics::AVG_ORDER_VALUE,
    metrics::CTR,
    metrics::CTOR,
    metrics::AD_ROI,
    metrics::ADD_TO_CART_RATE,
    Ratio::new("target_progress", "gmv", "target_gmv"),
];

/// Grain: each campaign of the day and shop of its `campaign_shops` with a published row in the
/// period.
///
/// Null: a sum is null where its value is null on every day.
///
/// Source: SPEC.md section 3.2.
pub(super) fn shop_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let registered = registered(inputs, &period)?;
        let shops: Vec<i64> = registered.iter().map(|shop| shop.shop_id).collect();
        period.add_up(inputs, &shops, &SUMS, &mut |sums| {
            let table = with_target(sums, &registered)?;
            let table = period.with_columns_of_days(table, inputs)?;
            emit(metrics::with_ratios(table, &RATIOS)?)
        })?;
    }
    Ok(())
}

/// The campaign's registrations, by shop.
fn registered<'a>(inputs: &WindowInputs<'a>, period: &Period) -> Result<Vec<&'a CampaignShop>> {
    let shops = inputs.snapshots.campaign_shops()?.iter();
    let mut registered: Vec<&CampaignShop> = shops
        .filter(|shop| shop.campaign_id == period.campaign_id)
        .collect();
    registered.sort_unstable_by_key(|shop| shop.shop_id);
    Ok(registered)
}

/// Adds `target_gmv` to rows of registered shops.
fn with_target(mut rows: DataFrame, registered: &[&CampaignShop]) -> Result<DataFrame> {
    let targets: HashMap<i64, Option<i128>> = registered
        .iter()
        .map(|shop| (shop.shop_id, shop.target_gmv_cents))
        .collect();
    let shops = shop_ids(&rows)?;
    rows.with_column(columns::money(
        "target_gmv",
        shops.iter().map(|shop| targets[shop]),
    ))?;
    Ok(rows)
}
