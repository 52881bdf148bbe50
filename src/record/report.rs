//! What a run tells: one JSON document, or a page for a person.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::Serialize;

use super::manifest::{Blocked, Skipped};
use crate::exit_code::ExitCode;
use crate::exports::quarantine::Accounting;
use crate::messages;

/// How a day ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Tables of the day were written.
    Published,
    /// The day is not final; benchmarks of the day before stand in.
    Fallback,
    /// Everything published is what would be computed now.
    UpToDate,
    /// A required export is not final, and nothing stands in.
    NotFinal,
    /// A required export breaks its contract or its budget.
    Blocked,
}

/// The report of a run for one day.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    pub day: NaiveDate,
    pub outcome: Outcome,
    /// `None`: the day has no benchmarks.
    pub benchmark_day: Option<NaiveDate>,
    pub is_fallback: bool,
    pub missing: Vec<Missing>,
    pub blocked: Vec<Blocked>,
    pub skipped: Vec<Skipped>,
    pub tables: Vec<Written>,
    pub datasets: Vec<DatasetRead>,
    pub warnings: Vec<String>,
}

/// A required export that is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub dataset: String,
    pub day: NaiveDate,
}

/// A table that this run wrote.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    pub day: NaiveDate,
    pub table: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

/// A dataset that this run read.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetRead {
    pub day: NaiveDate,
    #[serde(flatten)]
    pub account: Accounting,
}

/// Decisions of the person who started the run about what counts as success.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strictness {
    /// An optional export that is absent or broken ends the run with 65, after publishing.
    pub strict: bool,
    /// A published fallback counts as success.
    pub accept_fallback: bool,
}

impl RunReport {
    pub fn new(day: NaiveDate) -> RunReport {
        RunReport {
            day,
            outcome: Outcome::NotFinal,
            benchmark_day: None,
            is_fallback: false,
            missing: vec![],
            blocked: vec![],
            skipped: vec![],
            tables: vec![],
            datasets: vec![],
            warnings: vec![],
        }
    }

    /// Whether the day, on the way of a backfill, changed or needs a person.
    pub fn is_news(&self) -> bool {
        !self.tables.is_empty() || matches!(self.outcome, Outcome::Published | Outcome::Blocked)
    }

    /// Takes in what a later look at the same day did.
    pub fn follow(&mut self, later: RunReport) {
        let is_replaced = |w: &Written| later.tables.iter().any(|l| (l.day, &l.table) == (w.day, &w.table));
        self.tables.retain(|written| !is_replaced(written));
        self.tables.extend(later.tables);
        self.benchmark_day = later.benchmark_day;
        self.is_fallback = later.is_fallback;
        if later.outcome != Outcome::UpToDate {
            self.outcome = later.outcome;
        }
    }

    pub fn exit_code(&self, strictness: Strictness) -> ExitCode {
        let lacks_optional = || self.skipped.iter().any(|s| s.day == self.day);
        match self.outcome {
            Outcome::Published | Outcome::UpToDate if strictness.strict && lacks_optional() => ExitCode::Blocked,
            Outcome::Published | Outcome::UpToDate => ExitCode::Published,
            Outcome::Fallback if strictness.accept_fallback => ExitCode::Published,
            Outcome::Fallback | Outcome::NotFinal => ExitCode::TryLater,
            Outcome::Blocked => ExitCode::Blocked,
        }
    }

    /// `18 tables, and 36 of 2 other days`
    fn written(&self) -> String {
        let others: Vec<&Written> = self.tables.iter().filter(|w| w.day != self.day).collect();
        let days: BTreeSet<NaiveDate> = others.iter().map(|w| w.day).collect();
        match (self.tables.len() - others.len(), others.len()) {
            (own, 0) => format!("{own} tables"),
            (0, others) => format!("{others} tables of {} other days", days.len()),
            (own, others) => format!("{own} tables, and {others} of {} other days", days.len()),
        }
    }

    /// The last line for a person: what happened, and what to do.
    pub fn summary(&self) -> String {
        let day = self.day;
        let names = |datasets: Vec<String>| datasets.join(", ");
        let missing = || names(self.missing.iter().map(|m| format!("{} of {}", m.dataset, m.day)).collect());
        let stands_in = match self.benchmark_day {
            Some(b) if self.is_fallback => format!("; the benchmarks of {b} stand in"),
            _ => String::new(),
        };
        match self.outcome {
            Outcome::Published => format!("{day}: published {}", self.written()),
            Outcome::UpToDate if self.tables.is_empty() => format!("{day}: already up to date, nothing written"),
            Outcome::UpToDate => format!("{day}: already up to date; wrote {}", self.written()),
            Outcome::Fallback | Outcome::NotFinal => messages::not_final(day, missing(), stands_in).to_string(),
            Outcome::Blocked => {
                let own = |b: &&Blocked| b.day == day;
                let blocked = self.blocked.iter().filter(own).map(|b| b.dataset.clone()).collect();
                messages::blocked(day, names(blocked), stands_in).to_string()
            }
        }
    }
}
