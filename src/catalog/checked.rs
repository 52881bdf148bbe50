//! The checks of a day as its manifest keeps them: the outcomes, and the measures that later days
//! compare with.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Severity;

/// The numbers of a published day that the checks of later days compare with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures {
    pub kind: DayKind,
    /// The campaigns of the day, ascending.
    pub campaign_ids: Vec<i64>,
    /// By the name of the check, in its unit. A number that is not known is absent.
    pub values: BTreeMap<String, i64>,
    /// Shares of the channels, by the name of the check and then by channel; parts per million. Tiny
    /// channels are left out.
    pub channels: BTreeMap<String, BTreeMap<String, i64>>,
}

/// Days of one kind have comparable sales, by weekday. A later kind has higher ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// A day without a campaign.
    #[default]
    Ordinary,
    /// A day in the middle of its campaigns.
    Campaign,
    /// The first or the last day of a campaign.
    CampaignEdge,
}

/// The checks of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayChecks {
    pub checks: Vec<Check>,
    /// The names of the failed checks with which a person let the day be published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Fingerprint of the exports that were accepted. The acceptance holds for these exports only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_exports: Option<String>,
}

/// One check and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Such as `gmv`, `rows.order_lines`, `nulls.shops.category`, `shops.gmv`.
    pub name: String,
    /// The export that the number comes from.
    pub dataset: String,
    pub outcome: CheckOutcome,
    pub severity: Severity,
    pub unit: Unit,
    /// The number of earlier days that the day was compared with.
    pub compared_days: usize,
    /// How many numbers were compared: 1, or the number of channels or shops.
    pub judged: u64,
    /// How many of them are outside of their range.
    pub out_of_range: u64,
    /// The single number; or the first few that are out of range, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
    /// Why there was nothing to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    Passed,
    Failed,
    /// The check had nothing to look at, or too few days to compare with. It did not pass.
    NothingToCompareWith,
}

/// The unit of the numbers of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Count,
    /// Kept in cents.
    Money,
    /// Kept in parts per million, rounded down.
    Percent,
}

impl Unit {
    /// A number as a person reads it.
    ///
    /// Example: 123456 is `123456`, `1234.56` or `12.3456 %`.
    pub fn told(self, value: i64) -> String {
        let decimal = |places: u32| {
            let one = 10_u64.pow(places);
            let sign = if value < 0 { "-" } else { "" };
            let (whole, part) = (value.unsigned_abs() / one, value.unsigned_abs() % one);
            format!("{sign}{whole}.{part:0width$}", width = places as usize)
        };
        match self {
            Unit::Count => value.to_string(),
            Unit::Money => decimal(2),
            Unit::Percent => decimal(4) + " %",
        }
    }
}

/// A number and the range in which it was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The shop or the channel; `None`: the marketplace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    pub value: String,
    /// Rounded down.
    pub expected: String,
    /// `None`: no value is too low.
    pub lowest: Option<String>,
    /// `None`: no value is too high.
    pub highest: Option<String>,
}

impl Found {
    /// `shop 17: 5 (expected 12; 10 to 14)`
    fn told(&self) -> String {
        let of = self.of.as_ref().map(|of| format!("{of}: "));
        let range = match (&self.lowest, &self.highest) {
            (Some(lowest), Some(highest)) => format!("; {lowest} to {highest}"),
            (Some(lowest), None) => format!("; at least {lowest}"),
            (None, Some(highest)) => format!("; at most {highest}"),
            (None, None) => String::new(),
        };
        let (of, value, expected) = (of.unwrap_or_default(), &self.value, &self.expected);
        format!("{of}{value} (expected {expected}{range})")
    }
}

/// Numbers of one check that a message shows; the manifest has a few more.
const FOUND_TOLD: usize = 3;

impl Check {
    /// `gmv 12.00 (expected 50.00; 40.00 to 60.00)`
    pub fn told(&self) -> String {
        let found: Vec<String> = self
            .found
            .iter()
            .take(FOUND_TOLD)
            .map(Found::told)
            .collect();
        let count = match self.judged {
            0 | 1 => String::new(),
            judged => format!("{} of {judged} out of range: ", self.out_of_range),
        };
        format!("{} {count}{}", self.name, found.join(", "))
    }
}

impl DayChecks {
    pub fn count(&self, outcome: CheckOutcome) -> usize {
        self.checks.iter().filter(|c| c.outcome == outcome).count()
    }

    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        let is_failed = |check: &&Check| check.outcome == CheckOutcome::Failed;
        self.checks.iter().filter(is_failed)
    }

    /// The failed checks that keep the day from being published.
    pub fn blocking(&self) -> impl Iterator<Item = &Check> {
        self.failed()
            .filter(|check| check.severity == Severity::Block)
            .filter(|check| !self.accepted.contains(&check.name))
    }

    /// `31 passed, 1 failed (gmv), 4 nothing to compare with`; an outcome of no check is left out.
    pub fn told(&self) -> String {
        let mut parts = Vec::new();
        let names: Vec<String> = self.failed().map(|check| self.name_told(check)).collect();
        let counts = [
            (
                CheckOutcome::Failed,
                format!("failed ({})", names.join(", ")),
            ),
            (CheckOutcome::Passed, "passed".to_owned()),
            (
                CheckOutcome::NothingToCompareWith,
                "nothing to compare with".to_owned(),
            ),
        ];
        for (outcome, words) in counts {
            let count = self.count(outcome);
            if count > 0 {
                parts.push(format!("{count} {words}"));
            }
        }
        parts.join(", ")
    }

    fn name_told(&self, check: &Check) -> String {
        let is_accepted = self.accepted.contains(&check.name);
        let accepted = if is_accepted { ", accepted" } else { "" };
        format!("{}{accepted}", check.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_in_its_unit() {
        assert_eq!(Unit::Count.told(-3), "-3");
        assert_eq!(Unit::Money.told(123_456), "1234.56");
        assert_eq!(Unit::Money.told(-5), "-0.05");
        assert_eq!(Unit::Percent.told(123_456), "12.3456 %");
    }

    #[test]
    fn checks_without_a_comparison_are_counted_apart_from_passed_ones() {
        let check = |name: &str, outcome| Check {
            name: name.into(),
            dataset: "shops".into(),
            outcome,
            severity: Severity::Block,
            unit: Unit::Count,
            compared_days: 0,
            judged: 1,
            out_of_range: 0,
            found: vec![],
            why: None,
        };
        let mut day = DayChecks {
            checks: vec![
                check("gmv", CheckOutcome::Failed),
                check("orders", CheckOutcome::NothingToCompareWith),
            ],
            ..DayChecks::default()
        };
        assert_eq!(day.told(), "1 failed (gmv), 1 nothing to compare with");
        assert_eq!(day.blocking().count(), 1);
        day.accepted.push("gmv".into());
        assert_eq!(
            day.told(),
            "1 failed (gmv, accepted), 1 nothing to compare with"
        );
        assert_eq!(day.blocking().count(), 0);
    }
}
