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
