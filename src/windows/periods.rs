//! What the period tables share: the day's campaigns with their days so far, and the shops of each.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::*;

use super::inputs::{Rows, WindowInputs};
use crate::contracts::Table;
use crate::contracts::tables::{AD_HOURLY, CONTENT_DAILY, SHOP_DAILY, SHOP_PERIOD};
use crate::days::calendar::{self, day_number};

/// A campaign's days so far. Period tables are computed campaign by campaign, in this order: that
/// of their key.
pub struct Period {
    pub campaign_id: i64,
    first_day: NaiveDate,
    through_day: NaiveDate,
    /// Of the days, those whose rollups are published.
    published: Vec<NaiveDate>,
}

/// The periods of the day's campaigns, by campaign.
pub fn periods(inputs: &WindowInputs) -> Result<Vec<Period>> {
    let period = |campaign_id, first_day| {
        let published = inputs
            .published
            .published_days(&SHOP_DAILY, first_day, inputs.day)?;
        Ok(Period {
            campaign_id,
            first_day,
            through_day: inputs.day,
            published,
        })
    };
    let campaigns = inputs.snapshots.campaigns.iter();
    let mut periods = campaigns
        .map(|c| period(c.campaign_id, c.first_day))
        .collect::<Result<Vec<_>>>()?;
    periods.sort_by_key(|period| period.campaign_id);
    Ok(periods)
}

impl Period {
    /// The published days of the period that have a table too, oldest first.
    pub fn days_with(&self, inputs: &WindowInputs, table: &Table) -> Result<Vec<NaiveDate>> {
        let mut days = inputs
            .published
            .published_days(table, self.first_day, self.through_day)?;
        days.retain(|day| self.published.contains(day));
        Ok(days)
    }

    /// The columns `campaign_id`, `through_day` and `days`.
    pub fn columns(&self, days: usize) -> [Expr; 3] {
        [
            int(self.campaign_id).alias("campaign_id"),
            day(self.through_day).alias("through_day"),
            int(days as i64).alias("days"),
        ]
    }

    /// The further columns of `shop_period` that tell of its days.
    pub fn columns_of_days(&self, inputs: &WindowInputs) -> Result<[Expr; 4]> {
        let all = calendar::days(self.first_day, self.through_day).count();
        let count = |days: usize, name: &str| int(days as i64).alias(name);
        Ok([
            day(self.first_day).alias("first_day"),
            count(all - self.published.len(), "missing_days"),
            count(
                self.days_with(inputs, &CONTENT_DAILY)?.len(),
                "content_days",
            ),
            count(self.days_with(inputs, &AD_HOURLY)?.len(), "ad_days"),
        ])
    }

    /// The days whose rollups are published, oldest first.
    pub fn published(&self) -> &[NaiveDate] {
        &self.published
    }

    /// The rows of `shop_period` of the campaign: `shop_id` and further columns, by shop.
    pub fn shops(&self, inputs: &WindowInputs, columns: &[&str]) -> Result<DataFrame> {
        let columns: Vec<&str> = ["shop_id"].iter().chain(columns).copied().collect();
        let rows = Rows {
            campaign_id: Some(self.campaign_id),
            shops: None,
        };
        inputs
            .published
            .read_all(&SHOP_PERIOD, inputs.day, &columns, rows)
    }
}

// A literal alone takes the least type that holds it.
fn int(value: i64) -> Expr {
    lit(value).cast(DataType::Int64)
}

fn day(value: NaiveDate) -> Expr {
    lit(day_number(value)).cast(DataType::Int32)
}

/// The column `shop_id`.
pub fn shop_ids(rows: &DataFrame) -> Result<Vec<i64>> {
    Ok(rows.column("shop_id")?.i64()?.iter().flatten().collect())
}

pub fn inner_join(left: LazyFrame, right: LazyFrame, on: &[&str]) -> LazyFrame {
    left.join(right, keys(on), keys(on), JoinArgs::new(JoinType::Inner))
}

/// Column names as expressions.
pub fn keys(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|name| col(*name)).collect()
}
