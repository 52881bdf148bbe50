//! The cohorts of a category for one metric: their peers, the rules of suppression in the order in
//! which they are tried, and the statistics of those that are published (SPEC.md section 5).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::BenchmarkRules;

/// A shop's own value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Whole numbers by one divisor: cents by 100, a count by 1, a sum of daily counts by days.
    Exact {
        top: i128,
        bottom: i128,
    },
    Ratio(f64),
}

impl Value {
    pub(super) fn double(self) -> f64 {
        match self {
            Value::Exact { top, bottom } => top as f64 / bottom as f64,
            Value::Ratio(ratio) => ratio,
        }
    }
}

/// A shop of the category that can be a peer, of one scope and campaign.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub shop_id: i64,
    /// The position of its tier in the job file, lowest first.
    pub tier: usize,
    /// In cents.
    pub gmv: i128,
    pub value: Option<Value>,
}

/// A rule of suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Rule {
    TooFewPeers,
    Differencing,
    DominantPeer,
}

impl Rule {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Rule::TooFewPeers => "TOO_FEW_PEERS",
            Rule::Differencing => "DIFFERENCING",
            Rule::DominantPeer => "DOMINANT_PEER",
        }
    }
}

/// The numbers of a published cohort.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Statistics {
    pub peer_count: usize,
    pub mean: f64,
    /// The first, second and third.
    pub quartiles: [f64; 3],
}

/// A cohort of one metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cohort {
    pub tier: usize,
    /// Peers whose value is not null.
    peers: BTreeSet<i64>,
    /// The rules that were tried, in order; the last one may be the one that suppresses.
    pub tried: Vec<Rule>,
    /// The rule that suppresses the cohort, or its numbers.
    pub outcome: Result<Statistics, Rule>,
}

/// The cohorts of a category, from the highest tier down.
///
/// `tiers`: how many there are. `of_the_day`: for a sum or count of a campaign, the daily cohorts of
/// the category and metric.
pub(super) fn cohorts(
    candidates: &[Candidate],
    tiers: usize,
    is_ratio: bool,
    rules: &BenchmarkRules,
    of_the_day: &[Cohort],
) -> Vec<Cohort> {
    let mut found: Vec<Cohort> = Vec::new();
    for tier in (0..tiers).rev() {
        let members = members(candidates, tier, rules);
        if !members.iter().any(|peer| peer.tier == tier) {
            continue;
        }
        let compared = found
            .iter()
            .chain(of_the_day.iter().filter(|_| !is_ratio))
            .filter(|other| other.outcome.is_ok());
        let compared: Vec<&Cohort> = compared.collect();
        let cohort = judge(tier, &members, is_ratio, rules, &compared);
        found.push(cohort);
    }
    found
}

/// The peers of a tier's cohort, in order of shop.
fn members<'a>(
    candidates: &'a [Candidate],
    tier: usize,
    rules: &BenchmarkRules,
) -> Vec<&'a Candidate> {
    let mut members: Vec<&Candidate> = candidates.iter().filter(|c| c.tier >= tier).collect();
    members.sort_by_key(|peer| (-peer.gmv, peer.shop_id));
    let share = rules.top_share;
    let most = share.numerator * members.len() as i128;
    let most = (most + share.denominator - 1) / share.denominator;
    members.truncate(most as usize);
    members.sort_by_key(|peer| peer.shop_id);
    members
}

fn judge(
    tier: usize,
    members: &[&Candidate],
    is_ratio: bool,
    rules: &BenchmarkRules,
    compared: &[&Cohort],
) -> Cohort {
    let known = members
        .iter()
        .filter_map(|peer| Some((peer.shop_id, peer.value?)));
    let (peers, values): (BTreeSet<i64>, Vec<Value>) = known.unzip();
    let fails = |rule: &Rule| match rule {
        Rule::TooFewPeers => (peers.len() as u64) < rules.min_peers,
        Rule::Differencing => compared.iter().any(|other| {
            let in_one = peers.symmetric_difference(&other.peers).count() as u64;
            in_one > 0 && in_one < rules.min_peers
        }),
        Rule::DominantPeer => is_dominated(&values, rules),
    };
    let mut tried = vec![Rule::TooFewPeers, Rule::Differencing];
    if !is_ratio {
        tried.push(Rule::DominantPeer);
    }
    let failed = tried.iter().position(fails);
    if let Some(failed) = failed {
        tried.truncate(failed + 1);
    }
    let outcome = match failed {
        Some(failed) => Err(tried[failed]),
        None => Ok(statistics(values)),
    };
    Cohort {
        tier,
        peers,
        tried,
        outcome,
    }
}

/// Whether one peer holds more than the allowed share of the sum.
fn is_dominated(values: &[Value], rules: &BenchmarkRules) -> bool {
    let tops = values.iter().map(|value| match value {
        Value::Exact { top, .. } => *top,
        Value::Ratio(_) => 0,
    });
    let (sum, most) = (tops.clone().sum::<i128>(), tops.max().unwrap_or(0));
    let share = rules.max_peer_share;
    sum > 0 && most * share.denominator > share.numerator * sum
}

/// `values`: in order of shop, at least one.
fn statistics(mut values: Vec<Value>) -> Statistics {
    let (peer_count, mean_of_all) = (values.len(), mean(&values));
    values.sort_by(|a, b| a.double().total_cmp(&b.double()));
    Statistics {
        peer_count,
        mean: mean_of_all,
        quartiles: [1, 2, 3].map(|quarters| mean(smoothed(&values, quarters))),
    }
}

/// The exact sum of whole numbers divided once; ratios are added in their order.
fn mean(values: &[Value]) -> f64 {
    let (mut sum, mut unit, mut ratios) = (0, 1, 0.0);
    for value in values {
        match value {
            Value::Exact { top, bottom } => {
                sum += top;
                unit = *bottom;
            }
            Value::Ratio(ratio) => ratios += ratio,
        }
    }
    match values.first() {
        Some(Value::Ratio(_)) => ratios / values.len() as f64,
        _ => sum as f64 / (unit * values.len() as i128) as f64,
    }
}

/// With `h = (n-1) * quarters / 4`, the sorted values at positions `floor(h)-1` to `ceil(h)+1`.
fn smoothed<T>(sorted: &[T], quarters: usize) -> &[T] {
    let last = sorted.len() - 1;
    let (floor, ceil) = (last * quarters / 4, (last * quarters).div_ceil(4));
    &sorted[floor.saturating_sub(1)..=(ceil + 1).min(last)]
}

/// The nearest published cohort for a shop of this tier.
pub(super) fn nearest(cohorts: &[Cohort], tier: usize) -> Option<(&Cohort, Statistics)> {
    let published = cohorts
        .iter()
        .filter(|cohort| cohort.tier >= tier)
        .filter_map(|cohort| Some((cohort, cohort.outcome.ok()?)));
    published.min_by_key(|(cohort, _)| cohort.tier)
}

/// Where a value lies among the quartiles; equal to one counts as above it.
pub(super) fn position(value: f64, [p25, p50, p75]: [f64; 3]) -> &'static str {
    match () {
        () if value >= p75 => "ABOVE_P75",
        () if value >= p50 => "P50_TO_P75",
        () if value >= p25 => "P25_TO_P50",
        () => "BELOW_P25",
    }
}

/// The mean effect of each factor over the 24 orders in which the cohort's factors can be exchanged
/// for the shop's.
pub(super) fn shapley(own: &[f64; 4], cohort: &[f64; 4]) -> [f64; 4] {
    let mut total = [0.0; 4];
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                let mut now = *cohort;
                for factor in [a, b, c, 6 - a - b - c] {
                    let before: f64 = now.iter().product();
                    now[factor] = own[factor];
                    total[factor] += now.iter().product::<f64>() - before;
                }
            }
        }
    }
    total.map(|sum| sum / 24.0)
}

/// The number of peers as a band: `20 to 49`. The bounds are 1, 2, 5, 10, 20, 50 times `min_peers`
/// and so on.
fn band(peers: usize, min_peers: u64) -> String {
    let decades = std::iter::successors(Some(1_u64), |decade| decade.checked_mul(10));
    let steps = decades.flat_map(|decade| [1, 2, 5].map(|step| decade.saturating_mul(step)));
    let mut low = None;
    for bound in steps.map(|step| step.saturating_mul(min_peers)) {
        match low {
            None if (peers as u64) < bound => return format!("fewer than {bound}"),
            Some(low) if (peers as u64) < bound => return format!("{low} to {}", bound - 1),
            _ => low = Some(bound),
        }
    }
    format!("{min_peers} or more")
}

impl Cohort {
    /// The number of peers with a value as a band.
    pub(super) fn band(&self, min_peers: u64) -> String {
        match self.outcome {
            Ok(_) | Err(Rule::TooFewPeers) => band(self.peers.len(), min_peers),
            Err(_) => format!("{min_peers} or more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Share;

    fn rules(min_peers: u64, top_share: (i128, i128)) -> BenchmarkRules {
        let share = |(numerator, denominator)| Share {
            numerator,
            denominator,
        };
        BenchmarkRules {
            min_peers,
            top_share: share(top_share),
            max_peer_share: share((1, 2)),
        }
    }

    fn shop(shop_id: i64, tier: usize, gmv: i128) -> Candidate {
        Candidate {
            shop_id,
            tier,
            gmv,
            value: Some(Value::Exact {
                top: gmv,
                bottom: 100,
            }),
        }
    }

    fn outcomes(candidates: &[Candidate], rules: &BenchmarkRules) -> Vec<Result<f64, Rule>> {
        let found = cohorts(candidates, 3, false, rules, &[]);
        let mean = |cohort: Cohort| cohort.outcome.map(|numbers| numbers.mean);
        found.into_iter().map(mean).collect()
    }

    #[test]
    fn rules_are_tried_from_the_highest_tier_down() {
        // T3 {1}: one peer. T2 {1, 2}: a half each is not more than a half. T1: shop 4 has 4.00 of
        // 7.00.
        let world = [
            shop(1, 2, 100),
            shop(2, 1, 100),
            shop(3, 0, 100),
            shop(4, 0, 400),
        ];
        let expected = [Err(Rule::TooFewPeers), Ok(1.0), Err(Rule::DominantPeer)];
        assert_eq!(outcomes(&world, &rules(2, (1, 1))), expected);
        // T1 differs from T2 by shop 3 alone.
        let world = [
            shop(1, 1, 100),
            shop(2, 1, 300),
            shop(3, 0, 100),
            shop(5, 1, 200),
        ];
        let expected = [Ok(2.0), Err(Rule::Differencing)];
        assert_eq!(outcomes(&world, &rules(2, (1, 1))), expected);
        // The upper half of both cohorts is {2, 5}, so T1 has none of its own: 3.00 of 5.00.
        let expected = [Err(Rule::DominantPeer)];
        assert_eq!(outcomes(&world, &rules(2, (1, 2))), expected);
    }

    #[test]
    fn a_quartile_is_the_mean_of_its_neighbours() {
        let values = [1, 2, 4, 8, 16];
        // h is 1, 2 and 3.
        let expected = [&values[..3], &values[1..4], &values[2..]];
        assert_eq!([1, 2, 3].map(|q| smoothed(&values, q)), expected);
        // h is 0.75, 1.5 and 2.25.
        let expected = [&values[..3], &values[..4], &values[1..4]];
        assert_eq!([1, 2, 3].map(|q| smoothed(&values[..4], q)), expected);
        assert_eq!(smoothed(&[7], 3), [7]);
        let places = [0.9, 1.0, 2.0, 3.0].map(|value| position(value, [1.0, 2.0, 3.0]));
        assert_eq!(
            places,
            ["BELOW_P25", "P25_TO_P50", "P50_TO_P75", "ABOVE_P75"]
        );
    }

    #[test]
    fn effects_are_those_worked_out_by_hand() {
        // From 1 * 1 to 3 * 2: (2 + 4) / 2 and (1 + 3) / 2.
        let effects = shapley(&[3.0, 1.0, 2.0, 1.0], &[1.0; 4]);
        assert_eq!(effects, [3.0, 0.0, 2.0, 0.0]);
    }

    #[test]
    fn the_number_of_peers_is_told_as_a_band() {
        let told = [9, 10, 19, 20, 49, 50, 99, 100, 999, 1000].map(|peers| band(peers, 10));
        let expected = [
            "fewer than 10",
            "10 to 19",
            "10 to 19",
            "20 to 49",
            "20 to 49",
            "50 to 99",
            "50 to 99",
            "100 to 199",
            "500 to 999",
            "1000 to 1999",
        ];
        assert_eq!(told, expected);
    }
}
