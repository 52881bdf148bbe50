//! shop_tier: the tier that a shop's trailing 30 days of GMV reach.

use anyhow::Result;
use polars::prelude::*;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, Rows, WindowInputs};
use super::periods::{inner_join, shop_ids};
use crate::columns;
use crate::contracts::tables::{LONG_WINDOW_DAYS, SHOP_DAILY};
use crate::days::calendar::trailing;

/// Grain: each shop of shop_daily at the day.
///
/// Formula: the highest configured tier whose `min_gmv` <= the sum of gmv over the published days
/// of [D-29, D].
///
/// Source: SPEC.md section 4.
pub fn shop_tier(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let today = inputs.published.read_all(
        &SHOP_DAILY,
        inputs.day,
        &["shop_id", "category"],
        Rows::default(),
    )?;
    let (first, tiers) = (trailing(inputs.day, LONG_WINDOW_DAYS), &inputs.config.tiers);
    let days = inputs
        .published
        .published_days(&SHOP_DAILY, first, inputs.day)?;
    let (table, key, columns) = (&SHOP_DAILY, &["shop_id"], &[("gmv", Adds::Sum)]);
    let daily = DailyRows {
        table,
        days: &days,
        campaign_id: None,
        key,
        columns,
    };
    daily.add_up(inputs, &shop_ids(&today)?, &mut |sums, _| {
        let trailing = sums.rename(["gmv"], ["trailing_gmv"], true);
        let mut table = inner_join(today.clone().lazy(), trailing, &["shop_id"]).collect()?;
        let names: Vec<Option<&str>> = table
            .column("trailing_gmv")?
            .i128()?
            .iter()
            .map(|cents| Some(tiers[inputs.config.tier_of(cents?)].name.as_str()))
            .collect();
        let names = columns::texts("tier", names);
        let observed = columns::ints(
            "observed_days",
            (0..table.height()).map(|_| days.len() as i64),
        );
        table.with_column(names)?;
        table.with_column(observed)?;
        emit(table)
    })
}
