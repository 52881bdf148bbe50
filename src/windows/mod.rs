//! Stage 5: periods, tiers, baselines, stock and benchmarks: pure functions over published rollups.
//!
//! A window table sees the tables it reads through [`PublishedTables`] and the report day's own
//! snapshots; never an older export, a path or the clock. [`reads`] says beforehand what a table
//! reads, which is what makes it stale. It asks for the columns, days and shops that it needs, and
//! gives its rows away some at a time, in the order of its key (`adding`).

mod adding;
mod candidates;
mod category_benchmark;
mod channel_period;
pub mod cohorts;
mod content_period;
mod funnel_period;
mod gmv_baseline;
mod gmv_gap;
mod inputs;
mod periods;
mod product_period;
mod shop_benchmark;
mod shop_period;
mod shop_tier;
mod stock_status;
mod stopping;
mod sub_campaign_period;
mod summary;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::config::{BaselineShops, Config};
use crate::contracts::{Stage, Table, tables::*};
use crate::days::calendar::{six_months_before, trailing};
use crate::stop::Stop;

pub use cohorts::BenchmarkDay;
use inputs::LONG_WINDOW_DAYS;
pub use inputs::{BYTES_PER_ROW, Emit, PublishedTables, Rows, WindowInputs, rows_at_once};
use stopping::UntilStopped;

/// Shops, or cohorts, whose benchmark rows are laid out at a time where memory allows more: a
/// fraction of a second's work, after which a request to stop is noticed.
const SHOPS_AT_ONCE: usize = 8192;

/// One window table of the day, conformed to its contract; the optional exports that it needs are
/// there.
///
/// # Errors
/// `Stopped`, a part of its rows after the run was asked to stop at the latest.
pub fn window_table(table: &'static Table, inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let published = &UntilStopped {
        published: inputs.published,
        stop: inputs.stop,
    };
    let inputs = &WindowInputs {
        published,
        ..*inputs
    };
    let emit: Emit = &mut |rows| {
        inputs.stop.check()?;
        emit(table.conform(rows)?)
    };
    match table.name {
        "shop_period" => shop_period::shop_period(inputs, emit),
        "funnel_period" => funnel_period::funnel_period(inputs, emit),
        "channel_period" => channel_period::channel_period(inputs, emit),
        "product_period" => product_period::product_period(inputs, emit),
        "content_period" => content_period::content_period(inputs, emit),
        "sub_campaign_period" => sub_campaign_period::sub_campaign_period(inputs, emit),
        "gmv_baseline" => gmv_baseline::gmv_baseline(inputs, emit),
        "stock_status" => stock_status::stock_status(inputs, emit),
        "shop_tier" => shop_tier::shop_tier(inputs, emit),
        other => unreachable!("{other} is not a window table"),
    }
}

/// Takes rows of one of several tables.
pub type EmitEach<'a> = &'a mut dyn FnMut(&'static Table, DataFrame) -> Result<()>;

/// The benchmark tables of a benchmark day, conformed to their contracts, scope by scope.
///
/// # Errors
/// As [`window_table`].
pub fn benchmark_tables(
    benchmark: &BenchmarkDay,
    config: &Config,
    published: &dyn PublishedTables,
    rows_at_once: usize,
    stop: &Stop,
    emit: EmitEach,
) -> Result<()> {
    let published = &UntilStopped { published, stop };
    let go_on = || Ok(stop.check()?);
    let at_once = (rows_at_once / candidates::METRICS.len()).clamp(1, SHOPS_AT_ONCE);
    let mut emit = |table: &'static Table, rows: DataFrame| {
        go_on()?;
        emit(table, table.conform(rows)?)
    };
    cohorts::for_each_scope(benchmark.day, config, published, &go_on, &mut |scope| {
        for cohorts in category_benchmark::cohorts_by_key(scope, config).chunks(at_once) {
            emit(
                &CATEGORY_BENCHMARK,
                category_benchmark::category_benchmark(scope, cohorts, benchmark, config)?,
            )?;
        }
        let shops = scope.candidates.count();
        for first in (0..shops).step_by(at_once) {
            let some = first..shops.min(first + at_once);
            emit(
                &SHOP_BENCHMARK,
                shop_benchmark::shop_benchmark(scope, some.clone(), benchmark, config)?,
            )?;
            emit(&GMV_GAP, gmv_gap::gmv_gap(scope, some, benchmark, config)?)?;
        }
        Ok(())
    })
}

/// What a window or benchmark table reads.
pub struct Reads {
    /// Tables and the days (both included) of each.
    pub tables: Vec<(&'static Table, NaiveDate, NaiveDate)>,
    /// Datasets of the day itself, beside those that every rollup of the day comes from.
    pub datasets: Vec<&'static str>,
}

/// What a table of `day` reads, given the first day of the day's oldest campaign (`None`: no
/// campaign).
pub fn reads(
    table: &Table,
    day: NaiveDate,
    first_campaign_day: Option<NaiveDate>,
    config: &Config,
) -> Reads {
    let period = first_campaign_day.unwrap_or(day);
    let registered = vec!["campaigns", "campaign_shops"];
    let with = |rollup: &'static Table| Reads {
        tables: vec![
            (&SHOP_DAILY, period, day),
            (rollup, period, day),
            (&SHOP_PERIOD, day, day),
        ],
        datasets: registered.clone(),
    };
    match table.name {
        "shop_period" => Reads {
            tables: vec![
                (&SHOP_DAILY, period, day),
                (&CONTENT_DAILY, period, day),
                (&AD_HOURLY, period, day),
            ],
            datasets: registered,
        },
        "funnel_period" => with(&SHOP_DAILY),
        "channel_period" => with(&CHANNEL_DAILY),
        "product_period" => Reads {
            datasets: vec!["campaigns", "campaign_shops", "campaign_products"],
            ..with(&PRODUCT_DAILY)
        },
        "content_period" => with(&CONTENT_DAILY),
        "sub_campaign_period" => with(&SUB_CAMPAIGN_DAILY),
        "gmv_baseline" => Reads {
            tables: vec![(&SHOP_DAILY, six_months_before(day), day)],
            datasets: if config.baseline_shops == BaselineShops::All {
                vec![]
            } else {
                registered
            },
        },
        "stock_status" => Reads {
            tables: vec![
                (&SHOP_DAILY, trailing(day, LONG_WINDOW_DAYS), day),
                (&SKU_DAILY, trailing(day, LONG_WINDOW_DAYS), day),
            ],
            datasets: vec!["inventory", "campaigns", "campaign_products"],
        },
        "shop_tier" => Reads {
            tables: vec![(&SHOP_DAILY, trailing(day, LONG_WINDOW_DAYS), day)],
            datasets: vec![],
        },
        _ if table.stage == Stage::Benchmark => Reads {
            tables: [&SHOP_DAILY, &SHOP_TIER, &SHOP_PERIOD, &FUNNEL_PERIOD]
                .map(|t| (t, day, day))
                .to_vec(),
            datasets: vec![],
        },
        other => unreachable!("{other} is a rollup"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_needs_is_among_what_it_reads() {
        let config = Config::parse("").unwrap();
        let day = "2026-03-10".parse().unwrap();
        for table in TABLES.into_iter().filter(|t| t.stage != Stage::Rollup) {
            let reads = reads(table, day, Some(day), &config).datasets;
            for needed in table
                .needs
                .iter()
                .chain(table.columns_need.iter().map(|(dataset, _)| dataset))
            {
                assert!(
                    reads.contains(needed),
                    "{} needs {needed}, and a change of it would not make it stale",
                    table.name
                );
            }
        }
    }
}
