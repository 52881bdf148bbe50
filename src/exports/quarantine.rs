//! Rows set aside, the account of every row read, and when either breaks an export.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::contract::Defect;
use crate::config::QuarantineBudget;
use crate::contracts::Reason;
use crate::contracts::datasets::{ORDER_LINES, PRODUCT_TRAFFIC, SHOPS};

/// One row that takes no part in any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub reason: Reason,
    /// Its name in the folder.
    pub file: String,
    /// From 0.
    pub row_number: i64,
    /// `None` for a dataset without a key.
    pub key: Option<String>,
}

/// Where the rows of one dataset and day went: read = used + quarantined + out of scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    pub dataset: String,
    pub rows_read: u64,
    pub rows_used: u64,
    pub rows_quarantined: u64,
    pub rows_out_of_scope: u64,
    /// Quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// Without a used row in these, nothing about a day can be right.
const NEVER_EMPTY: [&str; 3] = [ORDER_LINES.name, PRODUCT_TRAFFIC.name, SHOPS.name];

impl Accounting {
    /// Why the export may not be used, if so.
    pub fn defect(&self, budget: QuarantineBudget, required: bool) -> Option<Defect> {
        let reasons =
            || self.reasons.iter().map(|(reason, rows)| format!("{reason} {rows}")).collect::<Vec<_>>().join(", ");
        if budget.is_exceeded(self.rows_quarantined, self.rows_read) {
            return Some(Defect::OverBudget {
                quarantined: self.rows_quarantined,
                read: self.rows_read,
                reasons: reasons(),
            });
        }
        if !required {
            return None;
        }
        // Rows out of scope are not lost: a snapshot of all campaigns may hold none of the day.
        if self.rows_read > 0 && self.rows_quarantined == self.rows_read {
            return Some(Defect::NothingLeft { read: self.rows_read, reasons: reasons() });
        }
        (self.rows_used == 0 && NEVER_EMPTY.contains(&self.dataset.as_str())).then_some(Defect::NoRows)
    }
}

/// The file form of quarantined rows.
pub fn to_batch(rows: &[Quarantined]) -> Result<RecordBatch> {
    let schema = Schema::new(vec![
        Field::new("reason", DataType::Utf8, false),
        Field::new("file", DataType::Utf8, false),
        Field::new("row_number", DataType::Int64, false),
        Field::new("key", DataType::Utf8, true),
    ]);
    Ok(RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.reason.code()))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.file))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.row_number))),
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.key.as_deref()))),
        ],
    )?)
}
