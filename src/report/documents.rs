//! The JSON documents of commands whose answer is no report of its own.

use std::path::Path;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::run::DatasetRead;
use super::status::DayStatus;
use crate::catalog::commit_log::Record;
use crate::exit_code::ExitCode;
use crate::exports::defect::Issue;
use crate::failure::Parts;
use crate::plan::PlannedDay;
use crate::publish::lease::Holder;
use crate::publish::vacuum::Superfluous;

/// A command that ended without its answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failed {
    /// What failed and what to do, in one line.
    pub error: String,
    #[serde(flatten)]
    pub parts: Parts,
    pub exit_code: u8,
    /// Whether the same command may succeed later without help.
    pub retry: bool,
}

impl Failed {
    pub fn new(error: String, parts: Parts, exit_code: ExitCode) -> Failed {
        Failed {
            error,
            parts,
            exit_code: exit_code as u8,
            retry: exit_code.may_succeed_later(),
        }
    }

    /// Of arguments that are wrong.
    pub fn usage(error: &str) -> Failed {
        let parts = Parts {
            what: error.into(),
            why: "The arguments are not those of a command.",
            tonight: "the earlier results; the command does not start",
            next: "see campaign-etl help".into(),
        };
        Failed::new(error.into(), parts, ExitCode::Usage)
    }
}

/// The answer of a command, and how it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Document<T> {
    #[serde(flatten)]
    pub answer: T,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Whether the same command may succeed later without help.
    pub retry: bool,
}

impl<T> Document<T> {
    pub(crate) fn new(answer: T, exit_code: ExitCode) -> Document<T> {
        Document {
            answer,
            exit_code: exit_code as u8,
            retry: exit_code.may_succeed_later(),
        }
    }

    /// The same, to be run again where `waits` too.
    pub(crate) fn or_retry(self, waits: bool) -> Document<T> {
        let retry = self.retry || waits;
        Document { retry, ..self }
    }
}

/// The work of the next run: `plan`, and `backfill --dry-run`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Plan<'a> {
    pub days: &'a [PlannedDay],
    /// A commit whose files are not all in place.
    pub unfinished_commit: Option<&'a Record>,
}

/// The state of days.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status<'a> {
    /// Whether the last of the days is fine, in words.
    pub verdict: String,
    /// Whether the last of the days has no problem.
    pub is_fine: bool,
    /// Why the last of the days is not fine.
    pub problems: Vec<&'a str>,
    /// Numbers are there, but somebody should look.
    pub warnings: Vec<&'a str>,
    pub days: &'a [DayStatus],
    /// The run that holds the results.
    pub holder: Option<&'a Holder>,
    /// Whether no other run may take over.
    pub holder_is_live: bool,
    /// A commit whose files are not all in place.
    pub unfinished_commit: Option<&'a Record>,
}

/// The end of a lease.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Unlocked {
    /// The run whose lease was ended; `None`: no run held the results.
    pub removed: Option<Holder>,
}

/// The files that were removed, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Vacuumed<'a> {
    pub dry_run: bool,
    pub removed: &'a [Superfluous],
}

/// Exports that were written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Generated<'a> {
    pub out: &'a Path,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
}

/// Exports that were checked against their contracts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Validated {
    pub days: Vec<ValidatedDay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Validity {
    /// A run can use the exports.
    Valid,
    /// A run would publish no tables of the day itself.
    Blocked,
    /// Required exports are missing; nothing was read.
    NotFinal,
}

/// The exports of one day. A day that is not final has only `missing`; any other day has the rest.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValidatedDay {
    pub day: NaiveDate,
    pub outcome: Validity,
    /// Required exports that are not final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<&'static str>>,
    /// The account of each export that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasets: Option<Vec<DatasetRead>>,
    /// The exports that cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defects: Option<Vec<DefectFound>>,
    /// Optional exports that are not final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_final: Option<Vec<&'static str>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DefectFound {
    pub dataset: &'static str,
    pub day: NaiveDate,
    pub reason: String,
    /// Where the export breaks its contract; empty for any other defect.
    pub issues: Vec<Issue>,
}
