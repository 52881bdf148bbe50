//! gmv_gap: why a shop's GMV differs from the average of its comparable shops, in money.

use std::ops::Range;

use anyhow::Result;
use polars::prelude::*;

use super::benchmark_columns;
use super::candidates::{GMV, PRODUCT_CLICKS, PRODUCT_IMPRESSIONS, SKU_ORDERS};
use super::cohorts::{BenchmarkDay, Cohort, Scope};
use crate::columns;
use crate::config::Config;
use crate::days::calendar::day_number;

/// The columns of the four factors whose product is GMV: impressions, clicks per impression, SKU
/// orders per click and GMV per SKU order.
const FACTORS: [&str; 4] = [
    "from_impressions",
    "from_ctr",
    "from_ctor",
    "from_gmv_per_sku_order",
];

/// One row of the table.
struct Row<'a> {
    /// Position among the candidates.
    shop: usize,
    cohort: &'a Cohort,
    gmv: f64,
    benchmark_gmv: f64,
    /// In the order of `FACTORS`.
    effects: Option<[f64; 4]>,
}

impl Row<'_> {
    fn new(scope: &Scope, shop: usize) -> Option<Row<'_>> {
        let (cohort, summary) = scope.benchmark_of(shop, GMV)?;
        let benchmark_gmv = summary.mean;
        let gmv = scope.candidates.value(shop, GMV)?;
        let own = factors(|metric| scope.candidates.value(shop, metric));
        let means =
            factors(|metric| Some(cohort.published(metric)?.mean)).filter(|_| benchmark_gmv != 0.0);
        let effects = own
            .zip(means)
            .map(|(own, means)| effects(own, means, gmv - benchmark_gmv));
        Some(Row {
            shop,
            cohort,
            gmv,
            benchmark_gmv,
            effects,
        })
    }
}

/// The four factors of a shop's values, or of a cohort's means; `None` where one of them is unknown
/// or a quotient by 0.
fn factors(value: impl Fn(usize) -> Option<f64>) -> Option<[f64; 4]> {
    let (impressions, clicks) = (value(PRODUCT_IMPRESSIONS)?, value(PRODUCT_CLICKS)?);
    let (sku_orders, gmv) = (value(SKU_ORDERS)?, value(GMV)?);
    if [impressions, clicks, sku_orders].contains(&0.0) {
        return None;
    }
    Some([
        impressions,
        clicks / impressions,
        sku_orders / clicks,
        gmv / sku_orders,
    ])
}

/// The Shapley values of the factors: the effect on the product of changing one factor from the
/// cohort's value to the shop's, averaged over the 24 orders of changing them. `gap` is the
/// difference of the products.
///
/// In n of the 24 orders, divided by how many choices there are, exactly these of the other three
/// changed before: none in 6, a given one in 2, given two in 2, all three in 6. So a factor's value
/// is its own change times a weighted sum of products of the other three. No term of that sum is
/// negative, and nothing cancels out.
fn effects(own: [f64; 4], cohort: [f64; 4], gap: f64) -> [f64; 4] {
    let mut effects: [f64; 4] = std::array::from_fn(|factor| {
        // By how many of the others changed: the sum of their products, over all choices of these.
        let mut products = [1.0, 0.0, 0.0, 0.0];
        for other in (0..4).filter(|other| *other != factor) {
            for changed in (1..4).rev() {
                products[changed] =
                    products[changed] * cohort[other] + products[changed - 1] * own[other];
            }
            products[0] *= cohort[other];
        }
        let [none, one, two, three] = products;
        (own[factor] - cohort[factor]) * (none * 6.0 + one * 2.0 + two * 2.0 + three * 6.0) / 24.0
    });
    // The greatest effect takes the remainder of rounding: it changes only its last digits.
    let greatest = (0..4)
        .max_by(|a, b| effects[*a].abs().total_cmp(&effects[*b].abs()))
        .unwrap_or(0);
    effects[greatest] += gap - effects.iter().sum::<f64>();
    effects
}

/// The rows of some candidates of a scope, given by position.
///
/// Grain: each shop that is a peer candidate in a scope and campaign, and whose benchmark of gmv is
/// known.
///
/// Formula: gmv = product_impressions * (product_clicks / product_impressions) * (sku_orders /
/// product_clicks) * (gmv / sku_orders), for the shop and for the means of its cohort; the effects
/// are the Shapley values of these factors. Null: the effects where one of the four means of that
/// cohort is suppressed or 0, or the shop has no impressions, clicks or SKU orders.
///
/// Example: twice the cohort's impressions, all else equal, benchmark 100 -> from_impressions 100,
/// the others 0.
///
/// Source: SPEC.md section 5.
pub(super) fn gmv_gap(
    scope: &Scope,
    shops: Range<usize>,
    benchmark: &BenchmarkDay,
    config: &Config,
) -> Result<DataFrame> {
    let rows: Vec<Row> = shops.filter_map(|shop| Row::new(scope, shop)).collect();
    let mut cells = vec![
        columns::same_text("scope", scope.name, rows.len()),
        columns::ints("campaign_id", rows.iter().map(|_| scope.campaign_id)),
        columns::ints(
            "shop_id",
            rows.iter().map(|r| scope.candidates.shop_ids[r.shop]),
        ),
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
        benchmark_columns::tiers("benchmark_tier", config, rows.iter().map(|r| r.cohort.tier))?,
        columns::doubles("gmv", rows.iter().map(|r| r.gmv)),
        columns::doubles("benchmark_gmv", rows.iter().map(|r| r.benchmark_gmv)),
        columns::doubles("gap", rows.iter().map(|r| r.gmv - r.benchmark_gmv)),
    ];
    for (factor, name) in FACTORS.iter().enumerate() {
        let effects = rows
            .iter()
            .map(|r| r.effects.map(|effects| effects[factor]));
        cells.push(columns::doubles(name, effects));
    }
    Ok(DataFrame::new(rows.len(), cells)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_alone_explains_the_whole_gap() {
        // Twice the impressions, all else equal: 100 * 0.5 * 0.2 * 10 is 100, and the shop has 200.
        let (own, cohort) = ([200.0, 0.5, 0.25, 8.0], [100.0, 0.5, 0.25, 8.0]);
        assert_eq!(effects(own, cohort, 100.0), [100.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn two_factors_share_what_both_together_do() {
        // From 1 * 1 to 3 * 2, a gap of 5. Impressions first: 2, then the rate 3; the rate first:
        // 1, then impressions 4.
        let (own, cohort) = ([3.0, 2.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]);
        assert_eq!(effects(own, cohort, 5.0), [3.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn four_equal_changes_share_equally() {
        // 2^4 - 1 = 15.
        assert_eq!(effects([2.0; 4], [1.0; 4], 15.0), [3.75; 4]);
    }

    #[test]
    fn the_effects_add_up_to_the_gap_where_they_are_far_greater() {
        // Impressions and rates that nearly cancel out: each explains up to half a million times
        // the gap.
        let values = |impressions: f64, clicks: f64, sku_orders: f64, gmv: f64| {
            (
                factors(|metric| {
                    Some([gmv, 0.0, sku_orders, 0.0, 0.0, 0.0, impressions, clicks][metric])
                })
                .unwrap(),
                gmv,
            )
        };
        for (own, cohort) in [
            (
                values(1e6, 7.0, 3.0, 0.07),
                values(3e3, 1e3, 0.3, 1e3 / 3.0),
            ),
            (
                values(3e3, 3e3, 1.0, 1e6),
                values(1e7 / 7.0, 1.0 / 3.0, 0.1, 1.1),
            ),
        ] {
            let gap = own.1 - cohort.1;
            let sum: f64 = effects(own.0, cohort.0, gap).iter().sum();
            assert!(
                (sum - gap).abs() <= 1e-9 * (own.1 + cohort.1),
                "{sum} is not {gap}"
            );
        }
    }

    #[test]
    fn without_clicks_there_are_no_factors() {
        let factors = |clicks| {
            factors(|metric| {
                Some(if metric == PRODUCT_CLICKS {
                    clicks
                } else {
                    1.0
                })
            })
        };
        assert_eq!(factors(0.0), None);
        assert_eq!(factors(0.5), Some([1.0, 0.5, 2.0, 1.0]));
    }
}
