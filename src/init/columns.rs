//! The line of each column in the job file, with its reason.

use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use chrono_tz::Tz;

use super::candidates::{CENTS, Candidate, Choice, DIGITS, scale_of};
use super::evidence::{Fitting, Samples, fitting, known_values, texts, values};
use super::guesses::{Confidence, FoundColumn, OtherColumn};
use super::words::Name;
use crate::contracts::{Column, Dataset, Kind};
use crate::mapping::Change;

/// A name that is as much like the contract's is likely to be meant.
const LIKELY: f64 = 0.8;

/// The zone of local times, and whether it is likely.
#[derive(Clone, Copy)]
pub(super) struct LocalZone {
    pub(super) zone: Tz,
    pub(super) is_likely: bool,
}

/// The guess of a column.
pub(super) fn found_column(
    dataset: &Dataset,
    choice: &Choice,
    samples: &Samples,
    local: LocalZone,
) -> FoundColumn {
    let other = |(other, reason): (&Candidate, String)| {
        let change = match other.read.as_ref().ok()? {
            Change::TimeZone(_) => Change::TimeZone(local.zone),
            change => change.clone(),
        };
        Some(OtherColumn {
            from: other.name.clone(),
            mapping: mapping(&other.name, &change),
            reason,
        })
    };
    let of_type = by_type(choice.of_type.count);
    let of_type = choice.of_type.first.iter().map(|it| (it, of_type.clone()));
    let mut of_type = of_type.filter_map(other).peekable();
    let guess = match &choice.chosen {
        // A column that may be null can do without.
        None => {
            let is_needed = |_: &OtherColumn| choice.column.null.is_none();
            nothing_found(choice.column, of_type.next_if(is_needed))
        }
        Some(chosen) => match &chosen.read {
            Err(why) => Guess {
                mapping: Some(quoted(&chosen.name)),
                confidence: Confidence::Missing,
                reason: format!("{} is {why}", chosen.name),
            },
            Ok(change) => {
                let arrays = samples.get(choice.column.name);
                let arrays = arrays.map(Vec::as_slice).unwrap_or_default();
                let change = match change {
                    Change::TimeZone(_) => Change::TimeZone(local.zone),
                    Change::Nothing => known_texts(dataset, choice.column, samples),
                    change => change.clone(),
                };
                let (change, fitting) = fitted(choice.column, change, arrays);
                readable(choice.column, chosen, &change, &fitting, local)
            }
        },
    };
    let alike = choice.others.iter().map(|it| (it, alike(it)));
    let others = alike.filter_map(other).chain(of_type);
    FoundColumn {
        column: choice.column.name,
        from: choice.chosen.as_ref().map(|chosen| chosen.name.clone()),
        mapping: guess.mapping,
        confidence: guess.confidence,
        reason: guess.reason,
        others: others.collect(),
    }
}

/// The change, and the values that fit it. Texts of which some are no numbers are ids by their hash.
fn fitted(column: &'static Column, change: Change, arrays: &[ArrayRef]) -> (Change, Fitting) {
    let found = fitting(column, &change, arrays);
    if change != DIGITS || found.unfit == 0 {
        return (change, found);
    }
    let change = Change::TextId {
        hashes_others: true,
    };
    let found = fitting(column, &change, arrays);
    (change, found)
}

struct Guess {
    mapping: Option<String>,
    confidence: Confidence,
    reason: String,
}

/// A line to fill in, or with a column that has the type.
fn nothing_found(column: &Column, of_type: Option<OtherColumn>) -> Guess {
    const ZERO: &str = "{ constant = \"0.00\" }";
    let (mapping, hint) = match (column.null, column.kind, of_type) {
        (Some(null), ..) => (
            "{ absent = true }".to_owned(),
            format!("; every row would be: {null}"),
        ),
        (None, Kind::Money, Some(other)) => (
            other.mapping,
            format!("; {}; or {ZERO}: every row would be 0.00", other.reason),
        ),
        (None, _, Some(other)) => (other.mapping, format!("; {}", other.reason)),
        (None, Kind::Money, None) => (ZERO.to_owned(), "; every row would be 0.00".to_owned()),
        (None, _, None) => ("\"\"".to_owned(), String::new()),
    };
    Guess {
        mapping: Some(mapping),
        confidence: Confidence::Missing,
        reason: format!("no column is like it{hint}"),
    }
}

/// Why a column is proposed whose name is not alike. `count`: the number of such columns.
fn by_type(count: usize) -> String {
    match count {
        1 => "the only unused column with a fitting type".to_owned(),
        count => format!("one of {count} unused columns with a fitting type"),
    }
}

/// Values of a text column that stand for those of the contract.
fn known_texts(dataset: &Dataset, column: &Column, samples: &Samples) -> Change {
    let changed = || {
        let (known, is_closed) = known_values(dataset, column)?;
        let seen = texts(samples.get(column.name)?)?;
        Some(Change::Values {
            values: values(&seen, known, is_closed)?,
            keeps_others: !is_closed,
        })
    };
    changed().unwrap_or(Change::Nothing)
}

fn readable(
    column: &Column,
    chosen: &Candidate,
    change: &Change,
    fitting: &Fitting,
    local: LocalZone,
) -> Guess {
    let name = Name::new(&chosen.name);
    let is_refuted = match change {
        Change::TimeZone(_) => fitting.unfit * 2 > fitting.rows,
        _ => false,
    };
    let (of_type, is_certain) = match change {
        Change::Nothing => (String::new(), true),
        Change::TextId {
            hashes_others: false,
        } => ("; texts of digits".to_owned(), true),
        Change::TextId {
            hashes_others: true,
        } => (
            "; texts, of which some are no numbers: those have ids by their hash".to_owned(),
            true,
        ),
        Change::Scale(_) if scale_of(&name).is_some() => {
            ("; whole minor units, by its name".to_owned(), true)
        }
        Change::Scale(_) => {
            let text = format!("; whole numbers: {CENTS} for cents, 0 for whole units");
            (text, false)
        }
        Change::TimeZone(_) => ("; times without a zone".to_owned(), local.is_likely),
        Change::Values { values, .. } => {
            let is_other = |(from, to): (&String, &String)| from != to;
            let are_other = values.iter().filter(|pair| is_other(*pair)).count();
            (format!("; {are_other} texts in another notation"), false)
        }
    };
    let mut reason = format!("{}{of_type}", alike(chosen));
    if fitting.rows == 0 {
        reason += "; no rows were sampled";
    } else {
        let fit = fitting.rows - fitting.unfit;
        reason += &format!("; {fit} of {} sampled rows fit", fitting.rows);
    }
    if let Some(example) = &fitting.example {
        reason += &format!(", not {example:?}");
    }
    if column.null.is_none() && fitting.nulls > 0 {
        reason += &format!("; {} are null and would go to quarantine", fitting.nulls);
    }
    if is_refuted {
        reason += ": have a TIMESTAMP written";
    }
    let fits = fitting.rows > 0 && fitting.unfit == 0;
    let confidence = match () {
        () if is_refuted => Confidence::Missing,
        () if !is_certain || !fits => Confidence::Unsure,
        () if chosen.is_same_name => Confidence::Sure,
        () if chosen.likeness >= LIKELY => Confidence::Likely,
        () => Confidence::Unsure,
    };
    let is_by_contract = chosen.name == column.name && *change == Change::Nothing;
    Guess {
        mapping: (!is_by_contract || is_refuted).then(|| mapping(&chosen.name, change)),
        confidence,
        reason,
    }
}

fn alike(candidate: &Candidate) -> String {
    match candidate.likeness {
        _ if candidate.is_same_name => "the same name".to_owned(),
        1.0.. => "a name of the same meaning".to_owned(),
        likeness => format!("{:.0} % alike in name", likeness * 100.0),
    }
}

/// As the job file writes it.
fn mapping(from: &str, change: &Change) -> String {
    let from = quoted(from);
    let verb = match change {
        Change::Nothing => return from,
        Change::TextId {
            hashes_others: true,
        } => "text_id = true".to_owned(),
        Change::TextId {
            hashes_others: false,
        } => "text_id = \"digits\"".to_owned(),
        Change::Scale(scale) => format!("scale = {scale}"),
        Change::TimeZone(zone) => format!("time_zone = \"{zone}\""),
        Change::Values {
            values,
            keeps_others,
        } => {
            let otherwise = if *keeps_others {
                ", otherwise = \"keep\""
            } else {
                ""
            };
            format!("values = {}{otherwise}", table(values))
        }
    };
    format!("{{ from = {from}, {verb} }}")
}

fn table(values: &BTreeMap<String, String>) -> String {
    let pair = |(from, to): (&String, &String)| format!("{} = {}", quoted(from), quoted(to));
    let pairs: Vec<String> = values.iter().map(pair).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A text of TOML on one line. Escapes of JSON are escapes of TOML, which also wants one for DEL.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_quoted_as_toml() {
        for name in [
            "a",
            "a b",
            "a\"b\\",
            "line\nbreak",
            "\u{7f}\u{1}\t",
            "é",
            "",
        ] {
            let file: toml::Table = format!("x = {}", quoted(name)).parse().unwrap();
            assert_eq!(file["x"].as_str(), Some(name));
        }
    }

    #[test]
    fn a_mapping_is_written_as_the_job_file_reads_it() {
        assert_eq!(mapping("a", &Change::Nothing), "\"a\"");
        assert_eq!(
            mapping("a", &Change::Scale(2)),
            "{ from = \"a\", scale = 2 }"
        );
        let change = Change::Values {
            values: BTreeMap::from([("live".to_owned(), "LIVE".to_owned())]),
            keeps_others: true,
        };
        assert_eq!(
            mapping("src", &change),
            "{ from = \"src\", values = { \"live\" = \"LIVE\" }, otherwise = \"keep\" }"
        );
    }
}
