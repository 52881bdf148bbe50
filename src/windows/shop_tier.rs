//! shop_tier: the tier that a shop's trailing 30 days of GMV reach.

use anyhow::Result;
use polars::prelude::*;

use super::periods::{inner_join, keys, sums};
use super::{LONG_WINDOW_DAYS, WindowInputs};
use crate::columns;
use crate::contracts::tables::SHOP_DAILY;
use crate::days::calendar::trailing;

/// Grain: each shop of shop_daily at the day.
///
/// Formula: the highest configured tier whose `min_gmv` <= the sum of gmv over the published days of [D-29, D].
///
/// Source: SPEC.md section 4.
pub fn shop_tier(inputs: &WindowInputs) -> Result<DataFrame> {
    let today = inputs.published.read(&SHOP_DAILY, &[inputs.day], &["shop_id", "category"])?.lazy();
    let window = inputs.published.published_days(&SHOP_DAILY, trailing(inputs.day, LONG_WINDOW_DAYS), inputs.day)?;
    let trailing = inputs
        .published
        .read(&SHOP_DAILY, &window, &["shop_id", "gmv"])?
        .lazy()
        .group_by(keys(&["shop_id"]))
        .agg(sums(&["gmv"]))
        .rename(["gmv"], ["trailing_gmv"], true);
    let mut table = inner_join(today, trailing, &["shop_id"]).collect()?;
    let tiers = &inputs.config.tiers;
    let names: Vec<Option<&str>> = table
        .column("trailing_gmv")?
        .i128()?
        .iter()
        .map(|cents| Some(tiers[inputs.config.tier_of(cents?)].name.as_str()))
        .collect();
    let names = columns::texts("tier", names);
    let observed = columns::ints("observed_days", (0..table.height()).map(|_| window.len() as i64));
    table.with_column(names)?;
    table.with_column(observed)?;
    Ok(table)
}
