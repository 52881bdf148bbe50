//! The benchmark tables of a shop, from the published tables of the benchmark day (SPEC.md section
//! 5).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::cells::{Cells, Line};
use super::cohorts::{Candidate, Cohort, Rule, Value, cohorts, nearest, position, shapley};
use crate::config::Config;
use crate::contracts::arrow::show_cents;
use crate::contracts::metrics::{METRICS, Metric};
use crate::contracts::tables::{FUNNEL_PERIOD, SHOP_DAILY, SHOP_PERIOD, SHOP_TIER, benchmark};
use crate::contracts::{BenchmarkId, Kind, Table};
use crate::report::versions::TableRows;

/// A scope: the day, or the period of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Daily,
    CampaignPeriod(i64),
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Scope::Daily => "DAILY",
            Scope::CampaignPeriod(_) => "CAMPAIGN_PERIOD",
        }
    }

    fn campaign_id(self) -> i64 {
        match self {
            Scope::Daily => 0,
            Scope::CampaignPeriod(campaign) => campaign,
        }
    }
}

/// The benchmark of a report day, for one shop.
pub(super) struct Benchmark<'a> {
    config: &'a Config,
    shop_id: i64,
    day: NaiveDate,
    fallback_reason: Option<String>,
    /// Rows of every shop on the benchmark day, by table.
    tables: BTreeMap<&'static str, TableRows>,
    /// The position of each shop's tier in the job file.
    tiers: HashMap<i64, usize>,
}

/// The columns of `gmv_gap` with the effects of impressions, clicks per impression, SKU orders per
/// click and gmv per SKU order.
const EFFECTS: [&str; 4] = [
    "from_impressions",
    "from_ctr",
    "from_ctor",
    "from_gmv_per_sku_order",
];

/// A scope and the cohort of a shop in it.
#[derive(Clone, Debug)]
struct Own {
    scope: Scope,
    category: String,
    tier: usize,
}

/// The benchmark of one metric: tiers, cohorts, and the rules that were tried.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct BenchmarkStory {
    pub benchmark_day: NaiveDate,
    /// Set for a fallback.
    pub fallback_reason: Option<String>,
    pub category: String,
    pub tier: String,
    pub trailing_gmv: Option<String>,
    /// Name and least trailing GMV of each tier, lowest first.
    pub tiers: Vec<(String, String)>,
    /// From the highest tier down, the order in which they are judged.
    pub cohorts: Vec<CohortStory>,
    /// The tier of the cohort that the shop is compared with; `None`: none is published.
    pub compared_with: Option<String>,
}

/// One cohort of the category. No number of it can be used to compute another shop's value.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct CohortStory {
    pub tier: String,
    /// The number of peers with a value, as a band.
    pub peers: String,
    /// The rules that it passed, in the order in which they were tried.
    pub passed: Vec<&'static str>,
    /// The rule that suppresses it; `None`: it is published.
    pub suppressed_by: Option<&'static str>,
}

impl<'a> Benchmark<'a> {
    /// `load` reads a table of the benchmark day: the rows of every shop.
    pub(super) fn load(
        config: &'a Config,
        shop_id: i64,
        (day, fallback_reason): (NaiveDate, Option<String>),
        load: &dyn Fn(&'static Table) -> Result<TableRows>,
    ) -> Result<Benchmark<'a>> {
        let mut tables = BTreeMap::new();
        for table in [&SHOP_DAILY, &SHOP_TIER, &SHOP_PERIOD, &FUNNEL_PERIOD] {
            tables.insert(table.name, load(table)?);
        }
        let mut benchmark = Benchmark {
            config,
            shop_id,
            day,
            fallback_reason,
            tables,
            tiers: HashMap::new(),
        };
        benchmark.tiers = benchmark.tiers_of_shops();
        Ok(benchmark)
    }

    fn tiers_of_shops(&self) -> HashMap<i64, usize> {
        let rows = &self.tables[SHOP_TIER.name];
        let tier = |row| {
            let name = rows.text("tier", row)?;
            let mut tiers = self.config.tiers.iter();
            Some((shop_of(rows, row)?, tiers.position(|t| t.name == name)?))
        };
        rows.numbers().filter_map(tier).collect()
    }

    /// The scopes in which the shop is a candidate.
    fn own(&self) -> Vec<Own> {
        let mut own = Vec::new();
        for table in [&SHOP_DAILY, &SHOP_PERIOD] {
            let rows = &self.tables[table.name];
            for row in rows.numbers() {
                if shop_of(rows, row) == Some(self.shop_id)
                    && let Some(category) = candidate_category(rows, row)
                    && let Some(tier) = self.tiers.get(&self.shop_id)
                {
                    own.push(Own {
                        scope: scope_of(rows, row),
                        category: category.to_owned(),
                        tier: *tier,
                    });
                }
            }
        }
        own
    }

    /// The cohort of the shop's category and tier in every scope, also where the shop itself is no
    /// candidate.
    fn cohorts_of_shop(&self) -> Vec<Own> {
        let rows = &self.tables[SHOP_TIER.name];
        let row = rows
            .numbers()
            .find(|row| shop_of(rows, *row) == Some(self.shop_id));
        let category = row.and_then(|row| rows.text("category", row));
        let (Some(category), Some(tier)) = (category, self.tiers.get(&self.shop_id)) else {
            return vec![];
        };
        let scopes: BTreeSet<Scope> = [&SHOP_DAILY, &SHOP_PERIOD]
            .into_iter()
            .flat_map(|table| {
                let rows = &self.tables[table.name];
                rows.numbers().map(|row| scope_of(rows, row))
            })
            .collect();
        let of_scope = |scope| Own {
            scope,
            category: category.to_owned(),
            tier: *tier,
        };
        scopes.into_iter().map(of_scope).collect()
    }

    /// The candidates of a category, in order of shop.
    fn candidates(&self, scope: Scope, category: &str, metric: &Metric) -> Vec<Candidate> {
        let table = match scope {
            Scope::Daily => &SHOP_DAILY,
            Scope::CampaignPeriod(_) => &SHOP_PERIOD,
        };
        let rows = &self.tables[table.name];
        let averages = match (scope, metric.daily_average) {
            (Scope::CampaignPeriod(campaign), Some(column)) => {
                Some(self.averages(campaign, column))
            }
            _ => None,
        };
        let candidate = |row| {
            let shop_id = shop_of(rows, row)?;
            let tier = *self.tiers.get(&shop_id)?;
            if scope_of(rows, row) != scope || candidate_category(rows, row) != Some(category) {
                return None;
            }
            let value = match &averages {
                Some(averages) => averages.get(&shop_id).copied(),
                None => value(table, metric, rows, row),
            };
            Some(Candidate {
                shop_id,
                tier,
                gmv: rows.whole("gmv", row)?,
                value,
            })
        };
        let mut found: Vec<Candidate> = rows.numbers().filter_map(candidate).collect();
        found.sort_by_key(|candidate| candidate.shop_id);
        found
    }

    /// The mean daily distinct count of each shop over a campaign's period, as the sum that it was
    /// divided from.
    fn averages(&self, campaign: i64, column: &str) -> HashMap<i64, Value> {
        let rows = &self.tables[FUNNEL_PERIOD.name];
        let average = |row| {
            let (mean, days) = (rows.double(column, row)?, rows.whole("days", row)?);
            let top = (mean * days as f64).round() as i128;
            Some((shop_of(rows, row)?, Value::Exact { top, bottom: days }))
        };
        let of_campaign = |row: &usize| scope_of(rows, *row) == Scope::CampaignPeriod(campaign);
        rows.numbers()
            .filter(of_campaign)
            .filter_map(average)
            .collect()
    }

    fn cohorts(&self, own: &Own, metric: &Metric) -> (Vec<Candidate>, Vec<Cohort>) {
        let of = |scope, of_the_day: &[Cohort]| {
            let candidates = self.candidates(scope, &own.category, metric);
            let (tiers, rules) = (self.config.tiers.len(), &self.config.benchmark);
            let found = cohorts(&candidates, tiers, metric.is_ratio, rules, of_the_day);
            (candidates, found)
        };
        match own.scope {
            Scope::Daily => of(Scope::Daily, &[]),
            scope => of(scope, &of(Scope::Daily, &[]).1),
        }
    }

    /// The shop's rows of a benchmark table; of `category_benchmark`, the cohorts of its category and
    /// tier. `metric`: only rows of this metric.
    pub(super) fn rows(&self, id: BenchmarkId, metric: Option<&str>) -> Vec<Cells> {
        let is_wanted = |candidate: &&Metric| metric.is_none_or(|name| candidate.name == name);
        let metrics: Vec<&Metric> = METRICS.iter().filter(is_wanted).collect();
        let own = match id {
            BenchmarkId::CategoryBenchmark => self.cohorts_of_shop(),
            BenchmarkId::ShopBenchmark | BenchmarkId::GmvGap => self.own(),
        };
        let rows = own.iter().flat_map(|own| match id {
            BenchmarkId::CategoryBenchmark => self.each(own, &metrics, Self::category_benchmark),
            BenchmarkId::ShopBenchmark => self.each(own, &metrics, Self::shop_benchmark),
            BenchmarkId::GmvGap => self.gmv_gap(own).into_iter().collect(),
        });
        rows.collect()
    }

    fn each(
        &self,
        own: &Own,
        metrics: &[&Metric],
        row: fn(&Self, &Own, &Metric) -> Option<Cells>,
    ) -> Vec<Cells> {
        metrics
            .iter()
            .filter_map(|metric| row(self, own, metric))
            .collect()
    }

    /// The columns that the three tables share.
    fn line(&self, id: BenchmarkId, own: &Own) -> Line {
        Line::new(benchmark(id))
            .is("scope", own.scope.name())
            .is("campaign_id", own.scope.campaign_id())
            .is("category", &own.category)
            .is("tier", self.tier(own.tier))
            .is("benchmark_day", self.day)
            .is("is_fallback", self.fallback_reason.is_some())
    }

    fn tier(&self, position: usize) -> &str {
        &self.config.tiers[position].name
    }

    fn category_benchmark(&self, own: &Own, metric: &Metric) -> Option<Cells> {
        let (_, found) = self.cohorts(own, metric);
        let cohort = found.into_iter().find(|cohort| cohort.tier == own.tier)?;
        let numbers = cohort.outcome.ok();
        let quartile = |at: usize| numbers.map(|numbers| numbers.quartiles[at]);
        let line = self.line(BenchmarkId::CategoryBenchmark, own);
        let line = line
            .is("metric", metric.name)
            .cell("fallback_reason", self.fallback_reason.clone())
            .cell("observed_days", self.observed_days())
            .cell("peer_count", numbers.map(|n| n.peer_count.to_string()))
            .double("mean", numbers.map(|numbers| numbers.mean))
            .double("p25", quartile(0))
            .double("p50", quartile(1))
            .double("p75", quartile(2))
            .is("is_suppressed", cohort.outcome.is_err());
        let reason = cohort.outcome.err().map(|rule| rule.code().to_owned());
        Some(
            line.cell("suppression_reason", reason)
                .is("method", "mean-v2")
                .done(),
        )
    }

    fn observed_days(&self) -> Option<String> {
        let rows = &self.tables[SHOP_TIER.name];
        rows.shown(SHOP_TIER.column("observed_days"), rows.numbers().next()?)
    }

    fn shop_benchmark(&self, own: &Own, metric: &Metric) -> Option<Cells> {
        let (candidates, found) = self.cohorts(own, metric);
        let mut of_shop = candidates.iter().filter(|c| c.shop_id == self.shop_id);
        let value = of_shop.next()?.value.map(Value::double);
        let cohort = nearest(&found, own.tier);
        let numbers = cohort.map(|(_, numbers)| numbers);
        let pair = value.zip(numbers);
        let difference = pair.filter(|(_, numbers)| numbers.mean != 0.0);
        let difference =
            difference.map(|(value, numbers)| (value - numbers.mean) / numbers.mean * 100.0);
        let place = pair.map(|(value, numbers)| position(value, numbers.quartiles).to_owned());
        let tier = cohort.map(|(cohort, _)| self.tier(cohort.tier).to_owned());
        let line = self.line(BenchmarkId::ShopBenchmark, own);
        let line = line
            .is("shop_id", self.shop_id)
            .is("metric", metric.name)
            .double("value", value)
            .cell("benchmark_tier", tier)
            .double("benchmark", numbers.map(|numbers| numbers.mean))
            .double("difference_pct", difference);
        Some(line.cell("position", place).done())
    }

    fn gmv_gap(&self, own: &Own) -> Option<Cells> {
        let names = ["product_impressions", "product_clicks", "sku_orders", "gmv"];
        let (mut of_shop, mut of_cohorts) = ([None; 4], Vec::new());
        for (value, name) in of_shop.iter_mut().zip(names) {
            let metric = METRICS.iter().find(|metric| metric.name == name)?;
            let (candidates, found) = self.cohorts(own, metric);
            let mut shop = candidates.iter().filter(|c| c.shop_id == self.shop_id);
            *value = shop.next()?.value.map(Value::double);
            of_cohorts.push(found);
        }
        let (cohort, numbers) = nearest(&of_cohorts[3], own.tier)?;
        let gmv = of_shop[3]?;
        // The means of that one cohort.
        let mean = |at: usize| {
            let mut of_tier = of_cohorts[at]
                .iter()
                .filter(|other| other.tier == cohort.tier);
            let mean = of_tier.next()?.outcome.ok()?.mean;
            Some(mean).filter(|mean| *mean != 0.0)
        };
        let factors = factors(of_shop).zip(factors([0, 1, 2, 3].map(mean)));
        let effects = factors.map(|(shop, cohort)| shapley(&shop, &cohort));
        let mut line = self
            .line(BenchmarkId::GmvGap, own)
            .is("shop_id", self.shop_id)
            .is("benchmark_tier", self.tier(cohort.tier))
            .double("gmv", Some(gmv))
            .double("benchmark_gmv", Some(numbers.mean))
            .double("gap", Some(gmv - numbers.mean));
        for (at, column) in EFFECTS.into_iter().enumerate() {
            line = line.double(column, effects.map(|effects| effects[at]));
        }
        Some(line.done())
    }

    /// The benchmark of a metric: tiers, cohorts, and the rules that were tried, in the scope and campaign of a row.
    pub(super) fn story(&self, key: &Cells, metric: &str) -> Option<BenchmarkStory> {
        let metric = METRICS.iter().find(|known| known.name == metric)?;
        let campaign = key.get("campaign_id").cloned().flatten();
        let is_asked = |own: &&Own| Some(own.scope.campaign_id().to_string()) == campaign;
        let own = match key.contains_key("shop_id") {
            true => self.own(),
            false => self.cohorts_of_shop(),
        };
        let own = own.iter().find(is_asked)?;
        let (_, found) = self.cohorts(own, metric);
        let min_peers = self.config.benchmark.min_peers;
        let cohort = |cohort: &Cohort| {
            let failed = cohort.outcome.err();
            let passed = cohort.tried.iter().filter(|rule| Some(**rule) != failed);
            CohortStory {
                tier: self.tier(cohort.tier).to_owned(),
                peers: cohort.band(min_peers),
                passed: passed.map(|rule| rule.code()).collect(),
                suppressed_by: failed.map(Rule::code),
            }
        };
        let tier = |tier: &crate::config::Tier| (tier.name.clone(), show_cents(tier.min_gmv_cents));
        let compared = nearest(&found, own.tier);
        Some(BenchmarkStory {
            benchmark_day: self.day,
            fallback_reason: self.fallback_reason.clone(),
            category: own.category.clone(),
            tier: self.tier(own.tier).to_owned(),
            trailing_gmv: self.trailing_gmv(),
            tiers: self.config.tiers.iter().map(tier).collect(),
            cohorts: found.iter().map(cohort).collect(),
            compared_with: compared.map(|(cohort, _)| self.tier(cohort.tier).to_owned()),
        })
    }

    fn trailing_gmv(&self) -> Option<String> {
        let rows = &self.tables[SHOP_TIER.name];
        let mut numbers = rows.numbers();
        let row = numbers.find(|row| shop_of(rows, *row) == Some(self.shop_id))?;
        rows.shown(SHOP_TIER.column("trailing_gmv"), row)
    }
}

fn shop_of(rows: &TableRows, row: usize) -> Option<i64> {
    Some(rows.whole("shop_id", row)? as i64)
}

/// The scope of a row of a table of shops, or of campaigns and shops.
fn scope_of(rows: &TableRows, row: usize) -> Scope {
    match rows.whole("campaign_id", row) {
        Some(campaign) => Scope::CampaignPeriod(campaign as i64),
        None => Scope::Daily,
    }
}

/// The category of a row that makes its shop a candidate.
fn candidate_category(rows: &TableRows, row: usize) -> Option<&str> {
    let is_active =
        rows.whole("product_impressions", row) > Some(0) || rows.whole("orders", row) > Some(0);
    rows.text("category", row).filter(|_| is_active)
}

fn value(table: &'static Table, metric: &Metric, rows: &TableRows, row: usize) -> Option<Value> {
    let bottom = match table.column(metric.name).kind {
        Kind::Double => return rows.double(metric.name, row).map(Value::Ratio),
        Kind::Money => 100,
        _ => 1,
    };
    let top = rows.whole(metric.name, row)?;
    Some(Value::Exact { top, bottom })
}

/// Each total by the one before it; `None` where one is not known, or 0 and divided by.
fn factors(totals: [Option<f64>; 4]) -> Option<[f64; 4]> {
    let mut before = 1.0;
    let mut factors = [0.0; 4];
    for (factor, total) in factors.iter_mut().zip(totals) {
        if before == 0.0 {
            return None;
        }
        *factor = total? / before;
        before = total?;
    }
    Some(factors)
}
