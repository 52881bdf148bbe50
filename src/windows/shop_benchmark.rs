//! shop_benchmark: each shop's own value beside the average of its comparable shops.

use anyhow::Result;
use polars::prelude::*;

use super::cohorts::{BenchmarkDay, Candidate, METRICS, Scope};
use crate::columns;
use crate::config::Config;
use crate::days::calendar::day_number;

/// One row of the table.
struct Row<'a> {
    scope: &'a Scope,
    shop: &'a Candidate,
    metric: usize,
    /// Tier and mean of the cohort that the shop is compared with.
    benchmark: Option<(usize, f64)>,
}

impl Row<'_> {
    fn value(&self) -> Option<f64> {
        self.shop.values[self.metric].map(|v| v.as_double())
    }

    fn difference_pct(&self) -> Option<f64> {
        let (value, (_, benchmark)) = (self.value()?, self.benchmark?);
        (benchmark != 0.0).then(|| (value - benchmark) / benchmark * 100.0)
    }
}

/// Grain: each shop that is a peer candidate in a scope and campaign, and metric.
///
/// Null: `benchmark` where no cohort of the category with the shop's tier or a higher one is published.
///
/// Source: SPEC.md section 5.
pub fn shop_benchmark(scopes: &[Scope], benchmark: &BenchmarkDay, config: &Config) -> Result<DataFrame> {
    let rows: Vec<Row> = scopes
        .iter()
        .flat_map(|scope| scope.candidates.iter().map(move |shop| (scope, shop)))
        .flat_map(|(scope, shop)| {
            (0..METRICS.len()).map(move |metric| Row {
                scope,
                shop,
                metric,
                benchmark: scope.benchmark_of(shop, metric),
            })
        })
        .collect();
    let tier = |position: usize| config.tiers[position].name.as_str();
    Ok(DataFrame::new(
        rows.len(),
        vec![
            columns::texts("scope", rows.iter().map(|r| r.scope.name)),
            columns::ints("campaign_id", rows.iter().map(|r| r.scope.campaign_id)),
            columns::ints("shop_id", rows.iter().map(|r| r.shop.shop_id)),
            columns::texts("metric", rows.iter().map(|r| METRICS[r.metric].name)),
            columns::texts("category", rows.iter().map(|r| r.shop.category.as_str())),
            columns::texts("tier", rows.iter().map(|r| tier(r.shop.tier))),
            columns::days("benchmark_day", rows.iter().map(|_| day_number(benchmark.day))),
            columns::flags("is_fallback", rows.iter().map(|_| benchmark.is_fallback())),
            columns::doubles("value", rows.iter().map(Row::value)),
            columns::texts("benchmark_tier", rows.iter().map(|r| r.benchmark.map(|(position, _)| tier(position)))),
            columns::doubles("benchmark", rows.iter().map(|r| r.benchmark.map(|(_, mean)| mean))),
            columns::doubles("difference_pct", rows.iter().map(Row::difference_pct)),
        ],
    )?)
}
