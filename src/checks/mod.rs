//! Checks before publishing: the numbers of a day, compared with those of earlier days.
//!
//! 1. `measures`: the numbers of the day, from the accounts of its exports and its new rollups.
//! 2. `history`: the numbers of earlier days, from their manifests; which of these days are like
//!    the day.
//! 3. `range`: the range in which a number is expected, exactly.
//! 4. `marketplace`, `channels`, `shops`: one outcome for each check.
//!
//! No outcome changes a value of a table. docs/checks.md describes the rule for operators.

mod channels;
pub(crate) mod history;
mod marketplace;
pub(crate) mod measures;
mod range;
mod shops;

use anyhow::Result;
use chrono::NaiveDate;

use crate::catalog::checked::{Check, CheckOutcome, Found, Measures, Unit};
use crate::config::{CheckGroup, CheckRules, Severity};
use crate::contracts::Read;
use crate::stop::Stop;
use crate::windows::PublishedTables;
use history::PastDay;
use range::Judged;

/// The checks of one day are made from this.
pub(crate) struct CheckInputs<'a> {
    pub day: NaiveDate,
    pub measures: &'a Measures,
    /// Oldest first.
    pub past: &'a [PastDay],
    pub rules: &'a CheckRules,
    /// The tables of earlier days, and the new ones of the day.
    pub published: &'a dyn PublishedTables,
    /// How many rows of a daily table may be in memory at a time.
    pub rows_at_once: usize,
    pub stop: &'a Stop,
}

/// The checks of a day, in the order of the documentation; none with severity `off`.
///
/// # Errors
/// When an earlier day's `shop_daily` cannot be read, and when the run is asked to stop.
pub(crate) fn check_day(inputs: &CheckInputs) -> Result<Vec<Check>> {
    let mut checks = marketplace::marketplace(inputs);
    checks.extend(channels::channels(inputs));
    checks.extend(shops::shops(inputs)?);
    Ok(checks)
}

/// The published tables that the checks read, beside the manifests.
pub(crate) fn reads(rules: &CheckRules) -> &'static [Read] {
    match rules.severity(CheckGroup::Shops) {
        Severity::Off => &[],
        Severity::Warn | Severity::Block => &shops::READS,
    }
}

/// Numbers out of range that a check keeps.
const FOUND_KEPT: usize = 5;

/// The name, the severity and the unit of a check.
struct Head {
    name: String,
    dataset: &'static str,
    severity: Severity,
    unit: Unit,
}

impl Head {
    fn check(self, outcome: CheckOutcome) -> Check {
        Check {
            name: self.name,
            dataset: self.dataset.into(),
            outcome,
            severity: self.severity,
            unit: self.unit,
            compared_days: 0,
            judged: 0,
            out_of_range: 0,
            found: vec![],
            why: None,
        }
    }

    /// A check that had nothing to look at, or too few days to compare with.
    fn nothing(self, compared_days: usize, why: impl Into<String>) -> Check {
        Check {
            compared_days,
            why: Some(why.into()),
            ..self.check(CheckOutcome::NothingToCompareWith)
        }
    }

    fn found(&self, of: Option<String>, judged: &Judged) -> Found {
        let told = |value| self.unit.told(value);
        Found {
            of,
            value: told(judged.value),
            expected: told(judged.range.expected),
            lowest: judged.range.lowest.map(told),
            highest: judged.range.highest.map(told),
        }
    }
}

fn passed_if(is_passed: bool) -> CheckOutcome {
    match is_passed {
        true => CheckOutcome::Passed,
        false => CheckOutcome::Failed,
    }
}
