//! Stage 5: periods, tiers, baselines, stock and benchmarks: pure functions over published rollups.
//!
//! A window table reads the published tables and snapshots that its contract declares, through
//! [`PublishedTables`] and [`DaySnapshots`]; never an older export, a path or the clock. It asks for
//! the columns, days and shops that it needs, and emits its rows some at a time, in the order of its
//! key.
//!
//! | file | holds |
//! | --- | --- |
//! | `inputs` | the inputs of a table, and the traits behind them |
//! | `declared` | the check that a table reads only what it declares |
//! | `stopping` | reads that end when the run is asked to stop |
//! | `adding`, `sums` | daily rows added up over periods, in bounded memory |
//! | `periods` | the scaffold of the period tables |
//! | `candidates`, `cohorts`, `summary` | peers of the benchmarks, suppression, statistics |
//! | `benchmark_columns` | the texts that several benchmark tables have |
//! | the others | one table each |

mod adding;
mod benchmark_columns;
mod candidates;
mod category_benchmark;
mod channel_period;
pub(crate) mod cohorts;
mod content_period;
mod declared;
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
mod sums;

use std::ops::Range;

use anyhow::Result;
use polars::prelude::DataFrame;

use crate::config::Config;
use crate::contracts::metrics::METRICS;
use crate::contracts::tables::{self, BENCHMARKS};
use crate::contracts::{BenchmarkId, Table, WindowId};
use crate::stop::Stop;
use crate::threads::{in_order, ranges};

pub use cohorts::BenchmarkDay;
use declared::Declared;
pub use inputs::{
    BYTES_PER_ROW, DaySnapshots, Emit, PublishedTables, Rows, WindowInputs, rows_at_once,
};
use stopping::UntilStopped;

/// Shops, or cohorts, whose benchmark rows are laid out at a time where memory allows more: a
/// fraction of a second's work, after which a request to stop is noticed.
const SHOPS_AT_ONCE: usize = 8192;
/// Shops, or cohorts, whose rows are worth the start of a thread.
const LEAST_SHOPS_AT_ONCE: usize = 256;

/// One window table of the day, conformed to its contract; the optional exports that it needs are
/// there.
///
/// # Errors
/// `Interrupted` or `Terminated`, a part of its rows after the run was asked to stop at the latest.
pub fn window_table(id: WindowId, inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let table = tables::window(id);
    let declared = Declared {
        tables: &[table],
        day: inputs.day,
        first_campaign_day: inputs.snapshots.first_campaign_day(),
        published: inputs.published,
    };
    let published = &UntilStopped {
        published: &declared,
        stop: inputs.stop,
    };
    let inputs = &WindowInputs {
        published,
        snapshots: inputs.snapshots.declared_by(table),
        ..*inputs
    };
    let emit: Emit = &mut |rows| {
        inputs.stop.check()?;
        emit(table.conform(rows)?)
    };
    match id {
        WindowId::ShopPeriod => shop_period::shop_period(inputs, emit),
        WindowId::FunnelPeriod => funnel_period::funnel_period(inputs, emit),
        WindowId::ChannelPeriod => channel_period::channel_period(inputs, emit),
        WindowId::ProductPeriod => product_period::product_period(inputs, emit),
        WindowId::ContentPeriod => content_period::content_period(inputs, emit),
        WindowId::SubCampaignPeriod => sub_campaign_period::sub_campaign_period(inputs, emit),
        WindowId::GmvBaseline => gmv_baseline::gmv_baseline(inputs, emit),
        WindowId::StockStatus => stock_status::stock_status(inputs, emit),
        WindowId::ShopTier => shop_tier::shop_tier(inputs, emit),
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
    threads: usize,
    stop: &Stop,
    emit: EmitEach,
) -> Result<()> {
    let declared = Declared {
        tables: &BENCHMARKS,
        day: benchmark.day,
        first_campaign_day: None,
        published,
    };
    let published = &UntilStopped {
        published: &declared,
        stop,
    };
    // Each thread has rows, and some are emitted.
    let at_once = rows_at_once / METRICS.len() / (threads + 1);
    let at_once = at_once.min(SHOPS_AT_ONCE);
    cohorts::for_each_scope(benchmark.day, config, published, stop, &mut |scope| {
        let cohorts = category_benchmark::cohorts_by_key(scope, config);
        for id in BenchmarkId::ALL {
            let table = tables::benchmark(*id);
            let count = match id {
                BenchmarkId::CategoryBenchmark => cohorts.len(),
                BenchmarkId::ShopBenchmark | BenchmarkId::GmvGap => scope.candidates.count(),
            };
            let rows = |some: Range<usize>| {
                table.conform(match id {
                    BenchmarkId::CategoryBenchmark => {
                        let cohorts = &cohorts[some];
                        category_benchmark::category_benchmark(scope, cohorts, benchmark, config)
                    }
                    BenchmarkId::ShopBenchmark => {
                        shop_benchmark::shop_benchmark(scope, some, benchmark, config)
                    }
                    BenchmarkId::GmvGap => gmv_gap::gmv_gap(scope, some, benchmark, config),
                }?)
            };
            // Each thread gets a share of a small scope.
            let share = count.div_ceil(threads).max(LEAST_SHOPS_AT_ONCE);
            let at_once = at_once.min(share).max(1);
            in_order(threads, ranges(count, at_once), rows, |rows| {
                stop.check()?;
                emit(table, rows?)
            })?;
        }
        Ok(())
    })
}
