//! content_period: each campaign's shops by video or LIVE, summed over the period.

use anyhow::Result;
use polars::prelude::*;

use super::adding::{Adds, DailyRows};
use super::periods::{inner_join, periods, shop_ids};
use super::{Emit, WindowInputs};
use crate::contracts::tables::CONTENT_DAILY;
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
/// Null: `views` where no day knows them.
///
/// Source: SPEC.md section 3.2.
pub fn content_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let mut shops = period.shops(inputs, &["gmv"])?;
        shops.rename("gmv", "shop_gmv".into())?;
        let ids = shop_ids(&shops)?;
        let days = period.days_with(inputs, &CONTENT_DAILY)?;
        let (table, key) = (&CONTENT_DAILY, &["shop_id", "content_id"]);
        let daily = DailyRows { table, days: &days, campaign_id: None, key, columns: &COLUMNS };
        daily.add_up(inputs, &ids, &mut |sums, _| {
            let table = inner_join(sums, shops.clone().lazy(), &["shop_id"])
                .with_columns(period.columns(days.len()))
                .with_columns([
                    metrics::ctr(),
                    metrics::ctor(),
                    metrics::gpm(),
                    metrics::ratio(col("gmv"), col("shop_gmv")).alias("gmv_share"),
                ])
                .collect()?;
            emit(metrics::with_gmv_rank(table, &["shop_id", "content_type"], "content_id")?)
        })?;
    }
    Ok(())
}
