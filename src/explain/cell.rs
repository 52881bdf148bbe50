//! One number: its value, its inputs, its earlier values, and the number computed again.

use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::compare::{is_over_peers, is_withheld};
use super::export_state::{ExportState, exports};
use super::outcome::{PublishedFile, SecondRoute, Thoroughness};
use super::recompute::{BenchmarkStory, Cells, Recompute, Telling, is_same};
use super::row::{Found, Question, RowKey, find};
use super::value::{Teller, Value};
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::{Column, Table};
use crate::plan::Facts;
use crate::report::diff::{Publication, causes_of, publication};
use crate::report::versions::change;
use crate::resources::Resources;

/// Where a number comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Explanation {
    /// The program that answered.
    pub version: &'static str,
    pub shop_id: i64,
    pub day: NaiveDate,
    pub table: &'static str,
    pub column: &'static str,
    /// The key's columns of the row, as text.
    pub key: RowKey,
    pub grain: &'static str,
    /// The commit that published the file, and the file.
    pub published: PublishedFile,
    /// `None`: the table has no such row.
    pub value: Option<Value>,
    /// Every publication that gave this cell another value, as far as files are kept; oldest first.
    pub publications: Vec<CellPublication>,
    /// The exports of the day that the value is computed from.
    pub exports: Vec<ExportState>,
    /// Common confusions about this number.
    pub notes: Vec<&'static str>,
    /// The number, computed again by another route.
    pub recomputed: Recomputed,
}

/// The number, computed again by another route.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recomputed {
    #[serde(flatten)]
    pub route: SecondRoute,
    /// The value that was computed; `None`: null, no row, or not told.
    pub value: Option<String>,
    /// Whether the second route gives such a row.
    pub is_row: bool,
    /// The value is not told, for the privacy of other shops: its cohort is suppressed, or was
    /// published from other inputs.
    pub is_withheld: bool,
    /// The benchmark with its cohorts; only in the benchmark tables.
    pub benchmark: Option<BenchmarkStory>,
}

/// One publication of a cell.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CellPublication {
    #[serde(flatten)]
    pub by: Publication,
    /// `None`: null, no row, or not told.
    pub value: Option<String>,
    /// The value is not told: the difference of two means would be the value of a shop that came
    /// between them.
    pub is_withheld: bool,
    /// The difference from the value before, of money and counts; `None`: it cannot be told.
    pub change: Option<String>,
    /// Why the file differs from the one before; empty for the first.
    pub causes: Vec<String>,
}

/// Explains one number.
///
/// # Errors
/// `ConfigWrong` when the question names no published table or more than one row; `StoreFailed` when
/// a file is gone or cannot be read.
pub(crate) fn explain(
    facts: &Facts,
    history: &History,
    resources: &Resources,
    question: &Question,
    thoroughness: Thoroughness,
) -> Result<Explanation> {
    let Found {
        table,
        column,
        manifest,
        file,
        row,
        question,
    } = find(facts, history, question)?;
    let question = &question;
    let teller = Teller {
        facts,
        history,
        shop_id: question.shop_id,
        day: question.day,
        manifest: &manifest,
    };
    let value = row.as_ref().map(|row| teller.value(table, column, row));
    let value = value.transpose()?;
    let key = row.map_or_else(|| question.key(table), |row| row.key());
    let telling = Telling {
        key: key.clone(),
        most_examples: thoroughness.rows_shown,
    };
    let shop = (question.shop_id, &*manifest);
    let is_deep = thoroughness.is_deep;
    let again = Recompute::new(facts, history, resources, shop, &[table], is_deep, telling);
    again.note_result(&file, &manifest.tables[table.name]);
    let published_value = value.as_ref().map(|value| value.value.clone());
    let publications = publications(history, question, table, column, published_value.as_ref())?;
    let recomputed = recompute(&again, table, column, &key, published_value)?;
    Ok(Explanation {
        version: env!("CARGO_PKG_VERSION"),
        shop_id: question.shop_id,
        day: question.day,
        table: table.name,
        column: column.name,
        key,
        grain: table.grain,
        published: PublishedFile::new(facts, history, &manifest, table, &file)?,
        value,
        publications,
        exports: exports(facts, question.day, &manifest, column)?,
        notes: notes(column),
        recomputed,
    })
}

/// Computes the cell again. `published`: its value; `None`: the table has no such row.
fn recompute(
    again: &Recompute,
    table: &'static Table,
    column: &Column,
    key: &RowKey,
    published: Option<Option<String>>,
) -> Result<Recomputed> {
    let metric = key.get("metric").cloned().flatten();
    let rows = again.rows(table, metric.as_deref())?;
    let is_asked = |row: &&Cells| key.iter().all(|(name, value)| row.get(name) == Some(value));
    let row = rows.iter().flatten().find(is_asked);
    let is_same = match (row, &published) {
        (Some(row), Some(published)) => is_same(table, column.name, published.as_deref(), row),
        (row, published) => row.is_none() && published.is_none(),
    };
    let value = row.and_then(|row| row.get(column.name).cloned().flatten());
    let published = published.flatten();
    let is_private = is_withheld(
        table,
        column,
        published.as_deref(),
        again.has_other_inputs(),
    );
    let benchmark = match table.is_benchmark() {
        true => again.story(key, metric.as_deref().unwrap_or("gmv"))?,
        false => None,
    };
    Ok(Recomputed {
        route: again.finish(is_same)?,
        is_row: row.is_some(),
        is_withheld: is_private && value.is_some(),
        value: value.filter(|_| !is_private),
        benchmark,
    })
}

/// Every publication that gave the cell another value than the one before. `now`: the published
/// value; `None`: the table has no such row.
fn publications(
    history: &History,
    question: &Question,
    table: &'static Table,
    column: &Column,
    now: Option<&Option<String>>,
) -> Result<Vec<CellPublication>> {
    let mut found = Vec::new();
    let mut before: Option<(Arc<Manifest>, Option<String>)> = None;
    for commit in history.commits(question.day) {
        let Some(manifest) = history.manifest(question.day, *commit)? else {
            continue;
        };
        let sha256 = manifest.tables.get(table.name).map(|t| t.sha256.clone());
        if before.as_ref().map(|(_, sha256)| sha256) == Some(&sha256) {
            continue;
        }
        if let Some(entry) = manifest.tables.get(table.name) {
            let file = history.file_now(table, question.day, *commit)?;
            let Some(file) = file.filter(|file| file.is(entry)) else {
                // It is older than the history, or was changed.
                before = None;
                continue;
            };
            let value = question.value(table, column, &file)?;
            let last = found.last().filter(|_| before.is_some());
            let last: Option<&CellPublication> = last;
            if last.is_some_and(|last| last.value == value) {
                before = Some((manifest, sha256));
                continue;
            }
            let causes = match &before {
                Some((before, _)) => causes_of(history, table, question.day, before, &manifest)?,
                None => vec![],
            };
            found.push(CellPublication {
                by: publication(&manifest),
                change: last
                    .and_then(|last| change(column, last.value.as_deref()?, value.as_deref()?)),
                value,
                is_withheld: false,
                causes,
            });
        }
        before = Some((manifest, sha256));
    }
    if is_over_peers(table, column) {
        for told in found.iter_mut().filter(|told| Some(&told.value) != now) {
            told.is_withheld = told.value.take().is_some();
        }
        found.iter_mut().for_each(|told| told.change = None);
    }
    Ok(found)
}

/// Notes about columns that are often misread.
const NOTES: [(&[&str], &str); 4] = [
    (
        &[
            "gmv",
            "gmv_live",
            "gmv_video",
            "gmv_product_card",
            "trailing_gmv",
        ],
        "GMV keeps orders that were cancelled or refunded later, and dates them by their payment.",
    ),
    (
        &["ad_gross_revenue", "ad_roi"],
        "Ad revenue is a part of GMV; never add the two.",
    ),
    (
        &[
            "avg_daily_customers",
            "avg_unique_reach",
            "avg_unique_clicks",
        ],
        "An average of daily distinct users is not the number of distinct users of the period.",
    ),
    (
        &["benchmark", "mean", "difference_pct"],
        "The mean gives every peer the same weight. A mean of ratios is not the ratio of sums.",
    ),
];

fn notes(column: &Column) -> Vec<&'static str> {
    let about = NOTES
        .iter()
        .filter(|(columns, _)| columns.contains(&column.name));
    about.map(|(_, note)| *note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables;

    #[test]
    fn notes_are_about_columns_of_the_contracts() {
        for (columns, note) in NOTES {
            for name in columns {
                let is_of = |table: &'static Table| table.columns.iter().any(|c| c.name == *name);
                assert!(tables::all().any(is_of), "{name}: {note}");
            }
        }
    }
}
