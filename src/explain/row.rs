//! The row that a question is about: a shop's row of one table and day.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;

use super::{LOST, is_lost, why_unpublished};
use crate::catalog::history::{FileNow, History};
use crate::catalog::manifest::Manifest;
use crate::contracts::metrics::METRICS;
use crate::contracts::tables::{self, SHOP_TIER};
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
    /// A column of a table, or a metric of the benchmarks; `None`: every column.
    pub metric: Option<String>,
    /// Of a metric of the benchmarks, the column; `None`: `difference_pct`, or `mean` of a cohort.
    pub column: Option<String>,
    /// `None`: the first table with this column whose key is known; without a metric, every table.
    pub table: Option<String>,
    /// Values of other columns of the key.
    pub others: BTreeMap<String, String>,
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
    pub manifest: Arc<Manifest>,
    pub file: FileNow,
    /// `None`: the table has no row of this key.
    pub row: Option<Row>,
    /// The question, with the cohort of the shop where the table has no shops.
    pub question: Question,
}

impl Question {
    /// The columns of keys that are known.
    pub(super) fn known_key(&self) -> RowKey {
        let names = FLAGS.iter().map(|(name, _)| *name);
        let names = ["shop_id", "metric"].into_iter().chain(names);
        names
            .filter_map(|name| Some((name, Some(self.known(name)?))))
            .collect()
    }

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
            "metric" => self.metric.clone(),
            name => self.others.get(name).cloned(),
        }
    }

    /// The rows of the file with this key.
    pub(super) fn rows(
        &self,
        table: &'static Table,
        file: &FileNow,
    ) -> Result<(TableRows, Vec<usize>)> {
        let rows = rows_of(table, file, self.day, Some(self.shop_id))?;
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
        file: &FileNow,
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
        let asked = self.metric.as_deref().unwrap_or_default();
        let is_metric = METRICS.iter().any(|metric| metric.name == asked);
        let column_of = |table: &'static Table| {
            let of_metric = match table.key.contains(&"shop_id") {
                true => "difference_pct",
                false => "mean",
            };
            let name = match (table.key.contains(&"metric"), &self.column) {
                (true, Some(column)) if is_metric => column,
                (true, None) if is_metric => of_metric,
                (false, None) => asked,
                _ => return None,
            };
            table.columns.iter().find(|column| column.name == name)
        };
        let candidates: Vec<_> = tables::all()
            .filter(wanted)
            .filter_map(|table| Some((table, column_of(table)?)))
            .collect();
        let key_is_known = |(table, _): &&(&'static Table, &'static Column)| {
            table.key.iter().all(|name| self.known(name).is_some())
        };
        let chosen = candidates.iter().find(key_is_known).or(candidates.first());
        let names: Vec<&str> = tables::all().map(|table| table.name).collect();
        let asked = self.column.as_deref().unwrap_or(asked);
        Ok(*chosen.ok_or_else(|| messages::no_metric(asked, names.join(", ")))?)
    }

    /// The table of `--table`.
    fn named_table(&self) -> Result<&'static Table> {
        let name = self.table.as_deref().unwrap_or_default();
        let names: Vec<&str> = tables::all().map(|table| table.name).collect();
        Ok(tables::table(name).ok_or_else(|| messages::no_metric(name, names.join(", ")))?)
    }

    /// The tables of the question: that of `--table`, or all.
    pub(super) fn tables(&self) -> Result<Vec<&'static Table>> {
        match &self.table {
            Some(_) => Ok(vec![self.named_table()?]),
            None => Ok(tables::all().collect()),
        }
    }

    /// The question, with the shop's category and tier where the key of the table has no shop: it is
    /// about the cohort of the shop on the benchmark day.
    pub(super) fn with_cohort(
        &self,
        facts: &Facts,
        history: &History,
        table: &Table,
        manifest: &Manifest,
    ) -> Result<Question> {
        let mut question = self.clone();
        let benchmark = manifest.benchmark.as_ref();
        let Some(benchmark) = benchmark.filter(|_| !table.key.contains(&"shop_id")) else {
            return Ok(question);
        };
        let day = benchmark.benchmark_day;
        let rows = rows_of_shop(facts, history, &SHOP_TIER, day, self.shop_id)?;
        for name in ["category", "tier"] {
            let shown = rows.iter().find_map(|rows| {
                let number = rows.numbers().next()?;
                rows.shown(SHOP_TIER.column(name), number)
            });
            // No cohort has an empty category or tier: the question finds no row.
            question
                .others
                .entry(name.to_owned())
                .or_insert(shown.unwrap_or_default());
        }
        Ok(question)
    }
}

/// The shop's rows of a published table; `None`: it is not published for the day.
pub(super) fn rows_of_shop(
    facts: &Facts,
    history: &History,
    table: &'static Table,
    day: NaiveDate,
    shop_id: i64,
) -> Result<Option<TableRows>> {
    let Some(manifest) = facts.manifest(day)? else {
        return Ok(None);
    };
    if !manifest.has(table) {
        return Ok(None);
    }
    let file = read_now(history, table, &manifest)?;
    Ok(Some(rows_of(table, &file, day, Some(shop_id))?))
}

/// The rows of a file of the day; of a table with shops, only those of `shop_id`.
pub(super) fn rows_of(
    table: &'static Table,
    file: &FileNow,
    day: NaiveDate,
    shop_id: Option<i64>,
) -> Result<TableRows> {
    let shop_id = shop_id.filter(|_| table.key.contains(&"shop_id"));
    let rows = decode_all(file.bytes.clone(), shop_id)
        .and_then(|batch| TableRows::new(table, Some(batch), shop_id));
    Ok(rows.map_err(|why| messages::damaged_result(&file.path, day, why))?)
}

/// The file of a published table as it is now. An explanation also reads a file that somebody
/// changed: it is there to find such a change.
pub(super) fn read_now(
    history: &History,
    table: &'static Table,
    manifest: &Manifest,
) -> Result<FileNow> {
    let (day, commit) = (manifest.day, manifest.commit_number);
    let file = history.file_now(table, day, commit)?;
    Ok(file.ok_or_else(|| {
        messages::no_version(table.name, day, commit, history.path(table, day, commit))
    })?)
}

/// The manifest and the file of the table of a question, or why there is none.
fn published(
    facts: &Facts,
    history: &History,
    table: &'static Table,
    day: NaiveDate,
) -> Result<(Arc<Manifest>, FileNow)> {
    let manifest = facts.manifest(day)?;
    let manifest = manifest
        .ok_or_else(|| messages::not_published(table.name, day, "no run published the day"))?;
    if is_lost(&manifest, table) {
        let path = history.path(table, day, manifest.commit_number);
        return Err(messages::damaged_result(path, day, LOST).into());
    }
    if !manifest.has(table) {
        let why = why_unpublished(&manifest, table);
        return Err(messages::not_published(table.name, day, why).into());
    }
    let file = read_now(history, table, &manifest)?;
    Ok((manifest, file))
}

/// Finds the row.
pub(super) fn find(facts: &Facts, history: &History, question: &Question) -> Result<Found> {
    let (table, column) = question.subject()?;
    let (manifest, file) = published(facts, history, table, question.day)?;
    let question = question.with_cohort(facts, history, table, &manifest)?;
    let (rows, matches) = question.rows(table, &file)?;
    if matches.len() > 1 {
        let flags = FLAGS
            .iter()
            .filter(|(name, _)| table.key.contains(name) && !question.others.contains_key(*name));
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
        file,
        row: row.map(|number| Row { rows, number }),
        question,
    })
}

/// Finds the table of `--table`, without choosing one of the shop's rows; the column is its first.
pub(super) fn find_rows(facts: &Facts, history: &History, question: &Question) -> Result<Found> {
    let table = question.named_table()?;
    let (manifest, file) = published(facts, history, table, question.day)?;
    let question = question.with_cohort(facts, history, table, &manifest)?;
    Ok(Found {
        table,
        column: &table.columns[0],
        manifest,
        file,
        row: None,
        question,
    })
}
