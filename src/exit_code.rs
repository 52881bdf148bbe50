//! The exit codes and their meanings, for cron, Airflow and people.

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

impl ExitCode {
    /// Who has to do something, and what.
    pub fn who_acts(self) -> &'static str {
        match self {
            ExitCode::Published => "nobody has to act",
            ExitCode::Usage => {
                "the caller corrects the arguments; `campaign-etl help COMMAND` lists them"
            }
            ExitCode::Blocked => {
                "the owner of the export mends it, or a person raises a limit; stderr names both"
            }
            ExitCode::Bug => {
                "a person reports the line on stderr; published results are not touched"
            }
            ExitCode::StoreFailed => {
                "the scheduler runs again; if that fails too, a person looks at the store or the disk"
            }
            ExitCode::TryLater => "the scheduler runs again in some minutes",
            ExitCode::ConfigWrong => "a person corrects the job file, the environment or the flags",
            ExitCode::Interrupted | ExitCode::Terminated => {
                "running again goes on from where the run was stopped"
            }
        }
    }

    /// Whether the same command may succeed later without help.
    pub const fn may_succeed_later(self) -> bool {
        match self {
            ExitCode::StoreFailed
            | ExitCode::TryLater
            | ExitCode::Interrupted
            | ExitCode::Terminated => true,
            ExitCode::Published
            | ExitCode::Usage
            | ExitCode::Blocked
            | ExitCode::Bug
            | ExitCode::ConfigWrong => false,
        }
    }
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
