//! Why nothing may be computed from an export, and what to do about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contracts::{Column, Dataset};
use crate::failure::Parts;
use crate::mapping::MappedColumns;
use crate::messages::{self, Broken};
use crate::untrusted_parquet::failure::FileError;

/// Why an export was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The export breaks its contract; every breach that was found.
    #[error("{}", first_of(.0))]
    Broken(Vec<Issue>),
    /// The store failed, a local disk did, or the run was stopped.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl ReadError {
    /// `file`: its name in the folder of the export.
    pub(super) fn new(file: &str, error: FileError) -> ReadError {
        let found = match error {
            FileError::Store(error) => return ReadError::Failed(error),
            FileError::Encrypted => messages::encrypted(),
            FileError::Damaged(found) => messages::not_parquet(found),
        };
        Issue::new(file, None, "a Parquet file", found).into()
    }

    /// # Errors
    /// When it is no fault of the export.
    pub(super) fn into_defect(self) -> anyhow::Result<Defect> {
        match self {
            ReadError::Broken(issues) => Ok(Defect::Contract(issues)),
            ReadError::Failed(error) => Err(error),
        }
    }
}

impl From<Issue> for ReadError {
    fn from(issue: Issue) -> ReadError {
        ReadError::Broken(vec![issue])
    }
}

/// One way in which an export breaks its contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// Its name in the folder.
    pub file: String,
    /// `None`: the file as a whole.
    pub column: Option<String>,
    /// The line and column of the job file that maps it. It moves with other lines, so it is kept nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped_at: Option<String>,
    pub expected: String,
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl Issue {
    /// `column`: `None` for a file as a whole.
    pub(super) fn new(file: &str, column: Option<&Column>, expected: &str, found: Broken) -> Issue {
        Issue {
            file: file.into(),
            column: column.map(|column| column.name.into()),
            mapped_at: None,
            expected: expected.into(),
            found: found.0.what,
            remedy: found.0.next,
        }
    }

    /// Names the file's column too, where the contract's has another name, and the place of the job file that
    /// says so.
    pub(super) fn of_mapped(
        self,
        dataset: &Dataset,
        mapped: Option<&MappedColumns>,
        column: &Column,
    ) -> Issue {
        let Some(mapped) = mapped else {
            return self;
        };
        let name = mapped.name_in_file(dataset, column.name);
        let from = name.filter(|name| *name != column.name);
        let from = from
            .map(|name| format!(" (from {name})"))
            .unwrap_or_default();
        Issue {
            column: self.column.map(|column| column + &from),
            mapped_at: mapped.place(dataset, column.name).map(str::to_owned),
            ..self
        }
    }

    fn line(&self) -> String {
        let column = self
            .column
            .as_ref()
            .map(|c| format!(", column {c}"))
            .unwrap_or_default();
        format!(
            "{}{column}: expected {}, found {}",
            self.file, self.expected, self.found
        )
    }
}

/// Why nothing may be computed from an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Files, columns, types or values differ from the contract.
    Contract(Vec<Issue>),
    /// More rows in quarantine than the budget allows.
    OverBudget(OverBudget),
    /// An export without a row to use, of a dataset that must have some.
    NoRows {
        /// The hidden files of its folder, which are not read.
        hidden: Vec<String>,
        /// Whether the job file can allow it.
        can_be_allowed: bool,
    },
}

/// Rows of an export that break a rule, more than the budget allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    pub quarantined: u64,
    pub read: u64,
    /// Each reason with its rows and the first of them.
    pub reasons: String,
    /// The day with its zone and its bounds; `None` where no row lies outside the day.
    pub day: Option<String>,
    /// Whether some do not fit the mapping of the job file.
    pub is_of_mapping: bool,
}

impl Defect {
    /// One line for JSON, manifests and logs.
    pub fn reason(&self) -> String {
        self.parts().what
    }

    /// What to do about it. A larger budget is no remedy for a wrong time zone, nor when most rows
    /// are bad.
    pub fn remedy(&self) -> String {
        self.parts().next
    }

    /// The parts of its message.
    pub(crate) fn parts(&self) -> Parts {
        let Broken(parts) = match self {
            Defect::Contract(issues) => {
                messages::breaks_its_contract(first_of(issues), remedies_of(issues))
            }
            Defect::OverBudget(over) => over.told(),
            Defect::NoRows {
                hidden,
                can_be_allowed: true,
            } => messages::no_rows_yet_allowed(shown_hidden(hidden)),
            Defect::NoRows { hidden, .. } => messages::no_rows(shown_hidden(hidden)),
        };
        parts
    }
}

impl OverBudget {
    fn told(&self) -> Broken {
        let OverBudget {
            quarantined,
            read,
            reasons,
            day,
            is_of_mapping,
        } = self;
        if *is_of_mapping {
            return messages::unfit_mapping(quarantined, read, reasons);
        }
        match day {
            Some(day) => messages::outside_day(quarantined, read, reasons, day),
            None if quarantined == read => messages::nothing_left(read, reasons),
            None if quarantined * 2 > *read => messages::over_half(quarantined, read, reasons),
            None => messages::over_budget(quarantined, read, reasons),
        }
    }
}

fn shown_hidden(hidden: &[String]) -> String {
    match hidden {
        [] => String::new(),
        names => format!(
            "; files whose names start with . or _ are not data: {}",
            names.join(", ")
        ),
    }
}

fn first_of(issues: &[Issue]) -> String {
    let first = issues.first().map(Issue::line).unwrap_or_default();
    let more = if issues.len() > 1 {
        format!(" (and {} more)", issues.len() - 1)
    } else {
        String::new()
    };
    format!("{first}{more}")
}

/// Each once.
fn remedies_of(issues: &[Issue]) -> String {
    let mut remedies: Vec<&str> = issues.iter().map(|issue| issue.remedy.as_str()).collect();
    remedies.sort_unstable();
    remedies.dedup();
    remedies.join("; ")
}
