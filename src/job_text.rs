//! The text of a job file: the places of its values, and values from outside that replace them.
//!
//! A flag replaces a variable of the environment, which replaces the job file, which replaces the
//! default.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Result, ensure};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::failure::Failure;
use crate::messages;
use crate::nearest::{choices, nearly};

/// A value that replaces one of the job file.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The key in the job file, such as `store.concurrency`.
    pub key: String,
    pub value: toml::Value,
    /// The flag or variable that gives it, such as `--results`.
    pub by: String,
}

impl Given {
    pub fn new(key: &str, value: impl Into<toml::Value>, by: &str) -> Given {
        Given {
            key: key.into(),
            value: value.into(),
            by: by.into(),
        }
    }
}

/// The settings of a job: the keys that the file may have, and those that a variable may replace.
#[derive(Default)]
pub(crate) struct Keys {
    /// The keys of each table; that of the whole file has the name "".
    tables: BTreeMap<String, Vec<String>>,
    /// Keys with one value, and whether it is a text.
    single: BTreeMap<String, bool>,
    /// Lists and tables, which stand in the file only.
    whole: BTreeSet<String>,
}

impl Keys {
    /// The keys of a job file by its JSON Schema, which has no references. Those of the table
    /// `elsewhere` are checked elsewhere.
    pub(crate) fn of(schema: &serde_json::Value, elsewhere: &str) -> Keys {
        let mut keys = Keys::default();
        keys.add("", schema, elsewhere);
        keys
    }

    /// Whether a key is a list or a table, or would lie in one.
    fn is_of_a_table(&self, key: &str) -> bool {
        let outermost = key.split('.').next().unwrap_or(key);
        self.whole.contains(outermost)
    }

    fn add(&mut self, name: &str, schema: &serde_json::Value, elsewhere: &str) {
        let Some(table) = properties(schema).filter(|_| name != elsewhere) else {
            return;
        };
        let keys = table.keys().cloned().collect();
        self.tables.insert(name.into(), keys);
        for (key, schema) in table {
            let inner = match name {
                "" => key.clone(),
                name => format!("{name}.{key}"),
            };
            let types = schema["type"].to_string();
            if types.contains("array") || types.contains("object") || properties(schema).is_some() {
                self.whole.insert(inner.clone());
            }
            let is_table = types.contains("object") || properties(schema).is_some();
            match (is_table, types.contains("array")) {
                (true, _) => self.add(&inner, schema, elsewhere),
                // Entries of a list have no names that a variable could give.
                (_, true) => {
                    let mut of_entry = Keys::default();
                    of_entry.add(&inner, &schema["items"], elsewhere);
                    self.tables.append(&mut of_entry.tables);
                }
                // An enum of words has no type of its own.
                _ => {
                    let is_text = types.contains("string") || schema["type"].is_null();
                    self.single.insert(inner, is_text);
                }
            }
        }
    }
}

/// The keys of a table; an optional one is a table or null.
fn properties(schema: &serde_json::Value) -> Option<&serde_json::Map<String, serde_json::Value>> {
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    let mut tables = [schema].into_iter().chain(choices);
    tables.find_map(|table| table["properties"].as_object())
}

/// The prefix of variables that replace values of the job file.
pub const PREFIX: &str = "CAMPAIGN_ETL_";

/// Variables with the prefix that are arguments and no keys of the job file.
pub(crate) const ARGUMENTS: [&str; 4] = ["config", "threads", "log_format", "color"];

/// Letters in which the name of a variable may differ from that of a key to be a mistyped one.
const MOST_MISTYPED: usize = 2;

/// The values that the environment gives. `CAMPAIGN_ETL_STORE__CONCURRENCY` replaces
/// `store.concurrency`. An empty variable gives none. A variable whose name is like no key is
/// somebody else's.
///
/// # Errors
/// `ConfigWrong` for a name that is nearly that of a key, or that names a list, a table or something in one.
pub(crate) fn from_environment(
    environment: &[(String, String)],
    keys: &Keys,
) -> Result<Vec<Given>> {
    let mut given = Vec::new();
    // Sorted: `LINEAGE__NAMESPACE` needs `LINEAGE__URL`, so the order must not decide.
    let mut environment: Vec<_> = environment.iter().collect();
    environment.sort();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let key = rest.to_lowercase().replace("__", ".");
        match keys.single.get(&key) {
            _ if text.is_empty() => {}
            Some(true) => given.push(Given::new(&key, text.as_str(), name)),
            Some(false) => given.push(Given::new(&key, value_of(text), name)),
            None if ARGUMENTS.contains(&key.as_str()) => {}
            None => {
                let known = keys.single.keys().map(String::as_str).chain(ARGUMENTS);
                if let Some(meant) = nearly(&key, known, MOST_MISTYPED) {
                    let meant = meant.replace('.', "__").to_uppercase();
                    return Err(messages::unknown_variable(name, format!("{PREFIX}{meant}")).into());
                }
                ensure!(
                    !keys.is_of_a_table(&key),
                    messages::not_in_a_variable(name, key)
                );
            }
        }
    }
    Ok(given)
}

/// A number or a truth value as TOML writes it; anything else stays a text, which then has the
/// wrong type.
fn value_of(text: &str) -> toml::Value {
    let number = text.trim().parse().map(toml::Value::Integer);
    number
        .or_else(|_| text.trim().parse().map(toml::Value::Float))
        .or_else(|_| text.trim().parse().map(toml::Value::Boolean))
        .unwrap_or_else(|_| text.into())
}

/// A job file's text, parsed as far as TOML itself.
pub(crate) struct JobText<'t> {
    /// The beginning of a place, such as `in the job file job.toml: `.
    name: String,
    text: &'t str,
    table: Spanned<DeTable<'t>>,
    given: &'t [Given],
}

impl<'t> JobText<'t> {
    /// # Errors
    /// `ConfigWrong` with the place of a text that is no TOML.
    pub(crate) fn parse(name: String, text: &'t str, given: &'t [Given]) -> Result<JobText<'t>> {
        match DeTable::parse(text) {
            Ok(table) => Ok(JobText {
                name,
                text,
                table,
                given,
            }),
            Err(error) => Err(not_understood(&name, text, &error).into()),
        }
    }

    /// The file as `T`, with the given values in place of its own.
    ///
    /// # Errors
    /// `ConfigWrong` for a value of a wrong type, with its place, and for an unknown key, with the
    /// nearest one.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, keys: &Keys) -> Result<T> {
        self.check_keys(self.table.get_ref(), "", keys)?;
        let not_understood = |error| not_understood(&self.name, self.text, &error);
        let of_file: T = toml::from_str(self.text).map_err(not_understood)?;
        if self.given.is_empty() {
            return Ok(of_file);
        }
        let mut merged: toml::Table = toml::from_str(self.text).map_err(not_understood)?;
        for given in self.given {
            put(&mut merged, &given.key, given.value.clone());
            // The file alone was read, so this value is wrong, or lacks another of its table.
            T::deserialize(toml::Value::Table(merged.clone()))
                .map_err(|error| messages::wrong_setting(&given.by, plainly(error.message())))?;
        }
        Ok(T::deserialize(toml::Value::Table(merged)).map_err(not_understood)?)
    }

    /// Checks the keys of a table and of the tables in it that have a list of keys.
    fn check_keys(&self, table: &DeTable, name: &str, keys: &Keys) -> Result<()> {
        let Some(known) = keys.tables.get(name) else {
            return Ok(());
        };
        for (key, value) in table {
            let typed = key.get_ref().as_ref();
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            ensure!(names.contains(&typed), {
                let of = match name {
                    "" => "a key of the job file".to_owned(),
                    name => format!("a key of {name}"),
                };
                messages::unknown_key(self.place(key.span()), typed, of, choices(typed, &names))
            });
            let inner = match name {
                "" => typed.to_owned(),
                name => format!("{name}.{typed}"),
            };
            match value.get_ref() {
                DeValue::Table(table) => self.check_keys(table, &inner, keys)?,
                DeValue::Array(values) => {
                    for table in values.iter().filter_map(|value| value.get_ref().as_table()) {
                        self.check_keys(table, &inner, keys)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A value at the top of the file.
    pub(crate) fn get(&self, key: &str) -> Option<&Spanned<DeValue<'t>>> {
        self.table.get_ref().get(key)
    }

    /// The failure, with the place of the value that it is about: `tier.2.min_gmv` is that of the
    /// third tier. A value that the file does not have has no place.
    pub(crate) fn wrong(&self, key: &str, failure: Failure) -> Failure {
        failure.at(&self.at(key))
    }

    /// The beginning of a message about the value of a key.
    pub(crate) fn at(&self, key: &str) -> String {
        if let Some(given) = self.given.iter().rev().find(|given| given.key == key) {
            return format!("{}: ", given.by);
        }
        match self.span(key) {
            Some(span) => self.place(span),
            None => self.name.clone(),
        }
    }

    fn span(&self, key: &str) -> Option<Range<usize>> {
        let (first, rest) = key.split_once('.').unwrap_or((key, ""));
        let mut value = self.get(first)?;
        for part in rest.split('.').filter(|part| !part.is_empty()) {
            value = match value.get_ref() {
                DeValue::Table(table) => table.get(part)?,
                DeValue::Array(values) => values.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value.span())
    }

    /// The first line of a part of the text.
    pub(crate) fn shown(&self, span: Range<usize>) -> &'t str {
        self.text[span].lines().next().unwrap_or_default()
    }

    /// The line and column of a part of the text.
    pub(crate) fn line_and_column(&self, span: Range<usize>) -> String {
        let (line, column) = line_and_column(self.text, span.start);
        format!("job file: line {line}, column {column}")
    }

    /// The beginning of a message about a part of the text: line, column and caret.
    pub(crate) fn place(&self, span: Range<usize>) -> String {
        place(&self.name, self.text, span)
    }
}

fn put(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.into(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn not_understood(name: &str, text: &str, error: &toml::de::Error) -> Failure {
    let place = match error.span() {
        Some(span) => place(name, text, span),
        None => name.to_owned(),
    };
    messages::not_a_job_file(place, plainly(error.message()))
}

/// The mistakes in the words of the library that reads the file, and in those of this program.
const MISTAKES: [(&str, &str); 4] = [
    ("invalid type: ", "a wrong type: "),
    ("invalid value: ", "a wrong value: "),
    ("unknown variant ", "an unknown word: "),
    ("missing field ", "a missing key: "),
];

/// The kinds of values that the library finds, in the words of both.
const KINDS: [(&str, &str); 6] = [
    ("string ", "the text "),
    ("integer ", "the number "),
    ("floating point ", "the number "),
    ("boolean ", ""),
    ("sequence", "a list"),
    ("map", "a table"),
];

/// The kinds of values that the library expects, in the words of both.
const EXPECTED: [(&str, &str); 12] = [
    ("a string", "a text in quotes"),
    ("a sequence", "a list"),
    ("a boolean", "true or false"),
    ("a map", "a table"),
    ("u8", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("struct ", "a table"),
];

/// A message of the library in the words of this program. A value that it shows stays as it is.
fn plainly(message: &str) -> String {
    let mistake = MISTAKES
        .iter()
        .find_map(|(word, plain)| Some((message.strip_prefix(word)?, plain)));
    let Some((rest, mistake)) = mistake else {
        return message.to_owned();
    };
    let (found, expected) = match rest.rsplit_once(", expected ") {
        Some((found, expected)) => (found, Some(expected)),
        None => (rest, None),
    };
    let found = KINDS
        .iter()
        .find_map(|(word, plain)| Some(format!("{plain}{}", found.strip_prefix(word)?)))
        .unwrap_or_else(|| found.to_owned());
    let plain_words = |expected: &str| {
        let is_it =
            |word: &str| expected == word || word.ends_with(' ') && expected.starts_with(word);
        let plain = EXPECTED.iter().find(|(word, _)| is_it(word));
        plain.map_or(expected.to_owned(), |(_, plain)| (*plain).to_owned())
    };
    match expected.map(plain_words) {
        Some(expected) => format!("{mistake}{found}, expected {expected}"),
        None => format!("{mistake}{found}"),
    }
}

fn place(name: &str, text: &str, span: Range<usize>) -> String {
    let start = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let (number, column) = line_and_column(text, span.start);
    let marked = text[span].lines().next().unwrap_or_default();
    let carets = "^".repeat(marked.chars().count().max(1));
    let margin = " ".repeat(number.to_string().len());
    format!(
        "{name}line {number}, column {column}\n{margin} |\n{number} | {line}\n{margin} | {}{carets}\n",
        " ".repeat(column - 1)
    )
}

/// Both begin with 1; columns are characters.
fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before = &text[..position];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_library_is_told_in_plain_words_with_the_value_as_it_is() {
        for (message, told) in [
            (
                "invalid type: string \"a: map, expected x\", expected u32",
                "a wrong type: the text \"a: map, expected x\", expected a whole number, 0 or more",
            ),
            (
                "invalid type: sequence, expected a string",
                "a wrong type: a list, expected a text in quotes",
            ),
            (
                "invalid type: integer `5`, expected struct StoreSection",
                "a wrong type: the number `5`, expected a table",
            ),
            (
                "unknown variant `blok`, expected one of `warn`, `block`, `off`",
                "an unknown word: `blok`, expected one of `warn`, `block`, `off`",
            ),
            ("missing field `url`", "a missing key: `url`"),
            ("unclosed table", "unclosed table"),
        ] {
            assert_eq!(plainly(message), told);
        }
    }
}
