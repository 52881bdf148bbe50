//! The shops that can be peers of a benchmark, with their own values of every metric.
//!
//! A candidate has a category, a tier, and any impression or order, in one scope: a day, or one
//! campaign's period.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use polars::prelude::{self as pl, DataFrame};

use super::inputs::{PublishedTables, Rows};
use crate::config::Config;
use crate::contracts::metrics::{METRICS, Metric, metric_columns};
use crate::contracts::tables::{FUNNEL_PERIOD, SHOP_DAILY, SHOP_PERIOD, SHOP_TIER};
use crate::contracts::{Kind, Table};
use crate::messages;

// Positions among the metrics.
pub(super) const GMV: usize = 0;
pub(super) const SKU_ORDERS: usize = 2;
pub(super) const PRODUCT_IMPRESSIONS: usize = 6;
pub(super) const PRODUCT_CLICKS: usize = 7;

/// The metrics by name: the order of rows in every benchmark table.
pub(super) fn metrics_by_name() -> Vec<usize> {
    let mut metrics: Vec<usize> = (0..METRICS.len()).collect();
    metrics.sort_by_key(|metric| METRICS[*metric].name);
    metrics
}

/// The values of one metric, shop by shop; `None`: unknown for this shop.
#[derive(Debug)]
pub(crate) enum Values {
    /// Exact: `parts / per_unit`. Money is cents per 100, a count is per 1, a mean over days is a
    /// sum per days.
    Whole {
        parts: Vec<Option<i64>>,
        per_unit: i64,
    },
    Double(Vec<Option<f64>>),
}

impl Values {
    /// None yet.
    fn of(metric: &Metric) -> Values {
        match SHOP_DAILY.column(metric.name).kind {
            Kind::Double => Values::Double(Vec::new()),
            Kind::Money => Values::Whole {
                parts: Vec::new(),
                per_unit: 100,
            },
            _ => Values::Whole {
                parts: Vec::new(),
                per_unit: 1,
            },
        }
    }

    pub(super) fn is_known(&self, shop: usize) -> bool {
        match self {
            Values::Whole { parts, .. } => parts[shop].is_some(),
            Values::Double(values) => values[shop].is_some(),
        }
    }

    fn get(&self, shop: usize) -> Option<f64> {
        match self {
            Values::Whole { parts, per_unit } => {
                parts[shop].map(|part| part as f64 / *per_unit as f64)
            }
            Values::Double(values) => values[shop],
        }
    }

    /// Adds those of some rows.
    fn extend(&mut self, column: &pl::Column, rows: &[usize]) -> Result<()> {
        match self {
            Values::Whole { parts, .. } if *column.dtype() == pl::DataType::Int128 => {
                let cents = column.i128()?;
                for row in rows {
                    parts.push(cents.get(*row).map(in_64_bits).transpose()?);
                }
            }
            Values::Whole { parts, .. } => {
                let counts = column.i64()?;
                parts.extend(rows.iter().map(|row| counts.get(*row)));
            }
            Values::Double(all) => {
                let values = column.f64()?;
                all.extend(rows.iter().map(|row| values.get(*row)));
            }
        }
        Ok(())
    }

    /// Adds those of every row, given as means over `days` of whole numbers.
    ///
    /// The mean is the sum divided once, so the sum is the nearest whole number to mean times days,
    /// for sums below 2^51. A sum counts users, each with a row of an export.
    fn extend_with_means(&mut self, means: &pl::Column, days: &pl::Column) -> Result<()> {
        let Values::Whole { parts, per_unit } = self else {
            return Ok(());
        };
        for (mean, days) in means.f64()?.iter().zip(days.i64()?.iter()) {
            *per_unit = days.context("days is never null")?;
            parts.push(mean.map(|mean| (mean * *per_unit as f64).round() as i64));
        }
        Ok(())
    }
}

fn in_64_bits(cents: i128) -> Result<i64> {
    i64::try_from(cents).context("more than DECIMAL(18,2) holds")
}

/// The candidates of a scope, column by column: they are all in memory at once.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// Ascending.
    pub shop_ids: Vec<i64>,
    /// Ascending.
    pub category_names: Vec<String>,
    /// Positions among the names.
    categories: Vec<u32>,
    /// Positions among the configured tiers.
    tiers: Vec<u32>,
    /// In the order of `METRICS`.
    values: Vec<Values>,
    /// The values of `gmv` in cents: a shop always has one.
    gmv_cents: Vec<i64>,
}

impl Candidates {
    pub(crate) fn count(&self) -> usize {
        self.shop_ids.len()
    }

    pub(crate) fn category(&self, shop: usize) -> usize {
        self.categories[shop] as usize
    }

    pub(crate) fn tier(&self, shop: usize) -> usize {
        self.tiers[shop] as usize
    }

    /// In the metric's unit: money in units of the currency.
    pub(crate) fn value(&self, shop: usize, metric: usize) -> Option<f64> {
        self.values[metric].get(shop)
    }

    pub(crate) fn values(&self, metric: usize) -> &Values {
        &self.values[metric]
    }

    pub(crate) fn gmv_cents(&self, shop: usize) -> i64 {
        self.gmv_cents[shop]
    }

    /// The positions of the shops of each category, in the order of the categories.
    pub(crate) fn by_category(&self) -> Vec<usize> {
        let mut shops: Vec<usize> = (0..self.count()).collect();
        // Stable: the shops of a category still ascend.
        shops.sort_by_key(|shop| self.categories[*shop]);
        shops
    }
}

/// Those of the day.
pub(super) fn daily(
    day: NaiveDate,
    published: &dyn PublishedTables,
    tiers: &Tiers,
) -> Result<Candidates> {
    let mut shops = Gathered::default();
    shops.read_shops(&SHOP_DAILY, day, Rows::default(), published, tiers)?;
    Ok(shops.into_candidates())
}

/// Those of the campaign's period through the day.
pub(super) fn of_period(
    day: NaiveDate,
    campaign_id: i64,
    published: &dyn PublishedTables,
    tiers: &Tiers,
) -> Result<Candidates> {
    let mut shops = Gathered::default();
    let rows = Rows {
        campaign_id: Some(campaign_id),
        shops: None,
    };
    shops.read_shops(&SHOP_PERIOD, day, rows, published, tiers)?;
    shops.read_daily_averages(day, campaign_id, published)?;
    Ok(shops.into_candidates())
}

/// The campaigns of `shop_period` at the benchmark day, ascending.
pub(super) fn campaigns(day: NaiveDate, published: &dyn PublishedTables) -> Result<BTreeSet<i64>> {
    let mut campaigns = BTreeSet::new();
    published.read(
        &SHOP_PERIOD,
        day,
        &["campaign_id"],
        Rows::default(),
        &mut |rows| {
            campaigns.extend(rows.column("campaign_id")?.i64()?.iter().flatten());
            Ok(())
        },
    )?;
    Ok(campaigns)
}

/// `shop_tier` at the benchmark day.
pub(super) struct Tiers {
    by_shop: HashMap<i64, u32>,
    pub observed_days: i64,
}

pub(super) fn tiers(
    day: NaiveDate,
    config: &Config,
    published: &dyn PublishedTables,
) -> Result<Tiers> {
    let mut tiers = Tiers {
        by_shop: HashMap::new(),
        observed_days: 0,
    };
    let names = ["shop_id", "tier", "observed_days"];
    published.read(&SHOP_TIER, day, &names, Rows::default(), &mut |rows| {
        for (shop, tier) in rows
            .column("shop_id")?
            .i64()?
            .iter()
            .zip(rows.column("tier")?.str()?.iter())
        {
            let (Some(shop), Some(tier)) = (shop, tier) else {
                continue;
            };
            let position = config.tier_position(tier);
            let position = position.ok_or_else(|| messages::unknown_tier(day, tier))?;
            tiers.by_shop.insert(shop, position as u32);
        }
        tiers.observed_days = rows
            .column("observed_days")?
            .i64()?
            .get(0)
            .unwrap_or(tiers.observed_days);
        Ok(())
    })?;
    Ok(tiers)
}

/// The candidates of a scope while they are read.
struct Gathered {
    /// Positions among the categories, in the order in which they were found.
    positions: HashMap<String, u32>,
    candidates: Candidates,
}

impl Default for Gathered {
    fn default() -> Gathered {
        let values = METRICS.iter().map(Values::of).collect();
        let candidates = Candidates {
            shop_ids: Vec::new(),
            category_names: Vec::new(),
            categories: Vec::new(),
            tiers: Vec::new(),
            values,
            gmv_cents: Vec::new(),
        };
        Gathered {
            positions: HashMap::new(),
            candidates,
        }
    }
}

impl Gathered {
    /// Takes the candidates among the rows, and those of their values that the table has.
    fn read_shops(
        &mut self,
        table: &'static Table,
        day: NaiveDate,
        rows: Rows,
        published: &dyn PublishedTables,
        tiers: &Tiers,
    ) -> Result<()> {
        let columns: Vec<&str> = ["shop_id", "category"]
            .into_iter()
            .chain(metric_columns(table.id))
            .collect();
        published.read(table, day, &columns, rows, &mut |rows| {
            let taken = self.take(&rows, tiers)?;
            for (metric, values) in METRICS.iter().zip(&mut self.candidates.values) {
                if let Some(name) = metric.column_of(table.id) {
                    values.extend(rows.column(name)?, &taken)?;
                }
            }
            Ok(())
        })
    }

    /// Takes the candidates' values of `funnel_period`, which has the shops of `shop_period`.
    fn read_daily_averages(
        &mut self,
        day: NaiveDate,
        campaign_id: i64,
        published: &dyn PublishedTables,
    ) -> Result<()> {
        let table = &FUNNEL_PERIOD;
        let columns: Vec<&str> = ["shop_id", "days"]
            .into_iter()
            .chain(metric_columns(table.id))
            .collect();
        let Candidates {
            shop_ids, values, ..
        } = &mut self.candidates;
        let mut found = 0;
        let rows = Rows {
            campaign_id: Some(campaign_id),
            shops: Some(shop_ids),
        };
        published.read(table, day, &columns, rows, &mut |rows| {
            found += rows.height();
            for (metric, values) in METRICS.iter().zip(values.iter_mut()) {
                if let Some(name) = metric.column_of(table.id) {
                    values.extend_with_means(rows.column(name)?, rows.column("days")?)?;
                }
            }
            Ok(())
        })?;
        ensure!(
            found == shop_ids.len(),
            "{} of {day} has other shops than shop_period",
            table.name
        );
        Ok(())
    }

    /// Takes the rows that are candidates; gives their positions.
    fn take(&mut self, rows: &DataFrame, tiers: &Tiers) -> Result<Vec<usize>> {
        let (ids, categories) = (
            rows.column("shop_id")?.i64()?,
            rows.column("category")?.str()?,
        );
        let (impressions, orders) = (
            rows.column("product_impressions")?.i64()?,
            rows.column("orders")?.i64()?,
        );
        let gmv = rows.column("gmv")?.i128()?;
        let mut taken = Vec::new();
        for row in 0..rows.height() {
            let is_active = impressions.get(row) > Some(0) || orders.get(row) > Some(0);
            let shop_id = ids.get(row).context("shop_id is never null")?;
            let (Some(category), Some(tier), true) =
                (categories.get(row), tiers.by_shop.get(&shop_id), is_active)
            else {
                continue;
            };
            self.candidates.shop_ids.push(shop_id);
            let category = self.category(category);
            self.candidates.categories.push(category);
            self.candidates.tiers.push(*tier);
            let cents = gmv.get(row).context("gmv is never null")?;
            self.candidates.gmv_cents.push(in_64_bits(cents)?);
            taken.push(row);
        }
        Ok(taken)
    }

    fn category(&mut self, name: &str) -> u32 {
        if let Some(position) = self.positions.get(name) {
            return *position;
        }
        let position = self.positions.len() as u32;
        self.positions.insert(name.to_owned(), position);
        position
    }

    fn into_candidates(self) -> Candidates {
        let Gathered {
            positions,
            mut candidates,
        } = self;
        let mut found: Vec<(String, u32)> = positions.into_iter().collect();
        found.sort_unstable();
        let mut position_by_name = vec![0; found.len()];
        for (by_name, (_, as_found)) in found.iter().enumerate() {
            position_by_name[*as_found as usize] = by_name as u32;
        }
        candidates
            .categories
            .iter_mut()
            .for_each(|category| *category = position_by_name[*category as usize]);
        candidates.category_names = found.into_iter().map(|(name, _)| name).collect();
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns;

    #[test]
    fn positions_of_metrics_are_those_of_their_names() {
        let named = [GMV, SKU_ORDERS, PRODUCT_IMPRESSIONS, PRODUCT_CLICKS]
            .map(|metric| METRICS[metric].name);
        assert_eq!(
            named,
            ["gmv", "sku_orders", "product_impressions", "product_clicks"]
        );
    }

    #[test]
    fn the_sum_of_a_daily_average_is_recovered_exactly() {
        for (sum, days) in [
            (0, 3),
            (1, 3),
            (2, 3),
            (1_000_000_007, 31),
            ((1 << 51) - 1, 183),
        ] {
            let mut values = Values::of(&METRICS[4]);
            let means = columns::doubles("mean", [sum as f64 / days as f64]);
            values
                .extend_with_means(&means, &columns::ints("days", [days]))
                .unwrap();
            assert!(
                matches!(&values, Values::Whole { parts, per_unit } if parts[..] == [Some(sum)] && *per_unit == days)
            );
            assert_eq!(values.get(0), Some(sum as f64 / days as f64));
        }
    }
}
