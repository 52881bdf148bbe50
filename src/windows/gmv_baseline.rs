//! gmv_baseline: a shop's GMV of the day beside each published day of the six months before.

use anyhow::{Context, Result};
use chrono::NaiveDate;
use polars::prelude::*;

use super::inputs::{Emit, Rows, WindowInputs};
use crate::columns;
use crate::config::BaselineShops;
use crate::contracts::tables::SHOP_DAILY;
use crate::days::calendar::{day_number, six_months_before};
use crate::metrics::{self, Ratio};

/// Amounts that are kept for each row that may be in memory. A row of a table takes hundreds of
/// bytes there, an amount 8.
const AMOUNTS_PER_ROW: usize = 64;
/// Stands for a day without a row; no amount of `DECIMAL(18,2)` is as small.
const NO_ROW: i64 = i64::MIN;

const DIFFERENCE_PCT: Ratio =
    Ratio::scaled("difference_pct", ("difference", 100), ("baseline_gmv", 1));

/// Grain: each shop of shop_daily at the day that is in one of its campaigns (or every shop, as
/// configured), and each published day from six calendar months before through the day before on
/// which it has a row.
///
/// Null: `difference_pct` where the baseline is 0.
///
/// Source: SPEC.md section 3.2.
pub(super) fn gmv_baseline(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let before = inputs.day.pred_opt().unwrap_or(inputs.day);
    let days =
        inputs
            .published
            .published_days(&SHOP_DAILY, six_months_before(inputs.day), before)?;
    let shops = shops(inputs)?;
    // Days are read once for as many shops as possible; rows are laid out for a few of them at a
    // time.
    let shops_in_memory =
        (inputs.rows_at_once.saturating_mul(AMOUNTS_PER_ROW) / days.len().max(1)).max(1);
    let shops_at_once = (inputs.rows_at_once / days.len().max(1)).max(1);
    for shops in shops.chunks(shops_in_memory) {
        let amounts = amounts(inputs, &days, shops)?;
        for start in (0..shops.len()).step_by(shops_at_once) {
            emit(baselines(
                &days,
                &amounts,
                shops,
                start..shops.len().min(start + shops_at_once),
            )?)?;
        }
    }
    Ok(())
}

/// A shop and its GMV of the day, in cents.
type ShopGmv = (i64, i64);

/// The shops that have a baseline, in their order.
fn shops(inputs: &WindowInputs) -> Result<Vec<ShopGmv>> {
    let registered = match inputs.config.baseline_shops {
        BaselineShops::All => None,
        BaselineShops::Campaign => {
            let mut shops: Vec<i64> = inputs
                .snapshots
                .campaign_shops()?
                .iter()
                .map(|s| s.shop_id)
                .collect();
            shops.sort_unstable();
            shops.dedup();
            Some(shops)
        }
    };
    let mut shops = Vec::new();
    let rows = Rows {
        campaign_id: None,
        shops: registered.as_deref(),
    };
    inputs.published.read(
        &SHOP_DAILY,
        inputs.day,
        &["shop_id", "gmv"],
        rows,
        &mut |rows| {
            shops.extend(read_gmv(&rows)?);
            Ok(())
        },
    )?;
    Ok(shops)
}

/// For each day the GMV in cents of each of the shops.
fn amounts(inputs: &WindowInputs, days: &[NaiveDate], shops: &[ShopGmv]) -> Result<Vec<Vec<i64>>> {
    let ids: Vec<i64> = shops.iter().map(|(shop, _)| *shop).collect();
    let mut amounts = vec![vec![NO_ROW; shops.len()]; days.len()];
    let (mut last_day, mut next) = (None, 0);
    let (columns, rows) = (
        ["shop_id", "gmv"],
        Rows {
            campaign_id: None,
            shops: Some(&ids),
        },
    );
    inputs
        .published
        .read_days(&SHOP_DAILY, days, &columns, rows, &mut |of_day, rows| {
            // The shops of each day ascend.
            if last_day.replace(of_day) != Some(of_day) {
                next = 0;
            }
            for (shop, cents) in read_gmv(&rows)? {
                next += ids[next..].iter().take_while(|id| **id < shop).count();
                amounts[of_day][next] = cents;
            }
            Ok(())
        })?;
    Ok(amounts)
}

fn read_gmv(rows: &DataFrame) -> Result<Vec<ShopGmv>> {
    let shops = rows.column("shop_id")?.i64()?.iter();
    let amounts = rows.column("gmv")?.i128()?.iter();
    let mut read = Vec::with_capacity(rows.height());
    for (shop, cents) in shops.zip(amounts) {
        let shop = shop.context("shop_id is never null")?;
        let cents = i64::try_from(cents.context("gmv is never null")?)?;
        read.push((shop, cents));
    }
    Ok(read)
}

/// One row of the table; money in cents.
struct Row {
    shop_id: i64,
    baseline_day: NaiveDate,
    baseline_gmv: i128,
    gmv: i128,
}

impl Row {
    fn new((shop_id, gmv): ShopGmv, baseline_day: NaiveDate, baseline_gmv: i64) -> Row {
        Row {
            shop_id,
            baseline_day,
            baseline_gmv: baseline_gmv.into(),
            gmv: gmv.into(),
        }
    }
}

/// The rows of some of the shops.
fn baselines(
    days: &[NaiveDate],
    amounts: &[Vec<i64>],
    shops: &[ShopGmv],
    some: std::ops::Range<usize>,
) -> Result<DataFrame> {
    let mut rows = Vec::new();
    for shop in some {
        for (day, amounts) in days.iter().zip(amounts) {
            if amounts[shop] != NO_ROW {
                rows.push(Row::new(shops[shop], *day, amounts[shop]));
            }
        }
    }
    let table = DataFrame::new(
        rows.len(),
        vec![
            columns::ints("shop_id", rows.iter().map(|r| r.shop_id)),
            columns::days(
                "baseline_day",
                rows.iter().map(|r| day_number(r.baseline_day)),
            ),
            columns::money("baseline_gmv", rows.iter().map(|r| r.baseline_gmv)),
            columns::money("gmv", rows.iter().map(|r| r.gmv)),
            columns::money("difference", rows.iter().map(|r| r.gmv - r.baseline_gmv)),
        ],
    )?;
    metrics::with_ratios(table, &[DIFFERENCE_PCT])
}
