//! The hand-worked cases of `tests/cases`, compared cell by cell.
//!
//! Each folder is written as exports, run, and its results compared with the expected rows.
//! tests/README.md says how a case is written. Columns and exports that a case leaves out have a
//! default, chosen to be neutral:
//!
//! 1. Every day that an input file names gets all ten exports. Where the case gives none,
//!    `order_lines`, `product_traffic` and `shops` hold one row of the filler shop 900 (no
//!    category, sales and traffic of 0), so that the day is not blocked; the others are final
//!    without rows. The filler shop is left out of every comparison.
//! 2. A column that is left out has the value of `default_cell`.
//!
//! With `CASES_KEEP=DIR` in the environment, the tables and the quarantine of each case's last step
//! are copied to `DIR/<case>/`, so that the bytes of two versions of the program can be compared.

mod case_csv;
mod case_toml;
mod compare;
mod diff;
mod write_input;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use self::case_toml::{Case, Step};
use self::compare::{Planned, compare_expected, compare_outcome, compare_plan};
use self::write_input::write_exports;
use crate::scene::walk;
use crate::world::etl;

/// The shop of the rows that the harness adds.
const FILLER_SHOP: &str = "900";

/// Makes each folder of `tests/cases` a test of that name.
macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check_case(stringify!($name)); })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

cases! {
    a_changed_day_is_computed_again
    ads_of_a_day
    autumn_day_of_25_hours
    baseline_from_a_month_end
    baseline_of_all_shops_at_month_ends
    benchmark_differs_from_a_farther_cohort
    benchmark_dominant_peer_exactly
    benchmark_dominant_peer_of_a_count
    benchmark_of_a_campaign_beside_its_day
    benchmark_of_a_campaign_period
    benchmark_of_every_metric
    benchmark_peers_and_quantiles
    benchmark_position_among_quartiles
    benchmark_same_peers_are_no_difference
    benchmark_suppressed_cohorts_are_no_neighbours
    benchmark_too_few_then_differencing
    benchmark_top_share_breaks_nesting
    benchmark_top_share_is_a_decimal
    benchmark_top_share_with_ties
    blocked_day_keeps_what_was_published
    budget_is_exceeded_only_above_it
    cart_adders_of_shop_and_product
    content_share_of_the_days_with_contents
    contents_of_a_day
    empty_category_is_null
    every_reason_of_quarantine
    export_required_by_configuration
    export_without_a_row_to_use_blocks
    fallback_is_renewed_with_its_day
    fallback_never_to_an_older_day
    fallback_not_to_a_blocked_day
    fallback_of_a_blocked_day
    fallback_to_the_day_before
    first_duplicate_by_file_name_then_row
    gmv_gap_by_its_factors
    ids_at_both_ends_of_64_bits
    late_day_beyond_the_lookback
    midnight_that_comes_twice
    may_be_empty
    midnight_that_does_not_exist
    money_beyond_doubles
    nothing_left_of_optional_exports
    one_day_every_sale_and_traffic_rollup
    optional_export_missing_under_strict
    optional_export_that_breaks_later
    optional_exports_each_missing_on_one_day
    optional_exports_without_rows
    overlapping_campaigns
    period_ranks_with_ties
    period_with_a_missing_day
    spring_day_of_23_hours
    stock_compared_exactly
    stock_over_published_days
    stock_windows_of_7_and_30_days
    sub_campaigns_of_a_day
    sums_of_a_day_that_do_not_fit
    sums_over_a_period_that_do_not_fit
    success_lists_the_files
    success_that_lies_breaks_the_contract
    tiers_at_their_thresholds
    too_large_amounts_and_wider_keys
    types_that_are_accepted
    types_that_are_refused
}

#[test]
fn every_folder_of_cases_is_run() {
    let run = NAMES
        .iter()
        .map(|n| (*n).to_owned())
        .collect::<BTreeSet<_>>();
    assert_eq!(
        list(&cases_root()).into_iter().collect::<BTreeSet<_>>(),
        run
    );
}

fn cases_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The names in a folder, in order; none where it does not exist.
fn list(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn check_case(name: &str) {
    let folder = cases_root().join(name);
    let case = Case::read(&folder);
    let desk = Desk::new(&case);
    let mut days = BTreeSet::new();
    let mut wrong = Vec::new();
    for (step, number) in case.step.iter().zip(1..) {
        arrive(name, number, &desk.path("exports"), &mut days);
        let mut expected = vec![folder.join(format!("expected.{number}"))];
        if number == case.step.len() {
            expected.push(folder.join("expected"));
        }
        let differences = desk.run_step(step, &expected, &days);
        if !differences.is_empty() {
            wrong.push(format!(
                "step {number} ({}):\n{}",
                step.run,
                differences.join("\n")
            ));
        }
    }
    if let Some(kept) = std::env::var_os("CASES_KEEP") {
        keep_results(&desk.path("results"), &Path::new(&kept).join(name));
    }
    assert!(
        wrong.is_empty(),
        "\ntests/cases/{name}, {}",
        wrong.join("\n")
    );
}

/// Writes the exports that arrive with a step of a case. `days` are those that have exports, and grow.
pub fn arrive(name: &str, number: usize, exports: &Path, days: &mut BTreeSet<NaiveDate>) {
    let folder = cases_root().join(name);
    let step = &Case::read(&folder).step[number - 1];
    let input = match number {
        1 => "input".to_owned(),
        number => format!("input.{number}"),
    };
    write_exports(exports, &folder.join(input), step, days);
}

/// The exports and results of one case, with its job file.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(case: &Case) -> Desk {
        let desk = Desk {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(desk.path("job.toml"), case.job_file()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the command of a step, and gives every difference from the expected answers.
    fn run_step(
        &self,
        step: &Step,
        expected: &[PathBuf],
        days: &BTreeSet<NaiveDate>,
    ) -> Vec<String> {
        let args = self.args(&step.run);
        let planned = self.plan_before(&args);
        let outcome = etl(&as_str(&args));
        let mut wrong = compare_outcome(step, &outcome);
        if let Some(planned) = planned {
            wrong.extend(compare_plan(
                &planned,
                &outcome.json,
                &self.plan_before(&args).unwrap(),
            ));
        }
        for folder in expected {
            wrong.extend(compare_expected(
                folder,
                &self.path("results"),
                days,
                &outcome,
            ));
        }
        if !wrong.is_empty() {
            wrong.push(format!("stderr:\n{}", outcome.stderr));
        }
        wrong
    }

    fn args(&self, command: &str) -> Vec<String> {
        let mut args: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        for (option, name) in [
            ("--config", "job.toml"),
            ("--exports", "exports"),
            ("--results", "results"),
        ] {
            args.extend([
                option.to_owned(),
                self.path(name).to_str().unwrap().to_owned(),
            ]);
        }
        args.extend(["--format", "json"].map(str::to_owned));
        args
    }

    /// The answer of `plan` for the day of a `run`; `None` where the step is another command.
    fn plan_before(&self, args: &[String]) -> Option<Planned> {
        if args[0] != "run" {
            return None;
        }
        let only_of_run = ["--strict", "--accept-fallback"];
        let more = args[1..]
            .iter()
            .map(String::as_str)
            .filter(|a| !only_of_run.contains(a));
        let plan = etl(&["plan"].into_iter().chain(more).collect::<Vec<_>>());
        assert_eq!(plan.code, 0, "{}", plan.stderr);
        let mut planned = Planned::new();
        for day in plan.json["days"].as_array().unwrap() {
            let tables = serde_json::from_value(day["tables"].clone()).unwrap();
            planned.insert(day["day"].as_str().unwrap().to_owned(), tables);
        }
        Some(planned)
    }
}

fn as_str(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Copies the tables and the quarantine. Manifests and the commit log differ in every run.
fn keep_results(results: &Path, kept: &Path) {
    if kept.exists() {
        fs::remove_dir_all(kept).unwrap();
    }
    fs::create_dir_all(kept).unwrap();
    let paths = if results.exists() {
        walk(results)
    } else {
        Vec::new()
    };
    for path in paths {
        let is_quarantine = path.starts_with("_quarantine/");
        if is_quarantine || (!path.starts_with('_') && path.ends_with("/part-0.parquet")) {
            let copy = kept.join(&path);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(results.join(&path), copy).unwrap();
        }
    }
}
