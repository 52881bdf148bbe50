//! The row that a question is about: a shop's row of one table and day.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use bytes::Bytes;
use chrono::NaiveDate;

use super::why_skipped;
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::metrics::METRICS;
use crate::contracts::tables;
use crate::contracts::{Column, Table};
use crate::messages;
use crate::plan::Facts;
use crate::publish::parquet::decode_all;
use crate::report::versions::TableRows;

/// The key's columns, as text.
pub(crate) type RowKey = BTreeMap<&'static str, Option<String>>;

/// The cell that a person asks about.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub shop_id: i64,
    pub day: NaiveDate,
    /// A column of a table, or a metric of the benchmarks.
    pub metric: String,
    /// `None`: the first table with this column whose key is known.
    pub table: Option<String>,
    /// Values of other columns of the key.
    pub others: BTreeMap<&'static str, String>,
}

/// The flags that give columns of a key.
pub(crate) const FLAGS: [(&str, &str); 9] = [
    ("scope", "--scope"),
    ("campaign_id", "--campaign"),
    ("product_id", "--product"),
    ("channel", "--channel"),
    ("content_id", "--content"),
    ("sku_id", "--sku"),
    ("sub_campaign_id", "--sub-campaign"),
    ("baseline_day", "--baseline-day"),
    ("hour_start", "--hour"),
];

/// One row of a published table.
pub(super) struct Row {
    pub rows: TableRows,
    pub number: usize,
}

impl Row {
    pub(super) fn key(&self) -> RowKey {
        self.rows.key(Some(self.number))
    }

    /// A column's value as text; `None`: null.
    pub(super) fn shown(&self, column: &Column) -> Option<String> {
        self.rows.shown(column, self.number)
    }
}

/// The table, column and row of a question.
pub(super) struct Found {
    pub table: &'static Table,
    pub column: &'static Column,
    pub manifest: Rc<Manifest>,
    /// `None`: the table has no row of this key.
    pub row: Option<Row>,
}

impl Question {
    /// The known columns of a table's key.
    pub(super) fn key(&self, table: &Table) -> RowKey {
        let known = table
            .key
            .iter()
            .filter_map(|name| Some((*name, Some(self.known(name)?))));
        known.collect()
    }

    fn known(&self, name: &str) -> Option<String> {
        match name {
            "shop_id" => Some(self.shop_id.to_string()),
            "metric" => Some(self.metric.clone()),
            name => self.others.get(name).cloned(),
        }
    }

    /// The rows of the file with this key.
    fn rows(&self, table: &'static Table, file: Bytes) -> Result<(TableRows, Vec<usize>)> {
        let rows = TableRows::new(
            table,
            Some(decode_all(file, Some(self.shop_id))?),
            Some(self.shop_id),
        )?;
        let key = self.key(table);
        let matches = rows.numbers().filter(|number| {
            let found = rows.key(Some(*number));
            key.iter()
                .all(|(name, value)| found.get(name) == Some(value))
        });
        let matches = matches.collect();
        Ok((rows, matches))
    }

    /// The cell in another version of the file, as text; `None`: null or no such row.
    pub(super) fn value(
        &self,
        table: &'static Table,
        column: &Column,
        file: Bytes,
    ) -> Result<Option<String>> {
        let (rows, matches) = self.rows(table, file)?;
        Ok(matches
            .first()
            .and_then(|number| rows.shown(column, *number)))
    }

    /// The table and the column of the question.
    fn subject(&self) -> Result<(&'static Table, &'static Column)> {
        let wanted = |table: &&'static Table| match &self.table {
            Some(name) => table.name == name,
            None => true,
        };
        let with_shop = |table: &&'static Table| table.key.contains(&"shop_id");
        let is_metric = METRICS.iter().any(|metric| metric.name == self.metric);
        let column_of = |table: &'static Table| {
            let name = match table.key.contains(&"metric") {
                true if is_metric => "difference_pct",
                true => return None,
                false => self.metric.as_str(),
            };
            table.columns.iter().find(|column| column.name == name)
        };
        let candidates: Vec<_> = tables::all()
            .filter(wanted)
            .filter(with_shop)
            .filter_map(|table| Some((table, column_of(table)?)))
            .collect();
        let key_is_known = |(table, _): &&(&'static Table, &'static Column)| {
            table.key.iter().all(|name| self.known(name).is_some())
        };
        let chosen = candidates.iter().find(key_is_known).or(candidates.first());
        let names: Vec<&str> = tables::all().map(|table| table.name).collect();
        let metric = &self.metric;
        Ok(*chosen.ok_or_else(|| messages::no_metric(metric, names.join(", ")))?)
    }
}

/// Finds the row.
pub(super) fn find(facts: &Facts, history: &History, question: &Question) -> Result<Found> {
    let (table, column) = question.subject()?;
    let day = question.day;
    let manifest = facts.manifest(day)?;
    let manifest = manifest
        .ok_or_else(|| messages::not_published(table.name, day, "no run published the day"))?;
    let Some(entry) = manifest.tables.get(table.name) else {
        let why = why_skipped(&manifest, table)
            .map_or("its exports are not final, or are blocked", |s| &s.reason);
        return Err(messages::not_published(table.name, day, why).into());
    };
    let file = history.read(table, day, manifest.commit_number, entry)?;
    let (rows, matches) = question.rows(table, file)?;
    if matches.len() > 1 {
        let flags = FLAGS
            .iter()
            .filter(|(name, _)| table.key.contains(name) && !question.others.contains_key(name));
        let mut choices = Vec::new();
        for (name, flag) in flags {
            let values = matches
                .iter()
                .filter_map(|row| rows.key(Some(*row)).remove(name)?);
            let values: std::collections::BTreeSet<String> = values.collect();
            let some: Vec<String> = values.into_iter().take(5).collect();
            choices.push(format!("{flag} ({})", some.join(", ")));
        }
        let rows = matches.len();
        return Err(messages::several_rows(table.name, rows, choices.join(", ")).into());
    }
    let row = matches.first().copied();
    Ok(Found {
        table,
        column,
        manifest,
        row: row.map(|number| Row { rows, number }),
    })
}
