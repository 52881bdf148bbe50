//! Every number of a shop's day, compared with the same number computed again.

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::compare::{DifferingRow, compare};
use super::outcome::{PublishedFile, SecondRoute, Thoroughness};
use super::recompute::{Cells, Recompute, Telling};
use super::row::{Question, RowKey, read_now};
use super::{is_lost, why_unpublished};
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::Table;
use crate::messages;
use crate::plan::Facts;
use crate::resources::Resources;

/// The comparison of every number of a shop's day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ComparedDay {
    /// The program that compared.
    pub version: &'static str,
    pub shop_id: i64,
    pub day: NaiveDate,
    /// `None`: every table.
    pub table: Option<String>,
    /// Only rows with these values, where their table has the columns; as text.
    pub key: RowKey,
    pub tables: Vec<ComparedTable>,
    pub not_published: Vec<NotPublished>,
    pub recomputed: SecondRoute,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ComparedTable {
    pub table: &'static str,
    pub published: PublishedFile,
    /// The published rows that were compared. Of `category_benchmark`, those of the shop's category and
    /// tier.
    pub rows: usize,
    pub cells: usize,
    /// `false`: an input is gone, and the table was not compared.
    pub is_compared: bool,
    /// Empty: they agree, or were not compared.
    pub differing: Vec<DifferingRow>,
}

/// A table that the day does not have.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NotPublished {
    pub table: &'static str,
    pub why: String,
}

/// Computes every number of the question again and compares it with the published one.
///
/// # Errors
/// `ConfigWrong` when no published row matches; `StoreFailed` when a file that is read is gone or cannot
/// be read.
pub(crate) fn compare_day(
    facts: &Facts,
    history: &History,
    resources: &Resources,
    question: &Question,
    thoroughness: Thoroughness,
) -> Result<ComparedDay> {
    let asked = question.tables()?;
    let manifest = facts.manifest(question.day)?.ok_or_else(|| {
        let table = question.table.as_deref().unwrap_or("every table");
        messages::not_published(table, question.day, "no run published the day")
    })?;
    let (published, absent): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|table| manifest.has(table));
    let telling = Telling {
        key: question.known_key(),
        most_examples: thoroughness.rows_shown,
    };
    let shop = (question.shop_id, &*manifest);
    let is_deep = thoroughness.is_deep;
    let again = Recompute::new(
        facts, history, resources, shop, &published, is_deep, telling,
    );
    absent
        .iter()
        .for_each(|table| again.note_lost(table, &manifest));
    let mut tables = Vec::new();
    for table in published {
        tables.push(compare_table(
            facts, history, &again, &manifest, question, table,
        )?);
    }
    let has_rows = |table: &ComparedTable| table.rows > 0 || !table.differing.is_empty();
    let has_lost = absent.iter().any(|table| is_lost(&manifest, table));
    if !tables.iter().any(has_rows) && !has_lost {
        return Err(messages::nothing_compared(question.shop_id, question.day).into());
    }
    let is_same = |table: &ComparedTable| table.is_compared && table.differing.is_empty();
    let is_same = tables.iter().all(is_same);
    let not_published = absent.into_iter().map(|table| NotPublished {
        table: table.name,
        why: why_unpublished(&manifest, table),
    });
    Ok(ComparedDay {
        version: env!("CARGO_PKG_VERSION"),
        shop_id: question.shop_id,
        day: question.day,
        table: question.table.clone(),
        key: question.known_key(),
        tables,
        not_published: not_published.collect(),
        recomputed: again.finish(is_same)?,
    })
}

fn compare_table(
    facts: &Facts,
    history: &History,
    again: &Recompute,
    manifest: &Manifest,
    question: &Question,
    table: &'static Table,
) -> Result<ComparedTable> {
    let question = question.with_cohort(facts, history, table, manifest)?;
    let file = read_now(history, table, manifest)?;
    again.note_result(&file, &manifest.tables[table.name]);
    let (rows, numbers) = question.rows(table, &file)?;
    let key = question.key(table);
    let is_asked = |row: &Cells| key.iter().all(|(name, value)| row.get(name) == Some(value));
    let computed = again.rows(table, None)?;
    let is_compared = computed.is_some();
    let mut computed = computed.unwrap_or_default();
    computed.retain(is_asked);
    let differing = match is_compared {
        true => compare(table, &rows, &numbers, &computed, again.has_other_inputs()),
        false => vec![],
    };
    Ok(ComparedTable {
        table: table.name,
        published: PublishedFile::new(facts, history, manifest, table, &file)?,
        rows: numbers.len(),
        cells: numbers.len() * table.columns.len(),
        is_compared,
        differing,
    })
}
