//! The benchmark tables as queries over the published tables of the benchmark day.
//!
//! 1. `candidates`: the shops of the category that can be peers, in the scope DAILY and in each
//!    campaign's period, with their values.
//! 2. `shop_values`: one row for each shop and metric. Whole numbers are kept as `parts / per_unit`
//!    (money: cents per 100), so that every mean is an exact sum divided once.
//! 3. `members`, `peers`, `statistics`: the peers of every cohort, those whose value is known, and
//!    their numbers.
//! 4. `daily_N` and `period_N`: the cohorts from the highest tier down to the N-th, decided one after
//!    the other, because a published cohort can suppress a lower one.

use anyhow::Result;

use super::asked::Asked;
use super::files::{Files, date, one_of};
use super::query::{Query, Select, Step, ratio, text};
use crate::config::Share;
use crate::contracts::metrics::{METRICS, Metric};
use crate::contracts::tables::{FUNNEL_PERIOD, SHOP_DAILY, SHOP_PERIOD, SHOP_TIER};
use crate::contracts::{BenchmarkId, Kind, TableId, WindowId};

const DAILY: &str = "DAILY";
const CAMPAIGN_PERIOD: &str = "CAMPAIGN_PERIOD";
/// Columns that identify the cohorts of one scope, campaign and metric.
const OF_METRIC: [&str; 4] = ["scope", "campaign_id", "category", "metric"];
/// The metrics behind `gmv_gap`, in the order of its factors.
const FACTORS: [&str; 4] = ["product_impressions", "product_clicks", "sku_orders", "gmv"];

/// The query of a benchmark table, with an expression for each of its columns.
pub(super) fn benchmark(id: BenchmarkId, files: &Files, asked: &Asked) -> Result<Query> {
    let question = Benchmark::new(id, files, asked);
    match id {
        BenchmarkId::CategoryBenchmark => question.category_benchmark(),
        BenchmarkId::ShopBenchmark => question.shop_benchmark(),
        BenchmarkId::GmvGap => question.gmv_gap(),
    }
}

struct Benchmark<'a> {
    files: &'a Files<'a>,
    asked: &'a Asked<'a>,
    metrics: Vec<&'static Metric>,
    has_daily: bool,
    has_periods: bool,
    /// The position, from 1, of the lowest tier whose cohorts are asked for.
    lowest: usize,
}

/// How the values of a metric are kept.
fn unit(metric: &Metric) -> Option<&'static str> {
    match SHOP_DAILY.column(metric.name).kind {
        Kind::Double => None,
        Kind::Money => Some("100"),
        // A mean over the days of a period is the sum divided by them.
        _ if metric.daily_average.is_some() => Some("days"),
        _ => Some("1"),
    }
}

impl<'a> Benchmark<'a> {
    fn new(id: BenchmarkId, files: &'a Files<'a>, asked: &'a Asked<'a>) -> Benchmark<'a> {
        let scope = asked.key("scope");
        let metric = asked.key("metric");
        let is_asked = |name: &str| match id {
            BenchmarkId::GmvGap => FACTORS.contains(&name),
            _ => metric.as_deref().is_none_or(|metric| metric == name),
        };
        let tiers = &files.facts.config.tiers;
        let tier = asked
            .tier
            .as_ref()
            .and_then(|tier| files.facts.config.tier_position(tier));
        debug_assert!(!tiers.is_empty());
        Benchmark {
            files,
            asked,
            metrics: METRICS
                .iter()
                .filter(|metric| is_asked(metric.name))
                .collect(),
            has_daily: scope.as_deref() != Some(CAMPAIGN_PERIOD),
            has_periods: scope.as_deref() != Some(DAILY),
            lowest: tier.map_or(1, |position| position + 1),
        }
    }

    /// The steps up to `decided`, the cohorts of the category with a reason where they are suppressed.
    fn steps(&self) -> Result<Vec<Step>> {
        let mut steps = self.published()?;
        steps.push(self.categories());
        steps.push(self.candidates());
        steps.push(self.shop_values());
        steps.push(self.metric_names());
        steps.push(self.members());
        steps.push(peers());
        steps.push(cohorts());
        steps.push(self.statistics());
        let tiers = self.files.facts.config.tiers.len();
        // A campaign's cohorts are held against every daily cohort.
        let lowest_of_day = if self.has_periods { 1 } else { self.lowest };
        let mut decided = Vec::new();
        for position in (lowest_of_day..=tiers).rev() {
            steps.push(self.decide(DAILY, "daily", position, tiers));
        }
        if self.has_daily {
            decided.push(format!("daily_{lowest_of_day}"));
        }
        if self.has_periods {
            for position in (self.lowest..=tiers).rev() {
                steps.push(self.decide(CAMPAIGN_PERIOD, "period", position, tiers));
            }
            decided.push(format!("period_{}", self.lowest));
        }
        let decided = decided.iter().map(|from| Select::new(&[("*", "*")], from));
        steps.push(Step::union("decided", decided.collect()));
        Ok(steps)
    }

    /// The tables of the benchmark day, and the configured tiers.
    fn published(&self) -> Result<Vec<Step>> {
        let (files, day) = (self.files, self.asked.benchmark_day);
        let of_campaign: Vec<String> = match self.asked.campaign_id {
            Some(id) if id != 0 => vec![one_of("campaign_id", &[id])],
            _ => vec![],
        };
        let positions = files.facts.config.tiers.iter().enumerate();
        let tiers =
            positions.map(|(position, tier)| format!("({}, {})", text(&tier.name), position + 1));
        let mut steps = vec![
            Step::values("tiers", &["tier", "tier_rank"], tiers.collect())
                .about("of the job file, lowest first"),
            files.published("shop_tier", &SHOP_TIER, &[day], &[])?,
            files.published("shop_daily", &SHOP_DAILY, &[day], &[])?,
        ];
        if self.has_periods {
            steps.push(files.published("shop_period", &SHOP_PERIOD, &[day], &of_campaign)?);
            steps.push(files.published("funnel_period", &FUNNEL_PERIOD, &[day], &of_campaign)?);
        }
        Ok(steps)
    }

    /// The categories of the cohorts that are asked for.
    fn categories(&self) -> Step {
        if let Some(category) = self.asked.key("category") {
            return Step::values(
                "categories",
                &["category"],
                vec![format!("({})", text(&category))],
            );
        }
        let of_shop = format!("WHERE {}", self.files.of_shop());
        let of =
            |table: &str| Select::new(&[("category", "category")], table).rest(of_shop.clone());
        let mut tables = vec![of("shop_daily")];
        if self.has_periods {
            tables.push(of("shop_period"));
        }
        Step::distinct_union("categories", tables).about("of the shop")
    }

    fn candidates(&self) -> Step {
        let mut selects =
            vec![self.candidates_of(TableId::Rollup(crate::contracts::RollupId::ShopDaily))];
        if self.has_periods {
            selects.push(self.candidates_of(TableId::Window(WindowId::ShopPeriod)));
        }
        Step::union("candidates", selects)
            .about("shops with a category, a tier, and any impression or order")
            .materialized()
    }

    fn candidates_of(&self, id: TableId) -> Select {
        let is_daily = matches!(id, TableId::Rollup(_));
        let table = id.name();
        let (scope, campaign, days) = match is_daily {
            true => (DAILY, "CAST(0 AS BIGINT)".to_owned(), "CAST(1 AS BIGINT)"),
            false => (
                CAMPAIGN_PERIOD,
                "shop_period.campaign_id".to_owned(),
                "funnel_period.days",
            ),
        };
        let mut select = Select::new(&[], table)
            .column("scope", format!("'{scope}'"))
            .column("campaign_id", campaign)
            .column("shop_id", format!("{table}.shop_id"))
            .column("category", format!("{table}.category"))
            .column("tier_rank", "tiers.tier_rank")
            .column("days", days)
            .column("gmv_cents", cents(&format!("{table}.gmv")));
        for metric in &self.metrics {
            let name = metric.name;
            let value = match (unit(metric), metric.daily_average, is_daily) {
                (None, ..) => format!("{table}.{name}"),
                (Some("100"), ..) => cents(&format!("{table}.{name}")),
                (Some(_), Some(average), false) => {
                    format!("CAST(round(funnel_period.{average} * funnel_period.days) AS HUGEINT)")
                }
                (Some(_), ..) => format!("CAST({table}.{name} AS HUGEINT)"),
            };
            select = select.column(&value_column(name), value);
        }
        let mut select = select
            .join(
                "shop_tier",
                format!("JOIN shop_tier ON shop_tier.shop_id = {table}.shop_id"),
            )
            .join("tiers", "JOIN tiers ON tiers.tier = shop_tier.tier");
        if !is_daily {
            select = select.join(
                "funnel_period",
                "JOIN funnel_period\n    ON funnel_period.campaign_id = shop_period.campaign_id\n    AND \
                 funnel_period.shop_id = shop_period.shop_id",
            );
        }
        select
            .rest(format!(
                "WHERE {table}.category IN (SELECT category FROM categories)"
            ))
            .rest(format!(
                "    AND ({table}.product_impressions > 0 OR {table}.orders > 0)"
            ))
    }

    /// One row for each candidate and metric.
    fn shop_values(&self) -> Step {
        let of_metric = |metric: &&&'static Metric| {
            let name = value_column(metric.name);
            let (parts, per_unit, value) = match unit(metric) {
                None => (
                    "CAST(NULL AS HUGEINT)".to_owned(),
                    "CAST(NULL AS BIGINT)".to_owned(),
                    name,
                ),
                Some(unit) => {
                    let value = format!("CAST({name} AS DOUBLE) / {unit}");
                    (name, format!("CAST({unit} AS BIGINT)"), value)
                }
            };
            let mut select = Select::new(&[], "candidates");
            for name in ["scope", "campaign_id", "shop_id", "category", "tier_rank"] {
                select = select.column(name, name);
            }
            select
                .column("metric", format!("'{}'", metric.name))
                .column("parts", parts)
                .column("per_unit", per_unit)
                .column("value", value)
        };
        let metrics = self.metrics.iter();
        let selects = metrics.map(|metric| of_metric(&metric)).collect();
        Step::union("shop_values", selects)
            .about("whole numbers are parts per unit (money: cents per 100), so that a mean is an exact sum divided once")
            .materialized()
    }

    fn metric_names(&self) -> Step {
        let metrics = self.metrics.iter();
        let rows = metrics.map(|metric| format!("('{}', {})", metric.name, metric.is_ratio));
        Step::values("metrics", &["metric", "is_ratio"], rows.collect())
    }

    /// The candidates of each cohort: those of its tier or a higher one.
    fn members(&self) -> Step {
        let mut select = Select::new(
            &[],
            "candidates\nJOIN tiers ON candidates.tier_rank >= tiers.tier_rank",
        );
        for name in ["scope", "campaign_id", "category", "shop_id", "tier_rank"] {
            select = select.column(name, format!("candidates.{name}"));
        }
        select = select.column("cohort_rank", "tiers.tier_rank");
        let top = self.files.facts.config.benchmark.top_share;
        let mut about = "a cohort holds the candidates of its tier or a higher one".to_owned();
        if top != Share::ONE {
            about.push_str(&format!("; of these the top {top} by gmv"));
            let within = "PARTITION BY candidates.scope, candidates.campaign_id, candidates.category, tiers.tier_rank";
            let order = "ORDER BY candidates.gmv_cents DESC, candidates.shop_id";
            let (n, d) = (top.numerator, top.denominator);
            select = select.rest(format!(
                "QUALIFY row_number() OVER ({within} {order})\n    <= (count(*) OVER ({within}) * CAST({n} AS HUGEINT) + \
                 {}) // {d}",
                d - 1
            ));
        }
        Step::of("members", select).about(about).materialized()
    }

    fn statistics(&self) -> Step {
        let is_any_whole = self.metrics.iter().any(|metric| unit(metric).is_some());
        let is_any_ratio = self.metrics.iter().any(|metric| unit(metric).is_none());
        let of = |whole: String, ratio: String| match (is_any_whole, is_any_ratio) {
            (true, true) => format!("coalesce({whole}, {ratio})"),
            (true, false) => whole,
            _ => ratio,
        };
        let mean = of(
            "CAST(sum(peers.parts) AS DOUBLE) / (count(peers.shop_id) * any_value(peers.per_unit))"
                .to_owned(),
            "sum(peers.value ORDER BY peers.shop_id) / count(peers.shop_id)".to_owned(),
        );
        let quartile = |quarters: u32| {
            let four_h = match quarters {
                1 => "(peers.known - 1)".to_owned(),
                n => format!("(peers.known - 1) * {n}"),
            };
            let around = format!(
                "FILTER (WHERE peers.place BETWEEN {four_h} // 4 - 1 AND ({four_h} + 3) // 4 + 1)"
            );
            let count = format!("count(peers.shop_id) {around}");
            of(
                format!(
                    "CAST(sum(peers.parts) {around} AS DOUBLE)\n    / ({count} * any_value(peers.per_unit))"
                ),
                // The mean of equal doubles may miss them by a rounding.
                format!(
                    "greatest(\n    min(peers.value) {around},\n    least(\n        max(peers.value) {around},\n        \
                     sum(peers.value ORDER BY peers.place) {around} / {count}\n    )\n)"
                ),
            )
        };
        let from = "cohorts\nCROSS JOIN metrics\nLEFT JOIN peers\n    ON peers.scope = cohorts.scope\n    AND \
                    peers.campaign_id = cohorts.campaign_id\n    AND peers.category = cohorts.category\n    AND \
                    peers.cohort_rank = cohorts.cohort_rank\n    AND peers.metric = metrics.metric";
        let mut select = Select::new(&[], from);
        for name in ["scope", "campaign_id", "category", "cohort_rank"] {
            select = select.column(name, format!("cohorts.{name}"));
        }
        let select = select
            .column("metric", "metrics.metric")
            .column("is_ratio", "metrics.is_ratio")
            .column("peer_count", "count(peers.shop_id)")
            .column(
                "shops",
                "coalesce(list(peers.shop_id ORDER BY peers.shop_id) FILTER (WHERE peers.shop_id IS NOT NULL), [])",
            )
            .column("total", "sum(peers.parts)")
            .column("greatest_part", "max(peers.parts)")
            .column("mean", mean)
            .column("p25", quartile(1))
            .column("p50", quartile(2))
            .column("p75", quartile(3))
            .rest(
                "GROUP BY cohorts.scope, cohorts.campaign_id, cohorts.category, cohorts.cohort_rank, metrics.metric, \
                 metrics.is_ratio",
            );
        Step::of("statistics", select)
            .about("place: from 0, in the order of values; a quartile is the mean of the values around its position")
            .materialized()
    }

    /// The cohorts of a scope down to the tier at a position: those above, and those of this tier.
    fn decide(&self, scope: &str, name: &str, position: usize, tiers: usize) -> Step {
        let rules = &self.files.facts.config.benchmark;
        let enough = rules.min_peers;
        let few = |others: &str, and_campaign: &str| {
            format!(
                "EXISTS (\n        SELECT 1\n        FROM {others} AS other\n        WHERE other.reason IS NULL\n            \
                 {and_campaign}AND other.category = statistics.category\n            AND other.metric = \
                 statistics.metric\n            AND len(other.shops) + len(statistics.shops)\n                - 2 * \
                 len(list_intersect(other.shops, statistics.shops)) BETWEEN 1 AND {}\n    )",
                enough.saturating_sub(1)
            )
        };
        let above = format!("{name}_{}", position + 1);
        let mut reason =
            format!("CASE\n    WHEN statistics.peer_count < {enough} THEN 'TOO_FEW_PEERS'");
        let mut add = |condition: String, word: &str| {
            reason.push_str(&format!("\n    WHEN {condition} THEN '{word}'"));
        };
        if position < tiers {
            let same_campaign = "AND other.campaign_id = statistics.campaign_id\n            ";
            add(few(&above, same_campaign), "DIFFERENCING");
        }
        if scope == CAMPAIGN_PERIOD {
            let daily = few("daily_1", "");
            add(
                format!("NOT statistics.is_ratio AND {daily}"),
                "DIFFERENCING",
            );
        }
        let Share {
            numerator,
            denominator,
        } = rules.max_peer_share;
        let dominant = format!(
            "NOT statistics.is_ratio AND statistics.total > 0\n        AND statistics.greatest_part * CAST({denominator} AS \
             HUGEINT) > statistics.total * CAST({numerator} AS HUGEINT)"
        );
        add(dominant, "DOMINANT_PEER");
        let own = Select::new(&[("*", "statistics.*")], "statistics")
            .column("reason", reason + "\nEND")
            .rest(format!(
                "WHERE statistics.scope = '{scope}' AND statistics.cohort_rank = {position}"
            ));
        let tier = self.files.facts.config.tier_name(position - 1);
        let mut selects = vec![own];
        if position < tiers {
            selects.insert(0, Select::new(&[("*", "*")], &above));
        }
        let about = match position < tiers {
            true => format!("{scope}: the cohorts of higher tiers, then that of {tier}"),
            false => format!("{scope}: the cohort of {tier}"),
        };
        Step::union(&format!("{name}_{position}"), selects)
            .about(about)
            .materialized()
    }

    /// The columns that say which day's data stand behind the row.
    fn with_day(&self, select: Select) -> Select {
        let day = date(self.asked.benchmark_day);
        select
            .column("benchmark_day", day.clone())
            .column("is_fallback", format!("{day} <> {}", date(self.files.day)))
    }

    fn category_benchmark(&self) -> Result<Query> {
        let steps = self.steps()?;
        let published =
            |name: &str| format!("CASE WHEN decided.reason IS NULL THEN decided.{name} END");
        let mut last = Select::new(
            &[],
            "decided\nJOIN tiers ON tiers.tier_rank = decided.cohort_rank",
        );
        for name in ["scope", "campaign_id", "category"] {
            last = last.column(name, format!("decided.{name}"));
        }
        last = last
            .column("tier", "tiers.tier")
            .column("metric", "decided.metric");
        let reason = self.asked.fallback_reason.as_ref();
        last = self
            .with_day(last)
            .column(
                "fallback_reason",
                reason.map_or("NULL".to_owned(), |reason| text(reason)),
            )
            .column(
                "observed_days",
                "coalesce((SELECT max(observed_days) FROM shop_tier), 0)",
            )
            .column("peer_count", published("peer_count"))
            .column("mean", published("mean"))
            .column("p25", published("p25"))
            .column("p50", published("p50"))
            .column("p75", published("p75"))
            .column("is_suppressed", "decided.reason IS NOT NULL")
            .column("suppression_reason", "decided.reason")
            .column("method", "'mean-v2'");
        if let Some(tier) = &self.asked.tier {
            last = last.rest(format!("WHERE tiers.tier = {}", text(tier)));
        }
        Ok(Query { steps, last })
    }

    /// The values of the shop, and for each metric the nearest published cohort.
    fn steps_of_shop(&self) -> Result<Vec<Step>> {
        let mut steps = self.steps()?;
        let of_shop = Select::new(&[("*", "*")], "shop_values")
            .rest(format!("WHERE {}", self.files.of_shop()));
        steps.push(Step::of("own", of_shop).about("the shop's own values"));
        let same: Vec<String> = OF_METRIC
            .iter()
            .map(|name| format!("decided.{name} = own.{name}"))
            .collect();
        let nearest = Select::new(
            &[("*", "decided.*")],
            &format!(
                "own\nJOIN decided\n    ON {}\n    AND decided.cohort_rank >= own.tier_rank\n    AND decided.reason IS NULL",
                same.join("\n    AND ")
            ),
        )
        .rest(
            "QUALIFY row_number() OVER (\n    PARTITION BY decided.scope, decided.campaign_id, decided.metric\n    ORDER BY \
             decided.cohort_rank\n) = 1",
        );
        steps.push(
            Step::of("nearest", nearest)
                .about("the published cohort of the category with the nearest tier"),
        );
        Ok(steps)
    }

    fn shop_benchmark(&self) -> Result<Query> {
        let steps = self.steps_of_shop()?;
        let mut last = Select::new(&[], "own")
            .join("tiers", "JOIN tiers ON tiers.tier_rank = own.tier_rank")
            .join(
                "nearest",
                "LEFT JOIN nearest\n    ON nearest.scope = own.scope\n    AND nearest.campaign_id = own.campaign_id\n    AND \
                 nearest.metric = own.metric",
            )
            .join(
                "tiers_of_cohorts",
                "LEFT JOIN tiers AS tiers_of_cohorts ON tiers_of_cohorts.tier_rank = nearest.cohort_rank",
            );
        for name in ["scope", "campaign_id", "shop_id", "metric", "category"] {
            last = last.column(name, format!("own.{name}"));
        }
        let position = "CASE\n    WHEN own.value IS NULL OR nearest.mean IS NULL THEN NULL\n    WHEN own.value < nearest.p25 \
                        THEN 'BELOW_P25'\n    WHEN own.value < nearest.p50 THEN 'P25_TO_P50'\n    WHEN own.value < \
                        nearest.p75 THEN 'P50_TO_P75'\n    ELSE 'ABOVE_P75'\nEND";
        let last = self
            .with_day(last.column("tier", "tiers.tier"))
            .column("value", "own.value")
            .column("benchmark_tier", "tiers_of_cohorts.tier")
            .column("benchmark", "nearest.mean")
            .column(
                "difference_pct",
                format!(
                    "{} * 100",
                    ratio("(own.value - nearest.mean)", "nearest.mean")
                ),
            )
            .column("position", position);
        Ok(Query { steps, last })
    }

    fn gmv_gap(&self) -> Result<Query> {
        let mut steps = self.steps_of_shop()?;
        let mut own = Select::new(
            &[
                ("scope", "scope"),
                ("campaign_id", "campaign_id"),
                ("shop_id", "shop_id"),
            ],
            "own",
        )
        .column("category", "category")
        .column("tier_rank", "tier_rank");
        let mut means = Select::new(
            &[("scope", "nearest.scope"), ("campaign_id", "nearest.campaign_id")],
            "nearest\nJOIN decided\n    ON decided.scope = nearest.scope\n    AND decided.campaign_id = nearest.campaign_id\n    \
             AND decided.category = nearest.category\n    AND decided.cohort_rank = nearest.cohort_rank\n    AND \
             decided.reason IS NULL",
        )
        .column("cohort_rank", "nearest.cohort_rank");
        for name in FACTORS {
            own = own.column(
                &format!("own_{name}"),
                format!("max(value) FILTER (WHERE metric = '{name}')"),
            );
            means = means.column(
                &format!("mean_{name}"),
                format!("max(decided.mean) FILTER (WHERE decided.metric = '{name}')"),
            );
        }
        steps.push(Step::of(
            "shop_factors",
            own.rest("GROUP BY scope, campaign_id, shop_id, category, tier_rank"),
        ));
        steps.push(Step::of(
            "cohort_means",
            means
                .rest("WHERE nearest.metric = 'gmv'")
                .rest("GROUP BY nearest.scope, nearest.campaign_id, nearest.cohort_rank"),
        ));
        let chain = |prefix: &str, gmv: &str| {
            let [impressions, clicks, sku_orders, _] =
                FACTORS.map(|name| format!("{prefix}_{name}"));
            [
                format!("nullif({impressions}, 0)"),
                format!("{clicks} / nullif({impressions}, 0)"),
                format!("{sku_orders} / nullif({clicks}, 0)"),
                format!("{gmv} / nullif({sku_orders}, 0)"),
            ]
        };
        let mut factors = Select::new(
            &[("*", "shop_factors.*")],
            "shop_factors\nJOIN cohort_means\n    ON cohort_means.scope = shop_factors.scope\n    AND cohort_means.campaign_id = \
             shop_factors.campaign_id",
        )
        .column("cohort_rank", "cohort_means.cohort_rank")
        .column("mean_gmv", "cohort_means.mean_gmv");
        let of_shop = chain("shop_factors.own", "shop_factors.own_gmv");
        let of_cohort = chain("cohort_means.mean", "nullif(cohort_means.mean_gmv, 0)");
        for (factor, (own, cohort)) in of_shop.into_iter().zip(of_cohort).enumerate() {
            factors = factors
                .column(&format!("own_{}", factor + 1), own)
                .column(&format!("mean_{}", factor + 1), cohort);
        }
        steps.push(
            Step::of("factors", factors)
                .about("1 impressions, 2 clicks per impression, 3 SKU orders per click, 4 gmv per SKU order; their product is gmv"),
        );
        let mut last = Select::new(
            &[],
            "factors\nJOIN tiers ON tiers.tier_rank = factors.tier_rank\nJOIN tiers AS tiers_of_cohorts ON \
             tiers_of_cohorts.tier_rank = factors.cohort_rank",
        );
        for name in ["scope", "campaign_id", "shop_id", "category"] {
            last = last.column(name, format!("factors.{name}"));
        }
        let mut last = self
            .with_day(last.column("tier", "tiers.tier"))
            .column("benchmark_tier", "tiers_of_cohorts.tier")
            .column("gmv", "factors.own_gmv")
            .column("benchmark_gmv", "factors.mean_gmv")
            .column("gap", "factors.own_gmv - factors.mean_gmv");
        let names = [
            "from_impressions",
            "from_ctr",
            "from_ctor",
            "from_gmv_per_sku_order",
        ];
        for (factor, name) in names.into_iter().enumerate() {
            last = last.column(name, effect(factor + 1));
        }
        Ok(Query { steps, last })
    }
}

/// Money in cents. In DECIMAL(18, 2) itself, the product could overflow.
fn cents(money: &str) -> String {
    format!("CAST(CAST({money} AS DECIMAL(38, 2)) * 100 AS HUGEINT)")
}

/// A name that no other column has, so that only the asked metrics are printed.
fn value_column(metric: &str) -> String {
    format!("{metric}_of_shop")
}

/// The peers of each cohort and metric: its members whose value is known.
fn peers() -> Step {
    let within = "PARTITION BY members.scope, members.campaign_id, members.category, members.cohort_rank, shop_values.metric";
    let mut select = Select::new(
        &[],
        "members\nJOIN shop_values\n    ON shop_values.scope = members.scope\n    AND shop_values.campaign_id = \
         members.campaign_id\n    AND shop_values.shop_id = members.shop_id",
    );
    for name in ["scope", "campaign_id", "category", "cohort_rank", "shop_id"] {
        select = select.column(name, format!("members.{name}"));
    }
    for name in ["metric", "parts", "per_unit", "value"] {
        select = select.column(name, format!("shop_values.{name}"));
    }
    let select = select
        .column("known", format!("count(*) OVER ({within})"))
        .column(
            "place",
            format!(
                "row_number() OVER ({within} ORDER BY shop_values.parts, shop_values.value) - 1"
            ),
        )
        .rest("WHERE shop_values.value IS NOT NULL");
    Step::of("peers", select).about("members whose value is known")
}

/// The cohorts with a member of exactly their tier.
fn cohorts() -> Step {
    let mut select = Select::new(&[], "members");
    for name in ["scope", "campaign_id", "category", "cohort_rank"] {
        select = select.column(name, name);
    }
    let select = select
        .rest("GROUP BY scope, campaign_id, category, cohort_rank")
        .rest("HAVING bool_or(tier_rank = cohort_rank)");
    Step::of("cohorts", select).about("those with a member of exactly their tier")
}

/// The Shapley value of a factor: its own change, times the products of the other three factors in
/// each of the 24 orders of changing them.
fn effect(factor: usize) -> String {
    let others: Vec<usize> = (1..=4).filter(|other| *other != factor).collect();
    let product = |changed: u32| {
        let factors = others.iter().enumerate().map(|(bit, other)| {
            let side = if changed >> bit & 1 == 1 {
                "own"
            } else {
                "mean"
            };
            format!("{side}_{other}")
        });
        factors.collect::<Vec<_>>().join(" * ")
    };
    let sum_of = |count: u32| {
        let choices = (0..8_u32).filter(|changed| changed.count_ones() == count);
        choices.map(product).collect::<Vec<_>>().join(" + ")
    };
    format!(
        "(own_{factor} - mean_{factor}) * (\n    6 * {}\n    + 2 * ({})\n    + 2 * ({})\n    + 6 * {}\n) / 24",
        sum_of(0),
        sum_of(1),
        sum_of(2),
        sum_of(3)
    )
}
