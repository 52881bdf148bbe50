//! shop_tier: the tier that a shop's trailing 30 days of GMV reach.

use std::collections::HashMap;

use anyhow::Result;
use polars::prelude::DataFrame;

use super::adding::{Adds, DailyRows, Wanted};
use super::inputs::{Emit, Rows, WindowInputs};
use super::periods::shop_ids;
use crate::columns;
use crate::contracts::tables::{LONG_WINDOW_DAYS, SHOP_DAILY};
use crate::days::calendar::trailing;

/// Grain: each shop of shop_daily at the day.
///
/// Formula: the highest configured tier whose `min_gmv` <= the sum of gmv over the published days
/// of [D-29, D].
///
/// Source: SPEC.md section 4.
pub(super) fn shop_tier(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let today = inputs.published.read_all(
        &SHOP_DAILY,
        inputs.day,
        &["shop_id", "category"],
        Rows::default(),
    )?;
    let (first, config) = (trailing(inputs.day, LONG_WINDOW_DAYS), inputs.config);
    let tiers = &config.tiers;
    let days = inputs
        .published
        .published_days(&SHOP_DAILY, first, inputs.day)?;
    let (table, key, columns) = (&SHOP_DAILY, &["shop_id"], &[("gmv", Adds::Sum)]);
    let daily = DailyRows {
        table,
        days: &days,
        key,
        columns,
    };
    let shops = shop_ids(&today)?;
    let of_shops = today.column("category")?.str()?.iter();
    let categories: HashMap<i64, Option<&str>> = shops.iter().copied().zip(of_shops).collect();
    let wanted = Wanted {
        campaign_id: 0,
        first_day: first,
        shops: &shops,
    };
    let finish = |_, sums: DataFrame| {
        let mut table = sums;
        table.rename("gmv", "trailing_gmv".into())?;
        let shops = shop_ids(&table)?;
        let of_shops = shops.iter().map(|shop| categories[shop]);
        table.with_column(columns::texts("category", of_shops))?;
        let names: Vec<Option<&str>> = table
            .column("trailing_gmv")?
            .i128()?
            .iter()
            .map(|cents| Some(tiers[config.tier_of(cents?)].name.as_str()))
            .collect();
        let names = columns::texts("tier", names);
        let observed = std::iter::repeat_n(days.len() as i64, table.height());
        table.with_column(names)?;
        table.with_column(columns::ints("observed_days", observed))?;
        Ok(table)
    };
    daily.add_up(inputs, &[wanted], &finish, &mut |_, rows| emit(rows))
}
