//! What the period tables share: the campaigns' shops, their published days, and daily rows within a period.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::*;

use super::WindowInputs;
use crate::columns;
use crate::contracts::Table;
use crate::contracts::tables::{AD_HOURLY, CONTENT_DAILY, SHOP_DAILY, SHOP_PERIOD};
use crate::days::calendar::{self, day_number};
use crate::exports::snapshots::Campaign;

/// One row for each campaign of the day and shop registered for it: `campaign_id`, `shop_id`, `target_gmv`, the
/// period's `first_day` and `through_day`, and its `days`, `missing_days`, `content_days` and `ad_days`.
pub fn registrations(inputs: &WindowInputs) -> Result<DataFrame> {
    let campaigns = inputs.snapshots.campaigns.iter();
    let periods = campaigns.map(|campaign| Period::new(campaign, inputs)).collect::<Result<Vec<_>>>()?;
    let ints = |name: &str, value: fn(&Period) -> i64| columns::ints(name, periods.iter().map(value));
    let campaigns = DataFrame::new(
        periods.len(),
        vec![
            ints("campaign_id", |p| p.campaign_id),
            columns::days("first_day", periods.iter().map(|p| day_number(p.first_day))),
            columns::days("through_day", periods.iter().map(|_| day_number(inputs.day))),
            ints("days", |p| p.days),
            ints("missing_days", |p| p.missing_days),
            ints("content_days", |p| p.content_days),
            ints("ad_days", |p| p.ad_days),
        ],
    )?;
    let shops = &inputs.snapshots.campaign_shops;
    let shops = DataFrame::new(
        shops.len(),
        vec![
            columns::ints("campaign_id", shops.iter().map(|s| s.campaign_id)),
            columns::ints("shop_id", shops.iter().map(|s| s.shop_id)),
            columns::money("target_gmv", shops.iter().map(|s| s.target_gmv_cents)),
        ],
    )?;
    Ok(inner_join(shops.lazy(), campaigns.lazy(), &["campaign_id"]).collect()?)
}

/// A campaign's days so far, counted.
struct Period {
    campaign_id: i64,
    first_day: NaiveDate,
    days: i64,
    missing_days: i64,
    content_days: i64,
    ad_days: i64,
}

impl Period {
    fn new(campaign: &Campaign, inputs: &WindowInputs) -> Result<Period> {
        let first_day = campaign.first_day;
        let count = |table| count_days(inputs, table, first_day);
        let days = count(&SHOP_DAILY)?;
        Ok(Period {
            campaign_id: campaign.campaign_id,
            first_day,
            days,
            missing_days: calendar::days(first_day, inputs.day).count() as i64 - days,
            content_days: count(&CONTENT_DAILY)?,
            ad_days: count(&AD_HOURLY)?,
        })
    }
}

/// Days from `first` through the report day on which a table is published.
fn count_days(inputs: &WindowInputs, table: &Table, first: NaiveDate) -> Result<i64> {
    Ok(inputs.published.published_days(table, first, inputs.day)?.len() as i64)
}

/// The shops of `shop_period` at the day, with the columns that other period tables take from it.
pub fn period_shops(inputs: &WindowInputs, columns: &[&str]) -> Result<LazyFrame> {
    let columns: Vec<&str> =
        ["campaign_id", "shop_id", "first_day", "through_day"].iter().chain(columns).copied().collect();
    Ok(inputs.published.read(&SHOP_PERIOD, &[inputs.day], &columns)?.lazy().drop(cols(["day"])))
}

/// Daily rows of the periods' shops: those of `shops` (with `campaign_id`, `shop_id`, `first_day`) joined with the
/// named columns of a daily table over the day's longest period, each row within its own campaign's period.
pub fn in_period(inputs: &WindowInputs, shops: LazyFrame, table: &Table, columns: &[&str]) -> Result<LazyFrame> {
    let published = published_in_longest_period(inputs, table)?;
    let columns: Vec<&str> = ["shop_id"].iter().chain(columns).copied().collect();
    let daily = inputs.published.read(table, &published, &columns)?.lazy();
    let shops = shops.select(keys(&["campaign_id", "shop_id", "first_day"]));
    Ok(inner_join(shops, daily, &["shop_id"]).filter(col("day").gt_eq(col("first_day"))))
}

fn published_in_longest_period(inputs: &WindowInputs, table: &Table) -> Result<Vec<NaiveDate>> {
    match inputs.snapshots.first_campaign_day() {
        Some(first) => inputs.published.published_days(table, first, inputs.day),
        None => Ok(vec![]),
    }
}

/// How many days of each campaign's period have the table: `campaign_id`, `days`.
pub fn table_days(inputs: &WindowInputs, table: &Table) -> Result<LazyFrame> {
    let campaigns = &inputs.snapshots.campaigns;
    let counts = campaigns.iter().map(|c| count_days(inputs, table, c.first_day)).collect::<Result<Vec<_>>>()?;
    let frame = DataFrame::new(
        campaigns.len(),
        vec![columns::ints("campaign_id", campaigns.iter().map(|c| c.campaign_id)), columns::ints("days", counts)],
    )?;
    Ok(frame.lazy())
}

pub fn inner_join(left: LazyFrame, right: LazyFrame, on: &[&str]) -> LazyFrame {
    left.join(right, keys(on), keys(on), JoinArgs::new(JoinType::Inner))
}

pub fn left_join(left: LazyFrame, right: LazyFrame, on: &[&str]) -> LazyFrame {
    left.join(right, keys(on), keys(on), JoinArgs::new(JoinType::Left))
}

/// Column names as expressions.
pub fn keys(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|name| col(*name)).collect()
}

/// The sum of each column.
///
/// Counts are added in 128 bits, as money is, and cannot wrap; `Table::conform` brings them back to INT64.
pub fn sums(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|name| exact_sum(name)).collect()
}

/// The sum that leaves null days out and is null where every day is.
pub fn sum_or_null(name: &str) -> Expr {
    when(col(name).count().gt(lit(0))).then(exact_sum(name)).otherwise(lit(NULL)).alias(name)
}

fn exact_sum(name: &str) -> Expr {
    col(name).cast(DataType::Int128).sum()
}
