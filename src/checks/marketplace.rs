//! The checks of the whole marketplace: rows and files of each export, totals, shares of nulls.

use chrono::Datelike;

use super::history::days_like;
use super::measures::{TOTALS, WHOLE, files_name, nullable, nulls_name, rows_name};
use super::range::{Judged, Past, Tolerance, range};
use super::{CheckInputs, Head, passed_if};
use crate::catalog::checked::{Check, Unit};
use crate::config::{CheckGroup, CheckRules, Severity, Share};
use crate::contracts::datasets::DATASETS;
use crate::contracts::{Dataset, Follows};

/// A count may always change by this much: of 3 campaigns, one may end. A greater number would hide
/// trouble in small exports.
pub(super) const LEAST_COUNT: i64 = 10;

pub(super) fn marketplace(inputs: &CheckInputs) -> Vec<Check> {
    let mut checks = Vec::new();
    for dataset in DATASETS {
        let head = |severity| Head {
            name: rows_name(dataset),
            dataset: dataset.name,
            severity,
            unit: Unit::Count,
        };
        let follows = (dataset.follows, true);
        checks.extend(one(inputs, CheckGroup::Rows, head, follows));
    }
    let severity = inputs.rules.severity(CheckGroup::Files);
    if severity != Severity::Off {
        checks.extend(DATASETS.map(|dataset| files(inputs, severity, dataset)));
    }
    for total in &TOTALS {
        let head = |severity| Head {
            name: total.name.into(),
            dataset: total.dataset.name,
            severity,
            unit: match total.is_money {
                true => Unit::Money,
                false => Unit::Count,
            },
        };
        checks.extend(one(inputs, total.group, head, (Follows::Demand, true)));
    }
    for dataset in DATASETS {
        for column in nullable(dataset) {
            let head = |severity| Head {
                name: nulls_name(dataset, column),
                dataset: dataset.name,
                severity,
                unit: Unit::Percent,
            };
            let follows = (dataset.follows, false);
            checks.extend(one(inputs, CheckGroup::Nulls, head, follows));
        }
    }
    checks
}

/// One number, compared with the same number of earlier days; `None`: the check is off.
fn one(
    inputs: &CheckInputs,
    group: CheckGroup,
    head: impl FnOnce(Severity) -> Head,
    follows: (Follows, bool),
) -> Option<Check> {
    let severity = inputs.rules.severity(group);
    if severity == Severity::Off {
        return None;
    }
    let head = head(severity);
    let tolerance = tolerance(inputs.rules, head.unit);
    Some(
        match judge(inputs, &head.name, follows, &tolerance, usize::MAX) {
            Err(Nothing { days, why }) => head.nothing(days, why),
            Ok((judged, compared_days)) => Check {
                compared_days,
                judged: 1,
                out_of_range: judged.is_out().into(),
                found: vec![head.found(None, &judged)],
                ..head.check(passed_if(!judged.is_out()))
            },
        },
    )
}

/// The reason why a number cannot be judged.
struct Nothing {
    days: usize,
    why: String,
}

/// The number of the day and its range, and the number of days that it was compared with: the `latest`
/// of those like it.
fn judge(
    inputs: &CheckInputs,
    name: &str,
    follows: (Follows, bool),
    tolerance: &Tolerance,
    latest: usize,
) -> Result<(Judged, usize), Nothing> {
    let nothing = |days, why| Nothing { days, why };
    let value = inputs.measures.values.get(name).copied();
    let value = value.ok_or_else(|| nothing(0, "the day has no such number".to_owned()))?;
    let past = inputs.past.iter();
    let past = past.filter(|past| past.measures.values.contains_key(name));
    let of_day = (inputs.day, inputs.measures);
    let like = days_like(past.collect(), of_day, follows, inputs.rules)
        .map_err(|too_few| nothing(too_few.days, too_few.told()))?;
    let numbers: Vec<Past> = like.days[like.days.len().saturating_sub(latest)..]
        .iter()
        .map(|past| Past {
            weekday: past.day.weekday(),
            value: past.measures.values[name],
        })
        .collect();
    let range = range(&numbers, inputs.day.weekday(), like.sides, tolerance);
    Ok((Judged { value, range }, numbers.len()))
}

/// Whether an export has fewer files than usual. One file of many holds fewer rows than the range of
/// the rows allows for, so that range would not tell that it is missing.
///
/// Only the latest days like it are compared: a new number of files is known after a few days.
fn files(inputs: &CheckInputs, severity: Severity, dataset: &'static Dataset) -> Check {
    let head = Head {
        name: files_name(dataset),
        dataset: dataset.name,
        severity,
        unit: Unit::Count,
    };
    let exactly = Tolerance {
        max_mads: inputs.rules.max_mads,
        min_change: NONE,
        least: 0,
    };
    let latest = inputs.rules.min_days as usize;
    let follows = (dataset.follows, true);
    match judge(inputs, &head.name, follows, &exactly, latest) {
        Err(Nothing { days, why }) => head.nothing(days, why),
        Ok((files, compared_days)) => {
            let files = files.only_low();
            Check {
                compared_days,
                judged: 1,
                out_of_range: files.is_out().into(),
                found: vec![head.found(None, &files)],
                ..head.check(passed_if(!files.is_out()))
            }
        }
    }
}

/// No share of a number.
pub(super) const NONE: Share = Share {
    numerator: 0,
    denominator: 1,
};

pub(super) fn tolerance(rules: &CheckRules, unit: Unit) -> Tolerance {
    let points = rules.min_share_change;
    let (min_change, least) = match unit {
        Unit::Count => (rules.min_change, LEAST_COUNT),
        Unit::Money => (rules.min_change, 0),
        Unit::Percent => (NONE, (points.numerator * WHOLE / points.denominator) as i64),
    };
    Tolerance {
        max_mads: rules.max_mads,
        min_change,
        least,
    }
}
