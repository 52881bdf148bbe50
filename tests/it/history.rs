//! Files that a run replaced: kept, compared by `diff` with cause and totals, removed by `vacuum`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use campaign_etl::exit_code::ExitCode;
use chrono::NaiveDate;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cases::arrive;
use crate::scene::walk;
use crate::world::{Outcome, etl};

/// The case whose exports arrive step by step. Shop 1 sells for 1.00 on the 10th. The 9th arrives with
/// the second step (2.00), and is exported anew with the third (4.00).
const CASE: &str = "a_changed_day_is_computed_again";

/// The case after some of its steps, each with a run for the 10th.
pub struct Nights {
    folder: TempDir,
    days: BTreeSet<NaiveDate>,
    steps: usize,
}

impl Nights {
    pub fn new(job: &str) -> Nights {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("job.toml"), job).unwrap();
        Nights {
            folder,
            days: BTreeSet::new(),
            steps: 0,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The exports of the next step arrive, and a run follows.
    pub fn night(&mut self) -> Outcome {
        self.steps += 1;
        arrive(CASE, self.steps, &self.path("exports"), &mut self.days);
        let outcome = self.etl(&["run", "--day", "2026-03-10"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome
    }

    pub fn etl(&self, command: &[&str]) -> Outcome {
        let paths = ["job.toml", "exports", "results"].map(|name| self.path(name));
        let [job, exports, results] = paths.each_ref().map(|path| path.to_str().unwrap());
        let folders = ["--config", job, "--exports", exports, "--results", results];
        etl(&[command, &folders].concat())
    }

    pub fn json(&self, command: &[&str]) -> Value {
        let outcome = self.etl(&[command, &["--format", "json"]].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// The paths of kept files.
    fn history(&self) -> Vec<String> {
        let mut paths = walk(&self.path("results"));
        paths.retain(|path| path.starts_with("_history"));
        paths
    }
}

fn table<'a>(diff: &'a Value, name: &str) -> &'a Value {
    let tables = diff["tables"].as_array().unwrap();
    let found = tables.iter().find(|table| table["table"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {diff}"))
}

fn column<'a>(table: &'a Value, name: &str) -> &'a Value {
    let columns = table["columns"].as_array().unwrap();
    columns.iter().find(|c| c["column"] == name).unwrap()
}

#[test]
fn a_day_that_was_exported_anew_is_compared_with_totals_and_cause() {
    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    let diff = nights.json(&["diff", "--day", "2026-03-09"]);
    let of_shops = table(&diff, "shop_daily");
    let rows = ["rows_added", "rows_removed", "rows_changed"].map(|name| &of_shops[name]);
    assert_eq!(rows, [0, 0, 1]);
    let gmv = column(of_shops, "gmv");
    assert_eq!(
        *gmv,
        json!({ "column": "gmv", "rows_changed": 1, "total_before": "2.00", "total_after": "4.00" })
    );
    let cause = "the export order_lines, with as many rows as before";
    assert_eq!(of_shops["causes"], json!([cause]));
}

#[test]
fn a_window_table_names_the_published_day_that_changed_it() {
    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    let diff = nights.json(&["diff", "--day", "2026-03-10"]);
    let of_period = table(&diff, "shop_period");
    // 2 + 1, and then 4 + 1.
    let gmv = column(of_period, "gmv");
    assert_eq!(
        [&gmv["total_before"], &gmv["total_after"]],
        ["3.00", "5.00"]
    );
    let cause = "shop_daily of 2026-03-09, which it reads";
    assert_eq!(of_period["causes"], json!([cause]));
    let tables = diff["tables"].as_array().unwrap();
    assert!(tables.iter().all(|table| table["table"] != "shop_daily"));
}

#[test]
fn every_publication_of_a_cell_can_be_compared_and_the_changes_add_up() {
    let mut nights = Nights::new("");
    let commits: Vec<String> = (0..3)
        .map(|_| {
            nights.night();
            let runs = nights.path("results/_runs/dt=2026-03-10");
            let newest = walk(&runs).into_iter().max().unwrap();
            newest.trim_start_matches('0').replace(".json", "")
        })
        .collect();
    let cell = |from: &str, to: &str| {
        let range = [
            "diff",
            "--day",
            "2026-03-10",
            "--shop",
            "1",
            "--from",
            from,
            "--to",
            to,
        ];
        let diff = nights.json(&range);
        let cells = table(&diff, "shop_period")["cells"]
            .as_array()
            .unwrap()
            .clone();
        let gmv = cells.iter().find(|cell| cell["column"] == "gmv").unwrap();
        assert_eq!(gmv["key"], json!({ "campaign_id": "1", "shop_id": "1" }));
        [&gmv["before"], &gmv["after"]].map(|value| value.as_str().unwrap().to_owned())
    };
    let [first, second, third] = &commits[..] else {
        panic!("{commits:?}");
    };
    assert_eq!(cell(first, second), ["1.00", "3.00"]);
    assert_eq!(cell(second, third), ["3.00", "5.00"]);
    assert_eq!(cell(first, third), ["1.00", "5.00"]);
}

#[test]
fn publications_without_a_difference_are_said_to_have_none() {
    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    let outcome = nights.etl(&["diff", "--day", "2026-03-10", "--shop", "900"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("nothing differs"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_day_that_was_published_once_has_nothing_to_compare_with() {
    let mut nights = Nights::new("");
    nights.night();
    let outcome = nights.etl(&["diff", "--day", "2026-03-10"]);
    assert_eq!(outcome.code, i32::from(ExitCode::ConfigWrong as u8));
    let said = "2026-03-10 has no two commits to compare: commits ";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
}

#[test]
fn an_ordinary_night_keeps_nothing_and_a_restated_day_is_marked() {
    let mut nights = Nights::new("");
    nights.night();
    assert_eq!(nights.history(), [""; 0]);
    (0..2).for_each(|_| drop(nights.night()));
    let kept = nights.history();
    assert!(
        kept.iter()
            .any(|path| path.starts_with("_history/shop_daily/dt=2026-03-09/"))
    );
    nights.night();
    assert_eq!(nights.history(), kept, "nothing new arrived");
    let status = nights.json(&["status", "--from", "2026-03-08", "--to", "2026-03-09"]);
    let restated = |day: usize| status["days"][day]["restated_by"].as_array().unwrap().len();
    assert_eq!([restated(0), restated(1)], [0, 1]);
}

#[test]
fn history_is_off_with_zero_days_and_vacuum_removes_older_files() {
    let mut nights = Nights::new("history.keep_days = 0\n");
    (0..3).for_each(|_| drop(nights.night()));
    assert_eq!(nights.history(), [""; 0]);
    let outcome = nights.etl(&["diff", "--day", "2026-03-09"]);
    assert_eq!(outcome.code, i32::from(ExitCode::StoreFailed as u8));
    assert!(
        outcome.stderr.contains("was not kept"),
        "{}",
        outcome.stderr
    );

    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    assert!(!nights.history().is_empty());
    nights.etl(&["vacuum"]);
    assert!(!nights.history().is_empty(), "35 days are not over");
    fs::write(nights.path("job.toml"), "history.keep_days = 0\n").unwrap();
    let outcome = nights.etl(&["vacuum"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(nights.history(), [""; 0]);
}

#[test]
fn a_changed_setting_is_named_as_a_cause() {
    let mut nights = Nights::new("");
    nights.night();
    let tier = "[[tier]]\nname = \"ALL\"\nmin_gmv = \"0\"\n";
    fs::write(nights.path("job.toml"), tier).unwrap();
    let outcome = nights.etl(&["run", "--day", "2026-03-10"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let diff = nights.json(&["diff", "--day", "2026-03-10"]);
    let causes = table(&diff, "shop_tier")["causes"].as_array().unwrap();
    let cause = r#"the setting tier: "T1" 0.00, "T2" 1000.00, "T3" 6000.00, "T4" 30000.00, "T5" 150000.00, "T6" 750000.00 -> "ALL" 0.00"#;
    assert!(causes.contains(&json!(cause)), "{causes:?}");
}
