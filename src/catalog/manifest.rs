//! The manifest of one day: what is published of it, from what, and where every row read went.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::contracts::{Table, tables::ROLLUPS};
use crate::exports::quarantine::Accounting;

/// `<results>/_runs/dt=YYYY-MM-DD/<commit number>.json`; the newest says what is published of the
/// day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the commit that published it; greater than any before.
    pub commit_number: u64,
    pub run_id: String,
    /// Of this program.
    pub version: String,
    pub day: NaiveDate,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub finished_at: String,
    pub time_zone: String,
    pub currency: String,
    /// What the rollups were computed from; `None` where none are published.
    pub rollup_inputs: Option<String>,
    /// The first day of the day's oldest campaign; `None`: no campaign.
    pub first_campaign_day: Option<NaiveDate>,
    /// What is published of the day after this run, by table.
    pub tables: BTreeMap<String, PublishedTable>,
    /// Tables and columns that lack an optional export.
    pub skipped: Vec<Skipped>,
    /// Set when the exports that the last run found are blocked; what is published comes from
    /// earlier ones.
    pub blocked: Option<BlockedExports>,
    /// `None` where no benchmarks are published.
    pub benchmark: Option<PublishedBenchmark>,
    /// Rows read = used + quarantined + out of scope, for each dataset that was read to its end
    /// when the day was last computed, or found to be blocked: the account of the rows in
    /// `_quarantine`.
    pub datasets: Vec<Accounting>,
    /// Tables that were published and whose files are gone, or not as long as they were. Found by
    /// looking, never written.
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

    /// Whether the file of a rollup is gone.
    pub fn has_lost_rollup(&self) -> bool {
        ROLLUPS
            .iter()
            .any(|table| self.lost.iter().any(|lost| lost == table.name))
    }

    /// Whether the whole table is left out for want of an optional export.
    pub fn skips(&self, table: &Table) -> bool {
        self.skipped
            .iter()
            .any(|s| s.table == table.name && s.columns.is_empty() && s.sum.is_none())
    }

    /// The table as it was left out because a sum does not fit.
    pub fn skipped_sum(&self, table: &Table) -> Option<&Skipped> {
        self.skipped
            .iter()
            .find(|s| s.table == table.name && s.sum.is_some())
    }
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
    /// Fingerprint of what it was computed from.
    pub inputs: String,
    /// The run that wrote it.
    pub run_id: String,
}

/// The end of a published file, where the hashes of its columns are: who has checked it can check
/// each column by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FooterMark {
    /// With the eight bytes that end every Parquet file.
    pub bytes: u64,
    pub sha256: String,
}

/// A table that is not written for a day, or columns of one that are null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub table: String,
    pub day: NaiveDate,
    /// Null without an optional export. Empty: the whole table is not written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    pub reason: String,
    /// `None`: for want of an optional export.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub sum: Option<SkippedSum>,
}

/// The sum that does not fit: of the table itself, or of one that it reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedSum {
    pub column: String,
    pub shop_id: Option<i64>,
    /// Fingerprint of what the table would have been computed from: other inputs may have other
    /// sums.
    pub inputs: String,
}

/// Exports from which nothing may be computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedExports {
    /// Their fingerprint: unchanged exports need not be read again to know.
    pub inputs: String,
    /// The program that gave the verdict; another one reads the exports again. Empty: version 0.2.0
    /// or older.
    #[serde(default)]
    pub reader: String,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    pub dataset: String,
    pub day: NaiveDate,
    pub reason: String,
    /// What to do about it.
    #[serde(default)]
    pub remedy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedBenchmark {
    pub benchmark_day: NaiveDate,
    pub fallback_reason: Option<String>,
}
