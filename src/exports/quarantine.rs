//! Quarantined rows, the account of every row read, and when it breaks an export.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defect::{Defect, OverBudget};
use crate::config::Config;
use crate::contracts::arrow;
use crate::contracts::field_ids::QUARANTINE_FILES;
use crate::contracts::quarantine::QUARANTINE;
use crate::contracts::{Dataset, Reason, WithoutRows};

/// One row that is used in no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantined {
    pub(crate) reason: Reason,
    /// The first column that breaks the rule; `None` for a repeated key.
    pub(crate) column: Option<&'static str>,
    /// The value of that column; `None`: null.
    pub(crate) value: Option<String>,
    /// The position of its file in the export.
    pub(crate) file: u32,
    /// Its position in the file, from 0.
    pub(crate) row_number: i64,
    /// `None` for a dataset without a key.
    pub(crate) key: Option<String>,
}

/// The first row with a reason, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    pub reason: String,
    pub column: Option<String>,
    /// The file's column that it is mapped from, where that has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped_from: Option<String>,
    pub value: Option<String>,
    pub file: String,
    pub row_number: i64,
    pub key: Option<String>,
}

impl Example {
    /// `buyer_id is null in row 7 of part-0.parquet`
    pub(crate) fn shown(&self) -> String {
        let from = self.mapped_from.as_ref();
        let from = from
            .map(|name| format!(" (from {name})"))
            .unwrap_or_default();
        let cell = match (&self.column, &self.value, &self.key) {
            (Some(column), Some(value), _) => format!("{column}{from} = {}", shortened(value)),
            (Some(column), None, _) => format!("{column}{from} is null"),
            (None, _, Some(key)) => format!("key {}", shortened(key)),
            (None, _, None) => String::new(),
        };
        format!("{cell} in row {} of {}", self.row_number, self.file)
    }
}

/// Characters of a value that are shown; the quarantine file has all of them.
const SHOWN_CHARS: usize = 60;

/// A value on one line.
fn shortened(value: &str) -> String {
    let shown: String = value
        .chars()
        .take(SHOWN_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    let more = if value.chars().nth(SHOWN_CHARS).is_some() {
        "..."
    } else {
        ""
    };
    match shown.trim() == shown && !shown.is_empty() {
        true => format!("{shown}{more}"),
        // The ends would be invisible.
        false => format!("\"{shown}\"{more}"),
    }
}

/// The account of one dataset and day: read = used + quarantined + out of scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounting {
    pub dataset: String,
    pub rows_read: u64,
    pub rows_used: u64,
    pub rows_quarantined: u64,
    pub rows_out_of_scope: u64,
    /// Quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Of all rows read, those with null in each column that may be null. Empty: such a column does
    /// not exist, or they were not counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nulls: BTreeMap<String, u64>,
    /// The first row of each reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

impl Accounting {
    /// Why the export may not be used; `None`: it may. `day`: the civil day with its zone and
    /// bounds. `hidden`: names of the hidden files in its folder.
    pub(super) fn defect(
        &self,
        dataset: &Dataset,
        config: &Config,
        day: &str,
        hidden: &[String],
    ) -> Option<Defect> {
        let budget = config.quarantine;
        if budget.is_exceeded(self.rows_quarantined, self.rows_read) {
            let has = |reason: &Reason| self.reasons.contains_key(reason.code());
            let of_mapping = Reason::ALL.iter().filter(|reason| reason.is_of_mapping());
            return Some(Defect::OverBudget(OverBudget {
                quarantined: self.rows_quarantined,
                read: self.rows_read,
                reasons: self.reasons_told(day),
                day: has(&Reason::OutsideDay).then(|| day.to_owned()),
                is_of_mapping: of_mapping.copied().any(|reason| has(&reason)),
            }));
        }
        let can_be_allowed = dataset.without_rows == WithoutRows::BlocksUnlessAllowed;
        let is_allowed = can_be_allowed && config.may_be_empty.contains(&dataset.name);
        let blocks = dataset.without_rows != WithoutRows::Fine && !is_allowed;
        (blocks && self.rows_used == 0).then(|| Defect::NoRows {
            hidden: hidden.to_vec(),
            can_be_allowed,
        })
    }

    /// Each reason with its rows and the first of them. `day`: the bounds that rows can be outside
    /// of.
    pub(crate) fn reasons_told(&self, day: &str) -> String {
        let told: Vec<String> = self
            .reasons
            .iter()
            .map(|(reason, rows)| self.reason_told(reason, *rows, day))
            .collect();
        told.join("; ")
    }

    fn reason_told(&self, reason: &str, rows: u64, day: &str) -> String {
        let example = self.examples.iter().find(|e| e.reason == reason);
        let first = example
            .map(|example| format!(" ({})", example.shown()))
            .unwrap_or_default();
        let bounds = if reason == Reason::OutsideDay.code() {
            format!(", not within {day}")
        } else {
            String::new()
        };
        format!("{reason} {rows}{first}{bounds}")
    }
}

/// The file schema of quarantined rows.
pub(crate) fn schema() -> SchemaRef {
    arrow::published_schema(QUARANTINE_FILES, &QUARANTINE)
}

/// Quarantined rows as a batch of the quarantine file; `files` are the names of the export's files.
pub(crate) fn to_batch(rows: &[Quarantined], files: &[String]) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|r| r.reason.code()),
            )),
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.column))),
            Arc::new(StringArray::from_iter(
                rows.iter().map(|r| r.value.as_deref()),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|r| &files[r.file as usize]),
            )),
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|r| r.row_number),
            )),
            Arc::new(StringArray::from_iter(
                rows.iter().map(|r| r.key.as_deref()),
            )),
        ],
    )?)
}
