//! The operator's page of a day: whether the night is fine, and what needs a person.
//!
//! | file | holds |
//! | --- | --- |
//! | `verdict` | the first line: fine or not, and why |
//! | `days` | the days of the lookback and earlier gaps, with the command that mends each |
//! | `exports` | readiness, the account of every row, quarantined rows |
//! | `tables` | published tables, sums that must agree, withheld cohorts, checks, time |
//! | `changes` | the day beside the day before, and beside its earlier version |

mod changes;
mod days;
mod exports;
mod tables;
mod verdict;

use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::page::{Block, Cell, Head, Mark, Origin, Page, Picked, Section, Tone};
use super::shown::{Locale, long_day};
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::{Kind, Table as ResultTable};
use crate::plan::Facts;
use crate::report::status::DayStatus;
use crate::windows::{PublishedTables, Rows};

/// What is known about a night.
pub(crate) struct Night<'a> {
    pub facts: &'a Facts<'a>,
    pub history: &'a History,
    pub day: NaiveDate,
    /// The days of the lookback, oldest first; the day itself is the last.
    pub days: Vec<DayStatus>,
    /// Other runs: who holds the results, and commits that are not in place.
    pub notices: Vec<String>,
    /// Options with which a command finds the same job, to be put behind it.
    pub options: String,
}

/// What the sections of the page are made from.
struct Summary<'a> {
    night: Night<'a>,
    manifest: Option<Rc<Manifest>>,
    locale: Locale,
}

/// The operator's page of a day.
///
/// # Errors
/// When a store fails, or a published file is not the one that was published.
pub(crate) fn summary(night: Night) -> Result<Page> {
    let config = night.facts.config;
    let summary = Summary {
        // A manifest that cannot be read is told by the state of its day.
        manifest: night.facts.manifest(night.day).ok().flatten(),
        locale: Locale::new(&config.currency, config.time_zone),
        night,
    };
    summary.page()
}

impl Summary<'_> {
    fn page(&self) -> Result<Page> {
        let verdict = self.verdict();
        let sections = vec![
            self.findings(&verdict),
            self.days_section()?,
            self.exports()?,
            self.quarantine()?,
            self.tables()?,
            self.reconciliation()?,
            self.checks(),
            self.cohorts()?,
            self.day_before()?,
            self.earlier_version()?,
            self.stages()?,
        ];
        Ok(Page {
            title: format!("Night of {}", self.night.day),
            kind: "Operator's page",
            lead: Some(verdict.lead()),
            shop_id: None,
            day: self.night.day,
            is_indexed: false,
            facts: self.page_facts(),
            sections,
        })
    }

    fn page_facts(&self) -> Vec<(&'static str, String)> {
        let config = self.night.facts.config;
        let day = long_day(self.night.day);
        let mut facts = vec![
            ("Day", format!("{day} ({})", config.time_zone.name())),
            ("Results", self.night.facts.results.location.clone()),
            ("Currency", config.currency.clone()),
        ];
        if let Some(manifest) = &self.manifest {
            let published = self.locale.published(manifest);
            facts.push(("Published", published));
            facts.push(("Run", manifest.run_id.clone()));
            facts.push(("Version", manifest.version.clone()));
            let benchmark = manifest.benchmark.as_ref();
            let benchmark = benchmark.map(|benchmark| benchmark.benchmark_day.to_string());
            facts.push(("Benchmarks", benchmark.unwrap_or_else(|| "none".to_owned())));
        }
        facts
    }

    fn has(&self, table: &ResultTable) -> bool {
        let manifest = self.manifest.as_ref();
        manifest.is_some_and(|manifest| manifest.has(table))
    }

    /// Reads columns of a published table, some rows at a time.
    fn read(
        &self,
        table: &'static ResultTable,
        day: NaiveDate,
        names: &[&str],
        consume: &mut dyn FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        let tables = self.night.facts.tables(day);
        tables.read(table, day, names, Rows::default(), consume)
    }

    /// A count of the day's manifest. `path`: as in [`Origin`].
    fn count(&self, path: String, count: u64) -> Cell {
        let shown = self
            .locale
            .of_unit(Kind::Int64, "rows", Some(count.to_string()));
        Cell::Of(Origin::manifest(path), shown)
    }
}

/// A section of this page; it has one view.
fn section(id: &'static str, title: &str, blocks: Vec<Block>) -> Section {
    Section {
        id,
        title: title.to_owned(),
        view: None,
        blocks,
    }
}

/// Heads of a table: titles, and whether the column holds numbers.
fn heads(titles: &[(&str, bool)]) -> Vec<Head> {
    let head = |(title, is_number): &(&str, bool)| Head {
        title: (*title).to_owned(),
        column: "",
        is_number: *is_number,
    };
    titles.iter().map(head).collect()
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn mark(tone: Tone, text: impl Into<String>) -> Cell {
    Cell::Marks(vec![Mark::new(tone, text)])
}

/// The rows of a whole table, or those with some values.
fn rows_of(table: impl Into<std::borrow::Cow<'static, str>>, picked: String) -> Origin {
    Origin {
        table: table.into(),
        rows: Picked::Where(picked),
        column: "#rows".into(),
    }
}
