//! The outcome of each check, with its text and its remedy; the document of `doctor`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bug;
use crate::exit_code::ExitCode;
use crate::failure::exit_code_of;

/// Declares the checks: the enum, all of them, and the name of each.
macro_rules! checks {
    ($($check:ident = $word:literal),* $(,)?) => {
        /// One check. Programs know it by its name, which does not change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
        pub(crate) enum Check {
            $(#[serde(rename = $word)] $check),*
        }

        impl Check {
            pub(crate) const ALL: &'static [Check] = &[$(Check::$check),*];

            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Check::$check => $word),*
                }
            }
        }
    };
}

checks! {
    JobFile = "job_file",
    ZoneData = "zone_data",
    Exports = "exports",
    Results = "results",
    ConditionalWrites = "conditional_writes",
    Renames = "renames",
    Clock = "clock",
    Memory = "memory",
    SpillFolder = "spill_folder",
    FreeSpace = "free_space",
    OpenFiles = "open_files",
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Ok,
    /// A run works, but may be slow or fail later.
    Warn,
    /// A run would fail, or its results would not be safe.
    Fail,
    /// The check needs something that another check found missing.
    NotChecked,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Finding {
    pub check: Check,
    pub outcome: Outcome,
    /// The measured value, or the reason why the check was not made.
    pub text: String,
    /// The next step; `None` where the outcome is ok, or where another check has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Of a failed check; otherwise `Published`.
    #[serde(skip)]
    pub exit_code: ExitCode,
}

impl Check {
    pub(super) fn ok(self, text: impl Into<String>) -> Finding {
        Finding {
            check: self,
            outcome: Outcome::Ok,
            text: text.into(),
            remedy: None,
            exit_code: ExitCode::Published,
        }
    }

    pub(super) fn warn(self, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            outcome: Outcome::Warn,
            remedy: Some(remedy.into()),
            ..self.ok(text)
        }
    }

    /// The job file or the machine needs a person: 78.
    pub(super) fn fail(self, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            outcome: Outcome::Fail,
            exit_code: ExitCode::ConfigWrong,
            ..self.warn(text, remedy)
        }
    }

    /// An error ended the check: it has the error's exit code.
    pub(super) fn failed(self, error: &anyhow::Error) -> Finding {
        let (text, remedy) = told(error);
        Finding {
            exit_code: exit_code_of(error),
            ..self.fail(text, remedy)
        }
    }

    pub(super) fn not_checked(self, why: impl AsRef<str>) -> Finding {
        Finding {
            outcome: Outcome::NotChecked,
            ..self.ok(format!("not checked: {}", why.as_ref()))
        }
    }
}

/// The text of an error and its remedy, apart.
pub(super) fn told(error: &anyhow::Error) -> (String, String) {
    let parts = bug::parts_of(error);
    (parts.what, parts.next)
}

/// The answer of `doctor`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Examination {
    /// Every check, always in the same order.
    pub checks: Vec<Finding>,
    /// No check failed. A check that was not made is no failure: another one says why.
    pub is_ready: bool,
}

/// Of several failed checks, the first of these codes counts: what needs a person comes before what a
/// retry may mend.
const GRAVEST_FIRST: [ExitCode; 3] = [ExitCode::Bug, ExitCode::ConfigWrong, ExitCode::StoreFailed];

impl Examination {
    pub(super) fn of(checks: Vec<Finding>) -> Examination {
        Examination {
            is_ready: !checks.iter().any(|it| it.outcome == Outcome::Fail),
            checks,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        exit_code(&self.checks)
    }
}

fn exit_code(checks: &[Finding]) -> ExitCode {
    let mut codes = GRAVEST_FIRST.into_iter();
    let gravest = codes.find(|code| checks.iter().any(|it| it.exit_code == *code));
    gravest.unwrap_or(ExitCode::Published)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::messages;

    #[test]
    fn the_gravest_failure_counts_and_a_warning_is_none() {
        let unreachable = Check::Exports.failed(&messages::cannot_open("x", "gone").into());
        let wrong = Check::SpillFolder.fail("x", "y");
        let warned = Check::Memory.warn("x", "y");
        let code = |checks: &[&Finding]| {
            let checks = checks.iter().map(|it| (*it).clone()).collect();
            let examination = Examination::of(checks);
            (examination.exit_code() as u8, examination.is_ready)
        };
        assert_eq!(code(&[&warned, &Check::Clock.ok("x")]), (0, true));
        assert_eq!(code(&[&warned, &Check::Clock.not_checked("x")]), (0, true));
        assert_eq!(code(&[&unreachable, &warned]), (74, false));
        assert_eq!(code(&[&unreachable, &wrong]), (78, false));
        let bug = Check::Results.failed(&anyhow!("odd"));
        assert_eq!(code(&[&unreachable, &wrong, &bug]), (70, false));
    }

    #[test]
    fn an_error_is_told_with_its_remedy_apart() {
        let error = anyhow::Error::from(messages::no_job_file("a.toml", "gone"));
        let expected = (
            "x: cannot read the job file a.toml: gone".to_owned(),
            "name it with --config FILE".to_owned(),
        );
        assert_eq!(told(&error.context("x")), expected);
        let (text, remedy) = told(&anyhow!("odd"));
        assert!(
            text.contains("odd") && remedy.contains("report it"),
            "{text}; {remedy}"
        );
    }
}
