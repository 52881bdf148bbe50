//! shop_benchmark: each shop's own value beside the average of its comparable shops.

use std::ops::Range;

use anyhow::Result;
use polars::prelude::*;

use super::cohorts::{BenchmarkDay, METRICS, Scope};
use crate::columns;
use crate::config::Config;
use crate::days::calendar::day_number;

/// One row of the table.
struct Row {
    /// Position among the candidates.
    shop: usize,
    metric: usize,
    value: Option<f64>,
    /// Tier and mean of the cohort that the shop is compared with.
    benchmark: Option<(usize, f64)>,
}

impl Row {
    fn new(scope: &Scope, shop: usize, metric: usize) -> Row {
        let value = scope.candidates.value(shop, metric).map(|value| value.as_double());
        Row { shop, metric, value, benchmark: scope.benchmark_of(shop, metric) }
    }

    fn difference_pct(&self) -> Option<f64> {
        let (value, (_, benchmark)) = (self.value?, self.benchmark?);
        (benchmark != 0.0).then(|| (value - benchmark) / benchmark * 100.0)
    }
}

/// The rows of some candidates of a scope, given by position.
///
/// Grain: each shop that is a peer candidate in a scope and campaign, and metric.
///
/// Null: `benchmark` where no cohort of the category with the shop's tier or a higher one is published.
///
/// Source: SPEC.md section 5.
pub fn shop_benchmark(
    scope: &Scope,
    shops: Range<usize>,
    benchmark: &BenchmarkDay,
    config: &Config,
) -> Result<DataFrame> {
    // In the order of the key.
    let mut metrics: Vec<usize> = (0..METRICS.len()).collect();
    metrics.sort_by_key(|metric| METRICS[*metric].name);
    let rows: Vec<Row> =
        shops.flat_map(|shop| metrics.iter().map(move |metric| Row::new(scope, shop, *metric))).collect();
    let tier = |position: usize| config.tiers[position].name.as_str();
    Ok(DataFrame::new(
        rows.len(),
        vec![
            columns::texts("scope", rows.iter().map(|_| scope.name)),
            columns::ints("campaign_id", rows.iter().map(|_| scope.campaign_id)),
            columns::ints("shop_id", rows.iter().map(|r| scope.candidates.shop_ids[r.shop])),
            columns::texts("metric", rows.iter().map(|r| METRICS[r.metric].name)),
            columns::texts("category", rows.iter().map(|r| scope.category_of(r.shop))),
            columns::texts("tier", rows.iter().map(|r| tier(scope.candidates.tier(r.shop)))),
            columns::days("benchmark_day", rows.iter().map(|_| day_number(benchmark.day))),
            columns::flags("is_fallback", rows.iter().map(|_| benchmark.is_fallback())),
            columns::doubles("value", rows.iter().map(|r| r.value)),
            columns::texts("benchmark_tier", rows.iter().map(|r| r.benchmark.map(|(position, _)| tier(position)))),
            columns::doubles("benchmark", rows.iter().map(|r| r.benchmark.map(|(_, mean)| mean))),
            columns::doubles("difference_pct", rows.iter().map(Row::difference_pct)),
        ],
    )?)
}
