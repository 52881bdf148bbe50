//! The benchmark tables (SPEC.md section 5).

use super::rollups::SHOP_DAILY;
use super::shared::{mean, percent};
use super::windows::{FUNNEL_PERIOD, SHOP_PERIOD, SHOP_TIER};
use crate::contracts::column::Source::{Metrics, Own, Published, Run, Setting};
use crate::contracts::column::{Column, Source, count, day, flag, id, text};
use crate::contracts::ids::BenchmarkId::*;
use crate::contracts::ids::RollupId::ShopDaily;
use crate::contracts::ids::TableId::{Benchmark, Rollup, Window};
use crate::contracts::ids::WindowId::{FunnelPeriod, ShopPeriod, ShopTier};
use crate::contracts::table::{Read, Span, Table};

const SCOPE: Column = text("scope")
    .formula("DAILY or CAMPAIGN_PERIOD")
    .from(&[Run("scope")]);
const CAMPAIGN_ID: Column = id("campaign_id")
    .formula("0 for scope DAILY")
    .from(&[Published(Window(ShopPeriod), &["campaign_id"])]);
const CANDIDATES: &[Source] = &[
    Published(
        Rollup(ShopDaily),
        &["shop_id", "product_impressions", "orders"],
    ),
    Published(
        Window(ShopPeriod),
        &["shop_id", "product_impressions", "orders"],
    ),
];
const SHOP_ID: Column = id("shop_id").from(CANDIDATES);
const CATEGORY: Column = text("category").from(&[
    Published(Rollup(ShopDaily), &["category"]),
    Published(Window(ShopPeriod), &["category"]),
]);
const OWN_TIER: Column = text("tier")
    .formula("the shop's own, of shop_tier at the benchmark day")
    .from(&[Published(Window(ShopTier), &["tier"])]);
const METRIC: Column = text("metric").from(&[Run("list of metrics")]);
const BENCHMARK_DAY: Column = day("benchmark_day")
    .formula("the day whose data the benchmark uses")
    .from(&[Run("benchmark day")]);
const IS_FALLBACK: Column = flag("is_fallback")
    .formula("benchmark_day is not the report day")
    .from(&[Run("benchmark day, report day")]);
const SUPPRESSED: &str = "the row is suppressed";
/// The values of all metrics of each shop.
const VALUES: &[Source] = &[
    Metrics(Rollup(ShopDaily)),
    Metrics(Window(ShopPeriod)),
    Metrics(Window(FunnelPeriod)),
    Published(Window(FunnelPeriod), &["days"]),
];
/// Statistics over the peers' values.
const OVER_PEERS: &[Source] = &[
    Metrics(Rollup(ShopDaily)),
    Metrics(Window(ShopPeriod)),
    Metrics(Window(FunnelPeriod)),
    Published(Window(FunnelPeriod), &["days"]),
    Own(&["is_suppressed"]),
    Setting(&["benchmark.top_share"]),
];
const fn quartile(name: &'static str, formula: &'static str) -> Column {
    mean(name, "of the metric")
        .formula(formula)
        .null(SUPPRESSED)
        .from(OVER_PEERS)
}
/// The values of a metric and the averages of category_benchmark.
const OF_COHORT: &[Source] = &[
    Published(
        Benchmark(CategoryBenchmark),
        &["tier", "mean", "is_suppressed"],
    ),
    Published(Window(ShopTier), &["tier"]),
];

/// The tables of the benchmark day that every benchmark reads.
const READS: &[Read] = &[
    Read {
        table: &SHOP_DAILY,
        span: Span::Day,
    },
    Read {
        table: &SHOP_TIER,
        span: Span::Day,
    },
    Read {
        table: &SHOP_PERIOD,
        span: Span::Day,
    },
    Read {
        table: &FUNNEL_PERIOD,
        span: Span::Day,
    },
];

pub static CATEGORY_BENCHMARK: Table = Table {
    grain: "each cohort (scope, campaign, category, tier) with a peer of exactly that tier, and metric",
    columns: &[
        SCOPE,
        CAMPAIGN_ID,
        CATEGORY,
        text("tier").from(&[Published(Window(ShopTier), &["tier"])]),
        METRIC,
        BENCHMARK_DAY,
        IS_FALLBACK,
        text("fallback_reason")
            .formula("required exports of the report day that are not final or that block it, sorted")
            .null("not a fallback")
            .from(&[Run("state of the report day's exports"), Setting(&["required"])]),
        count("observed_days", "days")
            .formula("of shop_tier at the benchmark day")
            .from(&[Published(Window(ShopTier), &["observed_days"])]),
        count("peer_count", "shops")
            .formula("peers whose value is not null")
            .null(SUPPRESSED)
            .from(OVER_PEERS),
        mean("mean", "of the metric")
            .formula("unweighted mean over peers of the shop's own value")
            .null(SUPPRESSED)
            .from(OVER_PEERS),
        quartile("p25", "with h = (n-1) * 0.25, the mean of the sorted values at positions floor(h)-1 to ceil(h)+1"),
        quartile("p50", "with h = (n-1) * 0.50, the mean of the sorted values at positions floor(h)-1 to ceil(h)+1"),
        quartile("p75", "with h = (n-1) * 0.75, the mean of the sorted values at positions floor(h)-1 to ceil(h)+1"),
        flag("is_suppressed").from(&[Own(&["suppression_reason"])]),
        text("suppression_reason")
            .formula(
                "TOO_FEW_PEERS (fewer than benchmark.min_peers), DIFFERENCING (too few shops are peers in exactly one of it \
                 and a published higher cohort; for a sum or count of a campaign, also a published daily cohort of the \
                 category), DOMINANT_PEER (of a sum or count, one peer holds more than benchmark.max_peer_share), tried in \
                 this order",
            )
            .null("not suppressed")
            .from(&[
                Metrics(Rollup(ShopDaily)),
                Metrics(Window(ShopPeriod)),
                Metrics(Window(FunnelPeriod)),
                Setting(&["benchmark.min_peers", "benchmark.max_peer_share", "benchmark.top_share"]),
            ]),
        text("method").formula("mean-v2").from(&[Run("the program's method")]),
    ],
    key: &["scope", "campaign_id", "category", "tier", "metric"],
    reads: READS,
    version: 2,
    ..Table::of(Benchmark(CategoryBenchmark))
};

pub static SHOP_BENCHMARK: Table = Table {
    grain: "each shop that is a peer candidate (before top_share) in a scope and campaign, and metric",
    columns: &[
        SCOPE,
        CAMPAIGN_ID,
        SHOP_ID,
        METRIC,
        CATEGORY,
        OWN_TIER,
        BENCHMARK_DAY,
        IS_FALLBACK,
        mean("value", "of the metric")
            .formula("the shop's own")
            .null("unknown for this shop")
            .from(VALUES),
        text("benchmark_tier")
            .formula("the nearest published cohort of the category with tier >= the shop's own")
            .null("no such cohort is published")
            .from(OF_COHORT),
        mean("benchmark", "of the metric")
            .formula("mean of that cohort")
            .null("no such cohort is published")
            .from(OF_COHORT),
        percent("difference_pct")
            .formula("(value - benchmark) / benchmark * 100")
            .null("value or benchmark is null, or benchmark is 0")
            .from(&[Own(&["value", "benchmark"])]),
        text("position")
            .formula(
                "where value lies among that cohort's quartiles: BELOW_P25, P25_TO_P50, P50_TO_P75 or ABOVE_P75; equal to a \
                 quartile counts as above it",
            )
            .null("value or benchmark is null")
            .from(&[
                Own(&["value", "benchmark_tier"]),
                Published(Benchmark(CategoryBenchmark), &["p25", "p50", "p75"]),
            ]),
    ],
    key: &["scope", "campaign_id", "shop_id", "metric"],
    reads: READS,
    version: 2,
    ..Table::of(Benchmark(ShopBenchmark))
};

/// A factor's share of `gap`.
const fn effect(name: &'static str, formula: &'static str) -> Column {
    mean(name, "money")
        .formula(formula)
        .null(
            "a mean of the cohort (product_impressions, product_clicks, sku_orders, gmv) is suppressed or 0, or the shop has no \
             impressions, clicks or SKU orders",
        )
        .from(FACTORS)
}
const FACTORS: &[Source] = &[
    Published(
        Rollup(ShopDaily),
        &["product_impressions", "product_clicks", "sku_orders", "gmv"],
    ),
    Published(
        Window(ShopPeriod),
        &["product_impressions", "product_clicks", "sku_orders", "gmv"],
    ),
    Published(Benchmark(CategoryBenchmark), &["mean", "is_suppressed"]),
    Own(&["benchmark_tier"]),
];

pub static GMV_GAP: Table = Table {
    grain: "each row of shop_benchmark with metric gmv whose benchmark is known",
    columns: &[
        SCOPE,
        CAMPAIGN_ID,
        SHOP_ID,
        CATEGORY,
        OWN_TIER,
        BENCHMARK_DAY,
        IS_FALLBACK,
        text("benchmark_tier")
            .formula(
                "the nearest published cohort of the category with tier >= the shop's own, for gmv",
            )
            .from(OF_COHORT),
        mean("gmv", "money").formula("the shop's own").from(&[
            Published(Rollup(ShopDaily), &["gmv"]),
            Published(Window(ShopPeriod), &["gmv"]),
        ]),
        mean("benchmark_gmv", "money")
            .formula("mean of that cohort")
            .from(OF_COHORT),
        mean("gap", "money")
            .formula("gmv - benchmark_gmv; the four from_* add up to it")
            .from(&[Own(&["gmv", "benchmark_gmv"])]),
        effect(
            "from_impressions",
            "effect of going from the cohort's product_impressions to the shop's: their Shapley value as a factor of gmv = \
             product_impressions * ctr * ctor * gmv per SKU order",
        ),
        effect(
            "from_ctr",
            "Shapley value of product_clicks / product_impressions, of the means for the cohort",
        ),
        effect(
            "from_ctor",
            "Shapley value of sku_orders / product_clicks, of the means for the cohort",
        ),
        effect(
            "from_gmv_per_sku_order",
            "Shapley value of gmv / sku_orders, of the means for the cohort",
        ),
    ],
    key: &["scope", "campaign_id", "shop_id"],
    reads: READS,
    ..Table::of(Benchmark(GmvGap))
};
