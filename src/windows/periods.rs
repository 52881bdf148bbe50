//! What the period tables share: the day's campaigns with their days so far, and the shops of each.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::inputs::{Rows, WindowInputs};
use crate::columns;
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

    /// Adds `campaign_id`, `through_day` and `days`.
    pub fn with_columns(&self, mut rows: DataFrame, days: usize) -> Result<DataFrame> {
        add_int(&mut rows, "campaign_id", self.campaign_id)?;
        add_day(&mut rows, "through_day", self.through_day)?;
        add_int(&mut rows, "days", days as i64)?;
        Ok(rows)
    }

    /// Adds the further columns of `shop_period` that describe its days.
    pub fn with_columns_of_days(
        &self,
        mut rows: DataFrame,
        inputs: &WindowInputs,
    ) -> Result<DataFrame> {
        let all = calendar::days(self.first_day, self.through_day).count();
        let content_days = self.days_with(inputs, &CONTENT_DAILY)?.len();
        let ad_days = self.days_with(inputs, &AD_HOURLY)?.len();
        let missing_days = all - self.published.len();
        add_day(&mut rows, "first_day", self.first_day)?;
        add_int(&mut rows, "missing_days", missing_days as i64)?;
        add_int(&mut rows, "content_days", content_days as i64)?;
        add_int(&mut rows, "ad_days", ad_days as i64)?;
        Ok(rows)
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

/// The column `shop_id`.
pub fn shop_ids(rows: &DataFrame) -> Result<Vec<i64>> {
    Ok(rows.column("shop_id")?.i64()?.iter().flatten().collect())
}

/// Adds a column with one value in every row.
fn add_int(rows: &mut DataFrame, name: &str, value: i64) -> Result<()> {
    let values = std::iter::repeat_n(value, rows.height());
    rows.with_column(columns::ints(name, values))?;
    Ok(())
}

/// Adds a column with one day in every row.
fn add_day(rows: &mut DataFrame, name: &str, day: NaiveDate) -> Result<()> {
    let values = std::iter::repeat_n(day_number(day), rows.height());
    rows.with_column(columns::days(name, values))?;
    Ok(())
}
