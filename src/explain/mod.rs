//! `explain`: where one published number comes from.
//!
//! The answer is read from published files, manifests and the history, in the words of the contracts.
//! The number is also computed again by a second route. Of a cohort, the answer has a band of its peers
//! and the rules of suppression, never another shop or a number that is not published.
//!
//! | file | holds |
//! | --- | --- |
//! | `row` | the row that a question is about |
//! | `value` | a value with its formula, its inputs and the meaning of null |
//! | `recompute/` | the number, computed again by another route |
//! | `page` | the explanation for people |
//! | `sql/` | the same number as a query for DuckDB |

mod page;
mod recompute;
mod row;
mod sql;
mod value;

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use page::page;
use recompute::{BenchmarkStory, Cells, InputFile, Recompute, RowsOfKey, Telling, is_same};
use row::{Found, find};
pub(crate) use row::{Question, RowKey};
pub(crate) use sql::{SqlAnswer, sql};
use value::{Teller, Value};

use crate::catalog::history::History;
use crate::catalog::manifest::{Manifest, Skipped};
use crate::contracts::column::{Lineage, Source};
use crate::contracts::{Column, Kind, Table};
use crate::days::readiness::{DayExports, Readiness};
use crate::exit_code::ExitCode;
use crate::exports::quarantine::Accounting;
use crate::plan::Facts;
use crate::report::diff::{Publication, causes_of, publication};
use crate::resources::Resources;

/// Where a number comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Explanation {
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

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PublishedFile {
    #[serde(flatten)]
    pub by: Publication,
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
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
    /// Why the file differs from the one before; empty for the first.
    pub causes: Vec<String>,
}

/// An export behind the value.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportState {
    pub dataset: &'static str,
    /// Whether its files are those that the day was published from; `None`: not recorded.
    pub is_unchanged: Option<bool>,
    pub files: Vec<ExportFile>,
    /// How its rows were counted, over all shops; `None`: not read for this publication.
    pub account: Option<Accounting>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportFile {
    pub name: String,
    pub bytes: u64,
}

/// The number, computed again by another route.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recomputed {
    pub outcome: Outcome,
    /// The value that was computed; `None`: null, no row, or not told.
    pub value: Option<String>,
    /// The value is not told, for the privacy of other shops: its cohort is suppressed, or was
    /// published from other inputs.
    pub is_withheld: bool,
    /// Inputs that are not those that the number was published from.
    pub changed: Vec<String>,
    /// The rows of this key in the exports that were read, and the rows that do not count.
    pub rows: BTreeMap<&'static str, RowsOfKey>,
    /// The benchmark with its cohorts; only in the benchmark tables.
    pub benchmark: Option<BenchmarkStory>,
    /// The files that were read, with their hashes.
    pub files: Vec<InputFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Agrees,
    Differs,
    /// Inputs changed since the number was published.
    InputsChanged,
}

impl Outcome {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Outcome::Agrees => ExitCode::Published,
            Outcome::Differs => ExitCode::Blocked,
            Outcome::InputsChanged => ExitCode::TryLater,
        }
    }
}

/// How thoroughly a number is computed again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Thoroughness {
    /// Windows from the exports of every day, not from the published daily tables.
    pub is_deep: bool,
    /// The most used rows, and the most other rows, that are shown of each export.
    pub rows_shown: usize,
}

/// # Errors
/// `ConfigWrong` when the question names no published table or more than one row; `StoreFailed` when
/// a file is gone or has other bytes than were published.
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
        row,
        question,
    } = find(facts, history, question)?;
    let question = &question;
    let entry = &manifest.tables[table.name];
    let commit = entry.commit_number.unwrap_or(manifest.commit_number);
    let by = history.manifest(question.day, commit)?;
    let published = PublishedFile {
        by: publication(by.as_deref().unwrap_or(&manifest)),
        path: facts
            .results
            .show(&history.path(table, question.day, manifest.commit_number)),
        bytes: entry.bytes,
        sha256: entry.sha256.clone(),
    };
    let teller = Teller {
        facts,
        history,
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
    let published_value = value.as_ref().map(|value| value.value.clone());
    let publications = publications(history, question, table, column, published_value.as_ref())?;
    let recomputed = recompute(&again, table, column, &key, published_value)?;
    Ok(Explanation {
        shop_id: question.shop_id,
        day: question.day,
        table: table.name,
        column: column.name,
        key,
        grain: table.grain,
        published,
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
    let changed = again.changed();
    let outcome = match (changed.is_empty(), is_same) {
        (false, _) => Outcome::InputsChanged,
        (true, true) => Outcome::Agrees,
        (true, false) => Outcome::Differs,
    };
    // A number of a cohort that is suppressed stays unknown, and so does one beside the published one.
    let is_suppressed = table.is_benchmark() && published.flatten().is_none();
    let is_second = is_over_peers(table, column) && outcome == Outcome::InputsChanged;
    let value = row.and_then(|row| row.get(column.name).cloned().flatten());
    let benchmark = match table.is_benchmark() {
        true => again.story(key, metric.as_deref().unwrap_or("gmv"))?,
        false => None,
    };
    Ok(Recomputed {
        outcome,
        is_withheld: value.is_some() && (is_suppressed || is_second),
        value: value.filter(|_| !is_suppressed && !is_second),
        changed,
        rows: again.rows_of_exports(),
        benchmark,
        files: again.files()?,
    })
}

/// Whether a number is computed from the values of several shops. Two such numbers of one cohort may
/// be told only where they are equal.
fn is_over_peers(table: &Table, column: &Column) -> bool {
    table.is_benchmark() && column.kind == Kind::Double
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
    let mut before: Option<(Rc<Manifest>, Option<String>)> = None;
    for commit in history.commits(question.day) {
        let Some(manifest) = history.manifest(question.day, *commit)? else {
            continue;
        };
        let sha256 = manifest.tables.get(table.name).map(|t| t.sha256.clone());
        if before.as_ref().map(|(_, sha256)| sha256) == Some(&sha256) {
            continue;
        }
        if let Some(entry) = manifest.tables.get(table.name) {
            let Some(file) = history.find(table, question.day, *commit, entry)? else {
                // It is older than the history.
                before = None;
                continue;
            };
            let value = question.value(table, column, file)?;
            let is_same = found
                .last()
                .is_some_and(|last: &CellPublication| last.value == value);
            if is_same && before.is_some() {
                before = Some((manifest, sha256));
                continue;
            }
            let causes = match &before {
                Some((before, _)) => causes_of(history, table, question.day, before, &manifest)?,
                None => vec![],
            };
            found.push(CellPublication {
                by: publication(&manifest),
                value,
                is_withheld: false,
                causes,
            });
        }
        before = Some((manifest, sha256));
    }
    if is_over_peers(table, column) {
        let others = found.iter_mut().filter(|told| Some(&told.value) != now);
        others.for_each(|told| told.is_withheld = told.value.take().is_some());
    }
    Ok(found)
}

/// The exports of the day in a column's lineage.
fn exports(
    facts: &Facts,
    day: NaiveDate,
    manifest: &Manifest,
    column: &Column,
) -> Result<Vec<ExportState>> {
    let Lineage::From(sources) = column.lineage else {
        return Ok(vec![]);
    };
    let present = match facts.readiness(day)? {
        Readiness::Ready(exports) => Some(exports),
        Readiness::NotYet(_) => None,
    };
    let mut found: Vec<ExportState> = Vec::new();
    for source in sources {
        if let Source::Export(id, _) = source
            && !found.iter().any(|export| export.dataset == id.name())
        {
            found.push(export(id.name(), present.as_ref(), manifest));
        }
    }
    Ok(found)
}

fn export(dataset: &'static str, present: Option<&DayExports>, manifest: &Manifest) -> ExportState {
    let recorded = manifest
        .sources
        .as_ref()
        .map(|sources| sources.exports.get(dataset));
    let now = present.map(|exports| exports.fingerprint(&[dataset]));
    let folder = present.and_then(|exports| exports.folder(dataset));
    let files = folder.into_iter().flat_map(|folder| &folder.files);
    let mut accounts = manifest.datasets.iter();
    ExportState {
        dataset,
        is_unchanged: recorded.map(|recorded| recorded == now.as_ref()),
        files: files
            .map(|file| ExportFile {
                name: file.name.clone(),
                bytes: file.size_bytes,
            })
            .collect(),
        account: accounts
            .find(|account| account.dataset == dataset)
            .map(|account| Accounting {
                // They are rows of any shop.
                examples: vec![],
                ..account.clone()
            }),
    }
}

/// Why a table is not there: the reason in the manifest.
pub(super) fn why_skipped<'a>(manifest: &'a Manifest, table: &Table) -> Option<&'a Skipped> {
    let mut skipped = manifest.skipped.iter();
    skipped.find(|skipped| skipped.table == table.name && skipped.columns.is_empty())
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
        &["avg_customers", "avg_unique_reach", "avg_unique_clicks"],
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
