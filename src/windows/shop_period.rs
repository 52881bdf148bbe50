//! shop_period: each campaign's shops with everything summed over the period so far.

use anyhow::Result;
use polars::prelude::*;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, DescribedDays, Period, PeriodSums, Periods, by_campaign, shop_ids};
use crate::columns;
use crate::contracts::tables::SHOP_DAILY;
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
    let periods = Periods::of_registered(inputs)?;
    let days = DescribedDays::new(inputs, &periods)?;
    let registered = inputs.snapshots.campaign_shops()?.iter();
    let targets = by_campaign(
        registered.map(|shop| (shop.campaign_id, (shop.shop_id, shop.target_gmv_cents))),
    );
    let finish = |period: &Period, sums| {
        let table = with_target(sums, &targets[&period.campaign_id])?;
        let table = days.add_to(table, period, &periods)?;
        metrics::with_ratios(table, &RATIOS)
    };
    periods.add_up(inputs, &SUMS, &finish, emit)
}

/// Adds `target_gmv` to rows of registered shops. `targets`: that of each shop in cents, by shop.
fn with_target(mut rows: DataFrame, targets: &[(i64, Option<i128>)]) -> Result<DataFrame> {
    let of_shop = |shop: &i64| {
        let position = targets.binary_search_by_key(shop, |(shop, _)| *shop);
        position.ok().and_then(|position| targets[position].1)
    };
    let of_shops: Vec<Option<i128>> = shop_ids(&rows)?.iter().map(of_shop).collect();
    rows.with_column(columns::money("target_gmv", of_shops))?;
    Ok(rows)
}
