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
mod declared;
mod funnel_period;
mod gmv_baseline;
mod gmv_gap;
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

use crate::config::Config;
use crate::contracts::arrow::empty;
use crate::contracts::metrics::METRICS;
use crate::contracts::tables::{self, BENCHMARKS};
use crate::contracts::{BenchmarkId, Table, WindowId};
use crate::exports::snapshots::Snapshots;
use crate::resources::Resources;
use crate::stop::Stop;

pub use cohorts::BenchmarkDay;
use cohorts::Scope;
use declared::Declared;
use stopping::UntilStopped;

/// Which rows of a table are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'a> {
    /// Of a table that has campaigns; `None`: of every campaign.
    pub campaign_id: Option<i64>,
    /// Ascending; `None`: of every shop.
    pub shops: Option<&'a [i64]>,
}

/// Shops, or cohorts, whose benchmark rows are laid out at a time where memory allows more: a
/// fraction of a second's work, after which a request to stop is noticed.
const SHOPS_AT_ONCE: usize = 8192;

/// What earlier stages have published, and what this run is about to publish for the same day.
pub trait PublishedTables {
    /// The days of `[first, last]` on which the table is published, oldest first.
    fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>>;

    /// Gives `consume` the named columns of the rows of a published day that are asked for, some at
    /// a time, in key order. Nothing else is read than what these columns and rows need.
    fn read(
        &self,
        table: &'static Table,
        day: NaiveDate,
        columns: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(DataFrame) -> Result<()>,
    ) -> Result<()>;

    /// The rows as one table: few columns, or those of few shops.
    fn read_all(
        &self,
        table: &'static Table,
        day: NaiveDate,
        columns: &[&str],
        rows: Rows,
    ) -> Result<DataFrame> {
        let mut all = empty(
            &columns
                .iter()
                .map(|name| table.column(name))
                .collect::<Vec<_>>(),
        )?;
        self.read(table, day, columns, rows, &mut |rows| {
            all.vstack_mut_owned(rows)?;
            Ok(())
        })?;
        all.rechunk_mut();
        Ok(all)
    }
}

/// What the tables of a report day are computed from.
pub struct WindowInputs<'a> {
    pub day: NaiveDate,
    pub config: &'a Config,
    /// Of `day`.
    pub snapshots: &'a Snapshots,
    pub published: &'a dyn PublishedTables,
    /// How many rows may be in memory at a time, at least 1; the tables are the same with any
    /// number. A row counts as [`BYTES_PER_ROW`].
    pub rows_at_once: usize,
    /// Looked at before each part of the rows that are read or given away.
    pub stop: &'a Stop,
}

/// Memory for each row that may be in memory at a time. A row of the widest table takes 400 bytes,
/// and is there as read, as added up, sorted and laid out; the rest is for snapshots and compressed
/// tables. Measured with 200 000 shops (docs/decisions/0008). Too small a value makes a run exceed
/// the limit, too large a one makes it read days more than once.
pub const BYTES_PER_ROW: u64 = 4096;

/// How many rows of window tables may be in memory at a time.
pub fn rows_at_once(resources: &Resources) -> usize {
    usize::try_from(resources.memory_bytes / BYTES_PER_ROW)
        .unwrap_or(usize::MAX)
        .max(1)
}

/// Takes a table's rows, some at a time, in the order of its key.
pub type Emit<'a> = &'a mut dyn FnMut(DataFrame) -> Result<()>;

/// One window table of the day, conformed to its contract; the optional exports that it needs are
/// there.
///
/// # Errors
/// `Stopped`, a part of its rows after the run was asked to stop at the latest.
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
    let go_on = || Ok(stop.check()?);
    let at_once = (rows_at_once / METRICS.len()).clamp(1, SHOPS_AT_ONCE);
    cohorts::for_each_scope(benchmark.day, config, published, &go_on, &mut |scope| {
        for id in BenchmarkId::ALL {
            let table = tables::benchmark(*id);
            benchmark_table(*id, scope, benchmark, config, at_once, &mut |rows| {
                go_on()?;
                emit(table, table.conform(rows)?)
            })?;
        }
        Ok(())
    })
}

/// The rows of one scope.
fn benchmark_table(
    id: BenchmarkId,
    scope: &Scope,
    benchmark: &BenchmarkDay,
    config: &Config,
    at_once: usize,
    emit: Emit,
) -> Result<()> {
    let shops = scope.candidates.count();
    let parts = (0..shops)
        .step_by(at_once)
        .map(|first| first..shops.min(first + at_once));
    match id {
        BenchmarkId::CategoryBenchmark => {
            for cohorts in category_benchmark::cohorts_by_key(scope, config).chunks(at_once) {
                emit(category_benchmark::category_benchmark(
                    scope, cohorts, benchmark, config,
                )?)?;
            }
        }
        BenchmarkId::ShopBenchmark => {
            for some in parts {
                emit(shop_benchmark::shop_benchmark(
                    scope, some, benchmark, config,
                )?)?;
            }
        }
        BenchmarkId::GmvGap => {
            for some in parts {
                emit(gmv_gap::gmv_gap(scope, some, benchmark, config)?)?;
            }
        }
    }
    Ok(())
}
