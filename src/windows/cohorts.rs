//! Comparable shops: who is a peer, what a cohort's average is, and which averages may be shown.
//!
//! 1. Candidates: shops with a category, a tier, and any impression or order, per scope and campaign.
//! 2. Cohort (category, tier): the candidates of the category with that tier or a higher one; with `top_share` < 1 only
//!    its top shops by GMV.
//! 3. Per metric, from the highest tier down, a cohort is suppressed when its average would tell about single shops.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use chrono::NaiveDate;
use polars::prelude::*;

use super::PublishedTables;
use crate::config::{BenchmarkRules, Config};
use crate::contracts::Table;
use crate::contracts::tables::{FUNNEL_PERIOD, SHOP_DAILY, SHOP_PERIOD, SHOP_TIER};

/// The day whose data a report day's benchmarks use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkDay {
    pub day: NaiveDate,
    /// The required exports of the report day that are not final or block it; `None`: not a fallback.
    pub fallback_reason: Option<String>,
}

impl BenchmarkDay {
    pub fn is_fallback(&self) -> bool {
        self.fallback_reason.is_some()
    }
}

/// One metric: its name, which is its column of `shop_daily`, and its column over a period.
pub struct Metric {
    pub name: &'static str,
    period_table: &'static Table,
    period_column: &'static str,
    /// One shop's share of the cohort's sum may give that shop away.
    checks_dominance: bool,
}

const fn metric(name: &'static str) -> Metric {
    Metric { name, period_table: &SHOP_PERIOD, period_column: name, checks_dominance: false }
}
const fn money(name: &'static str) -> Metric {
    Metric { checks_dominance: true, ..metric(name) }
}
const fn daily_average(name: &'static str, period_column: &'static str) -> Metric {
    Metric { name, period_table: &FUNNEL_PERIOD, period_column, checks_dominance: false }
}

/// The metrics of both benchmark tables.
pub static METRICS: [Metric; 21] = [
    money("gmv"),
    metric("orders"),
    metric("sku_orders"),
    metric("items_sold"),
    daily_average("customers", "avg_daily_customers"),
    metric("avg_order_value"),
    metric("product_impressions"),
    metric("product_clicks"),
    metric("ctr"),
    metric("ctor"),
    metric("add_to_cart_rate"),
    money("estimated_tiktok_contribution"),
    daily_average("unique_reach", "avg_unique_reach"),
    daily_average("unique_clicks", "avg_unique_clicks"),
    money("ad_spend"),
    money("ad_gross_revenue"),
    metric("ad_roi"),
    metric("creator_new_videos"),
    metric("creator_new_lives"),
    metric("seller_new_videos"),
    metric("seller_new_lives"),
];

/// A shop's own value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Cents.
    Money(i128),
    Count(i64),
    Double(f64),
}

impl Value {
    /// In the metric's unit: money in units of the currency.
    pub fn as_double(self) -> f64 {
        match self {
            Value::Money(cents) => cents as f64 / 100.0,
            Value::Count(count) => count as f64,
            Value::Double(value) => value,
        }
    }
}

/// A shop that can be a peer.
#[derive(Debug)]
pub struct Candidate {
    pub shop_id: i64,
    pub category: String,
    /// Position among the configured tiers.
    pub tier: usize,
    gmv_cents: i128,
    /// In the order of `METRICS`; `None`: unknown for this shop.
    pub values: Vec<Option<Value>>,
}

/// Why a cohort's average is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppression {
    TooFewPeers,
    Differencing,
    DominantPeer,
}

impl Suppression {
    pub fn code(self) -> &'static str {
        match self {
            Suppression::TooFewPeers => "TOO_FEW_PEERS",
            Suppression::Differencing => "DIFFERENCING",
            Suppression::DominantPeer => "DOMINANT_PEER",
        }
    }
}

/// One metric of a cohort: its numbers, or why they are not shown.
pub type Statistic = std::result::Result<Summary, Suppression>;

/// What peers' values come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub peer_count: i64,
    pub mean: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
}

/// Comparable shops of one category, of one tier or higher.
#[derive(Debug)]
pub struct Cohort {
    pub category: String,
    pub tier: usize,
    /// In the order of `METRICS`.
    pub statistics: Vec<Statistic>,
}

/// The cohorts of one day or one campaign's period.
#[derive(Debug)]
pub struct Scope {
    pub name: &'static str,
    /// 0 for `DAILY`.
    pub campaign_id: i64,
    pub observed_days: i64,
    /// By shop.
    pub candidates: Vec<Candidate>,
    /// By category and tier.
    pub cohorts: Vec<Cohort>,
}

impl Scope {
    fn new(
        name: &'static str,
        campaign_id: i64,
        observed_days: i64,
        candidates: Vec<Candidate>,
        rules: &BenchmarkRules,
    ) -> Scope {
        let cohorts = cohorts(&candidates, rules);
        Scope { name, campaign_id, observed_days, candidates, cohorts }
    }

    /// The nearest published cohort of the shop's category with its tier or a higher one, and its mean.
    pub fn benchmark_of(&self, shop: &Candidate, metric: usize) -> Option<(usize, f64)> {
        let published = |c: &Cohort| Some((c.tier, c.statistics[metric].as_ref().ok()?.mean));
        let higher = |c: &&Cohort| c.category == shop.category && c.tier >= shop.tier;
        self.cohorts.iter().filter(higher).filter_map(published).min_by_key(|(tier, _)| *tier)
    }
}

/// Scope `DAILY` and one scope `CAMPAIGN_PERIOD` for each campaign, at the benchmark day.
pub fn scopes(day: NaiveDate, config: &Config, published: &dyn PublishedTables) -> Result<Vec<Scope>> {
    let tiers = tiers(day, config, published)?;
    let rules = &config.benchmark;
    let daily = daily_candidates(day, published, &tiers)?;
    let mut scopes = vec![Scope::new("DAILY", 0, tiers.observed_days, daily, rules)];
    for (campaign_id, shops) in period_candidates(day, published, &tiers)? {
        scopes.push(Scope::new("CAMPAIGN_PERIOD", campaign_id, tiers.observed_days, shops, rules));
    }
    Ok(scopes)
}

/// `shop_tier` at the benchmark day.
struct Tiers {
    by_shop: HashMap<i64, usize>,
    observed_days: i64,
}

fn tiers(day: NaiveDate, config: &Config, published: &dyn PublishedTables) -> Result<Tiers> {
    let rows = published.read(&SHOP_TIER, &[day], &["shop_id", "tier", "observed_days"])?;
    let by_shop = rows
        .column("shop_id")?
        .i64()?
        .iter()
        .zip(rows.column("tier")?.str()?.iter())
        .filter_map(|(shop, tier)| Some((shop?, tier?)))
        .map(|(shop, tier)| {
            let position = config.tier_position(tier);
            Ok((
                shop,
                position.with_context(|| format!("shop_tier of {day} has tier {tier:?}, the configuration not"))?,
            ))
        })
        .collect::<Result<_>>()?;
    Ok(Tiers { by_shop, observed_days: rows.column("observed_days")?.i64()?.get(0).unwrap_or(0) })
}

/// Candidates of scope `DAILY`, by shop.
fn daily_candidates(day: NaiveDate, published: &dyn PublishedTables, tiers: &Tiers) -> Result<Vec<Candidate>> {
    let columns: Vec<&str> = ["shop_id", "category"].into_iter().chain(METRICS.iter().map(|m| m.name)).collect();
    let shops = published.read(&SHOP_DAILY, &[day], &columns)?;
    let values = METRICS.iter().map(|metric| read_values(&shops, metric.name)).collect::<Result<Vec<_>>>()?;
    Ok(candidates(&shops, &values, tiers)?.into_iter().map(|(_, candidate)| candidate).collect())
}

/// Candidates of scope `CAMPAIGN_PERIOD` by campaign, each by shop.
fn period_candidates(
    day: NaiveDate,
    published: &dyn PublishedTables,
    tiers: &Tiers,
) -> Result<BTreeMap<i64, Vec<Candidate>>> {
    let read = |table: &'static Table, keys: &[&'static str]| {
        let of_table = METRICS.iter().filter(|m| m.period_table.name == table.name).map(|m| m.period_column);
        let columns: Vec<&str> = keys.iter().copied().chain(of_table).collect();
        published.read(table, &[day], &columns)
    };
    // Both tables have the same shops in the same order: their key is the same.
    let shops = read(&SHOP_PERIOD, &["campaign_id", "shop_id", "category"])?;
    let funnel = read(&FUNNEL_PERIOD, &["campaign_id", "shop_id"])?;
    let values = METRICS
        .iter()
        .map(|metric| {
            let rows = if metric.period_table.name == FUNNEL_PERIOD.name { &funnel } else { &shops };
            read_values(rows, metric.period_column)
        })
        .collect::<Result<Vec<_>>>()?;
    let campaigns = shops.column("campaign_id")?.i64()?;
    let mut by_campaign: BTreeMap<i64, Vec<Candidate>> = BTreeMap::new();
    for (row, candidate) in candidates(&shops, &values, tiers)? {
        let campaign_id = campaigns.get(row).context("campaign_id is never null")?;
        by_campaign.entry(campaign_id).or_default().push(candidate);
    }
    Ok(by_campaign)
}

/// The rows of `shops` that are candidates, each with its position. `values`: of each metric, for each row.
fn candidates(shops: &DataFrame, values: &[Vec<Option<Value>>], tiers: &Tiers) -> Result<Vec<(usize, Candidate)>> {
    let (ids, categories) = (shops.column("shop_id")?.i64()?, shops.column("category")?.str()?);
    let (gmv, impressions) = (shops.column("gmv")?.i128()?, shops.column("product_impressions")?.i64()?);
    let orders = shops.column("orders")?.i64()?;
    let mut found = Vec::new();
    for row in 0..shops.height() {
        let is_active = impressions.get(row) > Some(0) || orders.get(row) > Some(0);
        let shop_id = ids.get(row).context("shop_id is never null")?;
        let (Some(category), Some(tier), true) = (categories.get(row), tiers.by_shop.get(&shop_id), is_active) else {
            continue;
        };
        let candidate = Candidate {
            shop_id,
            category: category.to_owned(),
            tier: *tier,
            gmv_cents: gmv.get(row).context("gmv is never null")?,
            values: values.iter().map(|of_metric| of_metric[row]).collect(),
        };
        found.push((row, candidate));
    }
    Ok(found)
}

fn read_values(rows: &DataFrame, name: &str) -> Result<Vec<Option<Value>>> {
    let column = rows.column(name)?;
    Ok(match column.dtype() {
        DataType::Int128 => column.i128()?.iter().map(|v| v.map(Value::Money)).collect(),
        DataType::Int64 => column.i64()?.iter().map(|v| v.map(Value::Count)).collect(),
        _ => column.f64()?.iter().map(|v| v.map(Value::Double)).collect(),
    })
}

/// Every cohort with a peer of exactly its tier, by category and tier.
fn cohorts(candidates: &[Candidate], rules: &BenchmarkRules) -> Vec<Cohort> {
    let mut by_category: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_category.entry(&candidate.category).or_default().push(candidate);
    }
    by_category.into_values().flat_map(|shops| category_cohorts(&shops, rules)).collect()
}

fn category_cohorts(shops: &[&Candidate], rules: &BenchmarkRules) -> Vec<Cohort> {
    let mut tiers: Vec<usize> = shops.iter().map(|s| s.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let peers: Vec<(usize, Vec<&Candidate>)> = tiers
        .into_iter()
        .map(|tier| (tier, peers(shops, tier, rules)))
        .filter(|(tier, peers)| peers.iter().any(|p| p.tier == *tier))
        .collect();
    let mut cohorts: Vec<Cohort> = peers
        .iter()
        .map(|(tier, peers)| Cohort { category: peers[0].category.clone(), tier: *tier, statistics: Vec::new() })
        .collect();
    for metric in 0..METRICS.len() {
        for (cohort, statistic) in cohorts.iter_mut().zip(statistics(&peers, metric, rules)) {
            cohort.statistics.push(statistic);
        }
    }
    cohorts
}

/// The top shops by GMV (ties by smaller `shop_id`) of those with the tier or a higher one, by shop.
fn peers<'a>(shops: &[&'a Candidate], tier: usize, rules: &BenchmarkRules) -> Vec<&'a Candidate> {
    let mut peers: Vec<&Candidate> = shops.iter().filter(|s| s.tier >= tier).copied().collect();
    peers.sort_by_key(|s| (std::cmp::Reverse(s.gmv_cents), s.shop_id));
    peers.truncate(rules.top_share.ceil_of(peers.len()));
    peers.sort_by_key(|s| s.shop_id);
    peers
}

/// One metric of a category's cohorts, given lowest tier first; decided from the highest tier down.
fn statistics(cohorts: &[(usize, Vec<&Candidate>)], metric: usize, rules: &BenchmarkRules) -> Vec<Statistic> {
    let mut decided = Vec::new();
    let mut published_above: Option<Vec<i64>> = None;
    for (_, peers) in cohorts.iter().rev() {
        let known: Vec<(i64, Value)> = peers.iter().filter_map(|p| Some((p.shop_id, p.values[metric]?))).collect();
        let shops: Vec<i64> = known.iter().map(|(shop, _)| *shop).collect();
        let values: Vec<Value> = known.into_iter().map(|(_, value)| value).collect();
        let suppression = suppression(&shops, &values, published_above.as_deref(), &METRICS[metric], rules);
        decided.push(match suppression {
            Some(reason) => Err(reason),
            None => {
                published_above = Some(shops);
                Ok(summarise(&values))
            }
        });
    }
    decided.reverse();
    decided
}

fn suppression(
    shops: &[i64],
    values: &[Value],
    published_above: Option<&[i64]>,
    metric: &Metric,
    rules: &BenchmarkRules,
) -> Option<Suppression> {
    if (shops.len() as u64) < rules.min_peers {
        return Some(Suppression::TooFewPeers);
    }
    if let Some(above) = published_above {
        let in_one_only = difference(shops, above);
        if in_one_only > 0 && in_one_only < rules.min_peers {
            return Some(Suppression::Differencing);
        }
    }
    (metric.checks_dominance && is_dominated(values, rules)).then_some(Suppression::DominantPeer)
}

/// How many shops are in exactly one of two sorted lists.
fn difference(one: &[i64], other: &[i64]) -> u64 {
    let only = |a: &[i64], b: &[i64]| a.iter().filter(|shop| b.binary_search(shop).is_err()).count() as u64;
    only(one, other) + only(other, one)
}

/// Whether one peer holds more than the allowed share of a sum > 0, exactly.
fn is_dominated(values: &[Value], rules: &BenchmarkRules) -> bool {
    let cents = || values.iter().map(|v| if let Value::Money(cents) = v { *cents } else { 0 });
    let (sum, greatest) = (cents().sum::<i128>(), cents().max().unwrap_or(0));
    sum > 0 && greatest * rules.max_peer_share.denominator > rules.max_peer_share.numerator * sum
}

/// `values` are in shop order and at least one.
fn summarise(values: &[Value]) -> Summary {
    let mut sorted: Vec<f64> = values.iter().map(|v| v.as_double()).collect();
    sorted.sort_by(f64::total_cmp);
    Summary {
        peer_count: values.len() as i64,
        mean: mean(values),
        p25: quantile(&sorted, 0.25),
        p50: quantile(&sorted, 0.5),
        p75: quantile(&sorted, 0.75),
    }
}

/// The exact sum of money or counts divided once; doubles are added in shop order.
fn mean(values: &[Value]) -> f64 {
    let peers = values.len() as i128;
    let exact = |sum: i128, per_unit: i128| sum as f64 / (peers * per_unit) as f64;
    match values[0] {
        Value::Money(_) => exact(values.iter().map(|v| if let Value::Money(c) = v { *c } else { 0 }).sum(), 100),
        Value::Count(_) => {
            exact(values.iter().map(|v| if let Value::Count(c) = v { i128::from(*c) } else { 0 }).sum(), 1)
        }
        Value::Double(_) => values.iter().map(|v| v.as_double()).sum::<f64>() / peers as f64,
    }
}

/// At position `(n-1) * p` of the sorted values, linear between neighbours, as NumPy computes it.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * p;
    let below = position.floor() as usize;
    let (a, b) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let part = position - position.floor();
    // Both forms are equal but for rounding; NumPy keeps the nearer end exact.
    if part < 0.5 { a + (b - a) * part } else { b - (b - a) * (1.0 - part) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Share;

    const RULES: BenchmarkRules =
        BenchmarkRules { min_peers: 3, top_share: Share::ONE, max_peer_share: Share { numerator: 1, denominator: 2 } };

    fn decide(values: &[i128], above: Option<&[i64]>) -> Option<Suppression> {
        let shops: Vec<i64> = (1..=values.len() as i64).collect();
        let values: Vec<Value> = values.iter().map(|c| Value::Money(*c)).collect();
        suppression(&shops, &values, above, &METRICS[0], &RULES)
    }

    #[test]
    fn a_cohort_is_suppressed_for_the_first_rule_it_breaks() {
        assert_eq!(decide(&[100, 0], None), Some(Suppression::TooFewPeers));
        assert_eq!(decide(&[100, 0, 0, 0], Some(&[1, 2, 3])), Some(Suppression::Differencing));
        assert_eq!(decide(&[100, 0, 0], Some(&[1, 2, 3])), Some(Suppression::DominantPeer));
        assert_eq!(decide(&[50, 25, 25], Some(&[1, 2, 3])), None, "exactly half is not more than half");
        assert_eq!(decide(&[0, 0, 0], None), None, "a sum of 0 has no dominant peer");
    }

    #[test]
    fn quantiles_are_numpys_default() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        // Positions 0.75, 1.5 and 2.25.
        assert_eq!([0.25, 0.5, 0.75].map(|p| quantile(&sorted, p)), [1.75, 3.0, 5.0]);
        assert_eq!(quantile(&[7.0], 0.75), 7.0);
    }

    #[test]
    fn a_mean_of_money_is_its_exact_sum_divided_once() {
        let cents = [Value::Money(10), Value::Money(20), Value::Money(3)];
        assert_eq!(mean(&cents), 33.0 / 300.0);
    }
}
