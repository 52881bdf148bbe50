//! Cohorts of comparable shops: who is a peer, and which averages may be shown.
//!
//! 1. Candidates of a scope (`candidates`): shops with a category, a tier, and any impression or
//!    order.
//! 2. Cohort (category, tier): the candidates of the category with that tier or a higher one; with
//!    `top_share` < 1 only its top shops by GMV.
//! 3. Per metric, from the highest tier down, a cohort is suppressed when its average would tell
//!    about single shops: alone, beside a higher cohort, or beside a daily cohort of the same
//!    shops.
//!
//! The day is decided first, because campaigns are held against it, and given last, in the order of
//! the tables' keys.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use super::candidates::{self, Candidates, Values};
use super::inputs::PublishedTables;
use super::summary::{Sample, Summary};
use crate::config::{BenchmarkRules, Config};
use crate::contracts::metrics::{METRICS, Metric};
use crate::stop::Stop;

/// The day whose data a report day's benchmarks use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkDay {
    pub day: NaiveDate,
    /// The required exports of the report day that are not final or block it; `None`: not a
    /// fallback.
    pub fallback_reason: Option<String>,
}

impl BenchmarkDay {
    pub fn is_fallback(&self) -> bool {
        self.fallback_reason.is_some()
    }
}

/// Why a cohort's average is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suppression {
    TooFewPeers,
    Differencing,
    DominantPeer,
}

impl Suppression {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Suppression::TooFewPeers => "TOO_FEW_PEERS",
            Suppression::Differencing => "DIFFERENCING",
            Suppression::DominantPeer => "DOMINANT_PEER",
        }
    }
}

/// One metric of a cohort: its numbers, or why they are not shown. Most cohorts of a world of small
/// categories are suppressed, so the numbers lie elsewhere.
pub(crate) type Statistic = std::result::Result<Box<Summary>, Suppression>;

/// Comparable shops of one category, of one tier or higher.
#[derive(Debug)]
pub(crate) struct Cohort {
    /// Position among the scope's categories.
    pub category: usize,
    pub tier: usize,
    /// In the order of `METRICS`.
    pub statistics: Vec<Statistic>,
}

impl Cohort {
    /// `None` where it is suppressed.
    pub(crate) fn published(&self, metric: usize) -> Option<&Summary> {
        self.statistics[metric].as_deref().ok()
    }
}

/// The cohorts of one day or one campaign's period.
#[derive(Debug)]
pub(crate) struct Scope {
    pub name: &'static str,
    /// 0 for `DAILY`.
    pub campaign_id: i64,
    pub observed_days: i64,
    pub candidates: Candidates,
    pub cohorts: Cohorts,
}

impl Scope {
    /// The nearest cohort of the shop's category, with its tier or a higher one, whose average of
    /// the metric is published.
    pub(crate) fn benchmark_of(&self, shop: usize, metric: usize) -> Option<(&Cohort, &Summary)> {
        let of_category = self.cohorts.of_category(self.candidates.category(shop));
        let higher = of_category
            .iter()
            .filter(|cohort| cohort.tier >= self.candidates.tier(shop));
        higher
            .filter_map(|cohort| Some((cohort, cohort.published(metric)?)))
            .next()
    }
}

/// Every cohort of a scope with a peer of exactly its tier.
#[derive(Debug, Default)]
pub(crate) struct Cohorts {
    /// By category and tier.
    pub all: Vec<Cohort>,
    /// Those of each category.
    by_category: Vec<Range<usize>>,
}

impl Cohorts {
    fn of_category(&self, category: usize) -> &[Cohort] {
        &self.all[self.by_category[category].clone()]
    }
}

/// Gives `consume` one scope `CAMPAIGN_PERIOD` for each campaign, then the scope `DAILY`: one at a
/// time in memory.
///
/// # Errors
/// `Interrupted` or `Terminated` soon after the run was asked to stop.
pub(crate) fn for_each_scope(
    day: NaiveDate,
    config: &Config,
    published: &dyn PublishedTables,
    stop: &Stop,
    consume: &mut dyn FnMut(&Scope) -> Result<()>,
) -> Result<()> {
    let tiers = candidates::tiers(day, config, published)?;
    let (observed_days, rules) = (tiers.observed_days, &config.benchmark);
    let mut of_the_day = PublishedPeers::default();
    let daily = candidates::daily(day, published, &tiers)?;
    let daily_cohorts = cohorts(
        &daily,
        &PublishedPeers::default(),
        rules,
        &mut of_the_day,
        stop,
    )?;
    drop(daily);
    for campaign_id in candidates::campaigns(day, published)? {
        let candidates = candidates::of_period(day, campaign_id, published, &tiers)?;
        let cohorts = cohorts(
            &candidates,
            &of_the_day,
            rules,
            &mut PublishedPeers::default(),
            stop,
        )?;
        consume(&Scope {
            name: "CAMPAIGN_PERIOD",
            campaign_id,
            observed_days,
            candidates,
            cohorts,
        })?;
    }
    drop(of_the_day);
    let candidates = candidates::daily(day, published, &tiers)?;
    consume(&Scope {
        name: "DAILY",
        campaign_id: 0,
        observed_days,
        candidates,
        cohorts: daily_cohorts,
    })
}

/// The shops, ascending, that are the peers of a cohort of one metric. Metrics that every peer has
/// a value of share them.
type Peers = Rc<[i64]>;

/// The peers of published cohorts: by category, then for each metric.
type PublishedPeers = HashMap<String, Vec<Vec<Peers>>>;

/// `others` are published cohorts that no sum or count of a cohort of their category may differ
/// from by few shops. Adds to `peers` those of the cohorts that turn out to be published.
fn cohorts(
    candidates: &Candidates,
    others: &PublishedPeers,
    rules: &BenchmarkRules,
    peers: &mut PublishedPeers,
    stop: &Stop,
) -> Result<Cohorts> {
    let mut cohorts = Cohorts::default();
    let shops = candidates.by_category();
    for shops in shops.chunk_by(|a, b| candidates.category(*a) == candidates.category(*b)) {
        let category = candidates.category(shops[0]);
        let name = &candidates.category_names[category];
        let mut of_category = category_cohorts(candidates, shops, rules);
        let mut published = Vec::with_capacity(METRICS.len());
        for metric in 0..METRICS.len() {
            stop.check()?;
            let others = others
                .get(name)
                .map(|metrics| &metrics[metric][..])
                .unwrap_or_default();
            published.push(decide(candidates, &mut of_category, metric, others, rules));
        }
        if published.iter().any(|peers| !peers.is_empty()) {
            peers.insert(name.clone(), published);
        }
        let first = cohorts.all.len();
        cohorts
            .all
            .extend(of_category.into_iter().map(|members| members.cohort));
        cohorts.by_category.push(first..cohorts.all.len());
    }
    Ok(cohorts)
}

/// A cohort with its peers, also those with unknown values.
struct Members {
    cohort: Cohort,
    /// Positions among the candidates, ascending.
    shops: Vec<usize>,
    shop_ids: Peers,
}

/// The cohorts of a category, lowest tier first, nothing of them decided. `shops` are positions
/// among the candidates, here and below.
fn category_cohorts(
    candidates: &Candidates,
    shops: &[usize],
    rules: &BenchmarkRules,
) -> Vec<Members> {
    let mut tiers: Vec<usize> = shops.iter().map(|shop| candidates.tier(*shop)).collect();
    tiers.sort_unstable();
    tiers.dedup();
    tiers
        .into_iter()
        .map(|tier| Members::of(tier, top_shops(candidates, shops, tier, rules), candidates))
        .filter(|members| members.has_own_tier(candidates))
        .collect()
}

/// The top shops by GMV (ties by smaller `shop_id`) of those with the tier or a higher one, by
/// shop.
fn top_shops(
    candidates: &Candidates,
    shops: &[usize],
    tier: usize,
    rules: &BenchmarkRules,
) -> Vec<usize> {
    let mut peers: Vec<usize> = shops
        .iter()
        .copied()
        .filter(|shop| candidates.tier(*shop) >= tier)
        .collect();
    let top = rules.top_share.ceil_of(peers.len());
    if top < peers.len() {
        // Candidates ascend by shop, and so do their positions.
        peers.sort_by_key(|shop| (std::cmp::Reverse(candidates.gmv_cents(*shop)), *shop));
        peers.truncate(top);
        peers.sort_unstable();
    }
    peers
}

/// Decides one metric of a category's cohorts, from the highest tier down; gives the peers of those
/// that are published.
fn decide(
    candidates: &Candidates,
    cohorts: &mut [Members],
    metric: usize,
    others: &[Peers],
    rules: &BenchmarkRules,
) -> Vec<Peers> {
    let mut published = Vec::new();
    for members in cohorts.iter_mut().rev() {
        let (peers, sample) = members.sample(candidates.values(metric));
        let statistic =
            match suppression(&peers, &sample, &published, others, &METRICS[metric], rules) {
                Some(reason) => Err(reason),
                None => {
                    published.push(peers);
                    Ok(Box::new(sample.summary()))
                }
            };
        members.cohort.statistics.push(statistic);
    }
    published
}

impl Members {
    /// `shops` are of one category, at least one.
    fn of(tier: usize, shops: Vec<usize>, candidates: &Candidates) -> Members {
        Members {
            cohort: Cohort {
                category: candidates.category(shops[0]),
                tier,
                statistics: Vec::with_capacity(METRICS.len()),
            },
            shop_ids: shops
                .iter()
                .map(|shop| candidates.shop_ids[*shop])
                .collect(),
            shops,
        }
    }

    /// Whether a peer has exactly the tier of the cohort.
    fn has_own_tier(&self, candidates: &Candidates) -> bool {
        let tier = self.cohort.tier;
        self.shops.iter().any(|shop| candidates.tier(*shop) == tier)
    }

    /// The peers whose value is known, and these values.
    fn sample(&self, values: &Values) -> (Peers, Sample) {
        let sample = match values {
            Values::Whole { parts, per_unit } => {
                let parts = self.shops.iter().filter_map(|shop| parts[*shop]).collect();
                Sample::Whole {
                    parts,
                    per_unit: *per_unit,
                }
            }
            Values::Double(values) => {
                Sample::Double(self.shops.iter().filter_map(|shop| values[*shop]).collect())
            }
        };
        if sample.count() == self.shops.len() {
            return (self.shop_ids.clone(), sample);
        }
        let shops = self.shops.iter().zip(self.shop_ids.iter());
        (
            shops
                .filter(|(shop, _)| values.is_known(**shop))
                .map(|(_, id)| *id)
                .collect(),
            sample,
        )
    }
}

/// `higher` are the peers of the published cohorts of higher tiers; `others` matter to sums and
/// counts only.
fn suppression(
    peers: &Peers,
    sample: &Sample,
    higher: &[Peers],
    others: &[Peers],
    metric: &Metric,
    rules: &BenchmarkRules,
) -> Option<Suppression> {
    let others = if metric.is_ratio { &[] } else { others };
    if (peers.len() as u64) < rules.min_peers {
        Some(Suppression::TooFewPeers)
    } else if higher
        .iter()
        .chain(others)
        .any(|other| differ_by_few(peers, other, rules.min_peers))
    {
        Some(Suppression::Differencing)
    } else if !metric.is_ratio && sample.is_dominated(rules.max_peer_share) {
        Some(Suppression::DominantPeer)
    } else {
        None
    }
}

/// Whether more than 0 and fewer than `enough` shops are in exactly one of two ascending lists.
fn differ_by_few(one: &Peers, other: &Peers, enough: u64) -> bool {
    if Rc::ptr_eq(one, other) || one.len().abs_diff(other.len()) as u64 >= enough {
        return false;
    }
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut in_one_only = 0;
    while in_one_only < enough {
        let order = match (one.peek(), other.peek()) {
            (None, None) => break,
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        in_one_only += u64::from(order.is_ne());
        // The lesser of two is in its own list only.
        if order.is_le() {
            one.next();
        }
        if order.is_ge() {
            other.next();
        }
    }
    0 < in_one_only && in_one_only < enough
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Share;

    const RULES: BenchmarkRules = BenchmarkRules {
        min_peers: 3,
        top_share: Share::ONE,
        max_peer_share: Share {
            numerator: 1,
            denominator: 2,
        },
    };

    fn decide(
        metric: &str,
        values: &[i64],
        higher: &[&[i64]],
        of_the_day: &[&[i64]],
    ) -> Option<Suppression> {
        let peers = |lists: &[&[i64]]| {
            lists
                .iter()
                .map(|shops| Peers::from(*shops))
                .collect::<Vec<_>>()
        };
        let shops: Peers = (1..=values.len() as i64).collect();
        let sample = Sample::Whole {
            parts: values.to_vec(),
            per_unit: 1,
        };
        let metric = METRICS.iter().find(|m| m.name == metric).unwrap();
        suppression(
            &shops,
            &sample,
            &peers(higher),
            &peers(of_the_day),
            metric,
            &RULES,
        )
    }

    #[test]
    fn a_cohort_is_suppressed_for_the_first_rule_it_breaks() {
        for metric in ["gmv", "orders", "customers"] {
            let decide = |values: &[i64], higher: &[&[i64]]| decide(metric, values, higher, &[]);
            assert_eq!(decide(&[100, 0], &[]), Some(Suppression::TooFewPeers));
            assert_eq!(
                decide(&[100, 0, 0, 0], &[&[1, 2, 3]]),
                Some(Suppression::Differencing)
            );
            assert_eq!(
                decide(&[100, 0, 0], &[&[1, 2, 3]]),
                Some(Suppression::DominantPeer)
            );
            assert_eq!(
                decide(&[50, 25, 25], &[&[1, 2, 3]]),
                None,
                "exactly half is not more than half"
            );
            assert_eq!(
                decide(&[0, 0, 0], &[]),
                None,
                "a sum of 0 has no dominant peer"
            );
        }
    }

    #[test]
    fn every_higher_cohort_counts_and_daily_ones_for_sums_and_counts_only() {
        let equal = [1; 4];
        assert_eq!(
            decide("gmv", &equal, &[&[1, 2, 3], &[7, 8, 9]], &[]),
            Some(Suppression::Differencing)
        );
        assert_eq!(
            decide("gmv", &equal, &[&[7, 8, 9], &[1, 2, 3]], &[]),
            Some(Suppression::Differencing)
        );
        assert_eq!(
            decide("gmv", &equal, &[&[7, 8, 9]], &[&[1, 2, 3]]),
            Some(Suppression::Differencing)
        );
        assert_eq!(decide("ctr", &equal, &[&[7, 8, 9]], &[&[1, 2, 3]]), None);
        assert_eq!(
            decide("ctr", &equal, &[&[1, 2, 3]], &[]),
            Some(Suppression::Differencing)
        );
    }

    #[test]
    fn shops_in_exactly_one_of_two_lists_are_counted_from_both_sides() {
        let few =
            |one: &[i64], other: &[i64], enough| differ_by_few(&one.into(), &other.into(), enough);
        assert!(!few(&[1, 2], &[1, 2], 9), "none");
        assert!(
            few(&[1, 2, 3], &[1, 2, 4], 3) && !few(&[1, 2, 3], &[1, 2, 4], 2),
            "two: 3 and 4"
        );
        assert!(
            few(&[1, 5], &[1, 3, 5], 2) && !few(&[1, 5], &[1, 3, 5], 1),
            "one: 3"
        );
        assert!(few(&[], &[1], 2) && few(&[1], &[], 2) && !few(&[], &[], 2));
    }
}
