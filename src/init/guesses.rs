//! What is guessed of a location, with the reason of each guess.

use std::fmt;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

/// What was guessed of a location, and what is missing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Guesses {
    /// Where the exports are.
    pub exports: String,
    /// Where the results will be.
    pub results: String,
    /// Whether the datasets are laid out as the contracts say, so that nothing needs a mapping.
    pub are_by_contract: bool,
    pub time_zone: ZoneGuessed,
    /// The datasets that were found, in the order of the contracts.
    pub datasets: Vec<FoundDataset>,
    /// The datasets that no folder fits.
    pub missing: Vec<MissingDataset>,
    /// Folders that are not used.
    pub unused: Vec<UnusedFolder>,
    /// Remarks on the location.
    pub notes: Vec<String>,
    /// The newest day on which all required datasets that were found are final; `None`: there is none.
    pub day: Option<NaiveDate>,
}

/// How far a guess can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Confidence {
    /// The name is the same, and the sampled values fit.
    Sure,
    Likely,
    Unsure,
    /// Nothing was found, or it cannot be read.
    Missing,
}

/// The word in front of the reason.
impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Confidence::Sure => "sure",
            Confidence::Likely => "likely",
            Confidence::Unsure => "unsure",
            Confidence::Missing => "missing",
        })
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ZoneGuessed {
    /// The IANA name.
    pub zone: String,
    pub confidence: Confidence,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct FoundDataset {
    pub dataset: &'static str,
    pub is_required: bool,
    /// The pattern of its folders, as the job file writes it.
    pub path: String,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    /// The number of days that have a folder.
    pub days: usize,
    /// The number of days between the first and the last that have none.
    pub missing_days: usize,
    /// The number of newest folders that were looked into.
    pub seen_days: usize,
    /// The file that marks a folder as final; null: no file does.
    pub success: Option<String>,
    /// How many of the newest folders have this file.
    pub final_days: usize,
    /// The file whose columns and rows were read.
    pub file: String,
    /// In the order of the contract.
    pub columns: Vec<FoundColumn>,
    /// The columns of the file that stand behind none of the contract.
    pub unused_columns: Vec<UnusedColumn>,
    /// Other folders that fit the dataset.
    pub others: Vec<String>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct UnusedColumn {
    pub column: String,
    /// As messages show it, such as `TIMESTAMP without a zone`.
    pub data_type: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct FoundColumn {
    pub column: &'static str,
    /// The column of the files.
    pub from: Option<String>,
    /// The right side of its line in the job file; `None`: it has the contract's name and type.
    pub mapping: Option<String>,
    /// `missing`: the line is a comment.
    pub confidence: Confidence,
    pub reason: String,
    pub others: Vec<OtherColumn>,
}

/// Another column of the files that may be meant.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct OtherColumn {
    pub from: String,
    /// The right side of its line in the job file.
    pub mapping: String,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct MissingDataset {
    pub dataset: &'static str,
    pub is_required: bool,
    /// The columns that it needs.
    pub columns: Vec<&'static str>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct UnusedFolder {
    pub path: String,
    pub reason: String,
}
