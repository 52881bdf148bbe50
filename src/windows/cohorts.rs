//! Comparable shops: who is a peer, what a cohort's average is, and which averages may be shown.
//!
//! 1. Candidates: shops with a category, a tier, and any impression or order, per scope and campaign.
//! 2. Cohort (category, tier): the candidates of the category with that tier or a higher one; with `top_share` < 1 only
//!    its top shops by GMV.
//! 3. Per metric, from the highest tier down, a cohort is suppressed when its average would tell about single shops.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use polars::prelude::{self as pl, DataFrame};

use super::{PublishedTables, Rows};
use crate::config::{BenchmarkRules, Config};
use crate::contracts::tables::{FUNNEL_PERIOD, SHOP_DAILY, SHOP_PERIOD, SHOP_TIER};
use crate::contracts::{Column, Kind, Table};
use crate::messages;

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

impl Metric {
    /// Its column in a table that candidates are read from.
    fn column_of(&self, table: &Table) -> Option<&'static str> {
        let is_daily = table.name == SHOP_DAILY.name;
        let of_period = (self.period_table.name == table.name).then_some(self.period_column);
        of_period.or(is_daily.then_some(self.name))
    }
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

/// The position of `gmv`.
const GMV: usize = 0;

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
    Money(i64),
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

/// The values of one metric, shop by shop; `None`: unknown for this shop.
#[derive(Debug)]
enum Values {
    /// Cents.
    Money(Vec<Option<i64>>),
    Count(Vec<Option<i64>>),
    Double(Vec<Option<f64>>),
}

impl Values {
    /// None yet.
    fn of(kind: Kind) -> Values {
        match kind {
            Kind::Money => Values::Money(Vec::new()),
            Kind::Double => Values::Double(Vec::new()),
            _ => Values::Count(Vec::new()),
        }
    }

    fn get(&self, shop: usize) -> Option<Value> {
        match self {
            Values::Money(cents) => cents[shop].map(Value::Money),
            Values::Count(counts) => counts[shop].map(Value::Count),
            Values::Double(values) => values[shop].map(Value::Double),
        }
    }

    /// Adds those of some rows.
    fn extend(&mut self, column: &pl::Column, rows: &[usize]) -> Result<()> {
        let in_64_bits = |cents: i128| i64::try_from(cents).context("more than DECIMAL(18,2) holds");
        match self {
            Values::Money(all) => {
                let cents = column.i128()?;
                for row in rows {
                    all.push(cents.get(*row).map(in_64_bits).transpose()?);
                }
            }
            Values::Count(all) => {
                let counts = column.i64()?;
                all.extend(rows.iter().map(|row| counts.get(*row)));
            }
            Values::Double(all) => {
                let values = column.f64()?;
                all.extend(rows.iter().map(|row| values.get(*row)));
            }
        }
        Ok(())
    }
}

/// The shops that can be peers, column by column: they are all in memory at once.
#[derive(Debug)]
pub struct Candidates {
    /// Ascending.
    pub shop_ids: Vec<i64>,
    /// Positions among the scope's categories.
    categories: Vec<u32>,
    /// Positions among the configured tiers.
    tiers: Vec<u32>,
    /// In the order of `METRICS`.
    values: Vec<Values>,
}

impl Candidates {
    pub fn count(&self) -> usize {
        self.shop_ids.len()
    }

    pub fn tier(&self, shop: usize) -> usize {
        self.tiers[shop] as usize
    }

    pub fn value(&self, shop: usize, metric: usize) -> Option<Value> {
        self.values[metric].get(shop)
    }

    fn gmv_cents(&self, shop: usize) -> i64 {
        match self.value(shop, GMV) {
            Some(Value::Money(cents)) => cents,
            other => unreachable!("gmv is money and never null, not {other:?}"),
        }
    }
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
    /// Position among the scope's categories.
    pub category: usize,
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
    categories: Vec<String>,
    pub candidates: Candidates,
    /// By category and tier.
    pub cohorts: Vec<Cohort>,
    /// See [`Scope::benchmark_of`]; by category, tier and metric.
    nearest: Nearest,
}

impl Scope {
    pub fn category(&self, position: usize) -> &str {
        &self.categories[position]
    }

    pub fn category_of(&self, shop: usize) -> &str {
        self.category(self.candidates.categories[shop] as usize)
    }

    /// The nearest published cohort of the shop's category with its tier or a higher one, and its mean.
    pub fn benchmark_of(&self, shop: usize, metric: usize) -> Option<(usize, f64)> {
        let cohort = (self.candidates.categories[shop] as usize, self.candidates.tier(shop));
        self.nearest.get(&cohort).and_then(|of_metrics| of_metrics[metric])
    }
}

/// By category and tier of a shop: for each metric the tier of a cohort and its mean.
type Nearest = HashMap<(usize, usize), Vec<Option<(usize, f64)>>>;

/// For each category and tier of a shop, and metric: the published cohort with the lowest tier from its own on, and its mean.
fn nearest(candidates: &Candidates, cohorts: &[Cohort]) -> Nearest {
    let mut nearest = HashMap::new();
    for shop in 0..candidates.count() {
        let (category, tier) = (candidates.categories[shop] as usize, candidates.tier(shop));
        nearest.entry((category, tier)).or_insert_with(|| {
            let higher = || cohorts.iter().filter(|c| c.category == category && c.tier >= tier);
            let mean = |c: &Cohort, metric: usize| Some((c.tier, c.statistics[metric].as_ref().ok()?.mean));
            let of_metric = |metric| higher().filter_map(|c| mean(c, metric)).min_by_key(|(tier, _)| *tier);
            (0..METRICS.len()).map(of_metric).collect()
        });
    }
    nearest
}

/// Gives `consume` one scope `CAMPAIGN_PERIOD` for each campaign, then the scope `DAILY`: in the order of the tables' keys, and
/// one at a time in memory.
pub fn for_each_scope(
    day: NaiveDate,
    config: &Config,
    published: &dyn PublishedTables,
    consume: &mut dyn FnMut(&Scope) -> Result<()>,
) -> Result<()> {
    let tiers = tiers(day, config, published)?;
    for campaign_id in campaigns(day, published)? {
        let rows = Rows { campaign_id: Some(campaign_id), shops: None };
        let mut shops = Gathered::new(|metric| metric.period_table.column(metric.period_column));
        shops.read_shops(&SHOP_PERIOD, day, rows, published, &tiers)?;
        shops.read_values_of(&FUNNEL_PERIOD, day, campaign_id, published)?;
        consume(&shops.into_scope("CAMPAIGN_PERIOD", campaign_id, tiers.observed_days, &config.benchmark))?;
    }
    let mut shops = Gathered::new(|metric| SHOP_DAILY.column(metric.name));
    shops.read_shops(&SHOP_DAILY, day, Rows::default(), published, &tiers)?;
    consume(&shops.into_scope("DAILY", 0, tiers.observed_days, &config.benchmark))
}

/// The campaigns of `shop_period` at the benchmark day, ascending.
fn campaigns(day: NaiveDate, published: &dyn PublishedTables) -> Result<BTreeSet<i64>> {
    let mut campaigns = BTreeSet::new();
    published.read(&SHOP_PERIOD, day, &["campaign_id"], Rows::default(), &mut |rows| {
        campaigns.extend(rows.column("campaign_id")?.i64()?.iter().flatten());
        Ok(())
    })?;
    Ok(campaigns)
}

/// `shop_tier` at the benchmark day.
struct Tiers {
    by_shop: HashMap<i64, u32>,
    observed_days: i64,
}

fn tiers(day: NaiveDate, config: &Config, published: &dyn PublishedTables) -> Result<Tiers> {
    let mut tiers = Tiers { by_shop: HashMap::new(), observed_days: 0 };
    let names = ["shop_id", "tier", "observed_days"];
    published.read(&SHOP_TIER, day, &names, Rows::default(), &mut |rows| {
        for (shop, tier) in rows.column("shop_id")?.i64()?.iter().zip(rows.column("tier")?.str()?.iter()) {
            let (Some(shop), Some(tier)) = (shop, tier) else { continue };
            let position = config.tier_position(tier);
            let position = position.ok_or_else(|| messages::unknown_tier(day, tier))?;
            tiers.by_shop.insert(shop, position as u32);
        }
        tiers.observed_days = rows.column("observed_days")?.i64()?.get(0).unwrap_or(tiers.observed_days);
        Ok(())
    })?;
    Ok(tiers)
}

/// The candidates of a scope on their way.
struct Gathered {
    categories: Vec<String>,
    positions: HashMap<String, u32>,
    candidates: Candidates,
}

impl Gathered {
    fn new(column_of: fn(&Metric) -> &'static Column) -> Gathered {
        let values = METRICS.iter().map(|metric| Values::of(column_of(metric).kind)).collect();
        let candidates = Candidates { shop_ids: vec![], categories: vec![], tiers: vec![], values };
        Gathered { categories: vec![], positions: HashMap::new(), candidates }
    }

    /// Takes the candidates among the rows, and those of their values that the table has.
    fn read_shops(
        &mut self,
        table: &'static Table,
        day: NaiveDate,
        rows: Rows,
        published: &dyn PublishedTables,
        tiers: &Tiers,
    ) -> Result<()> {
        let columns: Vec<&str> = ["shop_id", "category"].into_iter().chain(columns_of(table)).collect();
        published.read(table, day, &columns, rows, &mut |rows| {
            let taken = self.take(&rows, tiers)?;
            self.take_values(table, &rows, &taken)
        })
    }

    /// Takes the candidates' values of a table that has the same shops.
    fn read_values_of(
        &mut self,
        table: &'static Table,
        day: NaiveDate,
        campaign_id: i64,
        published: &dyn PublishedTables,
    ) -> Result<()> {
        let columns: Vec<&str> = ["shop_id"].into_iter().chain(columns_of(table)).collect();
        let shops = std::mem::take(&mut self.candidates.shop_ids);
        let mut found = 0;
        let rows = Rows { campaign_id: Some(campaign_id), shops: Some(&shops) };
        published.read(table, day, &columns, rows, &mut |rows| {
            found += rows.height();
            self.take_values(table, &rows, &(0..rows.height()).collect::<Vec<_>>())
        })?;
        ensure!(found == shops.len(), "{} of {day} has other shops than shop_period", table.name);
        self.candidates.shop_ids = shops;
        Ok(())
    }

    /// Takes the rows that are candidates; gives their positions.
    fn take(&mut self, rows: &DataFrame, tiers: &Tiers) -> Result<Vec<usize>> {
        let (ids, categories) = (rows.column("shop_id")?.i64()?, rows.column("category")?.str()?);
        let (impressions, orders) = (rows.column("product_impressions")?.i64()?, rows.column("orders")?.i64()?);
        let mut taken = Vec::new();
        for row in 0..rows.height() {
            let is_active = impressions.get(row) > Some(0) || orders.get(row) > Some(0);
            let shop_id = ids.get(row).context("shop_id is never null")?;
            let (Some(category), Some(tier), true) = (categories.get(row), tiers.by_shop.get(&shop_id), is_active)
            else {
                continue;
            };
            self.candidates.shop_ids.push(shop_id);
            let category = self.category(category);
            self.candidates.categories.push(category);
            self.candidates.tiers.push(*tier);
            taken.push(row);
        }
        Ok(taken)
    }

    fn category(&mut self, name: &str) -> u32 {
        if let Some(position) = self.positions.get(name) {
            return *position;
        }
        let position = self.categories.len() as u32;
        self.categories.push(name.to_owned());
        self.positions.insert(name.to_owned(), position);
        position
    }

    fn take_values(&mut self, table: &Table, rows: &DataFrame, taken: &[usize]) -> Result<()> {
        for (metric, values) in METRICS.iter().zip(&mut self.candidates.values) {
            if let Some(name) = metric.column_of(table) {
                values.extend(rows.column(name)?, taken)?;
            }
        }
        Ok(())
    }

    fn into_scope(self, name: &'static str, campaign_id: i64, observed_days: i64, rules: &BenchmarkRules) -> Scope {
        let cohorts = cohorts(&self.candidates, &self.categories, rules);
        let nearest = nearest(&self.candidates, &cohorts);
        let Gathered { categories, candidates, .. } = self;
        Scope { name, campaign_id, observed_days, categories, candidates, cohorts, nearest }
    }
}

/// The columns of a table that hold values of metrics.
fn columns_of(table: &Table) -> impl Iterator<Item = &'static str> {
    METRICS.iter().filter_map(|metric| metric.column_of(table))
}

/// Every cohort with a peer of exactly its tier, by category and tier.
fn cohorts(candidates: &Candidates, categories: &[String], rules: &BenchmarkRules) -> Vec<Cohort> {
    let mut by_category: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (shop, category) in candidates.categories.iter().enumerate() {
        by_category.entry(&categories[*category as usize]).or_default().push(shop);
    }
    by_category.into_values().flat_map(|shops| category_cohorts(candidates, &shops, rules)).collect()
}

/// `shops` are positions among the candidates, here and below.
fn category_cohorts(candidates: &Candidates, shops: &[usize], rules: &BenchmarkRules) -> Vec<Cohort> {
    let mut tiers: Vec<usize> = shops.iter().map(|shop| candidates.tier(*shop)).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let peers: Vec<(usize, Vec<usize>)> = tiers
        .into_iter()
        .map(|tier| (tier, peers(candidates, shops, tier, rules)))
        .filter(|(tier, peers)| peers.iter().any(|shop| candidates.tier(*shop) == *tier))
        .collect();
    let category = |peers: &[usize]| candidates.categories[peers[0]] as usize;
    let mut cohorts: Vec<Cohort> = peers
        .iter()
        .map(|(tier, peers)| Cohort { category: category(peers), tier: *tier, statistics: Vec::new() })
        .collect();
    for metric in 0..METRICS.len() {
        for (cohort, statistic) in cohorts.iter_mut().zip(statistics(candidates, &peers, metric, rules)) {
            cohort.statistics.push(statistic);
        }
    }
    cohorts
}

/// The top shops by GMV (ties by smaller `shop_id`) of those with the tier or a higher one, by shop.
fn peers(candidates: &Candidates, shops: &[usize], tier: usize, rules: &BenchmarkRules) -> Vec<usize> {
    let mut peers: Vec<usize> = shops.iter().copied().filter(|shop| candidates.tier(*shop) >= tier).collect();
    let top = rules.top_share.ceil_of(peers.len());
    if top < peers.len() {
        // Candidates ascend by shop, and so do their positions.
        peers.sort_by_key(|shop| (std::cmp::Reverse(candidates.gmv_cents(*shop)), *shop));
        peers.truncate(top);
        peers.sort_unstable();
    }
    peers
}

/// One metric of a category's cohorts, given lowest tier first; decided from the highest tier down.
fn statistics(
    candidates: &Candidates,
    cohorts: &[(usize, Vec<usize>)],
    metric: usize,
    rules: &BenchmarkRules,
) -> Vec<Statistic> {
    let mut decided = Vec::new();
    let mut published_above: Option<Vec<i64>> = None;
    for (_, peers) in cohorts.iter().rev() {
        let value = |shop: &usize| Some((candidates.shop_ids[*shop], candidates.value(*shop, metric)?));
        let (shops, values): (Vec<i64>, Vec<Value>) = peers.iter().filter_map(value).unzip();
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
    let cents = || values.iter().map(|v| if let Value::Money(cents) = v { i128::from(*cents) } else { 0 });
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
        Value::Money(_) => {
            exact(values.iter().map(|v| if let Value::Money(c) = v { i128::from(*c) } else { 0 }).sum(), 100)
        }
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

    fn decide(values: &[i64], above: Option<&[i64]>) -> Option<Suppression> {
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
