//! Benchmarks, their suppression and each shop's comparison (SPEC.md 5).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::numbers::{Measures, get, known, percentile, ratio};
use super::rows::{Line, Tables, known_ratio};
use super::{Published, Settings, decimal};

const METRICS: [&str; 21] = [
    "gmv",
    "orders",
    "sku_orders",
    "items_sold",
    "customers",
    "avg_order_value",
    "product_impressions",
    "product_clicks",
    "ctr",
    "ctor",
    "add_to_cart_rate",
    "estimated_tiktok_contribution",
    "unique_reach",
    "unique_clicks",
    "ad_spend",
    "ad_gross_revenue",
    "ad_roi",
    "creator_new_videos",
    "creator_new_lives",
    "seller_new_videos",
    "seller_new_lives",
];

const MONEY: [&str; 4] = ["gmv", "estimated_tiktok_contribution", "ad_spend", "ad_gross_revenue"];
const RATIOS: [&str; 5] = ["avg_order_value", "ctr", "ctor", "add_to_cart_rate", "ad_roi"];
const DISTINCT: [&str; 3] = ["customers", "unique_reach", "unique_clicks"];

/// A shop's own value of a metric.
#[derive(Clone, Copy)]
struct Value {
    double: f64,
    /// Cents or a count, where the value is one.
    whole: Option<i128>,
}

/// A shop that can be a peer, of one scope and campaign.
struct Candidate {
    shop: i64,
    category: String,
    tier: usize,
    gmv: i128,
    values: BTreeMap<&'static str, Option<Value>>,
}

/// A published cohort of one metric.
struct Cohort {
    tier: usize,
    peers: BTreeSet<i64>,
    mean: f64,
}

/// Writes both tables of the report day from the data of the benchmark day; `reason` is that of a fallback.
pub fn compute(day: NaiveDate, source: &Published, reason: Option<&str>, settings: &Settings, tables: &mut Tables) {
    let benchmark_day = source.exports.day;
    let (mut cohort_rows, mut shop_rows) = (Vec::new(), Vec::new());
    for (scope, campaign, candidates) in scopes(source) {
        let categories: BTreeSet<&str> = candidates.iter().map(|c| c.category.as_str()).collect();
        for category in categories {
            let own: Vec<&Candidate> = candidates.iter().filter(|c| c.category == category).collect();
            let cohorts = cohorts(&own, settings);
            for metric in METRICS {
                let mut published: Vec<Cohort> = Vec::new();
                for (tier, peers) in cohorts.iter().rev() {
                    let judged = judge(metric, *tier, peers, published.last(), settings);
                    let line = Line::new("category_benchmark").is("scope", scope).is("campaign_id", campaign);
                    let line = line.is("category", category).is("tier", &settings.tiers[*tier].0);
                    let line = line.is("metric", metric).is("benchmark_day", benchmark_day);
                    let line = line.is("is_fallback", reason.is_some()).text("fallback_reason", reason);
                    let line = line.is("observed_days", source.windows.observed_days);
                    let line = line.is("is_suppressed", judged.is_err()).is("method", "mean-v1");
                    let line = line.text("suppression_reason", judged.as_ref().err().copied());
                    let values = sorted_values(metric, peers);
                    let shown = |value: &dyn Fn() -> f64| judged.is_ok().then(value);
                    let line = line.cell("peer_count", judged.is_ok().then(|| values.len().to_string()));
                    let line = line.double("mean", judged.as_ref().ok().map(|c| c.mean));
                    let line = line.double("p25", shown(&|| percentile(&values, 1)));
                    let line = line.double("p50", shown(&|| percentile(&values, 2)));
                    let line = line.double("p75", shown(&|| percentile(&values, 3)));
                    cohort_rows.push(line.done());
                    published.extend(judged.ok());
                }
                for shop in &own {
                    let value = shop.values[metric].map(|v| v.double);
                    let nearest = published.iter().filter(|c| c.tier >= shop.tier).min_by_key(|c| c.tier);
                    let mean = nearest.map(|c| c.mean);
                    let line = Line::new("shop_benchmark").is("scope", scope).is("campaign_id", campaign);
                    let line = line.is("shop_id", shop.shop).is("metric", metric).is("category", category);
                    let line = line.is("tier", &settings.tiers[shop.tier].0).is("benchmark_day", benchmark_day);
                    let line = line.is("is_fallback", reason.is_some()).double("value", value);
                    let line = line.text("benchmark_tier", nearest.map(|c| settings.tiers[c.tier].0.as_str()));
                    let line = line.double("benchmark", mean);
                    let difference = match (value, mean) {
                        (Some(value), Some(mean)) if mean != 0.0 => Some((value - mean) * 100.0 / mean),
                        _ => None,
                    };
                    shop_rows.push(line.double("difference_pct", difference).done());
                }
            }
        }
    }
    tables.write("category_benchmark", day, cohort_rows);
    tables.write("shop_benchmark", day, shop_rows);
}

/// Each scope and campaign with its candidates in order of shop.
fn scopes(source: &Published) -> Vec<(&'static str, i64, Vec<Candidate>)> {
    let (rollups, windows) = (&source.rollups, &source.windows);
    let candidate = |shop: i64, category: &Option<String>, m: &Measures, days: Option<i128>| {
        let tier = *windows.shop_tier.get(&shop)?;
        let active = known(m, "product_impressions") > 0 || known(m, "orders") > 0;
        let values = METRICS.map(|metric| (metric, value(m, metric, days)));
        let gmv = known(m, "gmv");
        active.then_some(Candidate { shop, category: category.clone()?, tier, gmv, values: BTreeMap::from(values) })
    };
    let daily = rollups.shops.iter().filter_map(|(id, s)| candidate(*id, &s.category, &s.measures, None)).collect();
    let mut out = vec![("DAILY", 0, daily)];
    for (campaign, days) in &windows.days {
        let own = windows.shop_period.iter().filter(|((c, _), _)| c == campaign);
        let of_period = own.filter_map(|((_, id), s)| candidate(*id, &s.category, &s.measures, Some(*days)));
        out.push(("CAMPAIGN_PERIOD", *campaign, of_period.collect()));
    }
    out
}

/// The value of a metric on a day, or (with its published `days`) over a period.
fn value(m: &Measures, metric: &str, days: Option<i128>) -> Option<Value> {
    if RATIOS.contains(&metric) {
        return known_ratio(m, metric).map(|double| Value { double, whole: None });
    }
    if let Some(days) = days.filter(|_| DISTINCT.contains(&metric)) {
        return ratio(get(m, metric), Some(days)).map(|double| Value { double, whole: None });
    }
    let unit = if MONEY.contains(&metric) { 100 } else { 1 };
    get(m, metric).map(|whole| Value { double: whole as f64 / unit as f64, whole: Some(whole) })
}

/// The peers of each tier's cohort, for the tiers that have a shop of their own among them; lowest tier first.
fn cohorts<'a>(candidates: &[&'a Candidate], settings: &Settings) -> Vec<(usize, Vec<&'a Candidate>)> {
    let mut out = Vec::new();
    for tier in 0..settings.tiers.len() {
        let mut peers: Vec<&Candidate> = candidates.iter().filter(|c| c.tier >= tier).copied().collect();
        peers.sort_by_key(|c| (-c.gmv, c.shop));
        peers.truncate(decimal(&settings.top_share).ceil_of(peers.len() as i128) as usize);
        peers.sort_by_key(|c| c.shop);
        if peers.iter().any(|c| c.tier == tier) {
            out.push((tier, peers));
        }
    }
    out
}

fn sorted_values(metric: &str, peers: &[&Candidate]) -> Vec<f64> {
    let mut values: Vec<f64> = peers.iter().filter_map(|p| p.values[metric]).map(|v| v.double).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The cohort as it is published, or why it is not; `higher` is the nearest published one above it.
fn judge(
    metric: &str,
    tier: usize,
    candidates: &[&Candidate],
    higher: Option<&Cohort>,
    settings: &Settings,
) -> Result<Cohort, &'static str> {
    let with_value: Vec<(i64, Value)> =
        candidates.iter().filter_map(|p| p.values[metric].map(|v| (p.shop, v))).collect();
    let peers: BTreeSet<i64> = with_value.iter().map(|(shop, _)| *shop).collect();
    if peers.len() < settings.min_peers {
        return Err("TOO_FEW_PEERS");
    }
    if let Some(higher) = higher {
        let in_one = peers.symmetric_difference(&higher.peers).count();
        if in_one > 0 && in_one < settings.min_peers {
            return Err("DIFFERENCING");
        }
    }
    let wholes: Vec<i128> = with_value.iter().filter_map(|(_, v)| v.whole).collect();
    if MONEY.contains(&metric) {
        let (sum, most) = (wholes.iter().sum::<i128>(), *wholes.iter().max().unwrap());
        let share = decimal(&settings.max_peer_share);
        if sum > 0 && most * share.bottom > share.top * sum {
            return Err("DOMINANT_PEER");
        }
    }
    let count = with_value.len() as i128;
    let mean = if wholes.len() == with_value.len() {
        let unit = if MONEY.contains(&metric) { 100 } else { 1 };
        wholes.iter().sum::<i128>() as f64 / (unit * count) as f64
    } else {
        let mut sum = 0.0;
        for (_, value) in &with_value {
            sum += value.double;
        }
        sum / count as f64
    };
    Ok(Cohort { tier, peers, mean })
}

#[test]
fn suppression_goes_from_the_highest_tier_down() {
    let shop = |shop: i64, tier: usize, gmv: i128| Candidate {
        shop,
        category: "toys".into(),
        tier,
        gmv,
        values: BTreeMap::from([("gmv", Some(Value { double: gmv as f64 / 100.0, whole: Some(gmv) }))]),
    };
    let tiers = vec![("T1".into(), 0), ("T2".into(), 10), ("T3".into(), 20)];
    let mut settings = Settings { tiers, min_peers: 2, ..Settings::default() };
    let reasons = |candidates: &[Candidate], settings: &Settings| {
        let all: Vec<&Candidate> = candidates.iter().collect();
        let mut published: Vec<Cohort> = Vec::new();
        let mut out = Vec::new();
        for (tier, peers) in cohorts(&all, settings).iter().rev() {
            let judged = judge("gmv", *tier, peers, published.last(), settings);
            out.push(judged.as_ref().map(|c| c.mean).map_err(|e| *e));
            published.extend(judged.ok());
        }
        out
    };
    // T3 {1}: one peer. T2 {1, 2}: a half each is not more than a half. T1: shop 4 has 4.00 of 7.00.
    let world = [shop(1, 2, 100), shop(2, 1, 100), shop(3, 0, 100), shop(4, 0, 400)];
    assert_eq!(reasons(&world, &settings), [Err("TOO_FEW_PEERS"), Ok(1.0), Err("DOMINANT_PEER")]);
    // T1 differs from T2 by shop 3 alone.
    let world = [shop(1, 1, 100), shop(2, 1, 300), shop(3, 0, 100), shop(5, 1, 200)];
    assert_eq!(reasons(&world, &settings), [Ok(2.0), Err("DIFFERENCING")]);
    // The upper half of T2's three shops is {2, 5}, 3.00 and 2.00. That of T1's four is the same, so no shop of T1 is
    // in it and there is no such cohort.
    settings.top_share = "0.5".into();
    assert_eq!(reasons(&world, &settings), [Err("DOMINANT_PEER")]);
}
