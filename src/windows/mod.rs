//! Stage 5: periods, tiers, baselines, stock and benchmarks: pure functions over published rollups.
//!
//! A window table sees the tables it reads through [`PublishedTables`] and the report day's own snapshots; never an
//! older export, a path or the clock. [`reads`] says beforehand what a table reads, which is what makes it stale.

mod category_benchmark;
mod channel_period;
pub mod cohorts;
mod content_period;
mod funnel_period;
mod gmv_baseline;
mod periods;
mod product_period;
mod shop_benchmark;
mod shop_period;
mod shop_tier;
mod stock_status;
mod sub_campaign_period;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::config::{BaselineShops, Config};
use crate::contracts::{Table, tables::*};
use crate::days::calendar::{six_months_before, trailing};
use crate::exports::snapshots::Snapshots;

pub use cohorts::BenchmarkDay;

/// The length of the window of tiers and of slow-moving stock.
const LONG_WINDOW_DAYS: u64 = 30;
/// The length of the window of fast-moving stock.
const SHORT_WINDOW_DAYS: u64 = 7;

/// What earlier stages have published, and what this run is about to publish for the same day.
pub trait PublishedTables {
    /// The days of `[first, last]` on which the table is published, oldest first.
    fn published_days(&self, table: &Table, first: NaiveDate, last: NaiveDate) -> Result<Vec<NaiveDate>>;

    /// The named columns of the table on those days, each in key order, with the day as a last column `day`.
    fn read(&self, table: &Table, days: &[NaiveDate], columns: &[&str]) -> Result<DataFrame>;
}

/// What the tables of a report day are computed from.
pub struct WindowInputs<'a> {
    pub day: NaiveDate,
    pub config: &'a Config,
    /// Of `day`.
    pub snapshots: &'a Snapshots,
    pub published: &'a dyn PublishedTables,
}

/// One window table of the day, conformed to its contract; the optional exports that it needs are there.
pub fn window_table(table: &'static Table, inputs: &WindowInputs) -> Result<DataFrame> {
    let rows = match table.name {
        "shop_period" => shop_period::shop_period(inputs)?,
        "funnel_period" => funnel_period::funnel_period(inputs)?,
        "channel_period" => channel_period::channel_period(inputs)?,
        "product_period" => product_period::product_period(inputs)?,
        "content_period" => content_period::content_period(inputs)?,
        "sub_campaign_period" => sub_campaign_period::sub_campaign_period(inputs)?,
        "gmv_baseline" => gmv_baseline::gmv_baseline(inputs)?,
        "stock_status" => stock_status::stock_status(inputs)?,
        "shop_tier" => shop_tier::shop_tier(inputs)?,
        other => unreachable!("{other} is not a window table"),
    };
    table.conform(rows)
}

/// One benchmark table of a benchmark day, conformed to its contract.
pub fn benchmark_table(
    table: &'static Table,
    benchmark: &BenchmarkDay,
    config: &Config,
    published: &dyn PublishedTables,
) -> Result<DataFrame> {
    let scopes = cohorts::scopes(benchmark.day, config, published)?;
    let rows = match table.name {
        "category_benchmark" => category_benchmark::category_benchmark(&scopes, benchmark, config)?,
        "shop_benchmark" => shop_benchmark::shop_benchmark(&scopes, benchmark, config)?,
        other => unreachable!("{other} is not a benchmark table"),
    };
    table.conform(rows)
}

/// What a window or benchmark table reads.
pub struct Reads {
    /// Tables and the days (both included) of each.
    pub tables: Vec<(&'static Table, NaiveDate, NaiveDate)>,
    /// Datasets of the day itself, beside those that every rollup of the day comes from.
    pub datasets: Vec<&'static str>,
}

/// What a table of `day` reads, given the first day of the day's oldest campaign (`None`: no campaign).
pub fn reads(table: &Table, day: NaiveDate, first_campaign_day: Option<NaiveDate>, config: &Config) -> Reads {
    let period = first_campaign_day.unwrap_or(day);
    let registered = vec!["campaigns", "campaign_shops"];
    let with = |rollup: &'static Table| Reads {
        tables: vec![(&SHOP_DAILY, period, day), (rollup, period, day), (&SHOP_PERIOD, day, day)],
        datasets: registered.clone(),
    };
    match table.name {
        "shop_period" => Reads {
            tables: vec![(&SHOP_DAILY, period, day), (&CONTENT_DAILY, period, day), (&AD_HOURLY, period, day)],
            datasets: registered,
        },
        "funnel_period" => with(&SHOP_DAILY),
        "channel_period" => with(&CHANNEL_DAILY),
        "product_period" => {
            Reads { datasets: vec!["campaigns", "campaign_shops", "campaign_products"], ..with(&PRODUCT_DAILY) }
        }
        "content_period" => with(&CONTENT_DAILY),
        "sub_campaign_period" => with(&SUB_CAMPAIGN_DAILY),
        "gmv_baseline" => Reads {
            tables: vec![(&SHOP_DAILY, six_months_before(day), day)],
            datasets: if config.baseline_shops == BaselineShops::All { vec![] } else { registered },
        },
        "stock_status" => Reads {
            tables: vec![
                (&SHOP_DAILY, trailing(day, LONG_WINDOW_DAYS), day),
                (&SKU_DAILY, trailing(day, LONG_WINDOW_DAYS), day),
            ],
            datasets: vec!["inventory", "campaigns", "campaign_products"],
        },
        "shop_tier" => Reads { tables: vec![(&SHOP_DAILY, trailing(day, LONG_WINDOW_DAYS), day)], datasets: vec![] },
        "category_benchmark" | "shop_benchmark" => Reads {
            tables: [&SHOP_DAILY, &SHOP_TIER, &SHOP_PERIOD, &FUNNEL_PERIOD].map(|t| (t, day, day)).to_vec(),
            datasets: vec![],
        },
        other => unreachable!("{other} is a rollup"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::Stage;

    #[test]
    fn what_a_table_needs_is_among_what_it_reads() {
        let config = Config::parse("").unwrap();
        let day = "2026-03-10".parse().unwrap();
        for table in TABLES.into_iter().filter(|t| t.stage != Stage::Rollup) {
            let reads = reads(table, day, Some(day), &config).datasets;
            for needed in table.needs.iter().chain(table.columns_need.iter().map(|(dataset, _)| dataset)) {
                assert!(
                    reads.contains(needed),
                    "{} needs {needed}, and a change of it would not make it stale",
                    table.name
                );
            }
        }
    }
}
