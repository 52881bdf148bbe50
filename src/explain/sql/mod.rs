//! `explain --sql`: the query for DuckDB that gives a published cell from the very files.
//!
//! The query is laid out as data: for each table a list of steps (CTEs) and an expression for each
//! column of its contract. Steps and columns that the answer does not need are left out. The text
//! holds the values of the question's own row and none of another shop.
//!
//! | file | holds |
//! | --- | --- |
//! | `asked` | the question: table, column, and the known part of the row |
//! | `query` | a query, and how it is printed |
//! | `files` | the files behind it: exports less their rejected rows, published tables |
//! | `mapped` | the columns of an export that the job file maps |
//! | `rollups`, `windows`, `benchmarks` | the tables |

mod asked;
mod benchmarks;
mod files;
mod mapped;
mod query;
mod rollups;
mod windows;

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Found, Row, find, find_rows, rows_of_shop};
use super::{Question, RowKey};
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::tables::{SHOP_PERIOD, SHOP_TIER};
use crate::contracts::{Column, Kind, Table, TableId};
use crate::plan::{Facts, settings};
use asked::{Asked, literal};
use files::Files;
use query::{QUOTIENT, Query, comment, sql_type};

/// The answer to `explain --sql`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SqlAnswer {
    pub shop_id: i64,
    pub day: NaiveDate,
    pub table: &'static str,
    /// `None`: every column of the shop's rows.
    pub column: Option<&'static str>,
    /// The columns of the key that are known, as text.
    pub key: RowKey,
    /// One query for DuckDB, after the setting of the time zone where instants are read.
    pub sql: String,
}

/// The query that gives the cell of the question, or every row and column of the shop where the
/// question names no metric.
///
/// # Errors
/// As [`super::explain`]; `ConfigWrong` when the exports of the day are no longer there.
pub(crate) fn sql(facts: &Facts, history: &History, question: &Question) -> Result<SqlAnswer> {
    let (found, is_cell) = match question.metric {
        Some(_) => (find(facts, history, question)?, true),
        None => (find_rows(facts, history, question)?, false),
    };
    let Found {
        table,
        column,
        manifest,
        file,
        row,
        question,
    } = found;
    let key = row.as_ref().map_or_else(|| question.key(table), Row::key);
    let benchmark = manifest.benchmark.as_ref().filter(|_| table.is_benchmark());
    let benchmark_day = benchmark.map_or(question.day, |benchmark| benchmark.benchmark_day);
    let named = |name: &str| key.get(name).cloned().flatten();
    let campaign_id = named("campaign_id").and_then(|id| id.parse().ok());
    let asked = Asked {
        table,
        column: is_cell.then_some(column),
        row: row.as_ref(),
        campaign_id,
        first_day: first_day(facts, history, &question, campaign_id)?,
        baseline_day: named("baseline_day").and_then(|day| day.parse().ok()),
        benchmark_day,
        fallback_reason: benchmark.and_then(|benchmark| benchmark.fallback_reason.clone()),
        tier: match named("tier") {
            Some(tier) => Some(tier),
            None if table.is_benchmark() => tier(facts, history, benchmark_day, question.shop_id)?,
            None => None,
        },
        damage: (!file.is(&manifest.tables[table.name]))
            .then(|| "this file has other bytes than were published".to_owned()),
        key,
    };
    let files = Files::new(facts, history, question.day, manifest, question.shop_id);
    let query = last_select(query_of(&files, &asked)?, &files.manifest, &asked).pruned();
    let sql = print(&query, &files, &asked)?;
    Ok(SqlAnswer {
        shop_id: question.shop_id,
        day: question.day,
        table: table.name,
        column: asked.column.map(|column| column.name),
        key: asked.key,
        sql,
    })
}

fn query_of(files: &Files, asked: &Asked) -> Result<Query> {
    match asked.table.id {
        TableId::Rollup(id) => rollups::rollup(id, files, asked),
        TableId::Window(id) => windows::window(id, files, asked),
        TableId::Benchmark(id) => benchmarks::benchmark(id, files, asked),
    }
}

/// The first day of a campaign, as `shop_period` of the day has it.
fn first_day(
    facts: &Facts,
    history: &History,
    question: &Question,
    campaign_id: Option<i64>,
) -> Result<Option<NaiveDate>> {
    let Some(campaign_id) = campaign_id else {
        return Ok(None);
    };
    let rows = rows_of_shop(facts, history, &SHOP_PERIOD, question.day, question.shop_id)?;
    let of_campaign = rows.into_iter().flat_map(|rows| {
        let is_own = |number: &usize| {
            let id = rows.shown(SHOP_PERIOD.column("campaign_id"), *number);
            id == Some(campaign_id.to_string())
        };
        let found = rows.numbers().find(is_own);
        found.and_then(|number| rows.shown(SHOP_PERIOD.column("first_day"), number))
    });
    Ok(of_campaign
        .into_iter()
        .next()
        .and_then(|day| day.parse().ok()))
}

/// The shop's tier on the benchmark day.
fn tier(facts: &Facts, history: &History, day: NaiveDate, shop_id: i64) -> Result<Option<String>> {
    let Some(rows) = rows_of_shop(facts, history, &SHOP_TIER, day, shop_id)? else {
        return Ok(None);
    };
    let first = rows.numbers().next();
    Ok(first.and_then(|number| rows.shown(SHOP_TIER.column("tier"), number)))
}

/// The last SELECT, with the asked columns in the types of the contract and the key's condition.
fn last_select(mut query: Query, manifest: &Manifest, asked: &Asked) -> Query {
    let all = std::mem::take(&mut query.last.columns);
    let expression = |name: &str| {
        let found = all.iter().find(|(column, _)| column == name);
        found
            .map_or("NULL", |(_, expression)| expression.as_str())
            .to_owned()
    };
    for column in asked.columns() {
        let value = match why_skipped_column(manifest, asked.table, column) {
            Some(_) => "NULL".to_owned(),
            None => expression(column.name),
        };
        let value = match column.kind == Kind::Double && value.starts_with(QUOTIENT) {
            true => value,
            false => format!("CAST({value} AS {})", sql_type(column.kind)),
        };
        query.last.columns.push((column.name.to_owned(), value));
    }
    let is_row_given = asked.row_key().is_some() && query.last.from == "found";
    let mut conditions = Vec::new();
    for (name, value) in &asked.key {
        // The steps hold only the rows of the shop.
        if let (Some(value), false) = (value, *name == "shop_id" || is_row_given) {
            let literal = literal(asked.table.column(name), value);
            conditions.push(format!("{} = {literal}", expression(name)));
        }
    }
    for condition in conditions {
        let clause = match query.last.rest.is_empty() {
            true => format!("WHERE {condition}"),
            false => format!("    AND {condition}"),
        };
        query.last.rest.push(clause);
    }
    if asked.column.is_none() {
        query
            .last
            .rest
            .push(format!("ORDER BY {}", asked.table.key.join(", ")));
    }
    let mut names = std::collections::BTreeSet::new();
    query.steps.retain(|step| names.insert(step.name.clone()));
    query
}

/// Why a column is null on the day: an optional export is absent.
fn why_skipped_column<'a>(
    manifest: &'a Manifest,
    table: &Table,
    column: &Column,
) -> Option<&'a str> {
    let mut skipped = manifest.skipped.iter();
    let found = skipped.find(|skipped| {
        skipped.table == table.name && skipped.columns.iter().any(|name| name == column.name)
    });
    found.map(|skipped| skipped.reason.as_str())
}

/// The query below comments: the question, formulas, files.
fn print(query: &Query, files: &Files, asked: &Asked) -> Result<String> {
    let (table, day, manifest) = (asked.table, files.day, &files.manifest);
    let mut lines = Vec::new();
    let known = asked
        .key
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
    let mut known: Vec<String> = known.collect();
    if !asked.key.contains_key("shop_id") {
        known.push(format!("the cohort of shop {}", files.shop_id));
    }
    let column = asked.column.map_or("all columns", |column| column.name);
    lines.push(format!(
        "{column} of {} of {day}: {}",
        table.name,
        known.join(", ")
    ));
    for column in asked.columns() {
        if !column.formula.is_empty() && asked.column.is_some() {
            lines.push(format!("{} = {}", column.name, column.formula));
        }
        if let Some(why) = why_skipped_column(manifest, table, column) {
            lines.push(format!("{} is null: {why}", column.name));
        }
    }
    if asked.column.is_some() && asked.row.is_none() {
        lines.push("the table has no such row, and the query gives none".to_owned());
    }
    if let Some(reason) = &asked.fallback_reason {
        lines.push(format!(
            "the benchmarks of {} stand in: {reason} of {day} not final or blocked",
            asked.benchmark_day
        ));
    }
    let path = files.history.path(table, day, manifest.commit_number);
    lines.push(format!("published in {}", files.facts.results.show(&path)));
    lines.extend(asked.damage.clone());
    lines.extend(changed_settings(files));
    lines.extend(files.notes(query));
    let mut sql: String = lines.iter().map(|line| comment(line) + "\n").collect();
    let printed = query.print();
    if printed.contains("TIMESTAMPTZ") {
        sql.push_str("SET TimeZone = 'UTC';\n");
    }
    Ok(sql + &printed)
}

/// Settings that are no longer those that the table was published with.
fn changed_settings(files: &Files) -> Vec<String> {
    let Some(sources) = &files.manifest.sources else {
        return vec![];
    };
    let now = settings(files.facts.config).into_iter();
    let changed = now.filter_map(|(name, now)| {
        let then = sources.settings.get(name).filter(|then| **then != now)?;
        Some(format!(
            "{name} was {then} when the table was published; the query has {now}"
        ))
    });
    changed.collect()
}
