//! The check of the channels: their shares, new channels and lost ones. It finds a renamed channel.

use std::collections::BTreeSet;

use chrono::Datelike;

use super::history::{PastDay, days_like};
use super::marketplace::tolerance;
use super::measures::{CHANNELS_OF, channels_name};
use super::range::{Judged, Past, Range, range};
use super::{CheckInputs, FOUND_KEPT, Head, passed_if};
use crate::catalog::checked::{Check, Measures, Unit};
use crate::config::{CheckGroup, Severity};
use crate::contracts::{Dataset, Follows};

/// A channel with at least this share must have been seen before, and must not vanish. In parts per
/// million. A smaller one may be on some days only.
const KNOWN_CHANNEL: i64 = 10_000;

pub(super) fn channels(inputs: &CheckInputs) -> Vec<Check> {
    let severity = inputs.rules.severity(CheckGroup::Channels);
    if severity == Severity::Off {
        return vec![];
    }
    let datasets = CHANNELS_OF.iter();
    datasets
        .map(|(dataset, _)| channels_of(inputs, severity, dataset))
        .collect()
}

fn channels_of(inputs: &CheckInputs, severity: Severity, dataset: &'static Dataset) -> Check {
    let name = channels_name(dataset);
    let head = Head {
        name: name.clone(),
        dataset: dataset.name,
        severity,
        unit: Unit::Percent,
    };
    if !inputs.measures.channels.contains_key(&name) {
        return head.nothing(0, "the day has no such number");
    }
    let has_channels = |past: &&PastDay| past.measures.channels.contains_key(&name);
    let past: Vec<&PastDay> = inputs.past.iter().filter(has_channels).collect();
    let like = |follows| {
        let of_day = (inputs.day, inputs.measures);
        days_like(past.clone(), of_day, (follows, false), inputs.rules)
    };
    // Shares depend on the kind of the day; the set of channels does not.
    let (recent, same_kind) = match (like(Follows::Neither), like(Follows::Demand)) {
        (Ok(recent), same_kind) => (recent.days, same_kind.ok()),
        (Err(_), Ok(same_kind)) => (same_kind.days.clone(), Some(same_kind)),
        (Err(too_few), Err(_)) => return head.nothing(too_few.days, too_few.told()),
    };
    let measured = recent.iter().map(|past| &past.measures);
    let names: BTreeSet<&String> = measured
        .chain([inputs.measures])
        .flat_map(|measures| measures.channels[&name].keys())
        .collect();
    let mut out: Vec<(&String, Judged)> = Vec::new();
    for channel in &names {
        let share = |measures: &Measures| measures.channels[&name].get(*channel).copied();
        let value = share(inputs.measures);
        let seen: Vec<Option<i64>> = recent.iter().map(|past| share(&past.measures)).collect();
        let judged = appeared_or_vanished(value, &seen).or_else(|| {
            let like = same_kind.as_ref()?;
            let number = |past: &&PastDay| Past {
                weekday: past.day.weekday(),
                value: share(&past.measures).unwrap_or_default(),
            };
            let numbers: Vec<Past> = like.days.iter().map(number).collect();
            let tolerance = tolerance(inputs.rules, Unit::Percent);
            Some(Judged {
                value: value.unwrap_or_default(),
                range: range(&numbers, inputs.day.weekday(), like.sides, &tolerance),
            })
        });
        out.extend(
            judged
                .filter(Judged::is_out)
                .map(|judged| (*channel, judged)),
        );
    }
    out.sort_by(|(_, one), (_, other)| one.worst_first(other));
    let kept = out.iter().take(FOUND_KEPT);
    let found = kept
        .map(|(channel, judged)| head.found(Some(format!("channel {channel:?}")), judged))
        .collect();
    Check {
        compared_days: recent.len(),
        judged: names.len() as u64,
        out_of_range: out.len() as u64,
        found,
        ..head.check(passed_if(out.is_empty()))
    }
}

/// A channel that none of the days had, or that all of them had and this day has not.
fn appeared_or_vanished(value: Option<i64>, seen: &[Option<i64>]) -> Option<Judged> {
    let is_new = seen.iter().all(Option::is_none);
    let range = match value {
        Some(value) if is_new && value >= KNOWN_CHANNEL => Range {
            expected: 0,
            lowest: None,
            highest: Some(KNOWN_CHANNEL - 1),
        },
        None if seen
            .iter()
            .all(|share| share.is_some_and(|share| share >= KNOWN_CHANNEL)) =>
        {
            Range {
                expected: seen.iter().flatten().copied().min().unwrap_or_default(),
                lowest: Some(KNOWN_CHANNEL),
                highest: None,
            }
        }
        _ => return None,
    };
    let value = value.unwrap_or_default();
    Some(Judged { value, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_channel_and_one_that_vanished_are_out_of_range_and_tiny_ones_are_not() {
        let is_out = |value, seen: &[Option<i64>]| {
            appeared_or_vanished(value, seen).is_some_and(|judged| judged.is_out())
        };
        assert!(is_out(Some(10_000), &[None, None]));
        assert!(!is_out(Some(9_999), &[None, None]));
        assert!(!is_out(Some(10_000), &[None, Some(1_000)]));
        assert!(is_out(None, &[Some(10_000), Some(20_000)]));
        assert!(!is_out(None, &[Some(10_000), Some(9_000)]));
        assert!(!is_out(None, &[Some(10_000), None]));
        assert!(!is_out(Some(1_000), &[Some(10_000), Some(10_000)]));
    }
}
