//! The operator's page of a day: whether the night is fine, and what needs a person.
//!
//! | file | holds |
//! | --- | --- |
//! | `days` | the days of the lookback and earlier gaps, with the command that mends each |
//! | `exports` | readiness, the account of every row, quarantined rows |
//! | `tables` | published tables, sums that must agree, withheld cohorts, checks, time |
//! | `changes` | the day beside the day before, and beside its earlier version |

mod changes;
mod days;
mod exports;
mod tables;

use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::page::{Block, Cell, Head, Mark, Origin, Page, Picked, Section, Tone};
use super::shown::{Locale, long_day};
use crate::bug;
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::metrics;
use crate::contracts::{Column, Kind, Table as ResultTable};
use crate::exit_code::ExitCode;
use crate::plan::Facts;
use crate::report::status::{DayStatus, OlderDays};
use crate::report::verdict::{Findings, Grade};
use crate::windows::{PublishedTables, Rows};

/// The inputs of the operator's page.
pub(crate) struct Night<'a> {
    pub facts: &'a Facts<'a>,
    pub history: &'a History,
    pub day: NaiveDate,
    /// The days of the lookback, oldest first; the day itself is the last.
    pub days: Vec<DayStatus>,
    /// Days before the lookback that need something.
    pub older: Vec<OlderDays>,
    /// Other runs: who holds the results, and commits that are not in place.
    pub notices: Vec<String>,
    /// Options with which a command finds the same job, to be put behind it.
    pub options: String,
}

/// What the sections of the page are made from.
struct Summary<'a> {
    night: Night<'a>,
    /// The newest manifest of the day, or why it cannot be read; see [`Summary::manifest`].
    manifest: Result<Option<Arc<Manifest>>, String>,
    locale: Locale,
}

/// A section: its anchor, its title, and the function that makes its blocks. The function adds the problems
/// and warnings that it finds.
type Made<'a> = (&'static str, &'static str, Make<'a>);
type Make<'a> = fn(&Summary<'a>, &mut Findings) -> Result<Vec<Block>>;

/// The operator's page of a day. A section that cannot be made says why; the others stay.
pub(crate) fn summary(night: Night) -> Page {
    let config = night.facts.config;
    let manifest = night.facts.manifest(night.day);
    let summary = Summary {
        manifest: manifest.map_err(|why| format!("{why:#}")),
        locale: Locale::new(&config.currency, config.time_zone),
        night,
    };
    summary.page()
}

/// The first line.
fn lead(found: &Findings, day: NaiveDate) -> Mark {
    let tone = match found.grade() {
        Grade::Fine => Tone::Good,
        Grade::Warned => Tone::Warning,
        Grade::NotFine => Tone::Bad,
    };
    Mark::new(tone, found.lead(day))
}

/// Every problem and warning.
fn marks(found: &Findings) -> Vec<Mark> {
    let bad = found.problems().map(|text| Mark::new(Tone::Bad, text));
    let warnings = found.warnings().map(|text| Mark::new(Tone::Warning, text));
    let mut marks: Vec<Mark> = bad.chain(warnings).collect();
    if marks.is_empty() {
        marks.push(Mark::new(Tone::Good, "Nothing needs a person."));
    }
    marks
}

impl<'a> Summary<'a> {
    const SECTIONS: [Made<'a>; 10] = [
        ("days", "Days", Self::days),
        ("exports", "Exports", Self::exports),
        ("quarantine", "Quarantine", Self::quarantine),
        ("tables", "Tables", Self::tables),
        ("reconciliation", "Reconciliation", Self::reconciliation),
        ("checks", "Checks", Self::checks),
        ("cohorts", "Cohorts", Self::cohorts),
        ("day-before", "Beside the day before", Self::day_before),
        (
            "earlier-version",
            "Beside the day's earlier version",
            Self::earlier_version,
        ),
        ("time", "Where the time went", Self::stages),
    ];

    fn page(&self) -> Page {
        let mut found = self.known();
        let made = Self::SECTIONS.map(|(id, title, make)| {
            let blocks = bug::catch(|| make(self, &mut found)).unwrap_or_else(|why| {
                let text = format!("{title}: cannot be read: {why:#}");
                // A manifest that cannot be read is told by the state of its day.
                if self.manifest.is_ok() {
                    found.problem(ExitCode::StoreFailed, &text);
                }
                vec![Block::Marks(vec![Mark::new(Tone::Bad, text)])]
            });
            section(id, title, blocks)
        });
        let findings = vec![Block::Marks(marks(&found))];
        let first = section("findings", "What needs a person", findings);
        Page {
            title: format!("Night of {}", self.night.day),
            kind: "Operator's page",
            lead: Some(lead(&found, self.night.day)),
            shop_id: None,
            day: self.night.day,
            is_indexed: false,
            facts: self.page_facts(),
            sections: [first].into_iter().chain(made).collect(),
        }
    }

    /// What the states of days and the manifest tell. The sections add what they find.
    fn known(&self) -> Findings {
        let night = &self.night;
        let first = night.facts.state.days().into_iter().next();
        let mut found = Findings::of_days(&night.days, night.day, first);
        if let Ok(Some(manifest)) = self.manifest() {
            found.add_manifest(manifest);
        }
        for days in &night.older {
            found.warning(days.told());
        }
        for notice in &night.notices {
            found.warning(notice);
        }
        found
    }

    /// The newest manifest of the day; `None`: nothing of it was ever computed.
    fn manifest(&self) -> Result<Option<&Manifest>> {
        match &self.manifest {
            Ok(manifest) => Ok(manifest.as_deref()),
            Err(why) => bail!("{why}"),
        }
    }

    fn page_facts(&self) -> Vec<(&'static str, String)> {
        let config = self.night.facts.config;
        let day = long_day(self.night.day);
        let mut facts = vec![
            ("Day", format!("{day} ({})", config.time_zone.name())),
            ("Results", self.night.facts.results.location.clone()),
            ("Currency", config.currency.clone()),
        ];
        if let Ok(Some(manifest)) = self.manifest() {
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

    fn has(&self, table: &ResultTable) -> Result<bool> {
        Ok(self.manifest()?.is_some_and(|manifest| manifest.has(table)))
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

    /// The head of sums of a column, with the currency where it is money.
    fn total_head(&self, column: &Column) -> Head {
        let title = metrics::title(column.name);
        Head {
            title: match column.kind {
                Kind::Money => format!("{title} ({})", self.locale.currency),
                _ => title.to_owned(),
            },
            column: "",
            is_number: true,
        }
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
