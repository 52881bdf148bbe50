//! content_period: each campaign's shops by video or LIVE, summed over the period.

use std::collections::HashMap;

use anyhow::Result;
use chrono::NaiveDate;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, PeriodSums, periods, shop_ids};
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
    of_own_campaign: false,
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
    for period in periods(inputs)? {
        let shops = period.shops(inputs)?;
        let days = period.days_with(inputs, &CONTENT_DAILY)?;
        let shop_gmv = shop_gmv(inputs, &days, &shops)?;
        period.add_up(inputs, &shops, &SUMS, &mut |mut table| {
            // A shop with a content may have no row of its own on these days.
            let of_shops = shop_ids(&table)?;
            let gmv = of_shops.iter().map(|shop| shop_gmv.get(shop).copied());
            table.with_column(columns::money("shop_gmv", gmv))?;
            let table = metrics::with_ratios(table, &RATIOS)?;
            let within = ["shop_id", "content_type"];
            emit(metrics::with_gmv_rank(table, &within, "content_id")?)
        })?;
    }
    Ok(())
}

/// GMV in cents over the days, of the shops with a row on any of them.
fn shop_gmv(
    inputs: &WindowInputs,
    days: &[NaiveDate],
    shops: &[i64],
) -> Result<HashMap<i64, i128>> {
    let gmv = &[("gmv", Adds::Sum)];
    let daily = DailyRows {
        table: &SHOP_DAILY,
        days,
        campaign_id: None,
        key: &["shop_id"],
        columns: gmv,
    };
    let mut all = HashMap::new();
    daily.add_up(inputs, shops, &mut |sums| {
        let gmv = sums.column("gmv")?.i128()?.iter().flatten();
        all.extend(shop_ids(&sums)?.into_iter().zip(gmv));
        Ok(())
    })?;
    Ok(all)
}
