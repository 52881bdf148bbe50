//! The failures that are no bugs: the kind that a caller chooses by, and the text for an operator.

use std::fmt;

use chrono::NaiveDate;

use crate::exit_code::ExitCode;

/// A failure that is no bug of this program. `messages` makes all but the two of signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// The failed object and the reason; without `to_do`, the next step too.
    text: String,
    /// The next step.
    to_do: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.to_do {
            Some(to_do) => write!(f, "; {to_do}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

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
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Failure {
        Failure {
            kind,
            text: text.into(),
            to_do: None,
        }
    }

    /// A failure whose next step is told apart from its text.
    pub(crate) fn with_remedy(kind: FailureKind, text: &str, to_do: &str) -> Failure {
        Failure {
            to_do: Some(to_do.to_owned()),
            ..Failure::new(kind, text)
        }
    }

    /// The failed object and the reason.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The next step; `None` where the text has it.
    pub(crate) fn to_do(&self) -> Option<&str> {
        self.to_do.as_deref()
    }

    /// The same failure, known to come from a published file of `day`.
    pub(crate) fn spoils(self, day: NaiveDate) -> Failure {
        Failure {
            kind: FailureKind::SpoiltInput(day),
            ..self
        }
    }

    /// The kind of the failure behind an error; `None` for a bug.
    pub fn kind_of(error: &anyhow::Error) -> Option<FailureKind> {
        error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Failure>())
            .map(|failure| failure.kind)
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

    #[test]
    fn a_failure_keeps_its_kind_under_a_context_and_any_other_error_is_a_bug() {
        let held = anyhow::Error::from(Failure::new(FailureKind::Held, "held"));
        assert_eq!(
            Failure::kind_of(&held.context("day 3")),
            Some(FailureKind::Held)
        );
        let wrapped = anyhow::Error::from(Failure::new(FailureKind::ConfigWrong, "x")).context("y");
        assert_eq!(exit_code_of(&wrapped), ExitCode::ConfigWrong);
        assert!(ends_all(&wrapped));
        assert_eq!(exit_code_of(&anyhow!("no kind")), ExitCode::Bug);
        assert!(!ends_all(&anyhow!("no kind")));
    }
}
