//! The exit codes and their meanings, for cron, Airflow and people.

use crate::bug;
use crate::catalog::state::SpoiltInput;
use crate::messages::{ConfigWrong, Held, LeaseLost, StoreFailed};
use crate::stop::{SIGINT, Stopped};

/// Declares the exit codes: the enum, all of them, and the meaning of each.
macro_rules! exit_codes {
    ($($code:ident = $number:literal, $meaning:literal;)*) => {
        /// The code that the process ends with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum ExitCode {
            $(#[doc = $meaning] $code = $number),*
        }

        impl ExitCode {
            /// In ascending order.
            pub const ALL: &'static [ExitCode] = &[$(ExitCode::$code),*];

            /// The text in `--help` and docs/operations.md.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(ExitCode::$code => $meaning),*
                }
            }
        }
    };
}

exit_codes! {
    Published = 0, "published, or already up to date";
    Usage = 2, "the command line is wrong";
    Blocked = 65, "the day is blocked, or a sum does not fit its table: a person is needed";
    Bug = 70, "a bug in this program";
    StoreFailed = 74, "the store failed or cannot be reached";
    TryLater = 75, "not final yet, or another run holds the results: try again later";
    ConfigWrong = 78, "the configuration is wrong";
    Interrupted = 130, "interrupted (SIGINT)";
    Terminated = 143, "terminated (SIGTERM)";
}

/// Exit codes of days, most urgent first. If several days failed, the first code counts.
pub const GRAVEST_FIRST: [ExitCode; 4] = [
    ExitCode::Bug,
    ExitCode::Blocked,
    ExitCode::StoreFailed,
    ExitCode::TryLater,
];

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code as u8)
    }
}

/// Whether an error ends a command with all its days, because every other day would fail in the
/// same way.
pub fn ends_all(error: &anyhow::Error) -> bool {
    error.is::<Stopped>()
        || error.is::<LeaseLost>()
        || error.is::<Held>()
        || error.is::<ConfigWrong>()
}

/// The code for an error that ended a command.
pub fn of_error(error: &anyhow::Error) -> ExitCode {
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        return if stopped.signal == SIGINT {
            ExitCode::Interrupted
        } else {
            ExitCode::Terminated
        };
    }
    if error.is::<Held>() || error.is::<LeaseLost>() {
        ExitCode::TryLater
    } else if error.chain().any(|e| e.is::<ConfigWrong>()) {
        ExitCode::ConfigWrong
    } else if error
        .chain()
        .any(|e| e.is::<StoreFailed>() || e.is::<SpoiltInput>())
    {
        ExitCode::StoreFailed
    } else {
        ExitCode::Bug
    }
}

/// The text of an error for a person: the failed object, the reason and the next step. An error
/// without a message is reported as a bug.
pub fn text_of(error: &anyhow::Error) -> String {
    if of_error(error) == ExitCode::Bug {
        bug::describe(error)
    } else {
        format!("{error:#}")
    }
}
