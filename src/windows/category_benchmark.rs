//! category_benchmark: average of comparable shops, per category, tier and metric.

use anyhow::Result;
use polars::prelude::*;

use super::benchmark_columns;
use super::candidates::metrics_by_name;
use super::cohorts::{BenchmarkDay, Cohort, Scope, Statistic};
use super::summary::Summary;
use crate::columns;
use crate::config::Config;
use crate::days::calendar::day_number;

/// How the averages are made; changes when the method does.
const METHOD: &str = "mean-v2";

/// One row of the table.
struct Row<'a> {
    cohort: &'a Cohort,
    metric: usize,
    statistic: &'a Statistic,
}

impl Row<'_> {
    fn new(cohort: &Cohort, metric: usize) -> Row<'_> {
        Row {
            cohort,
            metric,
            statistic: &cohort.statistics[metric],
        }
    }

    /// `None` where it is suppressed.
    fn summary(&self) -> Option<&Summary> {
        self.statistic.as_deref().ok()
    }
}

/// The cohorts of a scope in the order of the table: by category, then by the tier's name.
pub(super) fn cohorts_by_key<'a>(scope: &'a Scope, config: &Config) -> Vec<&'a Cohort> {
    let mut cohorts: Vec<&Cohort> = scope.cohorts.all.iter().collect();
    cohorts.sort_by_key(|cohort| (cohort.category, config.tier_name(cohort.tier)));
    cohorts
}

/// The rows of some cohorts of a scope.
///
/// Grain: each cohort (scope, campaign, category, tier) with a peer of exactly that tier, and
/// metric.
///
/// Formula: unweighted mean over peers; a shop whose own value is null is left out. Null: mean,
/// quartiles and `peer_count` in a suppressed row.
///
/// Example: peers 2, 4 and null -> mean 3.0, peer_count 2.
///
/// Source: SPEC.md section 5.
pub(super) fn category_benchmark(
    scope: &Scope,
    cohorts: &[&Cohort],
    benchmark: &BenchmarkDay,
    config: &Config,
) -> Result<DataFrame> {
    let metrics = metrics_by_name();
    let rows: Vec<Row> = cohorts
        .iter()
        .flat_map(|cohort| metrics.iter().map(|metric| Row::new(cohort, *metric)))
        .collect();
    let reason = benchmark.fallback_reason.as_deref();
    Ok(DataFrame::new(
        rows.len(),
        vec![
            columns::same_text("scope", scope.name, rows.len()),
            columns::ints("campaign_id", rows.iter().map(|_| scope.campaign_id)),
            benchmark_columns::categories(scope, rows.iter().map(|r| r.cohort.category))?,
            benchmark_columns::tiers("tier", config, rows.iter().map(|r| r.cohort.tier))?,
            benchmark_columns::metrics(rows.iter().map(|r| r.metric))?,
            columns::days(
                "benchmark_day",
                rows.iter().map(|_| day_number(benchmark.day)),
            ),
            columns::flags("is_fallback", rows.iter().map(|_| benchmark.is_fallback())),
            columns::texts("fallback_reason", rows.iter().map(|_| reason)),
            columns::ints("observed_days", rows.iter().map(|_| scope.observed_days)),
            columns::ints(
                "peer_count",
                rows.iter().map(|r| r.summary().map(|s| s.peer_count)),
            ),
            numbers("mean", &rows, |s| s.mean),
            numbers("p25", &rows, |s| s.p25),
            numbers("p50", &rows, |s| s.p50),
            numbers("p75", &rows, |s| s.p75),
            columns::flags("is_suppressed", rows.iter().map(|r| r.statistic.is_err())),
            columns::texts(
                "suppression_reason",
                rows.iter()
                    .map(|r| r.statistic.as_ref().err().map(|s| s.code())),
            ),
            columns::same_text("method", METHOD, rows.len()),
        ],
    )?)
}

fn numbers(name: &str, rows: &[Row], value: fn(&Summary) -> f64) -> Column {
    columns::doubles(name, rows.iter().map(|r| r.summary().map(value)))
}
