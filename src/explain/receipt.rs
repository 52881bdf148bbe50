//! A receipt: an answer of `explain` as JSON, verified at another time or place.
//!
//! Its files are those that the number was computed from. If each of them has the same bytes here and
//! the settings are the same, the number is computed again and has to be the same too.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::explain;
use super::day::compare_day;
use super::outcome::{Outcome, SecondRoute, Thoroughness};
use super::recompute::{InputFile, Location};
use super::row::Question;
use crate::catalog::history::History;
use crate::messages;
use crate::plan::{Facts, settings};
use crate::resources::Resources;

/// The parts of an answer that are verified: of one number, or of every number of a shop's day.
#[derive(Debug, Deserialize)]
pub(crate) struct Receipt {
    version: String,
    shop_id: i64,
    day: NaiveDate,
    table: Option<String>,
    /// `None`: a receipt of every number.
    column: Option<String>,
    key: BTreeMap<String, Option<String>>,
    value: Option<ReceiptValue>,
    recomputed: ReceiptRoute,
}

#[derive(Debug, Deserialize)]
struct ReceiptValue {
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ReceiptRoute {
    outcome: Outcome,
    /// Of one number.
    #[serde(default)]
    value: Option<String>,
    is_deep: bool,
    settings: BTreeMap<String, String>,
    files: Vec<InputFile>,
}

/// The answer to `explain --verify`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Verification {
    /// The program that made the receipt, and this one.
    pub receipt_version: String,
    pub version: &'static str,
    pub shop_id: i64,
    pub day: NaiveDate,
    /// `None`: every table.
    pub table: Option<String>,
    /// `None`: every number.
    pub column: Option<String>,
    pub outcome: Outcome,
    /// Files and settings that are not those of the receipt, files that the receipt does not have, and
    /// inputs that changed here.
    pub changed: Vec<String>,
    /// Published files with other bytes than were published here.
    pub damaged: Vec<String>,
    /// The files of the receipt.
    pub files: usize,
    /// The outcome in the receipt.
    pub receipt_outcome: Outcome,
    /// The published value in the receipt, of one number; `None`: null, or no row.
    pub receipt_value: Option<String>,
    /// The published value here; `None`: null, no row, or not looked up.
    pub value: Option<String>,
    /// The outcome here; `None`: nothing was computed.
    pub outcome_here: Option<Outcome>,
}

impl Receipt {
    /// # Errors
    /// `ConfigWrong` when the text is not an answer of `explain --format json`.
    pub(crate) fn parse(shown_path: &str, text: &str) -> Result<Receipt> {
        let receipt = serde_json::from_str(text);
        let receipt: Receipt = receipt.map_err(|why| messages::no_receipt(shown_path, why))?;
        let mut paths = receipt.recomputed.files.iter().map(|file| &file.path);
        let is_outside =
            |path: &&String| path.starts_with('/') || path.split('/').any(|part| part == "..");
        match paths.find(is_outside) {
            Some(path) => {
                let why = format!("{path} is no path below the exports or the results");
                Err(messages::no_receipt(shown_path, why).into())
            }
            None => Ok(receipt),
        }
    }

    /// The question that the receipt answers.
    fn question(&self) -> Question {
        let known = |name: &str| self.key.get(name).cloned().flatten();
        let metric = known("metric");
        let is_of_metric = metric.is_some();
        let others = self.key.iter().filter_map(|(name, value)| {
            let is_other = !["shop_id", "metric"].contains(&name.as_str());
            is_other.then(|| Some((name.clone(), value.clone()?)))?
        });
        Question {
            shop_id: self.shop_id,
            day: self.day,
            metric: metric.or_else(|| self.column.clone()),
            column: self.column.clone().filter(|_| is_of_metric),
            table: self.table.clone(),
            others: others.collect(),
        }
    }
}

/// Verifies a receipt with the exports, results and settings here.
///
/// # Errors
/// As [`explain`].
pub(crate) fn verify(
    facts: &Facts,
    history: &History,
    resources: &Resources,
    receipt: &Receipt,
) -> Result<Verification> {
    let mut verification = Verification {
        receipt_version: receipt.version.clone(),
        version: env!("CARGO_PKG_VERSION"),
        shop_id: receipt.shop_id,
        day: receipt.day,
        table: receipt.table.clone(),
        column: receipt.column.clone(),
        outcome: Outcome::InputsChanged,
        changed: changed(facts, &receipt.recomputed)?,
        damaged: vec![],
        files: receipt.recomputed.files.len(),
        receipt_outcome: receipt.recomputed.outcome,
        receipt_value: receipt.value.as_ref().and_then(|value| value.value.clone()),
        value: None,
        outcome_here: None,
    };
    if !verification.changed.is_empty() {
        return Ok(verification);
    }
    let question = receipt.question();
    let thoroughness = Thoroughness {
        is_deep: receipt.recomputed.is_deep,
        rows_shown: 0,
    };
    let mut is_same_computed = true;
    let route = match receipt.column {
        Some(_) => {
            let found = explain(facts, history, resources, &question, thoroughness)?;
            verification.value = found.value.and_then(|value| value.value);
            is_same_computed = found.recomputed.value == receipt.recomputed.value;
            found.recomputed.route
        }
        None => compare_day(facts, history, resources, &question, thoroughness)?.recomputed,
    };
    verification.changed = unknown_files(&receipt.recomputed, &route);
    verification.outcome_here = Some(route.outcome);
    let is_same_value = verification.value == verification.receipt_value;
    verification.outcome = match (verification.changed.is_empty(), route.outcome) {
        (false, _) => Outcome::InputsChanged,
        (true, Outcome::Agrees) if !is_same_value || !is_same_computed => Outcome::Differs,
        (true, outcome) => outcome,
    };
    verification.changed.extend(route.changed);
    verification.damaged = route.damaged;
    Ok(verification)
}

/// The files and settings of a receipt that are others here, in words.
fn changed(facts: &Facts, receipt: &ReceiptRoute) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for file in &receipt.files {
        let store = match file.location {
            Location::Exports => facts.exports,
            Location::Results => facts.results,
        };
        let path = store.show(&file.path);
        match store.digest(&file.path)? {
            None => changed.push(format!("{path} is not there")),
            Some((bytes, sha256)) if sha256 != file.sha256 => changed.push(format!(
                "{path} has other bytes: {bytes} bytes with SHA-256 {sha256}; in the receipt {} bytes with {}",
                file.bytes, file.sha256
            )),
            Some(_) => {}
        }
    }
    let none = String::new();
    for (name, here) in settings(facts.config) {
        let in_receipt = receipt.settings.get(name).unwrap_or(&none);
        if *in_receipt != here {
            changed.push(format!(
                "the setting {name} is {here}; in the receipt {in_receipt}"
            ));
        }
    }
    Ok(changed)
}

/// Files that are read here and that the receipt does not have.
fn unknown_files(receipt: &ReceiptRoute, here: &SecondRoute) -> Vec<String> {
    let place = |file: &InputFile| (file.location, file.path.clone());
    let known: BTreeSet<_> = receipt.files.iter().map(place).collect();
    let unknown = here
        .files
        .iter()
        .filter(|file| !known.contains(&place(file)));
    unknown
        .map(|file| format!("{} is not in the receipt", file.path))
        .collect()
}
