//! category_benchmark: average of comparable shops, per category, tier and metric, on the benchmark day.

use anyhow::Result;
use polars::prelude::*;

use super::cohorts::{BenchmarkDay, Cohort, METRICS, Scope, Statistic, Summary};
use crate::columns;
use crate::config::Config;
use crate::days::calendar::day_number;

/// How the averages are made; changes when the method does.
const METHOD: &str = "mean-v1";

/// The rows of a scope.
///
/// Grain: each cohort (scope, campaign, category, tier) with a peer of exactly that tier, and metric.
///
/// Formula: unweighted mean over peers; a shop whose own value is null is left out.
/// Null: mean, quantiles and `peer_count` in a suppressed row.
///
/// Example: peers 2, 4 and null -> mean 3.0, peer_count 2.
///
/// Source: SPEC.md section 5.
pub fn category_benchmark(scope: &Scope, benchmark: &BenchmarkDay, config: &Config) -> Result<DataFrame> {
    let cohorts = scope.cohorts.iter();
    let rows: Vec<(&Cohort, usize)> =
        cohorts.flat_map(|cohort| (0..METRICS.len()).map(move |metric| (cohort, metric))).collect();
    let statistic = |(cohort, metric): &(&Cohort, usize)| -> Statistic { cohort.statistics[*metric] };
    let numbers = |name: &str, value: fn(Summary) -> f64| {
        columns::doubles(name, rows.iter().map(|row| statistic(row).ok().map(value)))
    };
    let reason = benchmark.fallback_reason.as_deref();
    Ok(DataFrame::new(
        rows.len(),
        vec![
            columns::texts("scope", rows.iter().map(|_| scope.name)),
            columns::ints("campaign_id", rows.iter().map(|_| scope.campaign_id)),
            columns::texts("category", rows.iter().map(|(cohort, _)| scope.category(cohort.category))),
            columns::texts("tier", rows.iter().map(|(cohort, _)| config.tiers[cohort.tier].name.as_str())),
            columns::texts("metric", rows.iter().map(|(_, metric)| METRICS[*metric].name)),
            columns::days("benchmark_day", rows.iter().map(|_| day_number(benchmark.day))),
            columns::flags("is_fallback", rows.iter().map(|_| benchmark.is_fallback())),
            columns::texts("fallback_reason", rows.iter().map(|_| reason)),
            columns::ints("observed_days", rows.iter().map(|_| scope.observed_days)),
            columns::ints("peer_count", rows.iter().map(|row| statistic(row).ok().map(|s| s.peer_count))),
            numbers("mean", |s| s.mean),
            numbers("p25", |s| s.p25),
            numbers("p50", |s| s.p50),
            numbers("p75", |s| s.p75),
            columns::flags("is_suppressed", rows.iter().map(|row| statistic(row).is_err())),
            columns::texts("suppression_reason", rows.iter().map(|row| statistic(row).err().map(|s| s.code()))),
            columns::texts("method", rows.iter().map(|_| METHOD)),
        ],
    )?)
}
