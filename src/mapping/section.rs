//! The `[source]` section as written: every key and value checked, each defect told with its line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, ensure};
use chrono::NaiveDate;
use schemars::{Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    Change, Complete, Constant, DatasetMapping, MappedColumns, Mapping, PathPattern, Source,
};
use crate::contracts::arrow::show_cents;
use crate::contracts::dataset::MOST_AMOUNT;
use crate::contracts::datasets::{DATASETS, dataset};
use crate::contracts::{Column, Dataset, Kind, Rule};
use crate::job_text::JobText;
use crate::messages;
use crate::nearest::choices;

/// The most digits of a minor unit: those of whole cents in 128 bits.
const MOST_SCALE: i64 = 18;

/// Where a column comes from.
const A_SOURCE: &str = "the name of a column, or a table such as { from = \"name\", scale = 2 }";

/// A week.
const MOST_SETTLE_MINUTES: i64 = 7 * 24 * 60;

const OF_SOURCE: [&str; 3] = ["path", "success", "settle_minutes"];
const OF_DATASET: [&str; 5] = ["from_day", "path", "success", "settle_minutes", "columns"];
const OF_COLUMN: [&str; 8] = [
    "from",
    "scale",
    "time_zone",
    "values",
    "otherwise",
    "text_id",
    "constant",
    "absent",
];

/// Checks the section of a job file; without one, exports are as the contract says. `cents`: reads an
/// amount of money.
///
/// # Errors
/// `ConfigWrong` with the line and the column of the first defect.
pub(crate) fn check(text: &JobText, cents: fn(&str) -> Option<i128>) -> Result<Mapping> {
    match text.get("source") {
        Some(section) => Reader { text, cents }.mapping(section),
        None => Ok(Mapping::default()),
    }
}

/// The JSON Schema of the section.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    let text = json_schema!({ "type": "string" });
    let column = json_schema!({
        "description": "The column of the files: its name, or a table with one verb.",
        "oneOf": [
            { "type": "string" },
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "from": { "type": "string", "description": "The column of the files; without it, that of the same name." },
                    "scale": { "type": "integer", "minimum": 0, "maximum": MOST_SCALE, "description": "Whole minor units: 2 for cents." },
                    "time_zone": { "type": "string", "description": "IANA name of the zone of local times." },
                    "values": { "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } },
                    "otherwise": { "enum": ["keep", "quarantine"] },
                    "text_id": { "enum": [true, "digits"], "description": "A text of digits is the number that it shows; with true, another text has a number below 0 by its hash." },
                    "constant": { "type": ["string", "integer", "boolean"] },
                    "absent": { "const": true }
                }
            }
        ]
    });
    let success = json_schema!({
        "type": "string",
        "pattern": "^[A-Za-z0-9._-]+$",
        "description": "The file that is written last; none: a folder is final once nothing in it has changed for settle_minutes."
    });
    let settle_minutes =
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST_SETTLE_MINUTES });
    let mapping = json_schema!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "from_day": { "description": "The first day that is read in this way, such as 2026-03-01." },
            "path": text,
            "success": success,
            "settle_minutes": settle_minutes,
            "columns": { "type": "object", "additionalProperties": column }
        }
    });
    let mut properties = serde_json::Map::new();
    let path = serde_json::json!({
        "type": "string",
        "default": "{dataset}/dt={day}",
        "description": "The folder of a dataset and day."
    });
    properties.insert("path".into(), path);
    properties.insert("success".into(), serde_json::json!(success));
    properties.insert("settle_minutes".into(), serde_json::json!(settle_minutes));
    for dataset in DATASETS {
        let one_or_several =
            serde_json::json!({ "oneOf": [mapping, { "type": "array", "items": mapping }] });
        properties.insert(dataset.name.into(), one_or_several);
    }
    json_schema!({ "type": "object", "additionalProperties": false, "properties": properties })
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

struct Reader<'t> {
    text: &'t JobText<'t>,
    cents: fn(&str) -> Option<i128>,
}

impl Reader<'_> {
    fn mapping(&self, section: &Value) -> Result<Mapping> {
        let table = self.table(section)?;
        let mut mapping = Mapping::default();
        if let Some(path) = table.get("path") {
            mapping.path = self.path(path, None)?;
        }
        mapping.complete = self.complete(table, &mapping.complete)?;
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match dataset(name) {
                Some(dataset) => {
                    let read = self.of_dataset(dataset, value, &mapping)?;
                    mapping.datasets.insert(dataset.name, read);
                }
                None => {
                    let known = DATASETS.map(|dataset| dataset.name);
                    self.known(
                        key,
                        OF_SOURCE.iter().chain(&known),
                        "a dataset or a key of source",
                    )?;
                }
            }
        }
        Ok(mapping)
    }

    /// One mapping, or several by day.
    fn of_dataset(
        &self,
        dataset: &'static Dataset,
        value: &Value,
        of_all: &Mapping,
    ) -> Result<Vec<DatasetMapping>> {
        let tables = match value.get_ref() {
            DeValue::Array(tables) => tables.iter().collect(),
            _ => vec![value],
        };
        let mut mappings: Vec<DatasetMapping> = Vec::new();
        for value in tables {
            let mapping = self.of_days(dataset, value, of_all)?;
            let is_later = mappings
                .last()
                .is_none_or(|before| before.from_day < mapping.from_day);
            ensure!(
                is_later,
                messages::source_days_out_of_order(self.at(value.span()), dataset.name)
            );
            mappings.push(mapping);
        }
        Ok(mappings)
    }

    fn of_days(
        &self,
        dataset: &'static Dataset,
        value: &Value,
        of_all: &Mapping,
    ) -> Result<DatasetMapping> {
        let table = self.table(value)?;
        for (key, _) in table {
            self.known(key, &OF_DATASET, "a key of a dataset")?;
        }
        let from_day = table.get("from_day").map(|day| self.day(day)).transpose()?;
        let path = match table.get("path") {
            Some(own) => self.path(own, Some(dataset))?,
            None => of_all.path.clone(),
        };
        let columns = table.get("columns");
        let columns = columns.map(|columns| self.columns(dataset, columns));
        let columns = columns.transpose()?.flatten();
        Ok(DatasetMapping {
            from_day,
            path,
            complete: self.complete(table, &of_all.complete)?,
            columns: columns.map(Arc::new),
        })
    }

    /// `dataset`: `None` for the path of all datasets, which has to name each.
    fn path(&self, value: &Value, dataset: Option<&Dataset>) -> Result<PathPattern> {
        let text = self.string(value, "a path such as \"{dataset}/dt={day}\"")?;
        let parsed = PathPattern::parse(text).and_then(|path| {
            match dataset.is_some() || path.names_dataset() {
                true => Ok(path),
                false => Err("no {dataset}: all datasets would have one folder".into()),
            }
        });
        Ok(parsed.map_err(|why| messages::source_path(self.at(value.span()), text, why))?)
    }

    /// `of_all`: where the table says nothing.
    fn complete(&self, table: &DeTable, of_all: &Complete) -> Result<Complete> {
        let minutes = table.get_key_value("settle_minutes");
        let complete = match table.get("success") {
            None => of_all.clone(),
            Some(value) => {
                let expected = "the name of a file such as \"_SUCCESS\", or \"none\"";
                match (self.string(value, expected)?, minutes) {
                    ("none", None) => {
                        let at = self.at(value.span());
                        return Err(messages::source_never_settles(at).into());
                    }
                    ("none", _) => Complete::Settled { minutes: 0 },
                    (name, _) if is_file_name(name) && !name.eq_ignore_ascii_case("none") => {
                        Complete::Marked(name.into())
                    }
                    _ => return Err(self.bad_value(value, expected)),
                }
            }
        };
        match (complete, minutes) {
            (complete, None) => Ok(complete),
            (Complete::Settled { .. }, Some((_, value))) => {
                let expected = "a number of minutes from 1 to 10080";
                let minutes = integer(value).filter(|n| (1..=MOST_SETTLE_MINUTES).contains(n));
                let minutes = minutes.ok_or_else(|| self.bad_value(value, expected))?;
                let minutes = minutes as u32;
                Ok(Complete::Settled { minutes })
            }
            (Complete::Marked(name), Some((key, _))) => {
                Err(messages::source_settles_beside_mark(self.at(key.span()), name).into())
            }
        }
    }

    /// `None`: the table names no column.
    fn columns(&self, dataset: &'static Dataset, value: &Value) -> Result<Option<MappedColumns>> {
        let table = self.table(value)?;
        if table.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = dataset.columns.iter().map(|column| column.name).collect();
        let mut sources: Vec<Source> = dataset.columns.iter().map(Source::same).collect();
        let mut places = vec![None; sources.len()];
        for (key, value) in table {
            self.known(key, &names, &format!("a column of {}", dataset.name))?;
            let position = dataset.position(key.get_ref());
            sources[position] = self.source(dataset, &dataset.columns[position], value)?;
            places[position] = Some(self.text.line_and_column(value.span()));
        }
        self.check_key(dataset, table, &sources)?;
        self.check_order(dataset, table, &sources)?;
        let has_column = |source: &Source| matches!(source, Source::Column { .. });
        ensure!(
            sources.iter().any(has_column),
            messages::source_no_column(self.at(value.span()), dataset.name)
        );
        Ok(Some(MappedColumns { sources, places }))
    }

    /// Two columns of a key from one column identify nothing, and neither do constants alone. An export of one
    /// row, such as that of a seller with one shop, needs no key of its own.
    fn check_key(&self, dataset: &Dataset, table: &DeTable, sources: &[Source]) -> Result<()> {
        let is_constant =
            |column: &&str| matches!(sources[dataset.position(column)], Source::Constant(_));
        if dataset.key.len() > 1 && dataset.key.iter().all(is_constant) {
            let written = dataset.key.iter().filter_map(|of| table.get_key_value(*of));
            let last = written.map(|(key, _)| key.span()).max_by_key(|at| at.start);
            let at = last.map(|at| self.at(at)).unwrap_or_default();
            return Err(messages::source_constant_key(at, dataset.key.join(", ")).into());
        }
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        for column in dataset.key {
            let Source::Column { name, .. } = &sources[dataset.position(column)] else {
                continue;
            };
            let Some(other) = known.insert(name, column) else {
                continue;
            };
            // The later of the two that is written down.
            let mut lines = [*column, other]
                .map(|written| table.get_key_value(written).map(|(key, _)| key.span()));
            lines.sort_by_key(|line| line.as_ref().map(|span| span.start));
            let at = lines[1].clone().map(|span| self.at(span));
            let at = at.unwrap_or_default();
            return Err(messages::source_key_twice(at, other, column, name).into());
        }
        Ok(())
    }

    /// Two constants that no row may have beside each other.
    fn check_order(&self, dataset: &Dataset, table: &DeTable, sources: &[Source]) -> Result<()> {
        let day = |column: &str| match &sources[dataset.position(column)] {
            Source::Constant(Constant::Day(day)) => Some(*day),
            _ => None,
        };
        for rule in dataset.rules {
            if let Rule::Ordered { first, last } = rule
                && day(first)
                    .zip(day(last))
                    .is_some_and(|(first, last)| first > last)
                && let Some(value) = table.get(*last)
            {
                return Err(self.bad_value(value, &format!("a day from {first} on")));
            }
        }
        Ok(())
    }

    fn source(&self, dataset: &Dataset, column: &Column, value: &Value) -> Result<Source> {
        let table = match value.get_ref() {
            DeValue::String(_) => {
                return Ok(Source::Column {
                    name: self.column_name(value)?,
                    change: Change::Nothing,
                });
            }
            DeValue::Table(table) => table,
            _ => return Err(self.bad_value(value, A_SOURCE)),
        };
        for (key, _) in table {
            self.known(key, &OF_COLUMN, "a key of a column")?;
        }
        let verbs = [
            "scale",
            "time_zone",
            "values",
            "text_id",
            "constant",
            "absent",
        ];
        let is_verb = |(key, _): &(&Key, &Value)| verbs.contains(&key.get_ref().as_ref());
        let mut given: Vec<(&Key, &Value)> = table.iter().filter(is_verb).collect();
        given.sort_by_key(|(key, _)| key.span().start);
        let (verb, second) = (given.first().copied(), given.get(1));
        if let Some((key, _)) = second {
            let at = self.at(key.span());
            return Err(messages::source_two_verbs(at, column.name).into());
        }
        if let Some((key, _)) = table.get_key_value("otherwise")
            && !table.contains_key("values")
        {
            return Err(self.wrong_verb(key, column, "it needs values beside it"));
        }
        let name = match table.get("from") {
            Some(from) => self.column_name(from)?,
            None => column.name.to_owned(),
        };
        let change = match verb {
            None => Change::Nothing,
            Some((key, value)) => match key.get_ref().as_ref() {
                "scale" => self.scale(key, column, value)?,
                "time_zone" => self.time_zone(key, column, value)?,
                "values" => self.values(key, dataset, column, value, table.get("otherwise"))?,
                "text_id" => self.text_id(key, column, value)?,
                of_all_rows => {
                    if table.contains_key("from") {
                        let why = "it reads no column, so it cannot stand beside from";
                        return Err(self.wrong_verb(key, column, why));
                    }
                    return match of_all_rows {
                        "constant" => self.constant(key, dataset, column, value),
                        _ => self.absent(key, column, value),
                    };
                }
            },
        };
        Ok(Source::Column { name, change })
    }

    fn column_name(&self, value: &Value) -> Result<String> {
        let expected = "the name of a column of the files";
        let name = self.string(value, expected)?;
        ensure!(!name.is_empty(), self.bad_value(value, expected));
        Ok(name.to_owned())
    }

    fn scale(&self, key: &Key, column: &Column, value: &Value) -> Result<Change> {
        if column.kind != Kind::Money {
            return Err(self.wrong_verb(key, column, "it is for amounts of money"));
        }
        let expected = "a number of decimal places from 0 to 18, such as 2 for cents";
        let scale = integer(value).filter(|scale| (0..=MOST_SCALE).contains(scale));
        let scale = scale.ok_or_else(|| self.bad_value(value, expected))?;
        Ok(Change::Scale(scale as u32))
    }

    fn time_zone(&self, key: &Key, column: &Column, value: &Value) -> Result<Change> {
        if column.kind != Kind::Instant {
            return Err(self.wrong_verb(key, column, "it is for instants"));
        }
        let expected = "an IANA name such as \"America/Los_Angeles\"";
        let zone = self.string(value, expected)?.parse();
        Ok(Change::TimeZone(
            zone.map_err(|_| self.bad_value(value, expected))?,
        ))
    }

    fn values(
        &self,
        key: &Key,
        dataset: &Dataset,
        column: &Column,
        value: &Value,
        otherwise: Option<&Value>,
    ) -> Result<Change> {
        if column.kind != Kind::Text {
            return Err(self.wrong_verb(key, column, "it is for texts"));
        }
        let pairs = self.table(value)?;
        ensure!(
            !pairs.is_empty(),
            self.bad_value(
                value,
                "a table of at least one text, such as { web = \"SHOP\" }"
            )
        );
        let mut values = BTreeMap::new();
        for (from, to) in pairs {
            let text = self.string(to, "a text")?;
            self.allowed(dataset, column, text, to)?;
            values.insert(from.get_ref().to_string(), text.to_owned());
        }
        let expected = "\"keep\" or \"quarantine\"";
        let keeps_others = match otherwise.map(|value| (value, self.string(value, expected))) {
            None => false,
            Some((_, Ok("keep"))) => true,
            Some((_, Ok("quarantine"))) => false,
            Some((value, _)) => return Err(self.bad_value(value, expected)),
        };
        Ok(Change::Values {
            values,
            keeps_others,
        })
    }

    fn text_id(&self, key: &Key, column: &Column, value: &Value) -> Result<Change> {
        if !column.is_id() {
            return Err(self.wrong_verb(key, column, "it is for ids"));
        }
        let hashes_others = match value.get_ref() {
            DeValue::Boolean(true) => true,
            DeValue::String(word) if word == "digits" => false,
            _ => return Err(self.bad_value(value, "true or \"digits\"")),
        };
        Ok(Change::TextId { hashes_others })
    }

    fn absent(&self, key: &Key, column: &Column, value: &Value) -> Result<Source> {
        if column.null.is_none() {
            return Err(self.wrong_verb(
                key,
                column,
                "it is never null, so every row would be quarantined",
            ));
        }
        self.is_true(value)?;
        Ok(Source::Absent)
    }

    fn constant(
        &self,
        key: &Key,
        dataset: &Dataset,
        column: &Column,
        value: &Value,
    ) -> Result<Source> {
        let text = value.get_ref().as_str();
        let whole = integer(value);
        let a_number = "a whole number that the column can hold";
        let (constant, expected) = match column.kind {
            Kind::Int64 => (whole.map(Constant::Whole), a_number),
            Kind::Int32 => {
                let fitting = whole.filter(|n| i32::try_from(*n).is_ok());
                (fitting.map(Constant::Whole), a_number)
            }
            Kind::Money => (
                text.and_then(self.cents).map(Constant::Cents),
                "an amount of 0 or more in quotes, with at most two decimal places, such as \"0.00\"",
            ),
            Kind::Text => (text.map(|text| Constant::Text(text.into())), "a text"),
            Kind::Boolean => (
                value.get_ref().as_bool().map(Constant::Flag),
                "true or false",
            ),
            Kind::Date => (
                self.day(value).ok().map(Constant::Day),
                "a day such as 2026-03-01",
            ),
            Kind::Double | Kind::Instant => {
                return Err(self.wrong_verb(key, column, "each row has a value of its own"));
            }
        };
        let constant = constant.ok_or_else(|| self.bad_value(value, expected))?;
        match &constant {
            Constant::Text(text) => self.allowed(dataset, column, text, value)?,
            Constant::Whole(n) => self.check_range(dataset, column, i128::from(*n), value)?,
            Constant::Cents(cents) => self.check_range(dataset, column, *cents, value)?,
            Constant::Flag(_) | Constant::Day(_) => {}
        }
        Ok(Source::Constant(constant))
    }

    /// A number that no row rule refuses. `found`: money in cents.
    fn check_range(
        &self,
        dataset: &Dataset,
        column: &Column,
        found: i128,
        at: &Value,
    ) -> Result<()> {
        let (unit, shown): (_, fn(i128) -> String) = match column.kind {
            Kind::Money => (100, show_cents),
            _ => (1, |n| n.to_string()),
        };
        for rule in dataset.rules {
            let (columns, is_right, expected) = match rule {
                Rule::AtLeast { columns, least, .. } => {
                    let least = i128::from(*least);
                    (
                        columns,
                        found >= least,
                        format!("at least {}", shown(least)),
                    )
                }
                Rule::NotTooLarge { columns } => {
                    let most = i128::from(MOST_AMOUNT) * unit;
                    (columns, found <= most, format!("at most {}", shown(most)))
                }
                _ => continue,
            };
            let is_right = is_right || !columns.contains(&column.name);
            ensure!(is_right, self.bad_value(at, &expected));
        }
        Ok(())
    }

    /// A text that a column can have.
    fn allowed(&self, dataset: &Dataset, column: &Column, text: &str, at: &Value) -> Result<()> {
        for rule in dataset.rules {
            match rule {
                Rule::OneOf { column: of, values } if *of == column.name => {
                    let expected = format!("one of {}", values.join(", "));
                    ensure!(values.contains(&text), self.bad_value(at, &expected));
                }
                Rule::NotEmpty { column: of, .. } if *of == column.name => {
                    ensure!(
                        !text.is_empty(),
                        self.bad_value(at, "a text of one character or more")
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_true(&self, value: &Value) -> Result<()> {
        match value.get_ref().as_bool() {
            Some(true) => Ok(()),
            _ => Err(self.bad_value(value, "true, the only value that this key can have")),
        }
    }

    fn day(&self, value: &Value) -> Result<NaiveDate> {
        let shown = match value.get_ref() {
            DeValue::Datetime(day) => day.to_string(),
            DeValue::String(day) => day.to_string(),
            _ => String::new(),
        };
        shown
            .parse()
            .map_err(|_| self.bad_value(value, "a day such as 2026-03-01"))
    }

    fn table<'v, 'i>(&self, value: &'v Value<'i>) -> Result<&'v DeTable<'i>> {
        value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.bad_value(value, "a table"))
    }

    fn string<'v>(&self, value: &'v Value, expected: &str) -> Result<&'v str> {
        value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.bad_value(value, expected))
    }

    /// An unknown key is told with the nearest known one.
    fn known<'k>(
        &self,
        key: &Key,
        known: impl IntoIterator<Item = &'k &'k str>,
        what: &str,
    ) -> Result<()> {
        let name = key.get_ref().as_ref();
        let known: Vec<&str> = known.into_iter().copied().collect();
        if known.contains(&name) {
            return Ok(());
        }
        let at = self.at(key.span());
        Err(messages::unknown_key(at, name, what, choices(name, &known)).into())
    }

    fn wrong_verb(&self, key: &Key, column: &Column, why: &str) -> anyhow::Error {
        let (at, verb) = (self.at(key.span()), key.get_ref());
        messages::source_wrong_verb(at, verb, column.name, column.kind.sql(), why).into()
    }

    fn bad_value(&self, value: &Value, expected: &str) -> anyhow::Error {
        let found = self.text.shown(value.span());
        messages::source_bad_value(self.at(value.span()), found, expected).into()
    }

    fn at(&self, span: Range<usize>) -> String {
        self.text.place(span)
    }
}

/// A name that means the same in every store.
fn is_file_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(is_plain) && !name.chars().all(|c| c == '.')
}

fn integer(value: &Value) -> Option<i64> {
    let found = value.get_ref().as_integer()?;
    i64::from_str_radix(found.as_str(), found.radix()).ok()
}
