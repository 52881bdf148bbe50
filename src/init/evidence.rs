//! Some rows of a file, read as the contract's columns that they may be: which mapping they fit.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};

use super::candidates::Fit;
use super::files::{OpenedFile, of_object, open_days};
use super::layout::Group;
use super::zone::Times;
use crate::contracts::datasets::{LIVE, VIDEO};
use crate::contracts::{Column, Dataset, Rule};
use crate::exports::trial::change_alone;
use crate::exports::trial::{some_rows, try_column};
use crate::mapping::Change;
use crate::store::Store;
use crate::untrusted_parquet::failure::FileError;

/// Rows of each of three row groups.
const SAMPLED_ROWS: usize = 2_000;
/// Days whose instants are compared with the day.
const SAMPLED_DAYS: usize = 6;
/// A text of more different values is no list of values.
const MOST_VALUES: usize = 50;
/// A shorter text abbreviates many words.
const LEAST_ABBREVIATION: usize = 3;

/// Values that a column without a rule has a meaning for: the channels with a GMV of their own.
const KNOWN_VALUES: [(&str, &[&str]); 1] = [("channel", &[LIVE, VIDEO])];

/// Rows of the chosen columns, by the column of the contract.
pub(super) type Samples = BTreeMap<&'static str, Vec<ArrayRef>>;

/// How many of the sampled values fit a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fitting {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    pub(super) unfit: usize,
    /// The first value that does not fit.
    pub(super) example: Option<String>,
}

/// Reads some rows of the columns that can be read. The inner error says why they cannot.
///
/// # Errors
/// When the store does not answer.
pub(super) fn sample(
    store: &Store,
    fit: &Fit,
    file: &OpenedFile,
) -> Result<Result<Samples, String>> {
    let (mut columns, mut names) = (Vec::new(), Vec::new());
    for choice in &fit.choices {
        if let Some(chosen) = &choice.chosen
            && let Ok(change) = &chosen.read
            && let Ok(tried) = try_column(
                fit.dataset,
                choice.column,
                &chosen.name,
                change,
                &file.metadata,
            )
        {
            columns.push(tried);
            names.push(choice.column.name);
        }
    }
    let mut samples = Samples::new();
    if columns.is_empty() {
        return Ok(Ok(samples));
    }
    let place = (file.path.as_str(), file.size_bytes);
    match some_rows(store, place, &file.metadata, columns, SAMPLED_ROWS) {
        Ok(groups) => {
            for arrays in groups {
                for (name, array) in names.iter().zip(arrays) {
                    samples.entry(name).or_default().push(array);
                }
            }
            Ok(Ok(samples))
        }
        Err(FileError::Store(error)) => Ok(Err(of_object(store, &file.path, &error)?)),
        Err(error) => Ok(Err(format!("{}: {error}", file.path))),
    }
}

/// Counts the values that fit.
pub(super) fn fitting(column: &'static Column, change: &Change, arrays: &[ArrayRef]) -> Fitting {
    let mut fitting = Fitting::default();
    for array in arrays {
        let mut unfit = Vec::new();
        change_alone(column, change, array, &mut unfit);
        fitting.rows += array.len();
        fitting.nulls += array.logical_null_count();
        fitting.unfit += unfit.len();
        let first = unfit.into_iter().next().map(|unfit| unfit.value);
        fitting.example = fitting.example.or(first);
    }
    fitting
}

/// The texts that the contract knows for a column; `is_closed`: it allows no others.
pub(super) fn known_values(
    dataset: &Dataset,
    column: &Column,
) -> Option<(&'static [&'static str], bool)> {
    let allowed = dataset.rules.iter().find_map(|rule| match rule {
        Rule::OneOf { column: of, values } if *of == column.name => Some((*values, true)),
        _ => None,
    });
    let known = KNOWN_VALUES.into_iter().find(|(of, _)| *of == column.name);
    allowed.or(known.map(|(_, values)| (values, false)))
}

/// The different texts; `None`: they are too many.
pub(super) fn texts(arrays: &[ArrayRef]) -> Option<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    let mut add = |array: &StringArray| {
        for text in array.iter().flatten() {
            if texts.len() <= MOST_VALUES {
                texts.insert(text.to_owned());
            }
        }
    };
    for array in arrays {
        match array.as_dictionary_opt::<Int32Type>() {
            Some(array) => add(array.values().as_string::<i32>()),
            None => add(array.as_string::<i32>()),
        }
    }
    (texts.len() <= MOST_VALUES).then_some(texts)
}

/// For each text, the known value that it stands for; texts that stand for none are left out. `None`: all
/// are as they should be.
pub(super) fn values(
    seen: &BTreeSet<String>,
    known: &[&str],
    is_closed: bool,
) -> Option<BTreeMap<String, String>> {
    let pairs = seen.iter().filter_map(|text| {
        let known = known.iter().find(|known| stands_for(text, known))?;
        Some((text.clone(), (*known).to_owned()))
    });
    let mut values: BTreeMap<String, String> = pairs.collect();
    let is_same = |(text, known): (&String, &String)| text == known;
    if values.iter().all(is_same) {
        return None;
    }
    if !is_closed {
        values.retain(|text, known| text != known);
    }
    Some(values)
}

/// Whether a text is a value in another notation, an abbreviation of it, or holds it as a word.
fn stands_for(text: &str, known: &str) -> bool {
    let plain = |text: &str| {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    let (found, wanted) = (plain(text), plain(known));
    let is_abbreviation = found.len() >= LEAST_ABBREVIATION && wanted.starts_with(&found);
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    is_abbreviation || words.any(|word| word.eq_ignore_ascii_case(known))
}

/// The times of the columns that must lie inside the day, in several days. `unread`: why files cannot be read.
pub(super) fn times(
    store: &Store,
    fit: &Fit,
    group: &Group,
    unread: &mut Vec<String>,
) -> Result<Vec<Times>> {
    let mut found = Vec::new();
    for rule in fit.dataset.rules {
        let Rule::InsideDay { column } = rule else {
            continue;
        };
        let files = open_days(store, group, SAMPLED_DAYS, unread)?;
        let choice = fit
            .choices
            .iter()
            .find(|choice| choice.column.name == *column);
        // Where the likeliest column has no times that can be read, the next one tells the zone too.
        let candidates = choice.into_iter().flat_map(|choice| {
            let candidates = choice.chosen.iter().chain(&choice.others);
            candidates.map(|candidate| (choice.column, candidate))
        });
        for (column, candidate) in candidates {
            let Ok(change) = &candidate.read else {
                continue;
            };
            let mut days = Vec::new();
            for file in &files {
                let read = (candidate.name.as_str(), change);
                match times_of(store, fit.dataset, column, read, file)? {
                    Ok(of_day) => days.push((file.day, of_day)),
                    Err(why) => unread.push(why),
                }
            }
            if days.iter().any(|(_, times)| !times.is_empty()) {
                found.push(Times {
                    column: format!("{}.{}", fit.dataset.name, candidate.name),
                    are_local: matches!(change, Change::TimeZone(_)),
                    days,
                });
                break;
            }
        }
    }
    Ok(found)
}

/// The times in a file; none where it differs from the newest file. The inner error says why the store does
/// not give it.
fn times_of(
    store: &Store,
    dataset: &Dataset,
    column: &'static Column,
    (name, change): (&str, &Change),
    file: &OpenedFile,
) -> Result<Result<Vec<i64>, String>> {
    let Ok(tried) = try_column(dataset, column, name, change, &file.metadata) else {
        return Ok(Ok(vec![]));
    };
    let place = (file.path.as_str(), file.size_bytes);
    let groups = match some_rows(store, place, &file.metadata, vec![tried], SAMPLED_ROWS) {
        Ok(groups) => groups,
        Err(FileError::Store(error)) => return Ok(Err(of_object(store, &file.path, &error)?)),
        // The newest file tells what is wrong; a run reads every file.
        Err(_) => return Ok(Ok(vec![])),
    };
    let mut times = Vec::new();
    for array in groups.into_iter().flatten() {
        let changed = change_alone(column, change, &array, &mut Vec::new());
        times.extend(changed.as_primitive::<Int64Type>().iter().flatten());
    }
    Ok(Ok(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values_of(seen: &[&str], known: &[&str], is_closed: bool) -> Vec<(String, String)> {
        let seen = seen.iter().map(|text| (*text).to_owned()).collect();
        values(&seen, known, is_closed)
            .into_iter()
            .flatten()
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn texts_in_another_notation_stand_for_the_known_values() {
        let known = [VIDEO, LIVE];
        assert_eq!(
            values_of(&["live", "short_video", "other", "vid"], &known, false),
            pairs(&[("live", "LIVE"), ("short_video", "VIDEO"), ("vid", "VIDEO")])
        );
        assert_eq!(values_of(&["LIVE", "SHOP_TAB"], &known, false), []);
        // Without an entry of its own, LIVE would go to quarantine.
        assert_eq!(
            values_of(&["LIVE", "video"], &known, true),
            pairs(&[("LIVE", "LIVE"), ("video", "VIDEO")])
        );
        assert_eq!(values_of(&["v", ""], &known, true), []);
    }
}
