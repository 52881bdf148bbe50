//! `case.toml`: the steps of a case, and the answers that are not in tables.

use std::fs;
use std::path::Path;

use campaign_etl::contracts::datasets::{DATASETS, dataset};
use campaign_etl::contracts::tables::table;
use chrono::NaiveDate;
use serde::Deserialize;

use super::list;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    shows: String,
    rule: String,
    /// The settings that differ from the default job file.
    #[serde(default)]
    job: toml::Table,
    pub step: Vec<Step>,
}

/// Exports that arrive or change, then one command with its answers. An export is named
/// `dataset day`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub run: String,
    pub exit: i32,
    pub outcome: Option<String>,
    pub benchmark_day: Option<String>,
    pub is_fallback: Option<bool>,
    /// Exactly these exports; `* day` stands for the five that are always required.
    missing: Option<Vec<String>>,
    blocked: Option<Vec<String>>,
    /// Exactly these tables of the step's day: `table day`.
    skipped: Option<Vec<String>>,
    /// Exactly these tables are written: `table day`.
    tables: Option<Vec<String>>,
    /// Text that stdout or stderr holds.
    #[serde(default)]
    pub says: Vec<String>,
    /// Final without a Parquet file.
    #[serde(default)]
    no_rows: Vec<String>,
    #[serde(default)]
    not_final: Vec<String>,
    /// A `_SUCCESS` with a list of files: `dataset day
    /// right|lying_size|lying_row_count|extra_file|missing_file`.
    #[serde(default)]
    pub success: Vec<String>,
    /// Files that are not Parquet: `dataset day name`.
    #[serde(default)]
    pub stray: Vec<String>,
    /// Columns written as another type, `dataset.column type`, or `dataset reversed|extra_column`.
    #[serde(default)]
    pub types: Vec<String>,
}

impl Case {
    /// Reads and checks the case of a folder.
    pub fn read(folder: &Path) -> Case {
        let path = folder.join("case.toml");
        let text = fs::read_to_string(&path).unwrap();
        let case: Case =
            toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(
            !case.shows.is_empty() && !case.rule.is_empty(),
            "{}: say what the case shows, and which rule",
            path.display()
        );
        check_names(folder, case.step.len());
        case
    }

    /// The default job file with the settings of the case.
    pub fn job_file(&self) -> String {
        let mut job: toml::Table =
            toml::from_str("time_zone = 'America/Los_Angeles'\ncurrency = 'USD'\n").unwrap();
        job.extend(self.job.clone());
        toml::to_string(&job).unwrap()
    }
}

impl Step {
    /// The value of `--day`, empty where the command has none.
    pub fn day(&self) -> &str {
        let mut words = self.run.split_whitespace().skip_while(|w| *w != "--day");
        words.nth(1).unwrap_or_default()
    }

    /// The exports that are final without a row.
    pub fn no_rows(&self) -> impl Iterator<Item = (&str, NaiveDate)> {
        self.no_rows.iter().map(|line| split_name_and_day(line))
    }

    /// The exports that are not final; the name `*` stands for all.
    pub fn not_final(&self) -> impl Iterator<Item = (&str, NaiveDate)> {
        self.not_final.iter().map(|line| split_name_and_day(line))
    }

    /// The expected lists by the name that they have in the JSON, each `* day` written out.
    pub fn expected_lists(&self) -> impl Iterator<Item = (&'static str, Vec<String>)> {
        [
            ("missing", &self.missing),
            ("blocked", &self.blocked),
            ("skipped", &self.skipped),
            ("tables", &self.tables),
        ]
        .into_iter()
        .filter_map(|(name, lines)| Some((name, write_out(lines.as_ref()?))))
    }
}

fn split_name_and_day(line: &str) -> (&str, NaiveDate) {
    let (name, day) = line.split_once(' ').unwrap();
    (name, day.parse().unwrap())
}

fn write_out(lines: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for line in lines {
        match line.strip_prefix("* ") {
            Some(day) => {
                let required = DATASETS.iter().filter(|d| d.always_required);
                all.extend(required.map(|d| format!("{} {day}", d.name)));
            }
            None => all.push(line.clone()),
        }
    }
    all.sort();
    all.dedup();
    all
}

/// A misspelt folder or file would not be compared, so it is an error.
fn check_names(folder: &Path, steps: usize) {
    for name in list(folder).iter().filter(|n| *n != "case.toml") {
        let (kind, step) = name.split_once('.').unwrap_or((name, "1"));
        assert!(
            matches!(step.parse::<usize>(), Ok(n) if n <= steps),
            "{}/{name}: no such step",
            folder.display()
        );
        for file in list(&folder.join(name)) {
            let stem = file.strip_suffix(".csv").unwrap_or_default();
            let is_known = match kind {
                "input" => dataset(stem).is_some(),
                "expected" => table(stem).is_some() || stem == "quarantine" || stem == "accounting",
                _ => false,
            };
            assert!(
                is_known,
                "{}/{name}/{file}: not a file of a case",
                folder.display()
            );
        }
    }
}
