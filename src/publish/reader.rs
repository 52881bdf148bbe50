//! Published tables as the windows read them, with this run's own tables of the day in front.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::TableFile;
use super::parquet::{decode, empty};
use crate::columns;
use crate::contracts::{Column, PART_FILE, Table};
use crate::days::calendar::day_number;
use crate::record::fingerprint::sha256;
use crate::record::state::State;
use crate::store::{Store, StoreFailed};
use crate::windows::PublishedTables;

/// The results as they will be once the day's new tables are visible.
pub struct DayTables<'a> {
    results: &'a Store,
    state: &'a State,
    day: NaiveDate,
    /// New tables of the day.
    pub fresh: BTreeMap<&'static str, TableFile>,
    /// Tables that do not exist for the day any more.
    pub absent: BTreeSet<&'static str>,
}

impl<'a> DayTables<'a> {
    pub fn new(results: &'a Store, state: &'a State, day: NaiveDate) -> Self {
        DayTables { results, state, day, fresh: BTreeMap::new(), absent: BTreeSet::new() }
    }

    pub fn add(&mut self, table: &'static Table, rows: DataFrame) -> Result<()> {
        self.fresh.insert(table.name, TableFile::new(table, self.day, rows)?);
        Ok(())
    }

    /// The hash of a table's file; `None` where it is not published.
    pub fn sha256(&self, table: &Table, day: NaiveDate) -> Result<Option<String>> {
        if day == self.day {
            if let Some(file) = self.fresh.get(table.name) {
                return Ok(Some(file.sha256.clone()));
            }
            if self.absent.contains(table.name) {
                return Ok(None);
            }
        }
        let manifest = self.state.manifest(day)?;
        Ok(manifest.and_then(|m| m.tables.get(table.name).map(|t| t.sha256.clone())))
    }

    fn read_day(&self, table: &Table, day: NaiveDate, names: &[&str]) -> Result<DataFrame> {
        if let Some(file) = self.fresh.get(table.name).filter(|_| day == self.day) {
            return Ok(file.rows.select(names.iter().copied())?);
        }
        let path = format!("{}/{PART_FILE}", table.partition(day));
        let spoilt = |how: &str| {
            let file = self.results.show(&path);
            StoreFailed(format!(
                "{file} {how}; put it back, or delete it and run: campaign-etl backfill --from {day} --to {day}"
            ))
        };
        let bytes = self.results.read(&path)?.ok_or_else(|| spoilt("was removed"))?;
        if self.sha256(table, day)?.is_some_and(|expected| expected != sha256(&bytes)) {
            return Err(spoilt("is not the file that its manifest lists").into());
        }
        decode(table, bytes, names).with_context(|| format!("reading {}", self.results.show(&path)))
    }
}

impl PublishedTables for DayTables<'_> {
    fn published_days(&self, table: &Table, first: NaiveDate, last: NaiveDate) -> Result<Vec<NaiveDate>> {
        let mut days = self.state.published_days(table, first, last)?;
        days.retain(|day| *day != self.day);
        if (first..=last).contains(&self.day) && self.sha256(table, self.day)?.is_some() {
            days.push(self.day);
            days.sort_unstable();
        }
        Ok(days)
    }

    fn read(&self, table: &Table, days: &[NaiveDate], names: &[&str]) -> Result<DataFrame> {
        let described: Vec<&Column> = names.iter().map(|name| table.column(name)).collect();
        let mut rows = with_day(empty(&described)?, None)?;
        for day in days {
            rows.vstack_mut_owned(with_day(self.read_day(table, *day, names)?, Some(*day))?)?;
        }
        Ok(rows)
    }
}

/// Adds the column `day`.
fn with_day(mut rows: DataFrame, day: Option<NaiveDate>) -> Result<DataFrame> {
    let number = day.map(day_number);
    let days = columns::days("day", (0..rows.height()).map(|_| number));
    rows.with_column(days)?;
    Ok(rows)
}
