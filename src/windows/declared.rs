//! Published tables, less those that a table does not declare to read.

use anyhow::{Result, ensure};
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::inputs::{PublishedTables, Rows};
use crate::contracts::Table;
use crate::days::spans::days_of;

/// The declared reads of some tables of a day. Any other read is an error: a bug, because a change
/// of what was read would not make the table stale.
pub(super) struct Declared<'a> {
    /// Tables that are computed together.
    pub tables: &'a [&'static Table],
    pub day: NaiveDate,
    pub first_campaign_day: Option<NaiveDate>,
    pub published: &'a dyn PublishedTables,
}

impl Declared<'_> {
    /// # Errors
    /// When no contract declares these days of the table.
    fn check_days(&self, table: &Table, first: NaiveDate, last: NaiveDate) -> Result<()> {
        let reads = self.tables.iter().flat_map(|reader| reader.reads);
        let is_declared = reads
            .filter(|read| read.table.id == table.id)
            .map(|read| days_of(read.span, self.day, self.first_campaign_day))
            .any(|(from, to)| from <= first && last <= to);
        ensure!(
            is_declared,
            "{} reads {} of {first} to {last} and does not declare it",
            self.names(),
            table.name
        );
        Ok(())
    }

    /// # Errors
    /// When the lineage of no column names one of these columns.
    fn check_columns(&self, table: &Table, columns: &[&str]) -> Result<()> {
        let declared: Vec<&str> = self
            .tables
            .iter()
            .flat_map(|reader| reader.columns_read_of(table))
            .collect();
        for column in columns {
            ensure!(
                declared.contains(column),
                "{} reads {}.{column} and no lineage names it",
                self.names(),
                table.name
            );
        }
        Ok(())
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.tables.iter().map(|table| table.name).collect();
        names.join(", ")
    }
}

impl PublishedTables for Declared<'_> {
    fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>> {
        if last < first {
            return Ok(vec![]);
        }
        self.check_days(table, first, last)?;
        self.published.published_days(table, first, last)
    }

    fn read_days(
        &self,
        table: &'static Table,
        days: &[NaiveDate],
        columns: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
    ) -> Result<()> {
        for day in days {
            self.check_days(table, *day, *day)?;
        }
        self.check_columns(table, columns)?;
        self.published
            .read_days(table, days, columns, rows, consume)
    }
}
