//! The manifest of one day: its published files, their inputs, and an account of every row.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checked::{DayChecks, Measures};
use crate::contracts::{Table, tables::ROLLUPS};
use crate::exports::quarantine::Accounting;

/// `<results>/_runs/dt=YYYY-MM-DD/<commit number>.json`; the newest one of a day counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The number of the commit that published it; greater than all earlier numbers.
    pub commit_number: u64,
    pub run_id: String,
    /// The version of this program.
    pub version: String,
    pub day: NaiveDate,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub finished_at: String,
    pub time_zone: String,
    pub currency: String,
    /// Fingerprint of the inputs of the rollups; `None` when none are published.
    pub rollup_inputs: Option<String>,
    /// The first day of the day's oldest campaign; `None`: no campaign.
    pub first_campaign_day: Option<NaiveDate>,
    /// The campaigns of the day, by id. Empty also where an earlier version of this program published
    /// the day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<CampaignDays>,
    /// Where the time of the run that made this manifest went, in order. Moving the files into place
    /// comes after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageTime>,
    /// The published files of the day, by table.
    pub tables: BTreeMap<String, PublishedTable>,
    /// The exports and settings behind the day's own tables; `None`: only benchmarks of the day before
    /// are published, or an early build of 0.2.0 published the tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
    /// Tables and columns that lack an optional export.
    pub skipped: Vec<Skipped>,
    /// Set when the last run found the exports blocked. The published files are then from earlier
    /// exports.
    pub blocked: Option<BlockedExports>,
    /// `None` when no benchmarks are published.
    pub benchmark: Option<PublishedBenchmark>,
    /// Rows read = used + quarantined + out of scope, for each dataset that was read to its end
    /// when the day was last computed or found blocked. `_quarantine` holds the rows of this
    /// account.
    pub datasets: Vec<Accounting>,
    /// The numbers of the published rollups that the checks of later days compare with. `None`: none
    /// are published, or by an earlier version of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<Measures>,
    /// The checks of the rollups that were computed last; where they block the day, these are not
    /// the published ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<DayChecks>,
    /// Published tables whose files are gone or have another size. Found in the listing, never
    /// written.
    #[serde(skip)]
    pub lost: Vec<String>,
}

impl Manifest {
    /// Whether the day's own tables are published (not only benchmarks of the day before).
    pub fn has_rollups(&self) -> bool {
        self.rollup_inputs.is_some()
    }

    pub fn has(&self, table: &Table) -> bool {
        self.tables.contains_key(table.name)
    }

    /// Whether the file of a rollup is lost.
    pub fn has_lost_rollup(&self) -> bool {
        ROLLUPS
            .iter()
            .any(|table| self.lost.iter().any(|lost| lost == table.name))
    }

    /// Whether the whole table is left out because an optional export is absent.
    pub fn skips(&self, table: &Table) -> bool {
        self.skipped
            .iter()
            .any(|s| s.table == table.name && s.columns.is_empty() && s.sum.is_none())
    }

    /// The entry of a table that was left out because a sum does not fit.
    pub fn skipped_sum(&self, table: &Table) -> Option<&Skipped> {
        self.skipped
            .iter()
            .find(|s| s.table == table.name && s.sum.is_some())
    }
}

/// A campaign, as its export has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignDays {
    pub campaign_id: i64,
    pub campaign_name: String,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
}

/// The wall time of one stage of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTime {
    /// `rollups`, `checks`, `benchmarks`, `staging`, or the name of a window table.
    pub stage: String,
    pub milliseconds: u64,
}

impl StageTime {
    pub(crate) fn new(stage: &str, took: Duration) -> StageTime {
        StageTime {
            stage: stage.to_owned(),
            milliseconds: took.as_millis() as u64,
        }
    }
}

/// The exports and settings behind the tables of a day. A difference between two publications is a
/// cause of the difference between their tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Fingerprint of the files of each final export, by dataset.
    pub exports: BTreeMap<String, String>,
    /// The settings that change the meaning of results, by their names in the job file.
    pub settings: BTreeMap<String, String>,
}

/// One published file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedTable {
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    /// `None`: an earlier version of this program wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<FooterMark>,
    /// Fingerprint of its inputs.
    pub inputs: String,
    /// The run that wrote it.
    pub run_id: String,
    /// The commit that published it; `None`: an early build of 0.2.0 did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_number: Option<u64>,
    /// Fingerprint of the table's contract; `None`: an early build of 0.2.0 wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
}

/// The end of a published file, which holds the hashes of its columns. After a check of the footer,
/// each column can be verified by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FooterMark {
    /// Includes the eight bytes that end every Parquet file.
    pub bytes: u64,
    pub sha256: String,
}

/// A table that is not written for a day, or columns of a table that are null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    pub table: String,
    pub day: NaiveDate,
    /// Columns that are null without an optional export. Empty: the whole table is not written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    pub reason: String,
    /// `None`: an optional export is absent.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub sum: Option<SkippedSum>,
}

/// The sum that does not fit, in the table itself or in a table that it reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedSum {
    pub column: String,
    pub shop_id: Option<i64>,
    /// Fingerprint of the table's inputs: other inputs may have other sums.
    pub inputs: String,
}

/// The verdict that a day's exports are blocked: nothing is computed from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedExports {
    /// Fingerprint of the exports: unchanged exports are not read again.
    pub inputs: String,
    /// The program that gave the verdict. Another program reads the exports again. Empty: version
    /// 0.2.0 or older.
    #[serde(default)]
    pub reader: String,
    /// Fingerprint of the days and settings that the checks compared the day with. After a change of
    /// it, they are made again. `None`: a broken export blocks the day, not a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<String>,
    /// Sorted by dataset.
    pub exports: Vec<Blocked>,
}

impl BlockedExports {
    /// The names of the datasets, sorted.
    pub fn datasets(&self) -> Vec<String> {
        self.exports.iter().map(|b| b.dataset.clone()).collect()
    }
}

/// One export that blocks a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    pub dataset: String,
    pub day: NaiveDate,
    pub reason: String,
    /// The next step for a person.
    #[serde(default)]
    pub remedy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedBenchmark {
    pub benchmark_day: NaiveDate,
    pub fallback_reason: Option<String>,
}
