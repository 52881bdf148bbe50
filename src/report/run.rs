//! The report of a run: one JSON document, or one line for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::counted;
use crate::bug;
use crate::catalog::checked::{CheckOutcome, DayChecks};
use crate::catalog::manifest::{Blocked, Skipped, StageTime};
use crate::exit_code::{ExitCode, GRAVEST_FIRST};
use crate::exports::quarantine::Accounting;
use crate::failure::Parts;
use crate::failure::exit_code_of;
use crate::messages;

/// How a day ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Tables of the day were written.
    Published,
    /// The day is not final; benchmarks of the day before stand in.
    Fallback,
    /// Everything published is fresh.
    UpToDate,
    /// A required export is not final, and nothing stands in.
    NotFinal,
    /// A required export breaks its contract or its budget.
    Blocked,
    /// Another run holds the results.
    Held,
    /// The store failed, or this program has a bug.
    Failed,
}

impl Outcome {
    /// Every outcome with its word in documents and metrics.
    pub const ALL: [(Outcome, &'static str); 7] = [
        (Outcome::Published, "published"),
        (Outcome::Fallback, "fallback"),
        (Outcome::UpToDate, "up_to_date"),
        (Outcome::NotFinal, "not_final"),
        (Outcome::Blocked, "blocked"),
        (Outcome::Held, "held"),
        (Outcome::Failed, "failed"),
    ];

    /// Of a day that failed, or of a run that could not begin.
    pub fn of_error(error: &anyhow::Error) -> Outcome {
        match exit_code_of(error) {
            ExitCode::TryLater => Outcome::Held,
            _ => Outcome::Failed,
        }
    }
}

/// The work behind a report. It is told by metrics, and is no part of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Wall time by stage, one of [`Work::STAGES`]; the sum over the days of the report.
    pub stages: BTreeMap<&'static str, Duration>,
    /// Size of the files of the exports that were read.
    pub read_bytes: u64,
    /// Bytes of rows that did not fit into memory.
    pub spilled_bytes: u64,
}

impl Work {
    /// The stages of a day, in their order. `rollups` includes reading the exports.
    pub const STAGES: [&'static str; 6] = [
        "rollups",
        "checks",
        "windows",
        "benchmarks",
        "staging",
        "commit",
    ];

    /// Adds the time of a stage as a manifest has it. A stage that is named as a window table is part of
    /// `windows`.
    pub(crate) fn add_stage(&mut self, time: &StageTime) {
        let named = Work::STAGES.into_iter().find(|stage| *stage == time.stage);
        let took = Duration::from_millis(time.milliseconds);
        *self.stages.entry(named.unwrap_or("windows")).or_default() += took;
    }

    pub(crate) fn add(&mut self, other: &Work) {
        for (stage, took) in &other.stages {
            *self.stages.entry(stage).or_default() += *took;
        }
        self.read_bytes += other.read_bytes;
        self.spilled_bytes += other.spilled_bytes;
    }
}

/// The report of a run for one day.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunReport {
    /// Null where the run failed before it knew the day.
    #[schemars(with = "Option<NaiveDate>")]
    pub day: NaiveDate,
    pub outcome: Outcome,
    /// The exit code of the process; set when the run is over.
    pub exit_code: u8,
    /// Whether the same command may succeed later without help.
    pub retry: bool,
    /// Why the day failed, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The parts of the error.
    #[serde(flatten)]
    pub error_parts: Option<Parts>,
    /// Earlier days that failed, or whose published files could not be read. They count as missing.
    pub days_failed: Vec<FailedDay>,
    /// `None`: the day has no benchmarks.
    pub benchmark_day: Option<NaiveDate>,
    pub is_fallback: bool,
    pub missing: Vec<Missing>,
    pub blocked: Vec<Blocked>,
    pub skipped: Vec<Skipped>,
    pub tables: Vec<Written>,
    pub datasets: Vec<DatasetRead>,
    /// The checks of the day, and of other days that this run computed.
    pub checks: Vec<CheckedDay>,
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub work: Work,
}

/// A day that failed. It is unchanged, or the next run finishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailedDay {
    pub day: NaiveDate,
    pub exit_code: u8,
    /// In one line.
    pub error: String,
    #[serde(flatten)]
    pub parts: Parts,
}

impl FailedDay {
    pub fn new(day: NaiveDate, error: &anyhow::Error) -> FailedDay {
        FailedDay {
            day,
            exit_code: exit_code_of(error) as u8,
            error: bug::text_of(error),
            parts: bug::parts_of(error),
        }
    }
}

/// A required export that is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Missing {
    pub dataset: String,
    pub day: NaiveDate,
    /// When it will be final, if nothing in it changes; only of an export without a file that marks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_at: Option<String>,
    /// Why it is not final, where it waits neither for the file that marks it nor until `final_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A table that this run wrote.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Written {
    pub day: NaiveDate,
    pub table: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

/// A dataset that this run read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DatasetRead {
    pub day: NaiveDate,
    #[serde(flatten)]
    pub account: Accounting,
}

/// The outcomes of a day's checks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckedDay {
    pub day: NaiveDate,
    #[serde(flatten)]
    pub counts: CheckCounts,
}

/// The checks of one day, counted by outcome.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckCounts {
    pub passed: usize,
    pub failed: usize,
    pub nothing_to_compare_with: usize,
    #[serde(flatten)]
    pub checks: DayChecks,
}

impl CheckCounts {
    pub fn new(checks: &DayChecks) -> CheckCounts {
        CheckCounts {
            passed: checks.count(CheckOutcome::Passed),
            failed: checks.count(CheckOutcome::Failed),
            nothing_to_compare_with: checks.count(CheckOutcome::NothingToCompareWith),
            checks: checks.clone(),
        }
    }
}

impl CheckedDay {
    pub fn new(day: NaiveDate, checks: &DayChecks) -> CheckedDay {
        let counts = CheckCounts::new(checks);
        CheckedDay { day, counts }
    }
}

/// Options that decide which outcomes count as success.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strictness {
    /// The run ends with 65, after publishing, when an optional export is absent or broken.
    pub strict: bool,
    /// A published fallback counts as success.
    pub accept_fallback: bool,
}

impl RunReport {
    pub fn new(day: NaiveDate) -> RunReport {
        RunReport {
            day,
            outcome: Outcome::NotFinal,
            exit_code: 0,
            retry: false,
            error: None,
            error_parts: None,
            days_failed: vec![],
            benchmark_day: None,
            is_fallback: false,
            missing: vec![],
            blocked: vec![],
            skipped: vec![],
            tables: vec![],
            datasets: vec![],
            checks: vec![],
            warnings: vec![],
            work: Work::default(),
        }
    }

    /// The report of a run that ended with an error.
    pub fn of_failed_run(day: NaiveDate, error: &anyhow::Error) -> RunReport {
        let mut report = RunReport::new(day);
        report.fail(error);
        report.retry = exit_code_of(error).may_succeed_later();
        report
    }

    /// Whether a later day of a backfill changed or needs a person.
    pub fn is_news(&self) -> bool {
        !self.tables.is_empty()
            || !self.days_failed.is_empty()
            || matches!(self.outcome, Outcome::Published | Outcome::Blocked)
    }

    /// Merges the report of a later step for the same day.
    pub fn follow(&mut self, later: RunReport) {
        let is_replaced = |w: &Written| {
            later
                .tables
                .iter()
                .any(|l| (l.day, &l.table) == (w.day, &w.table))
        };
        self.tables.retain(|written| !is_replaced(written));
        self.tables.extend(later.tables);
        let is_checked = |c: &CheckedDay| later.checks.iter().any(|l| l.day == c.day);
        self.checks.retain(|checked| !is_checked(checked));
        self.checks.extend(later.checks);
        self.benchmark_day = later.benchmark_day;
        self.is_fallback = later.is_fallback;
        self.skipped = later.skipped;
        self.days_failed.extend(later.days_failed);
        self.work.add(&later.work);
        if later.outcome != Outcome::UpToDate {
            self.outcome = later.outcome;
        }
    }

    /// Records that the day itself failed, or that the run could not begin.
    pub fn fail(&mut self, error: &anyhow::Error) {
        self.outcome = Outcome::of_error(error);
        self.error = Some(bug::text_of(error));
        self.error_parts = Some(bug::parts_of(error));
        self.exit_code = exit_code_of(error) as u8;
    }

    /// The gravest code of the day and of the earlier days that failed.
    pub fn exit_code(&self, strictness: Strictness) -> ExitCode {
        let failed = self
            .days_failed
            .iter()
            .map(|failed| failed.exit_code)
            .chain(self.error.as_ref().map(|_| self.exit_code));
        let of_day = self.exit_code_of_day(strictness);
        let has =
            |code: &ExitCode| of_day == *code || failed.clone().any(|failed| failed == *code as u8);
        GRAVEST_FIRST.into_iter().find(has).unwrap_or(of_day)
    }

    fn exit_code_of_day(&self, strictness: Strictness) -> ExitCode {
        let mut skipped = self.skipped.iter().filter(|s| s.day == self.day);
        let lacks_sum = skipped.clone().any(|s| s.sum.is_some());
        let lacks_export = skipped.any(|s| s.sum.is_none());
        match self.outcome {
            Outcome::Published | Outcome::UpToDate if lacks_sum => ExitCode::Blocked,
            Outcome::Published | Outcome::UpToDate if strictness.strict && lacks_export => {
                ExitCode::Blocked
            }
            Outcome::Published | Outcome::UpToDate => ExitCode::Published,
            Outcome::Fallback if strictness.accept_fallback => ExitCode::Published,
            Outcome::Fallback | Outcome::NotFinal => ExitCode::TryLater,
            Outcome::Blocked => ExitCode::Blocked,
            // The code of the error counts; see `exit_code`.
            Outcome::Held | Outcome::Failed => ExitCode::Published,
        }
    }

    /// Closes the report, and gives the exit code of the process.
    pub fn close(&mut self, strictness: Strictness) -> ExitCode {
        let waits = self.exit_code(Strictness {
            accept_fallback: false,
            ..strictness
        });
        let exit_code = self.exit_code(strictness);
        self.retry = waits.may_succeed_later();
        self.error_parts = self.error_parts.take().or_else(|| self.ended_parts());
        self.exit_code = exit_code as u8;
        exit_code
    }

    /// The reasons for which tables and columns of the day are left out, except sums that do not
    /// fit.
    pub fn absent_exports(&self) -> Vec<&str> {
        let of_day = self
            .skipped
            .iter()
            .filter(|s| s.day == self.day && s.sum.is_none());
        let mut reasons: Vec<&str> = of_day.map(|s| s.reason.as_str()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }

    /// Example: `18 tables, and 36 of 2 other days`.
    fn written(&self) -> String {
        let others: Vec<&Written> = self.tables.iter().filter(|w| w.day != self.day).collect();
        let days: BTreeSet<NaiveDate> = others.iter().map(|w| w.day).collect();
        let days = counted(days.len(), "other day");
        match (self.tables.len() - others.len(), others.len()) {
            (own, 0) => counted(own, "table"),
            (0, others) => format!("{} of {days}", counted(others, "table")),
            (own, others) => format!("{}, and {others} of {days}", counted(own, "table")),
        }
    }

    /// The parts of the message about a day that is blocked or waits; `None`: it does neither.
    fn ended_parts(&self) -> Option<Parts> {
        let day = self.day;
        match self.outcome {
            Outcome::Fallback | Outcome::NotFinal => {
                let missing = self.missing_on(|of| of == day);
                Some(messages::not_final(day, missing, self.stands_in()).0)
            }
            Outcome::Blocked => {
                let blocked = self.blocked.iter().filter(|blocked| blocked.day == day);
                let blocked: Vec<&str> = blocked.map(|b| b.dataset.as_str()).collect();
                Some(messages::blocked(day, blocked.join(", "), self.stands_in()).0)
            }
            Outcome::Published | Outcome::UpToDate | Outcome::Held | Outcome::Failed => None,
        }
    }

    /// The last line for a person: the outcome and the next step.
    pub fn summary(&self) -> String {
        let day = self.day;
        match self.outcome {
            Outcome::Published => format!("{day}: published {}", self.written()),
            Outcome::UpToDate if self.tables.is_empty() => {
                format!("{day}: already up to date, nothing written")
            }
            Outcome::UpToDate => format!("{day}: already up to date; wrote {}", self.written()),
            Outcome::Fallback | Outcome::NotFinal | Outcome::Blocked => self
                .ended_parts()
                .map_or_else(String::new, |parts| parts.to_string()),
            Outcome::Held | Outcome::Failed => {
                format!("{day}: {}", self.error.as_deref().unwrap_or("failed"))
            }
        }
    }

    /// The benchmarks that stand in, or the reason why none do. The missing exports of the day
    /// before do not delay the day itself: once the day is final, it does not need them.
    fn stands_in(&self) -> String {
        let before = self.missing_on(|day| day != self.day);
        match self.benchmark_day {
            Some(day) if self.is_fallback => format!("; the benchmarks of {day} stand in"),
            _ if !before.is_empty() => {
                format!("; nothing stands in, the day before lacks {before}")
            }
            _ => String::new(),
        }
    }

    /// The missing datasets of the wanted days.
    fn missing_on(&self, is_wanted: impl Fn(NaiveDate) -> bool) -> String {
        let missing = self.missing.iter().filter(|missing| is_wanted(missing.day));
        let shown = missing.map(|missing| match (&missing.final_at, &missing.reason) {
            (Some(final_at), _) => format!("{} (final at {final_at})", missing.dataset),
            (None, Some(reason)) => format!("{} ({reason})", missing.dataset),
            (None, None) => missing.dataset.clone(),
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}
