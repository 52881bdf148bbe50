//! The failures that are no bugs: the kind that a caller chooses by, and the text for an operator.

use std::fmt;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit_code::ExitCode;

/// A failure that is no bug of this program. `messages` makes all but the two of signals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parts}")]
pub struct Failure {
    pub kind: FailureKind,
    pub parts: Parts,
}

/// The four parts of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Parts {
    /// The object that failed and the reason.
    pub what: String,
    /// The explanation, for somebody who sees the message for the first time.
    pub why: &'static str,
    /// The results that readers see until the problem is fixed.
    pub tonight: &'static str,
    /// The next step.
    pub next: String,
}

impl Parts {
    /// For a person: a line for each part.
    pub fn told(&self) -> String {
        let Parts {
            what,
            why,
            tonight,
            next,
        } = self;
        format!("{what}\n  why: {why}\n  tonight: readers see {tonight}\n  next: {next}")
    }
}

/// In one line: what failed, and the next step. Lines of a file that are shown are left out.
impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_shown = |line: &&str| {
            let rest = line
                .trim_start()
                .trim_start_matches(|c: char| c.is_ascii_digit());
            !rest.trim_start().starts_with('|')
        };
        let what: Vec<&str> = self.what.lines().filter(is_shown).collect();
        write!(f, "{}; {}", what.join(": "), self.next)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The store or the machine failed.
    StoreFailed,
    /// A published file or manifest of this day is damaged or gone. Other days are computed
    /// without the day.
    SpoiltInput(NaiveDate),
    /// Another run holds the lease.
    Held,
    /// This run lost its lease.
    LeaseLost,
    /// The configuration is wrong.
    ConfigWrong,
    /// SIGINT asked the run to stop.
    Interrupted,
    /// SIGTERM asked the run to stop.
    Terminated,
}

impl FailureKind {
    pub const fn exit_code(self) -> ExitCode {
        match self {
            FailureKind::StoreFailed | FailureKind::SpoiltInput(_) => ExitCode::StoreFailed,
            FailureKind::Held | FailureKind::LeaseLost => ExitCode::TryLater,
            FailureKind::ConfigWrong => ExitCode::ConfigWrong,
            FailureKind::Interrupted => ExitCode::Interrupted,
            FailureKind::Terminated => ExitCode::Terminated,
        }
    }

    /// Whether every other day would fail in the same way.
    const fn ends_all_days(self) -> bool {
        match self {
            FailureKind::Held
            | FailureKind::LeaseLost
            | FailureKind::ConfigWrong
            | FailureKind::Interrupted
            | FailureKind::Terminated => true,
            FailureKind::StoreFailed | FailureKind::SpoiltInput(_) => false,
        }
    }
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, parts: Parts) -> Failure {
        Failure { kind, parts }
    }

    /// The same failure, with its place before its text.
    pub(crate) fn at(self, place: &str) -> Failure {
        let what = format!("{place}{}", self.parts.what);
        let parts = Parts { what, ..self.parts };
        Failure { parts, ..self }
    }

    /// The same failure, known to come from a published file of `day`.
    pub(crate) fn spoils(self, day: NaiveDate) -> Failure {
        Failure {
            kind: FailureKind::SpoiltInput(day),
            ..self
        }
    }

    /// The failure behind an error; `None` for a bug.
    pub fn behind(error: &anyhow::Error) -> Option<&Failure> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }

    /// The kind of the failure behind an error; `None` for a bug.
    pub fn kind_of(error: &anyhow::Error) -> Option<FailureKind> {
        Failure::behind(error).map(|failure| failure.kind)
    }
}

/// Whether an error ends a command with all its days.
pub(crate) fn ends_all(error: &anyhow::Error) -> bool {
    Failure::kind_of(error).is_some_and(FailureKind::ends_all_days)
}

/// The code for an error that ended a command.
pub fn exit_code_of(error: &anyhow::Error) -> ExitCode {
    Failure::kind_of(error).map_or(ExitCode::Bug, FailureKind::exit_code)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::messages;

    #[test]
    fn a_failure_keeps_its_kind_under_a_context_and_any_other_error_is_a_bug() {
        let held = anyhow::Error::from(messages::held("another run"));
        assert_eq!(
            Failure::kind_of(&held.context("day 3")),
            Some(FailureKind::Held)
        );
        let wrapped = anyhow::Error::from(messages::first_tier("x")).context("y");
        assert_eq!(exit_code_of(&wrapped), ExitCode::ConfigWrong);
        assert!(ends_all(&wrapped));
        assert_eq!(exit_code_of(&anyhow!("no kind")), ExitCode::Bug);
        assert!(!ends_all(&anyhow!("no kind")));
    }
}
