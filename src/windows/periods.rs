//! The scaffold of the period tables: the day's campaigns, their days so far, sums over them.

use std::collections::HashMap;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::adding::{Adds, DailyRows, Wanted};
use super::inputs::{Emit, Rows, WindowInputs};
use crate::columns;
use crate::contracts::Table;
use crate::contracts::tables::{AD_HOURLY, CONTENT_DAILY, SHOP_DAILY, SHOP_PERIOD};
use crate::days::calendar::{self, day_number};

/// A campaign's days so far, and some of its shops.
pub(super) struct Period {
    pub campaign_id: i64,
    first_day: NaiveDate,
    /// Ascending.
    pub shops: Vec<i64>,
}

/// The periods of the day's campaigns, by campaign: the order of the key of every period table.
pub(super) struct Periods {
    pub all: Vec<Period>,
    through_day: NaiveDate,
    /// The days of the longest period whose rollups are published, oldest first.
    published: Vec<NaiveDate>,
}

impl Periods {
    /// With the shops that `shops` gives for each campaign, by its id.
    fn new(inputs: &WindowInputs, mut shops: HashMap<i64, Vec<i64>>) -> Result<Periods> {
        let campaigns = inputs.snapshots.campaigns()?.iter();
        let mut all: Vec<Period> = campaigns
            .map(|campaign| Period {
                campaign_id: campaign.campaign_id,
                first_day: campaign.first_day,
                shops: shops.remove(&campaign.campaign_id).unwrap_or_default(),
            })
            .collect();
        all.sort_by_key(|period| period.campaign_id);
        let mut periods = Periods {
            all,
            through_day: inputs.day,
            published: vec![],
        };
        periods.published = periods.published_days(inputs, &SHOP_DAILY)?;
        Ok(periods)
    }

    /// With the shops of `campaign_shops`.
    pub(super) fn of_registered(inputs: &WindowInputs) -> Result<Periods> {
        let registered = inputs.snapshots.campaign_shops()?.iter();
        let registered = registered.map(|shop| (shop.campaign_id, shop.shop_id));
        Periods::new(inputs, by_campaign(registered))
    }

    /// With the shops of `shop_period`.
    pub(super) fn of_shop_period(inputs: &WindowInputs) -> Result<Periods> {
        let columns = ["campaign_id", "shop_id"];
        let (table, day) = (&SHOP_PERIOD, inputs.day);
        let mut found = Vec::new();
        inputs
            .published
            .read(table, day, &columns, Rows::default(), &mut |rows| {
                let campaigns = rows.column("campaign_id")?.i64()?.iter().flatten();
                found.extend(campaigns.zip(shop_ids(&rows)?));
                Ok(())
            })?;
        Periods::new(inputs, by_campaign(found.into_iter()))
    }

    /// The days of the longest period on which a table is published, oldest first.
    fn published_days(&self, inputs: &WindowInputs, table: &Table) -> Result<Vec<NaiveDate>> {
        match self.all.iter().map(|period| period.first_day).min() {
            None => Ok(vec![]),
            Some(first) => inputs
                .published
                .published_days(table, first, self.through_day),
        }
    }

    /// The published days that have a table too, oldest first.
    pub(super) fn days_with(&self, inputs: &WindowInputs, table: &Table) -> Result<Vec<NaiveDate>> {
        let mut days = self.published_days(inputs, table)?;
        days.retain(|day| self.published.binary_search(day).is_ok());
        Ok(days)
    }

    /// Emits what `finish` makes of the sums of each period, some shops at a time. The sums have the
    /// columns `campaign_id`, `through_day` and `days` too. See [`DailyRows::add_up`].
    pub(super) fn add_up(
        &self,
        inputs: &WindowInputs,
        sums: &PeriodSums,
        finish: &(dyn Fn(&Period, DataFrame) -> Result<DataFrame> + Sync),
        emit: Emit,
    ) -> Result<()> {
        let days = self.days_with(inputs, sums.daily)?;
        let counted = match sums.days {
            Days::Published => &self.published,
            Days::WithDailyTable => &days,
        };
        let daily = DailyRows {
            table: sums.daily,
            days: &days,
            key: sums.key,
            columns: sums.columns,
        };
        let finish = |period: usize, mut rows: DataFrame| {
            let period = &self.all[period];
            let counted = period.days_of(counted);
            add_int(&mut rows, "campaign_id", period.campaign_id)?;
            add_day(&mut rows, "through_day", self.through_day)?;
            add_int(&mut rows, "days", counted as i64)?;
            finish(period, rows)
        };
        daily.add_up(inputs, &self.wanted(), &finish, &mut |_, rows| emit(rows))
    }

    pub(super) fn wanted(&self) -> Vec<Wanted<'_>> {
        let periods = self.all.iter();
        periods
            .map(|period| Wanted {
                campaign_id: period.campaign_id,
                first_day: period.first_day,
                shops: &period.shops,
            })
            .collect()
    }
}

/// The sums over a period of a daily table's columns.
pub(super) struct PeriodSums {
    pub daily: &'static Table,
    /// See [`DailyRows`].
    pub key: &'static [&'static str],
    pub columns: &'static [(&'static str, Adds)],
    pub days: Days,
}

/// The days that the column `days` counts.
pub(super) enum Days {
    /// Days of the period whose rollups are published.
    Published,
    /// Those of them that have the daily table.
    WithDailyTable,
}

impl Period {
    /// How many of these days, which ascend, are in the period.
    fn days_of(&self, days: &[NaiveDate]) -> usize {
        days.len() - days.partition_point(|day| *day < self.first_day)
    }
}

/// The further columns of `shop_period` that describe the days of a period.
pub(super) struct DescribedDays {
    content: Vec<NaiveDate>,
    ads: Vec<NaiveDate>,
}

impl DescribedDays {
    pub(super) fn new(inputs: &WindowInputs, periods: &Periods) -> Result<DescribedDays> {
        Ok(DescribedDays {
            content: periods.days_with(inputs, &CONTENT_DAILY)?,
            ads: periods.days_with(inputs, &AD_HOURLY)?,
        })
    }

    pub(super) fn add_to(
        &self,
        mut rows: DataFrame,
        period: &Period,
        periods: &Periods,
    ) -> Result<DataFrame> {
        let all = calendar::days(period.first_day, periods.through_day).count();
        let missing_days = all - period.days_of(&periods.published);
        add_day(&mut rows, "first_day", period.first_day)?;
        add_int(&mut rows, "missing_days", missing_days as i64)?;
        add_int(
            &mut rows,
            "content_days",
            period.days_of(&self.content) as i64,
        )?;
        add_int(&mut rows, "ad_days", period.days_of(&self.ads) as i64)?;
        Ok(rows)
    }
}

/// The second values by the first ones, ascending.
pub(super) fn by_campaign<V: Ord>(pairs: impl Iterator<Item = (i64, V)>) -> HashMap<i64, Vec<V>> {
    let mut by_campaign: HashMap<i64, Vec<V>> = HashMap::new();
    for (campaign_id, value) in pairs {
        by_campaign.entry(campaign_id).or_default().push(value);
    }
    by_campaign
        .values_mut()
        .for_each(|values| values.sort_unstable());
    by_campaign
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
