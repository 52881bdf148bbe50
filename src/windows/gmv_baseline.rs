//! gmv_baseline: a shop's GMV of the day beside each published day of the six months before.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{inner_join, keys};
use crate::columns;
use crate::config::BaselineShops;
use crate::contracts::tables::SHOP_DAILY;
use crate::days::calendar::six_months_before;
use crate::metrics;

/// Grain: each shop of shop_daily at the day that is in one of its campaigns (or every shop, as configured), and each
/// published day from six calendar months before through the day before on which it has a row.
///
/// Null: `difference_pct` where the baseline is 0.
///
/// Source: SPEC.md section 3.2.
pub fn gmv_baseline(inputs: &WindowInputs) -> Result<DataFrame> {
    let today = inputs.published.read(&SHOP_DAILY, &[inputs.day], &["shop_id", "gmv"])?.lazy().drop(cols(["day"]));
    let today = match inputs.config.baseline_shops {
        BaselineShops::All => today,
        BaselineShops::Campaign => {
            let shops = &inputs.snapshots.campaign_shops;
            let registered =
                DataFrame::new(shops.len(), vec![columns::ints("shop_id", shops.iter().map(|s| s.shop_id))])?;
            today.join(registered.lazy(), keys(&["shop_id"]), keys(&["shop_id"]), JoinArgs::new(JoinType::Semi))
        }
    };
    let window_first = six_months_before(inputs.day);
    let before = inputs.day.pred_opt().unwrap_or(inputs.day);
    let published = inputs.published.published_days(&SHOP_DAILY, window_first, before)?;
    let baseline = inputs.published.read(&SHOP_DAILY, &published, &["shop_id", "gmv"])?.lazy().rename(
        ["gmv", "day"],
        ["baseline_gmv", "baseline_day"],
        true,
    );
    let table = inner_join(today, baseline, &["shop_id"]).with_columns([
        (col("gmv") - col("baseline_gmv")).alias("difference"),
        metrics::difference_pct(col("gmv"), col("baseline_gmv")).alias("difference_pct"),
    ]);
    Ok(table.collect()?)
}
