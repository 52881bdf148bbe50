//! Benchmarks, their suppression and each shop's comparison (SPEC.md 5).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::numbers::{Measures, get, known};
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

const MONEY: [&str; 4] = [
    "gmv",
    "estimated_tiktok_contribution",
    "ad_spend",
    "ad_gross_revenue",
];
pub const RATIOS: [&str; 5] = [
    "avg_order_value",
    "ctr",
    "ctor",
    "add_to_cart_rate",
    "ad_roi",
];
const DISTINCT: [&str; 3] = ["customers", "unique_reach", "unique_clicks"];

/// A shop's own value of a metric.
#[derive(Clone, Copy)]
enum Value {
    /// Whole numbers by one divisor: cents by 100, a count by 1, a sum of daily counts by days.
    Exact {
        top: i128,
        bottom: i128,
    },
    Ratio(f64),
}

impl Value {
    fn double(self) -> f64 {
        match self {
            Value::Exact { top, bottom } => top as f64 / bottom as f64,
            Value::Ratio(double) => double,
        }
    }
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
    /// The first, second and third.
    quartiles: [f64; 3],
}

/// Published cohorts of a scope, by category and metric.
type Shown = BTreeMap<(String, &'static str), Vec<Cohort>>;

/// A cohort of one metric, published or not: report day, scope, campaign, category, tier and
/// metric.
pub type CohortKey = (NaiveDate, String, String, String, String, String);

/// The peers of every cohort; only the exports show them.
pub type Peers = BTreeMap<CohortKey, BTreeSet<i64>>;

/// Writes the three tables of the report day from the data of the benchmark day; `reason` is that
/// of a fallback.
pub fn compute(
    day: NaiveDate,
    source: &Published,
    reason: Option<&str>,
    settings: &Settings,
    tables: &mut Tables,
    all_peers: &mut Peers,
) {
    let benchmark_day = source.exports.day;
    let (mut cohort_rows, mut shop_rows, mut gap_rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_the_day = Shown::new();
    // The day first: campaigns are compared with it.
    for (scope, campaign, candidates) in scopes(source) {
        let mut shown = Shown::new();
        let categories: BTreeSet<&str> = candidates.iter().map(|c| c.category.as_str()).collect();
        for category in categories {
            let own: Vec<&Candidate> = candidates
                .iter()
                .filter(|c| c.category == category)
                .collect();
            let cohorts = cohorts(&own, settings);
            for metric in METRICS {
                let key = (category.to_owned(), metric);
                let daily = of_the_day.get(&key).filter(|_| !RATIOS.contains(&metric));
                let mut published: Vec<Cohort> = Vec::new();
                for (tier, members) in cohorts.iter().rev() {
                    let others: Vec<&Cohort> = published
                        .iter()
                        .chain(daily.into_iter().flatten())
                        .collect();
                    let judged = judge(metric, *tier, members, &others, settings);
                    let tier = &settings.tiers[*tier].0;
                    let line = Line::new("category_benchmark")
                        .is("scope", scope)
                        .is("campaign_id", campaign);
                    let line = line.is("category", category).is("tier", tier);
                    let line = line.is("metric", metric).is("benchmark_day", benchmark_day);
                    let line = line
                        .is("is_fallback", reason.is_some())
                        .text("fallback_reason", reason);
                    let line = line.is("observed_days", source.windows.observed_days);
                    let line = line
                        .is("is_suppressed", judged.is_err())
                        .is("method", "mean-v2");
                    let line = line.text("suppression_reason", judged.as_ref().err().copied());
                    let shown = judged.as_ref().ok();
                    let line = line.cell("peer_count", shown.map(|c| c.peers.len().to_string()));
                    let line = line.double("mean", shown.map(|c| c.mean));
                    let line = line.double("p25", shown.map(|c| c.quartiles[0]));
                    let line = line.double("p50", shown.map(|c| c.quartiles[1]));
                    let line = line.double("p75", shown.map(|c| c.quartiles[2]));
                    cohort_rows.push(line.done());
                    let text =
                        [scope, &campaign.to_string(), category, tier, metric].map(String::from);
                    let [scope, campaign, category, tier, metric_name] = text;
                    let peers = with_value(metric, members)
                        .iter()
                        .map(|(shop, _)| *shop)
                        .collect();
                    all_peers.insert((day, scope, campaign, category, tier, metric_name), peers);
                    published.extend(judged.ok());
                }
                shown.insert(key, published);
            }
        }
        for shop in &candidates {
            for metric in METRICS {
                let nearest = nearest(&shown, shop, metric);
                let value = shop.values[metric].map(Value::double);
                let line = Line::new("shop_benchmark")
                    .is("scope", scope)
                    .is("campaign_id", campaign);
                let line = line
                    .is("shop_id", shop.shop)
                    .is("metric", metric)
                    .is("category", &shop.category);
                let line = line
                    .is("tier", &settings.tiers[shop.tier].0)
                    .is("benchmark_day", benchmark_day);
                let line = line
                    .is("is_fallback", reason.is_some())
                    .double("value", value);
                let line = line.text(
                    "benchmark_tier",
                    nearest.map(|c| settings.tiers[c.tier].0.as_str()),
                );
                let line = line.double("benchmark", nearest.map(|c| c.mean));
                let difference = match (value, nearest) {
                    (Some(value), Some(c)) if c.mean != 0.0 => {
                        Some((value - c.mean) * 100.0 / c.mean)
                    }
                    _ => None,
                };
                let line = line.double("difference_pct", difference);
                let position = value
                    .zip(nearest)
                    .map(|(value, c)| position(value, c.quartiles));
                shop_rows.push(line.text("position", position).done());
            }
            let Some(cohort) = nearest(&shown, shop, "gmv") else {
                continue;
            };
            let gmv = shop.values["gmv"].unwrap().double();
            let mean_of = |metric| {
                let of_metric = &shown[&(shop.category.clone(), metric)];
                of_metric
                    .iter()
                    .find(|c| c.tier == cohort.tier)
                    .map(|c| c.mean)
            };
            let own = factors(|metric| shop.values[metric].map(Value::double));
            let means = factors(mean_of).filter(|_| cohort.mean > 0.0);
            let effects = own.zip(means).map(|(own, means)| shapley(&own, &means));
            let line = Line::new("gmv_gap")
                .is("scope", scope)
                .is("campaign_id", campaign);
            let line = line.is("shop_id", shop.shop).is("category", &shop.category);
            let line = line
                .is("tier", &settings.tiers[shop.tier].0)
                .is("benchmark_day", benchmark_day);
            let line = line.is("is_fallback", reason.is_some());
            let line = line.is("benchmark_tier", &settings.tiers[cohort.tier].0);
            let line = line
                .double("gmv", Some(gmv))
                .double("benchmark_gmv", Some(cohort.mean));
            let mut line = line.double("gap", Some(gmv - cohort.mean));
            for (at, name) in [
                "from_impressions",
                "from_ctr",
                "from_ctor",
                "from_gmv_per_sku_order",
            ]
            .iter()
            .enumerate()
            {
                line = line.double(name, effects.map(|e| e[at]));
            }
            gap_rows.push(line.done());
        }
        if scope == "DAILY" {
            of_the_day = shown;
        }
    }
    tables.write("category_benchmark", day, cohort_rows);
    tables.write("shop_benchmark", day, shop_rows);
    tables.write("gmv_gap", day, gap_rows);
}

fn nearest<'a>(shown: &'a Shown, shop: &Candidate, metric: &'static str) -> Option<&'a Cohort> {
    let of_metric = shown[&(shop.category.clone(), metric)].iter();
    of_metric
        .filter(|c| c.tier >= shop.tier)
        .min_by_key(|c| c.tier)
}

fn position(value: f64, [p25, p50, p75]: [f64; 3]) -> &'static str {
    if value >= p75 {
        "ABOVE_P75"
    } else if value >= p50 {
        "P50_TO_P75"
    } else if value >= p25 {
        "P25_TO_P50"
    } else {
        "BELOW_P25"
    }
}

/// Impressions, clicks per impression, SKU orders per click and gmv per SKU order.
fn factors(value: impl Fn(&'static str) -> Option<f64>) -> Option<[f64; 4]> {
    let names = ["product_impressions", "product_clicks", "sku_orders", "gmv"];
    let mut before = 1.0;
    let mut out = [0.0; 4];
    for (at, name) in names.into_iter().enumerate() {
        let value = value(name)?;
        if before == 0.0 {
            return None;
        }
        out[at] = value / before;
        before = value;
    }
    Some(out)
}

/// By the definition: the mean over every order in which the factors can be replaced one by one.
fn shapley(own: &[f64; 4], cohort: &[f64; 4]) -> [f64; 4] {
    let mut total = [0.0; 4];
    let mut orders = 0;
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                orders += 1;
                let mut now = *cohort;
                for factor in [a, b, c, 6 - a - b - c] {
                    let before: f64 = now.iter().product();
                    now[factor] = own[factor];
                    total[factor] += now.iter().product::<f64>() - before;
                }
            }
        }
    }
    assert_eq!(orders, 24);
    total.map(|sum| sum / 24.0)
}

/// Each scope and campaign with its candidates in order of shop, the day first.
fn scopes(source: &Published) -> Vec<(&'static str, i64, Vec<Candidate>)> {
    let (rollups, windows) = (&source.rollups, &source.windows);
    let candidate = |shop: i64, category: &Option<String>, m: &Measures, days: Option<i128>| {
        let tier = *windows.shop_tier.get(&shop)?;
        let active = known(m, "product_impressions") > 0 || known(m, "orders") > 0;
        let values = METRICS.map(|metric| (metric, value(m, metric, days)));
        let gmv = known(m, "gmv");
        active.then_some(Candidate {
            shop,
            category: category.clone()?,
            tier,
            gmv,
            values: BTreeMap::from(values),
        })
    };
    let daily = rollups
        .shops
        .iter()
        .filter_map(|(id, s)| candidate(*id, &s.category, &s.measures, None))
        .collect();
    let mut out = vec![("DAILY", 0, daily)];
    for (campaign, days) in &windows.days {
        let own = windows
            .shop_period
            .iter()
            .filter(|((c, _), _)| c == campaign);
        let of_period =
            own.filter_map(|((_, id), s)| candidate(*id, &s.category, &s.measures, Some(*days)));
        out.push(("CAMPAIGN_PERIOD", *campaign, of_period.collect()));
    }
    out
}

/// The value of a metric on a day, or (with its published `days`) over a period.
fn value(m: &Measures, metric: &str, days: Option<i128>) -> Option<Value> {
    if RATIOS.contains(&metric) {
        return known_ratio(m, metric).map(Value::Ratio);
    }
    let bottom = match days.filter(|_| DISTINCT.contains(&metric)) {
        Some(days) => days,
        None if MONEY.contains(&metric) => 100,
        None => 1,
    };
    get(m, metric).map(|top| Value::Exact { top, bottom })
}

/// The peers of each tier's cohort, for the tiers that have a shop of their own among them; lowest
/// tier first.
fn cohorts<'a>(
    candidates: &[&'a Candidate],
    settings: &Settings,
) -> Vec<(usize, Vec<&'a Candidate>)> {
    let mut out = Vec::new();
    for tier in 0..settings.tiers.len() {
        let mut peers: Vec<&Candidate> = candidates
            .iter()
            .filter(|c| c.tier >= tier)
            .copied()
            .collect();
        peers.sort_by_key(|c| (-c.gmv, c.shop));
        peers.truncate(decimal(&settings.top_share).ceil_of(peers.len() as i128) as usize);
        peers.sort_by_key(|c| c.shop);
        if peers.iter().any(|c| c.tier == tier) {
            out.push((tier, peers));
        }
    }
    out
}

fn with_value(metric: &str, members: &[&Candidate]) -> Vec<(i64, Value)> {
    members
        .iter()
        .filter_map(|p| p.values[metric].map(|v| (p.shop, v)))
        .collect()
}

/// The published cohort, or the reason for its suppression; `others` are the published cohorts that
/// it is compared with.
fn judge(
    metric: &str,
    tier: usize,
    members: &[&Candidate],
    others: &[&Cohort],
    settings: &Settings,
) -> Result<Cohort, &'static str> {
    let with_value = with_value(metric, members);
    let peers: BTreeSet<i64> = with_value.iter().map(|(shop, _)| *shop).collect();
    if peers.len() < settings.min_peers {
        return Err("TOO_FEW_PEERS");
    }
    for other in others {
        let in_one = peers.symmetric_difference(&other.peers).count();
        if in_one > 0 && in_one < settings.min_peers {
            return Err("DIFFERENCING");
        }
    }
    let mut values: Vec<Value> = with_value.into_iter().map(|(_, value)| value).collect();
    if !RATIOS.contains(&metric) {
        let tops = values.iter().map(|v| {
            if let Value::Exact { top, .. } = v {
                *top
            } else {
                panic!("{metric}")
            }
        });
        let (sum, most) = (tops.clone().sum::<i128>(), tops.max().unwrap());
        let share = decimal(&settings.max_peer_share);
        if sum > 0 && most * share.bottom > share.top * sum {
            return Err("DOMINANT_PEER");
        }
    }
    let mean_of_all = mean(&values);
    values.sort_by(|a, b| a.double().total_cmp(&b.double()));
    let quartiles = [1, 2, 3].map(|quarters| mean(smoothed(&values, quarters)));
    Ok(Cohort {
        tier,
        peers,
        mean: mean_of_all,
        quartiles,
    })
}

/// The exact sum of whole numbers divided once; ratios are added in their order.
fn mean(values: &[Value]) -> f64 {
    let (mut sum, mut ratios) = (0, 0.0);
    let mut unit = 1;
    for value in values {
        match value {
            Value::Exact { top, bottom } => {
                sum += top;
                unit = *bottom;
            }
            Value::Ratio(ratio) if values.iter().all(|v| v.double() == *ratio) => return *ratio,
            Value::Ratio(ratio) => ratios += ratio,
        }
    }
    let count = values.len() as i128;
    if matches!(values[0], Value::Exact { .. }) {
        sum as f64 / (unit * count) as f64
    } else {
        ratios / count as f64
    }
}

/// The values of sorted ones that a quartile is the mean of.
fn smoothed<T>(sorted: &[T], quarters: usize) -> &[T] {
    let last = sorted.len() as i128 - 1;
    let four_h = last * quarters as i128;
    let floor = four_h.div_euclid(4);
    let ceil = if four_h % 4 == 0 { floor } else { floor + 1 };
    let first = (floor - 1).max(0);
    let until = (ceil + 1).min(last);
    &sorted[first as usize..=until as usize]
}

#[test]
fn numbers_of_a_cohort_are_those_worked_out_by_hand() {
    let values = [1, 2, 4, 8, 16];
    // h is 1, 2 and 3.
    assert_eq!(
        [1, 2, 3].map(|q| smoothed(&values, q)),
        [&values[..3], &values[1..4], &values[2..]]
    );
    // h is 0.75, 1.5 and 2.25.
    assert_eq!(
        [1, 2, 3].map(|q| smoothed(&values[..4], q)),
        [&values[..3], &values[..4], &values[1..4]]
    );
    assert_eq!(smoothed(&[7], 3), [7]);
    assert_eq!(
        [0.9, 1.0, 2.0, 3.0].map(|v| position(v, [1.0, 2.0, 3.0])[..5].to_owned()),
        ["BELOW", "P25_T", "P50_T", "ABOVE"]
    );
    // From 1 * 1 to 3 * 2: (2 + 4) / 2 and (1 + 3) / 2.
    assert_eq!(
        shapley(&[3.0, 1.0, 2.0, 1.0], &[1.0; 4]),
        [3.0, 0.0, 2.0, 0.0]
    );
}

#[test]
fn suppression_goes_from_the_highest_tier_down() {
    let shop = |shop: i64, tier: usize, gmv: i128| Candidate {
        shop,
        category: "toys".into(),
        tier,
        gmv,
        values: BTreeMap::from([(
            "gmv",
            Some(Value::Exact {
                top: gmv,
                bottom: 100,
            }),
        )]),
    };
    let tiers = vec![("T1".into(), 0), ("T2".into(), 10), ("T3".into(), 20)];
    let mut settings = Settings {
        tiers,
        min_peers: 2,
        ..Settings::default()
    };
    let reasons = |candidates: &[Candidate], settings: &Settings| {
        let all: Vec<&Candidate> = candidates.iter().collect();
        let mut published: Vec<Cohort> = Vec::new();
        let mut out = Vec::new();
        for (tier, peers) in cohorts(&all, settings).iter().rev() {
            let judged = judge(
                "gmv",
                *tier,
                peers,
                &published.iter().collect::<Vec<_>>(),
                settings,
            );
            out.push(judged.as_ref().map(|c| c.mean).map_err(|e| *e));
            published.extend(judged.ok());
        }
        out
    };
    // T3 {1}: one peer. T2 {1, 2}: a half each is not more than a half. T1: shop 4 has 4.00 of
    // 7.00.
    let world = [
        shop(1, 2, 100),
        shop(2, 1, 100),
        shop(3, 0, 100),
        shop(4, 0, 400),
    ];
    assert_eq!(
        reasons(&world, &settings),
        [Err("TOO_FEW_PEERS"), Ok(1.0), Err("DOMINANT_PEER")]
    );
    // T1 differs from T2 by shop 3 alone.
    let world = [
        shop(1, 1, 100),
        shop(2, 1, 300),
        shop(3, 0, 100),
        shop(5, 1, 200),
    ];
    assert_eq!(reasons(&world, &settings), [Ok(2.0), Err("DIFFERENCING")]);
    // The upper half of T2's three shops is {2, 5}, 3.00 and 2.00. That of T1's four is the same,
    // so no shop of T1 is in it and there is no such cohort.
    settings.top_share = "0.5".into();
    assert_eq!(reasons(&world, &settings), [Err("DOMINANT_PEER")]);
}
