//! What each exit code tells cron, Airflow and a person.

use crate::bug;
use crate::catalog::state::SpoiltInput;
use crate::messages::{ConfigWrong, Held, LeaseLost, StoreFailed};
use crate::stop::{SIGINT, Stopped};

/// The code that the process ends with. `docs/` and README.md list them with the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Published, or already up to date.
    Published = 0,
    /// The command line is wrong.
    Usage = 2,
    /// The day is blocked: an export breaks its contract or its budget; or a table could not be
    /// written. A person is needed.
    Blocked = 65,
    /// A bug in this program.
    Bug = 70,
    /// The store failed or could not be reached.
    StoreFailed = 74,
    /// Not final yet, or another run holds the results: try again later.
    TryLater = 75,
    /// The configuration is wrong.
    ConfigWrong = 78,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

/// Exit codes of days by how much they need a person; of several the first counts.
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

/// Whether an error ends a command with all its days: the others would end in the same way.
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

/// An error for a person: what failed, why, and what to do; of one that nothing explains, that it
/// is a bug.
pub fn text_of(error: &anyhow::Error) -> String {
    if of_error(error) == ExitCode::Bug {
        bug::describe(error)
    } else {
        format!("{error:#}")
    }
}
