//! Compares a step's answers and the published tables with the expected ones.
//!
//! Each function gives the differences, as text for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use campaign_etl::contracts::datasets::DATASETS;
use campaign_etl::contracts::tables::table;
use campaign_etl::contracts::{Kind, Table};
use chrono::NaiveDate;
use serde_json::Value;

use super::case_csv::Csv;
use super::case_toml::Step;
use super::diff::{Column, diff};
use super::{FILLER_SHOP, list};
use crate::world::{Cells, Outcome, read_quarantine, read_table};

/// The tables that `plan` would compute, by day.
pub type Planned = BTreeMap<String, Vec<String>>;

/// A run writes only tables that `plan` announced, and leaves nothing for the next run.
pub fn compare_plan(before: &Planned, run: &Value, after: &Planned) -> Vec<String> {
    let mut wrong = Vec::new();
    for written in entries(&run["tables"]) {
        let (day, table) = (text(written, "day"), text(written, "table"));
        if before
            .get(day)
            .is_some_and(|tables| !tables.iter().any(|t| t == table))
        {
            wrong.push(format!(
                "{table} of {day} was written, but plan did not announce it"
            ));
        }
    }
    for (day, tables) in after.iter().filter(|(_, tables)| !tables.is_empty()) {
        wrong.push(format!(
            "after the run, plan would still compute {tables:?} of {day}"
        ));
    }
    wrong
}

/// The exit code, and the JSON as far as the step names it.
pub fn compare_outcome(step: &Step, outcome: &Outcome) -> Vec<String> {
    let (json, day) = (&outcome.json, step.day());
    let mut expected = vec![("exit code", step.exit.into(), outcome.code.into())];
    if !day.is_empty() {
        expected.push(("day", day.into(), json["day"].clone()));
    }
    for (name, value) in [
        ("outcome", &step.outcome),
        ("benchmark_day", &step.benchmark_day),
    ] {
        if let Some(value) = value {
            expected.push((name, value.as_str().into(), json[name].clone()));
        }
    }
    if let Some(value) = step.is_fallback {
        expected.push(("is_fallback", value.into(), json["is_fallback"].clone()));
    }
    for (name, lines) in step.expected_lists() {
        expected.push((name, lines.into(), listed(json, name, day).into()));
    }
    let mut wrong = Vec::new();
    for (name, expected, found) in expected
        .into_iter()
        .filter(|(_, e, f): &(_, Value, _)| e != f)
    {
        wrong.push(format!("{name}: expected {expected}, found {found}"));
    }
    for text in &step.says {
        if !outcome.stderr.contains(text) && !json.to_string().contains(text) {
            wrong.push(format!("{text:?} is neither on stderr nor in {json}"));
        }
    }
    wrong
}

/// A list of the JSON as `name day`.
fn listed(json: &Value, list: &str, day: &str) -> Vec<String> {
    let name = if ["missing", "blocked"].contains(&list) {
        "dataset"
    } else {
        "table"
    };
    let mut lines = BTreeSet::new();
    for entry in entries(&json[list]) {
        // An entry with columns is a table that is written, with these columns null.
        let is_whole = entries(&entry["columns"]).is_empty();
        if list != "skipped" || (is_whole && entry["day"] == day) {
            lines.insert(format!("{} {}", text(entry, name), text(entry, "day")));
        }
    }
    lines.into_iter().collect()
}

fn entries(json: &Value) -> &[Value] {
    json.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or("?")
}

/// Compares every file of a folder with expected rows.
pub fn compare_expected(
    folder: &Path,
    results: &Path,
    days: &BTreeSet<NaiveDate>,
    outcome: &Outcome,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in list(folder) {
        let csv = Csv::read(&folder.join(&file));
        wrong.extend(match file.strip_suffix(".csv").unwrap() {
            "quarantine" => compare_quarantine(&csv, results, days),
            "accounting" => compare_accounting(&csv, &outcome.json),
            name => compare_table(table(name).unwrap(), &csv, results),
        });
    }
    wrong
}

fn compare_table(contract: &Table, csv: &Csv, results: &Path) -> Vec<String> {
    let name = contract.name;
    let mut wrong = Vec::new();
    for day in csv.days() {
        let mut expected = csv.rows_of(day).cloned().collect::<Vec<_>>();
        let special = expected[0][0].clone().filter(|c| c.starts_with('('));
        let found = read_table(results, name, day);
        match (special.as_deref(), found) {
            (Some("(absent)"), None) => {}
            (Some("(absent)"), Some(rows)) => {
                wrong.push(format!(
                    "{name} of {day}: expected none, found {} rows",
                    rows.len()
                ));
            }
            (_, None) => {
                let rows = expected.len();
                wrong.push(format!(
                    "{name} of {day}: expected {rows} rows, found no table"
                ));
            }
            (special, Some(rows)) => {
                if special == Some("(no rows)") {
                    expected.clear();
                }
                let found = compared_cells(contract, csv, &rows);
                let diff = diff(&compared_columns(contract, csv), &expected, &found);
                wrong.extend(diff.map(|diff| format!("{name} of {day}:\n{diff}")));
            }
        }
    }
    wrong
}

fn position(contract: &Table, column: &str) -> usize {
    let position = contract.columns.iter().position(|c| c.name == column);
    position.unwrap_or_else(|| panic!("{} has no column {column}", contract.name))
}

/// The columns that the file names. Rows are matched by key where it names all of the key.
fn compared_columns<'a>(contract: &Table, csv: &'a Csv) -> Vec<Column<'a>> {
    let has_key = contract
        .key
        .iter()
        .all(|key| csv.columns.iter().any(|c| c == key));
    let mut columns = Vec::new();
    for name in &csv.columns {
        columns.push(Column {
            name,
            kind: contract.columns[position(contract, name)].kind,
            is_key: has_key && contract.key.contains(&name.as_str()),
        });
    }
    columns
}

/// These columns of the rows that are compared: not of the filler shop, and only where the file's
/// condition holds.
fn compared_cells(contract: &Table, csv: &Csv, rows: &[Cells]) -> Vec<Cells> {
    let shop = contract.columns.iter().position(|c| c.name == "shop_id");
    let mut compared = Vec::new();
    for row in rows {
        let cell = |column: &str| &row[position(contract, column)];
        let is_filler = shop.is_some_and(|at| row[at].as_deref() == Some(FILLER_SHOP));
        let mut conditions = csv.rows_where.iter();
        let is_meant = conditions
            .all(|(column, values)| values.iter().any(|v| cell(column).as_ref() == Some(v)));
        if !is_filler && is_meant {
            compared.push(
                csv.columns
                    .iter()
                    .map(|column| cell(column).clone())
                    .collect(),
            );
        }
    }
    compared
}

/// Columns of text, of which some are the key.
fn text_columns<'a>(names: &[&'a str], key: &[&str]) -> Vec<Column<'a>> {
    let column = |name: &&'a str| Column {
        name,
        kind: Kind::Text,
        is_key: key.contains(name),
    };
    names.iter().map(column).collect()
}

/// The expected rows with their day as the first cell.
fn with_day(csv: &Csv) -> Vec<Cells> {
    let rows = csv.rows.iter();
    rows.map(|(day, cells)| [vec![Some(day.to_string())], cells.clone()].concat())
        .collect()
}

const QUARANTINE: [&str; 8] = [
    "dt",
    "dataset",
    "reason",
    "column",
    "value",
    "file",
    "row_number",
    "key",
];

/// The file lists every quarantined row of the case.
fn compare_quarantine(csv: &Csv, results: &Path, days: &BTreeSet<NaiveDate>) -> Vec<String> {
    assert_eq!(csv.columns, QUARANTINE[1..]);
    let mut found = Vec::new();
    for day in days {
        for contract in DATASETS {
            let of = [day.to_string(), contract.name.to_owned()].map(Some);
            let rows = read_quarantine(results, contract.name, *day).into_iter();
            found.extend(rows.map(|cells| [of.to_vec(), cells].concat()));
        }
    }
    let columns = text_columns(&QUARANTINE, &["dt", "dataset", "file", "row_number"]);
    let diff = diff(&columns, &with_day(csv), &found);
    diff.map(|diff| format!("quarantine:\n{diff}"))
        .into_iter()
        .collect()
}

const ACCOUNTING: [&str; 7] = [
    "dt",
    "dataset",
    "rows_read",
    "rows_used",
    "rows_quarantined",
    "rows_out_of_scope",
    "reasons",
];

/// Compares the accounts of the datasets and days that the file names.
fn compare_accounting(csv: &Csv, json: &Value) -> Vec<String> {
    assert_eq!(csv.columns, ACCOUNTING[1..]);
    let mut expected = with_day(csv);
    for row in &mut expected {
        let reasons = row.last_mut().unwrap();
        *reasons = Some(in_order(reasons.as_deref().unwrap_or_default()));
    }
    let found = entries(&json["datasets"]).iter().map(account);
    let is_expected = |found: &Cells| expected.iter().any(|row| row[..2] == found[..2]);
    let found = found.filter(is_expected).collect::<Vec<_>>();
    let columns = text_columns(&ACCOUNTING, &["dt", "dataset"]);
    let diff = diff(&columns, &expected, &found);
    diff.map(|diff| format!("datasets of the JSON:\n{diff}"))
        .into_iter()
        .collect()
}

/// An entry of `datasets` as the cells of `accounting.csv`; its reasons as `NAME=count`, by name.
fn account(entry: &Value) -> Cells {
    let counts = ACCOUNTING[2..6].iter().map(|name| entry[name].to_string());
    let reasons: BTreeMap<String, u64> =
        serde_json::from_value(entry["reasons"].clone()).unwrap_or_default();
    let reasons = reasons
        .iter()
        .map(|(name, count)| format!("{name}={count}"));
    let reasons = in_order(&reasons.collect::<Vec<_>>().join(" "));
    let of = ["day", "dataset"].map(|name| text(entry, name).to_owned());
    of.into_iter()
        .chain(counts)
        .chain([reasons])
        .map(Some)
        .collect()
}

/// The words of a text, sorted.
fn in_order(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>();
    words.sort();
    words.join(" ")
}
