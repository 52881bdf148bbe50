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

/// Whether an export has fewer files than usual, and may lack their rows. One file of many holds fewer
/// rows than the range of the rows allows for, so that range would not tell that it is missing.
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
            let is_passed = !files.is_out() || has_all_rows(inputs, dataset, &files);
            Check {
                compared_days,
                judged: 1,
                out_of_range: files.is_out().into(),
                found: vec![head.found(None, &files)],
                ..head.check(passed_if(is_passed))
            }
        }
    }
}

/// Whether an export with fewer files has more rows than the remaining files can hold: then its rows
/// were written into fewer files, and none is missing.
///
/// Example: 4 files of 8 hold 500 of the expected 1000 rows. The range is 1000 ± 250, so theirs ends at
/// 750. With more rows than that, the export is whole.
fn has_all_rows(inputs: &CheckInputs, dataset: &'static Dataset, files: &Judged) -> bool {
    let tolerance = tolerance(inputs.rules, Unit::Count);
    let (name, follows) = (rows_name(dataset), (dataset.follows, true));
    let Ok((rows, _)) = judge(inputs, &name, follows, &tolerance, usize::MAX) else {
        return false;
    };
    let (Some(highest), 1..) = (rows.range.highest, files.range.expected) else {
        return false;
    };
    let expected = i128::from(rows.range.expected);
    let allowed = i128::from(highest) - expected;
    let (files, all_files) = (i128::from(files.value), i128::from(files.range.expected));
    (i128::from(rows.value) - allowed) * all_files > expected * files
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

#[cfg(test)]
mod tests {
    use chrono::Weekday;

    use super::*;
    use crate::checks::range::Sides;

    /// The number of files is compared with seven days, so each weekday is there once.
    #[test]
    fn fewer_files_for_good_fail_on_three_days() {
        let exactly = Tolerance {
            max_mads: Share {
                numerator: 5,
                denominator: 1,
            },
            min_change: NONE,
            least: 0,
        };
        let fails = |days_of_seven_files: usize| {
            let mut weekday = Weekday::Mon;
            let past: Vec<Past> = (0..7)
                .map(|day| {
                    weekday = weekday.succ();
                    let value = if day < 7 - days_of_seven_files { 8 } else { 7 };
                    Past { weekday, value }
                })
                .collect();
            let range = range(&past, weekday.succ(), Sides::Both, &exactly);
            let files = Judged { value: 7, range };
            files.only_low().is_out()
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 7].map(fails),
            [true, true, true, false, false, false]
        );
    }
}
