//! The files behind an answer as steps of a query: exports less their rejected rows, published tables.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, SecondsFormat};

use super::mapped::mapped_value;
use super::query::{Query, Select, Step, sql_type, text};
use crate::catalog::history::History;
use crate::catalog::layout::quarantine_path;
use crate::catalog::manifest::Manifest;
use crate::contracts::datasets::dataset;
use crate::contracts::tables::SHOP_DAILY;
use crate::contracts::{Column, Dataset, DatasetId, SnapshotId, StreamId, Table};
use crate::days::calendar::{self, CivilDay};
use crate::days::readiness::{DayExports, Readiness, listed};
use crate::explain::{export, why_skipped};
use crate::messages;
use crate::plan::Facts;
use crate::store::Store;

/// The files of the table's day and of the days that it reads.
pub(super) struct Files<'a> {
    pub facts: &'a Facts<'a>,
    pub history: &'a History,
    pub day: NaiveDate,
    pub manifest: Arc<Manifest>,
    pub shop_id: i64,
    notes: RefCell<Vec<Note>>,
    exports: RefCell<Option<Rc<DayExports>>>,
}

/// What a reader of a query has to know about its files.
struct Note {
    /// The steps that it is about; none: about every query.
    steps: Vec<&'static str>,
    line: String,
}

pub(super) fn date(day: NaiveDate) -> String {
    format!("DATE '{day}'")
}

/// An instant as a literal in UTC.
pub(super) fn instant(us: i64) -> String {
    let at = DateTime::from_timestamp_micros(us);
    let shown = at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let shown = shown.unwrap_or_default().replace('T', " ");
    format!("TIMESTAMPTZ '{}'", shown.replace('Z', "+00"))
}

/// Where a condition of rows goes.
pub(super) fn one_of(column: &str, values: &[i64]) -> String {
    match values {
        [one] => format!("{column} = {one}"),
        several => {
            let several: Vec<String> = several.iter().map(i64::to_string).collect();
            format!("{column} IN ({})", several.join(", "))
        }
    }
}

impl<'a> Files<'a> {
    pub(super) fn new(
        facts: &'a Facts<'a>,
        history: &'a History,
        day: NaiveDate,
        manifest: Arc<Manifest>,
        shop_id: i64,
    ) -> Files<'a> {
        Files {
            facts,
            history,
            day,
            manifest,
            shop_id,
            notes: RefCell::default(),
            exports: RefCell::default(),
        }
    }

    pub(super) fn civil(&self) -> CivilDay {
        CivilDay::new(self.day, self.facts.config.time_zone)
    }

    fn note(&self, steps: &[&'static str], line: String) {
        self.notes.borrow_mut().push(Note {
            steps: steps.to_vec(),
            line,
        });
    }

    /// The notes about the steps of a query, each once.
    pub(super) fn notes(&self, query: &Query) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for note in &*self.notes.borrow() {
            let mut steps = query.steps.iter();
            let is_printed = steps.any(|step| note.steps.iter().any(|name| *name == step.name));
            if (is_printed || note.steps.is_empty()) && !lines.contains(&note.line) {
                lines.push(note.line.clone());
            }
        }
        lines
    }

    fn exports(&self) -> Result<Rc<DayExports>> {
        if let Some(exports) = self.exports.borrow().as_ref() {
            return Ok(exports.clone());
        }
        let exports = match self.facts.readiness(self.day)? {
            Readiness::Ready(exports) => Rc::new(exports),
            Readiness::NotYet(missing) => {
                let missing = listed(&missing);
                return Err(messages::no_exports_for_sql(self.day, missing).into());
            }
        };
        *self.exports.borrow_mut() = Some(exports.clone());
        Ok(exports)
    }

    /// Whether an optional export was used for the day: no column is null without it.
    pub(super) fn is_used(&self, id: SnapshotId) -> bool {
        let skipped = self.manifest.skipped.iter();
        let mut without_sum = skipped.filter(|skipped| skipped.sum.is_none());
        !without_sum.any(|skipped| {
            let Some(table) = crate::contracts::tables::table(&skipped.table) else {
                return false;
            };
            let is_column = |(needed, columns): (SnapshotId, Vec<&str>)| {
                needed == id
                    && columns
                        .iter()
                        .any(|name| skipped.columns.iter().any(|c| c == name))
            };
            match skipped.columns.is_empty() {
                true => table.needs == [id],
                false => table.columns_that_need().into_iter().any(is_column),
            }
        })
    }

    /// The used rows of small exports that are of all shops, or of the shop where they have shops.
    pub(super) fn snapshot(&self, id: SnapshotId) -> Result<Vec<Step>> {
        self.used_rows(DatasetId::Snapshot(id))
    }

    /// The used rows of the shop of a large export.
    pub(super) fn stream(&self, id: StreamId) -> Result<Vec<Step>> {
        self.used_rows(DatasetId::Stream(id))
    }

    /// Steps for the rows of an export that are used and in scope: those of the shop, where the
    /// export has shops. The export that decides the scope is a step of its own.
    fn used_rows(&self, id: DatasetId) -> Result<Vec<Step>> {
        let Some(dataset) = dataset(id.name()) else {
            return Ok(vec![]);
        };
        let mut steps = Vec::new();
        if let Some(scope) = dataset.scoped_by {
            steps.extend(self.snapshot(scope)?);
        }
        let (paths, has_files) = self.export_files(dataset)?;
        let rejected = self.rejected(dataset)?;
        let mut select = Select::default();
        for column in dataset.columns {
            let value = match has_files {
                true => self.value(dataset, column),
                false => format!("CAST(NULL AS {})", sql_type(column.kind)),
            };
            select = select.column(column.name, value);
        }
        if !has_files {
            select.from = "(SELECT 1)".to_owned();
            select.rest.push("WHERE false".to_owned());
            steps.push(Step::of(dataset.name, select).about("the export has no file"));
            return Ok(steps);
        }
        let several = match paths.len() {
            1 => "",
            _ => ", union_by_name = true",
        };
        let numbered = match rejected {
            None => "",
            Some(_) => ", filename = 'exported_file', file_row_number = true",
        };
        let list = list(&paths);
        select.from = format!(
            "read_parquet({list}, hive_partitioning = false{several}{numbered}) AS exported"
        );
        let mut conditions = Vec::new();
        if dataset
            .columns
            .iter()
            .any(|column| column.name == "shop_id")
        {
            conditions.push(one_of(&self.raw(dataset, "shop_id"), &[self.shop_id]));
        }
        conditions.extend(self.scope(dataset));
        let name = format!("rejected_{}", dataset.name);
        let mut about = Vec::new();
        if let Some(path) = rejected {
            let read = Select::new(
                &[("file", "file"), ("row_number", "row_number")],
                &format!("read_parquet({}, hive_partitioning = false)", text(&path)),
            );
            steps.push(
                Step::of(&name, read).about("rows that break a rule of the export (quarantine)"),
            );
            select.from.push_str(&format!(
                "\nANTI JOIN {name} AS rejected\n    ON rejected.file = parse_filename(exported.exported_file, false, \
                 'forward_slash')\n    AND rejected.row_number = exported.file_row_number"
            ));
            about.push("less the rejected rows");
        }
        if !conditions.is_empty() {
            select
                .rest
                .push(format!("WHERE {}", conditions.join("\n    AND ")));
        }
        let mut step = Step::of(dataset.name, select);
        step.about = about.into_iter().map(str::to_owned).collect();
        steps.push(step);
        Ok(steps)
    }

    /// The condition of rows in scope.
    fn scope(&self, dataset: &Dataset) -> Option<String> {
        let day = date(self.day);
        if dataset.id == DatasetId::Snapshot(SnapshotId::Campaigns) {
            let [first, last] = ["first_day", "last_day"].map(|name| self.raw(dataset, name));
            return Some(format!("{day} BETWEEN {first} AND {last}"));
        }
        Some(match dataset.scoped_by? {
            SnapshotId::Campaigns => {
                let campaign = self.raw(dataset, "campaign_id");
                format!("{campaign} IN (SELECT campaign_id FROM campaigns)")
            }
            _ => {
                let account = self.raw(dataset, "ad_account_id");
                format!("{account} IN (SELECT primary_ad_account_id FROM shops)")
            }
        })
    }

    /// The value of a column for a condition: as it is in the file, unless it is mapped.
    fn raw(&self, dataset: &Dataset, name: &str) -> String {
        let position = dataset.position(name);
        let mapped = self.facts.config.mapping.columns(dataset, self.day);
        match mapped {
            Some(mapped) => mapped_value(&dataset.columns[position], &mapped.sources()[position]),
            None => format!("exported.{name}"),
        }
    }

    /// The value of an export's column in the type of the contract. Exports may hold another integer
    /// width, unit of instants or precision of decimals.
    fn value(&self, dataset: &Dataset, column: &Column) -> String {
        let value = match self.facts.config.mapping.columns(dataset, self.day) {
            Some(_) => self.raw(dataset, column.name),
            None => format!(
                "CAST(exported.{} AS {})",
                column.name,
                sql_type(column.kind)
            ),
        };
        match column.empty_is_null {
            true => format!("nullif({value}, '')"),
            false => value,
        }
    }

    /// The data files of an export, as they are now.
    fn export_files(&self, dataset: &Dataset) -> Result<(Vec<String>, bool)> {
        let exports = self.exports()?;
        let state = export(dataset.name, Some(&exports), &self.manifest);
        let day = self.day;
        match state.is_unchanged {
            Some(true) => {}
            Some(false) => self.note(
                &[dataset.name],
                format!(
                    "{} of {day} changed since the table was published; its value may differ",
                    dataset.name
                ),
            ),
            None => self.note(
                &[dataset.name],
                format!(
                    "it is not recorded whether {} of {day} changed since the table was published",
                    dataset.name
                ),
            ),
        }
        let folder = self.facts.config.mapping.folder(dataset, self.day);
        let store = self.facts.exports;
        let files = state.files.iter();
        let paths: Vec<String> = files
            .map(|file| self.path(store, &format!("{folder}/{}", file.name)))
            .collect();
        let has_files = !paths.is_empty();
        Ok((paths, has_files))
    }

    /// The file of the rejected rows; `None`: there are none.
    fn rejected(&self, dataset: &Dataset) -> Result<Option<String>> {
        let (store, path) = (self.facts.results, quarantine_path(dataset, self.day));
        let found = store.find(&path)?;
        Ok(found.map(|_| self.path(store, &path)))
    }

    /// A path for DuckDB, in which no character is a pattern.
    fn path(&self, store: &Store, path: &str) -> String {
        let shown = store.path_for_readers(path);
        let secret = match shown.split_once("://") {
            Some(("s3", _)) => {
                Some("INSTALL httpfs; CREATE SECRET (TYPE s3, PROVIDER credential_chain)")
            }
            Some(("gs", _)) => {
                Some("INSTALL httpfs; CREATE SECRET (TYPE gcs, KEY_ID '...', SECRET '...')")
            }
            Some(("az", _)) => {
                Some("INSTALL azure; CREATE SECRET (TYPE azure, PROVIDER credential_chain)")
            }
            _ => None,
        };
        if let Some(secret) = secret {
            self.note(
                &[],
                format!("DuckDB needs an extension and a secret, once in a session: {secret}"),
            );
        }
        let mut escaped = String::with_capacity(shown.len());
        for character in shown.chars() {
            match character {
                '*' | '?' | '[' => escaped.extend(['[', character, ']']),
                _ => escaped.push(character),
            }
        }
        escaped
    }

    /// The days on which a table and the day's rollups are published. Other days are told with the
    /// steps that lack them.
    pub(super) fn days(
        &self,
        steps: &[&'static str],
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>> {
        let mut days = self.facts.state.published_days(table, first, last)?;
        let all = self.facts.state.published_days(&SHOP_DAILY, first, last)?;
        days.retain(|day| all.contains(day));
        for day in calendar::days(first, last).filter(|day| !days.contains(day)) {
            let manifest = self.facts.manifest(day)?;
            let why = manifest
                .as_deref()
                .and_then(|manifest| why_skipped(manifest, table));
            let why = why.map_or("the day is not published".to_owned(), |why| {
                why.reason.clone()
            });
            self.note(steps, format!("{} of {day} is missing: {why}", table.name));
        }
        Ok(days)
    }

    /// Rows of a published table on some days, with the day as `dt`.
    pub(super) fn published(
        &self,
        name: &str,
        table: &Table,
        days: &[NaiveDate],
        conditions: &[String],
    ) -> Result<Step> {
        let mut select = Select::new(&[("dt", "dt")], "");
        let mut paths = Vec::new();
        for day in days {
            let manifest = self.facts.manifest(*day)?;
            let commit = manifest.map_or(0, |manifest| manifest.commit_number);
            let path = self.history.path(table, *day, commit);
            paths.push(self.path(self.facts.results, &path));
        }
        for column in table.columns {
            let value = match paths.is_empty() {
                true => format!("CAST(NULL AS {})", sql_type(column.kind)),
                false => column.name.to_owned(),
            };
            select = select.column(column.name, value);
        }
        if paths.is_empty() {
            select.columns[0].1 = "CAST(NULL AS DATE)".to_owned();
            select.from = "(SELECT 1)".to_owned();
            select.rest.push("WHERE false".to_owned());
            let none = format!("{} is published on none of the days", table.name);
            return Ok(Step::of(name, select).about(none));
        }
        let list = list(&paths);
        select.from =
            format!("read_parquet({list}, hive_partitioning = true, hive_types = {{'dt': DATE}})");
        if !conditions.is_empty() {
            select
                .rest
                .push(format!("WHERE {}", conditions.join(" AND ")));
        }
        Ok(Step::of(name, select))
    }

    /// The condition of the shop's rows.
    pub(super) fn of_shop(&self) -> String {
        one_of("shop_id", &[self.shop_id])
    }
}

/// One path, or a list with one path a line.
fn list(paths: &[String]) -> String {
    match paths {
        [one] => text(one),
        several => {
            let several: Vec<String> = several.iter().map(|path| text(path)).collect();
            format!("[\n    {}\n]", several.join(",\n    "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_alike_in_every_time_zone() {
        assert_eq!(
            instant(1_772_956_800_000_000),
            "TIMESTAMPTZ '2026-03-08 08:00:00+00'"
        );
        assert_eq!(
            instant(1_772_956_800_000_001),
            "TIMESTAMPTZ '2026-03-08 08:00:00.000001+00'"
        );
        assert_eq!(one_of("a", &[7]), "a = 7");
        assert_eq!(one_of("a", &[7, -8]), "a IN (7, -8)");
    }
}
