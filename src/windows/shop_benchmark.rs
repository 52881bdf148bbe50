//! shop_benchmark: each shop's own value beside the average of comparable shops.

use std::ops::Range;

use anyhow::Result;
use polars::prelude::*;

use super::benchmark_columns;
use super::candidates::metrics_by_name;
use super::cohorts::{BenchmarkDay, Scope};
use super::summary::Summary;
use crate::columns;
use crate::config::Config;
use crate::days::calendar::day_number;

/// The texts of `position`.
const POSITIONS: [&str; 4] = ["BELOW_P25", "P25_TO_P50", "P50_TO_P75", "ABOVE_P75"];

/// One row of the table.
struct Row<'a> {
    /// Position among the candidates.
    shop: usize,
    metric: usize,
    value: Option<f64>,
    /// Tier and numbers of the cohort that the shop is compared with.
    benchmark: Option<(usize, &'a Summary)>,
}

impl Row<'_> {
    fn new(scope: &Scope, shop: usize, metric: usize) -> Row<'_> {
        let benchmark = scope
            .benchmark_of(shop, metric)
            .map(|(cohort, summary)| (cohort.tier, summary));
        Row {
            shop,
            metric,
            value: scope.candidates.value(shop, metric),
            benchmark,
        }
    }

    fn difference_pct(&self) -> Option<f64> {
        let (value, (_, benchmark)) = (self.value?, self.benchmark?);
        (benchmark.mean != 0.0).then(|| (value - benchmark.mean) / benchmark.mean * 100.0)
    }

    /// In [`POSITIONS`].
    fn position(&self) -> Option<usize> {
        let (value, (_, benchmark)) = (self.value?, self.benchmark?);
        Some(position(value, benchmark))
    }
}

/// Where a value lies among the quartiles of its cohort, as published, in [`POSITIONS`]; equal to one
/// counts as above it.
fn position(value: f64, quartiles: &Summary) -> usize {
    let quartiles = [quartiles.p25, quartiles.p50, quartiles.p75];
    let greater = quartiles.iter().position(|quartile| value < *quartile);
    greater.unwrap_or(quartiles.len())
}

/// The rows of some candidates of a scope, given by position.
///
/// Grain: each shop that is a peer candidate in a scope and campaign, and metric.
///
/// Null: `benchmark` and `position` where no cohort of the category with the shop's tier or a
/// higher one is published.
///
/// Example: value 4, quartiles 1, 4 and 6 -> P50_TO_P75.
///
/// Source: SPEC.md section 5.
pub(super) fn shop_benchmark(
    scope: &Scope,
    shops: Range<usize>,
    benchmark: &BenchmarkDay,
    config: &Config,
) -> Result<DataFrame> {
    let metrics = metrics_by_name();
    let rows: Vec<Row> = shops
        .flat_map(|shop| {
            metrics
                .iter()
                .map(move |metric| Row::new(scope, shop, *metric))
        })
        .collect();
    Ok(DataFrame::new(
        rows.len(),
        vec![
            columns::same_text("scope", scope.name, rows.len()),
            columns::ints("campaign_id", rows.iter().map(|_| scope.campaign_id)),
            columns::ints(
                "shop_id",
                rows.iter().map(|r| scope.candidates.shop_ids[r.shop]),
            ),
            benchmark_columns::metrics(rows.iter().map(|r| r.metric))?,
            benchmark_columns::categories(
                scope,
                rows.iter().map(|r| scope.candidates.category(r.shop)),
            )?,
            benchmark_columns::tiers(
                "tier",
                config,
                rows.iter().map(|r| scope.candidates.tier(r.shop)),
            )?,
            columns::days(
                "benchmark_day",
                rows.iter().map(|_| day_number(benchmark.day)),
            ),
            columns::flags("is_fallback", rows.iter().map(|_| benchmark.is_fallback())),
            columns::doubles("value", rows.iter().map(|r| r.value)),
            benchmark_columns::tiers(
                "benchmark_tier",
                config,
                rows.iter().map(|r| r.benchmark.map(|(tier, _)| tier)),
            )?,
            columns::doubles(
                "benchmark",
                rows.iter()
                    .map(|r| r.benchmark.map(|(_, summary)| summary.mean)),
            ),
            columns::doubles("difference_pct", rows.iter().map(Row::difference_pct)),
            columns::listed_texts("position", POSITIONS, rows.iter().map(Row::position))?,
        ],
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_to_a_quartile_counts_as_above_it() {
        let quartiles = |p25, p50, p75| Summary {
            peer_count: 3,
            mean: 0.0,
            p25,
            p50,
            p75,
        };
        let positions =
            [0.9, 1.0, 3.9, 4.0, 5.9, 6.0].map(|value| position(value, &quartiles(1.0, 4.0, 6.0)));
        let expected = [
            "BELOW_P25",
            "P25_TO_P50",
            "P25_TO_P50",
            "P50_TO_P75",
            "P50_TO_P75",
            "ABOVE_P75",
        ];
        assert_eq!(positions.map(|position| POSITIONS[position]), expected);
        let text = |quartiles| POSITIONS[position(2.0, &quartiles)];
        assert_eq!(text(quartiles(2.0, 2.0, 5.0)), "P50_TO_P75");
        assert_eq!(text(quartiles(2.0, 2.0, 2.0)), "ABOVE_P75");
    }
}
