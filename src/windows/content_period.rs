//! content_period: each campaign's shops by video or LIVE, summed over the period.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::*;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{keys, periods, shop_ids};
use crate::columns;
use crate::contracts::tables::{CONTENT_DAILY, SHOP_DAILY};
use crate::metrics;

const COLUMNS: [(&str, Adds); 14] = [
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
];

/// Grain: each campaign, shop of shop_period and content with a row in the period.
///
/// Formula: `gmv_share` is of the shop's GMV on the same days, those that have content_daily.
/// Null: `views` where no day knows them.
///
/// Source: SPEC.md section 3.2.
pub fn content_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let ids = shop_ids(&period.shops(inputs, &[])?)?;
        let days = period.days_with(inputs, &CONTENT_DAILY)?;
        let shop_gmv = shop_gmv(inputs, &days, &ids)?;
        let (table, key) = (&CONTENT_DAILY, &["shop_id", "content_id"]);
        let daily = DailyRows {
            table,
            days: &days,
            campaign_id: None,
            key,
            columns: &COLUMNS,
        };
        daily.add_up(inputs, &ids, &mut |sums, _| {
            let (shop_id, left) = (keys(&["shop_id"]), JoinArgs::new(JoinType::Left));
            let table = sums
                // A shop with a content may have no row of its own on these days.
                .join(shop_gmv.clone().lazy(), shop_id.clone(), shop_id, left)
                .with_columns(period.columns(days.len()))
                .with_columns([
                    metrics::ctr(),
                    metrics::ctor(),
                    metrics::gpm(),
                    metrics::ratio(col("gmv"), col("shop_gmv")).alias("gmv_share"),
                ])
                .collect()?;
            emit(metrics::with_gmv_rank(
                table,
                &["shop_id", "content_type"],
                "content_id",
            )?)
        })?;
    }
    Ok(())
}

/// The columns `shop_id` and `shop_gmv`: GMV over the days, of the shops with a row on any of them.
fn shop_gmv(inputs: &WindowInputs, days: &[NaiveDate], shops: &[i64]) -> Result<DataFrame> {
    let gmv = &[("gmv", Adds::Sum)];
    let daily = DailyRows {
        table: &SHOP_DAILY,
        days,
        campaign_id: None,
        key: &["shop_id"],
        columns: gmv,
    };
    let mut all = DataFrame::new(
        0,
        vec![
            columns::ints("shop_id", [0; 0]),
            columns::money("shop_gmv", [0; 0]),
        ],
    )?;
    daily.add_up(inputs, shops, &mut |sums, _| {
        all.vstack_mut_owned(
            sums.select([col("shop_id"), col("gmv").alias("shop_gmv")])
                .collect()?,
        )?;
        Ok(())
    })?;
    Ok(all)
}
