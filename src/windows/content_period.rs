//! content_period: each campaign's shops by video or LIVE, summed over the period.

use std::collections::HashMap;

use anyhow::Result;
use polars::prelude::DataFrame;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, Periods, shop_ids};
use crate::columns;
use crate::contracts::tables::{CONTENT_DAILY, SHOP_DAILY};
use crate::metrics::{self, Ratio};

static SUMS: PeriodSums = PeriodSums {
    daily: &CONTENT_DAILY,
    key: &["shop_id", "content_id"],
    columns: &[
        ("content_type", Adds::Latest),
        ("account_type", Adds::Latest),
        ("creator_handle", Adds::Latest),
        ("title", Adds::Latest),
        ("published_at", Adds::Latest),
        ("has_violation", Adds::Latest),
        ("is_key_live", Adds::Latest),
        ("views", Adds::SumIfKnown),
        ("product_impressions", Adds::Sum),
        ("product_clicks", Adds::Sum),
        ("orders", Adds::Sum),
        ("sku_orders", Adds::Sum),
        ("items_sold", Adds::Sum),
        ("gmv", Adds::Sum),
    ],
    days: Days::WithDailyTable,
};

const RATIOS: [Ratio; 4] = [
    metrics::CTR,
    metrics::CTOR,
    metrics::GPM,
    Ratio::new("gmv_share", "gmv", "shop_gmv"),
];

/// Grain: each campaign, shop of shop_period and content with a row in the period.
///
/// Formula: `gmv_share` is of the shop's GMV on the same days, those that have content_daily.
/// Null: `views` where no day knows them.
///
/// Source: SPEC.md section 3.2.
pub(super) fn content_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let periods = Periods::of_shop_period(inputs)?;
    let shop_gmv = shop_gmv(inputs, &periods)?;
    let finish = |period: &Period, mut table: DataFrame| {
        let gmv = shop_gmv
            .get(&period.campaign_id)
            .map_or(&[][..], Vec::as_slice);
        // A shop with a content may have no row of its own on these days.
        let of_shop = |shop: &i64| {
            let position = gmv.binary_search_by_key(shop, |(shop, _)| *shop);
            position.ok().map(|position| gmv[position].1)
        };
        let of_shops: Vec<Option<i128>> = shop_ids(&table)?.iter().map(of_shop).collect();
        table.with_column(columns::money("shop_gmv", of_shops))?;
        let table = metrics::with_ratios(table, &RATIOS)?;
        metrics::with_gmv_rank(table, &["shop_id", "content_type"], "content_id")
    };
    periods.add_up(inputs, &SUMS, &finish, emit)
}

/// By campaign: the GMV in cents of each shop over the days that have content_daily, by shop.
fn shop_gmv(inputs: &WindowInputs, periods: &Periods) -> Result<HashMap<i64, Vec<(i64, i128)>>> {
    let daily = DailyRows {
        table: &SHOP_DAILY,
        days: &periods.days_with(inputs, &CONTENT_DAILY)?,
        key: &["shop_id"],
        columns: &[("gmv", Adds::Sum)],
    };
    let mut all: HashMap<i64, Vec<(i64, i128)>> = HashMap::new();
    let finish = |_, sums| Ok(sums);
    daily.add_up(inputs, &periods.wanted(), &finish, &mut |period, sums| {
        let gmv = sums.column("gmv")?.i128()?.iter().flatten();
        let of_campaign = all.entry(periods.all[period].campaign_id).or_default();
        of_campaign.extend(shop_ids(&sums)?.into_iter().zip(gmv));
        Ok(())
    })?;
    Ok(all)
}
