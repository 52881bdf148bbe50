//! The scaffold of the period tables: the day's campaigns, their days so far, sums over them.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::adding::{Adds, DailyRows};
use super::inputs::{Rows, WindowInputs};
use crate::columns;
use crate::contracts::Table;
use crate::contracts::tables::{AD_HOURLY, CONTENT_DAILY, SHOP_DAILY, SHOP_PERIOD};
use crate::days::calendar::{self, day_number};

/// A campaign's days so far. Period tables are computed campaign by campaign, in this order: that
/// of their key.
pub(super) struct Period {
    pub campaign_id: i64,
    first_day: NaiveDate,
    through_day: NaiveDate,
    /// Of the days, those whose rollups are published.
    published: Vec<NaiveDate>,
}

/// The periods of the day's campaigns, by campaign.
pub(super) fn periods(inputs: &WindowInputs) -> Result<Vec<Period>> {
    let mut periods = Vec::new();
    for campaign in inputs.snapshots.campaigns()? {
        let (first_day, through_day) = (campaign.first_day, inputs.day);
        let days = inputs
            .published
            .published_days(&SHOP_DAILY, first_day, through_day)?;
        periods.push(Period {
            campaign_id: campaign.campaign_id,
            first_day,
            through_day,
            published: days,
        });
    }
    periods.sort_by_key(|period| period.campaign_id);
    Ok(periods)
}

/// The sums over a period of a daily table's columns.
pub(super) struct PeriodSums {
    pub daily: &'static Table,
    /// Identifies a row within the campaign, beginning with `shop_id`.
    pub key: &'static [&'static str],
    pub columns: &'static [(&'static str, Adds)],
    pub days: Days,
    /// Only daily rows that name the period's campaign.
    pub of_own_campaign: bool,
}

/// The days that the column `days` counts.
pub(super) enum Days {
    /// Days of the period whose rollups are published.
    Published,
    /// Those of them that have the daily table.
    WithDailyTable,
}

impl Period {
    /// Adds up the rows of `shops`, which ascend, and gives `finish` the sums of some of them at a
    /// time, with the columns `campaign_id`, `through_day` and `days`.
    pub(super) fn add_up(
        &self,
        inputs: &WindowInputs,
        shops: &[i64],
        sums: &PeriodSums,
        finish: &mut dyn FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        let days = self.days_with(inputs, sums.daily)?;
        let counted = match sums.days {
            Days::Published => self.published.len(),
            Days::WithDailyTable => days.len(),
        };
        let daily = DailyRows {
            table: sums.daily,
            days: &days,
            campaign_id: sums.of_own_campaign.then_some(self.campaign_id),
            key: sums.key,
            columns: sums.columns,
        };
        daily.add_up(inputs, shops, &mut |mut rows| {
            add_int(&mut rows, "campaign_id", self.campaign_id)?;
            add_day(&mut rows, "through_day", self.through_day)?;
            add_int(&mut rows, "days", counted as i64)?;
            finish(rows)
        })
    }

    /// The shops of `shop_period` of the campaign, ascending.
    pub(super) fn shops(&self, inputs: &WindowInputs) -> Result<Vec<i64>> {
        let rows = Rows {
            campaign_id: Some(self.campaign_id),
            shops: None,
        };
        let published = inputs.published;
        shop_ids(&published.read_all(&SHOP_PERIOD, inputs.day, &["shop_id"], rows)?)
    }

    /// The published days of the period that have a table too, oldest first.
    pub(super) fn days_with(&self, inputs: &WindowInputs, table: &Table) -> Result<Vec<NaiveDate>> {
        let mut days = inputs
            .published
            .published_days(table, self.first_day, self.through_day)?;
        days.retain(|day| self.published.contains(day));
        Ok(days)
    }

    /// Adds the further columns of `shop_period` that describe its days.
    pub(super) fn with_columns_of_days(
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
}

/// The column `shop_id`.
pub(super) fn shop_ids(rows: &DataFrame) -> Result<Vec<i64>> {
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
