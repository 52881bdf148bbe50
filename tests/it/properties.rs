//! Properties of every marketplace: the oracle's cells, determinism, sums, bounds, privacy.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use campaign_etl::contracts::Kind;
use campaign_etl::contracts::Table;
use campaign_etl::contracts::datasets::{self, DATASETS};
use campaign_etl::contracts::tables;
use chrono::NaiveDate;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{
    FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
};
use tempfile::TempDir;

use crate::oracle::{Accounting, Expected, Peers, RATIOS, Verdict, compare_keys};
use crate::random_worlds::{self, Case, cell, crowded_cases};
use crate::sampling::{self, is_full};
use crate::world::{Cells, Outcome, World, etl, parse_cents, read_quarantine, read_table};

/// The number of random cases of a property. `PROPTEST_CASES` in the environment overrides it.
#[derive(Clone, Copy)]
struct Cases {
    sampled: u32,
    full: u32,
}

/// Tries a property with random worlds; `name` is that of the test.
fn check(name: &str, cases: Cases, test: impl Fn(Case) -> Result<(), TestCaseError>) {
    check_all(name, cases, random_worlds::cases(), test);
}

/// Tries a property with any random input. The seeds of inputs that failed once stand in
/// `regressions/<name>.txt` and are tried first.
fn check_all<S: Strategy>(
    name: &str,
    cases: Cases,
    inputs: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let regressions = format!("tests/it/regressions/{name}.txt");
    let config = ProptestConfig {
        cases: sampling::rounds("PROPTEST_CASES", cases.sampled, cases.full),
        // Every step of shrinking runs the program for every day.
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions.leak()))),
        ..ProptestConfig::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&sampling::seed().to_le_bytes());
    // Each property has worlds of its own.
    for (place, byte) in seed[8..].iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    if let Err(failure) = TestRunner::new_with_rng(config, random).run(&inputs, test) {
        panic!("{failure}");
    }
}

/// A place on disk for one world and its results.
struct Desk {
    dir: TempDir,
    files_per_folder: usize,
}

impl Desk {
    fn new(case: &Case) -> Desk {
        let desk = Desk {
            dir: tempfile::tempdir().unwrap(),
            files_per_folder: case.files_per_folder,
        };
        case.world.write(&desk.exports(), case.files_per_folder);
        fs::write(desk.dir.path().join("job.toml"), case.settings.toml()).unwrap();
        desk
    }

    fn exports(&self) -> PathBuf {
        self.dir.path().join("exports")
    }

    fn results(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn etl(&self, results: &str, command: &[&str]) -> Outcome {
        let (config, exports, results) = (
            self.dir.path().join("job.toml"),
            self.exports(),
            self.results(results),
        );
        let mut args = command.to_vec();
        args.extend([
            "--config",
            config.to_str().unwrap(),
            "--exports",
            exports.to_str().unwrap(),
        ]);
        args.extend(["--results", results.to_str().unwrap(), "--format", "json"]);
        etl(&args)
    }

    /// The folder of one export, named by dataset and day.
    fn folder(&self, (dataset, day): &(String, NaiveDate)) -> PathBuf {
        self.exports().join(dataset).join(format!("dt={day}"))
    }

    /// Writes one export, instead of the one that is there.
    fn export(&self, export: &(String, NaiveDate), rows: Vec<Cells>) {
        let _ = fs::remove_dir_all(self.folder(export));
        let world = World {
            exports: [(export.clone(), rows)].into(),
        };
        world.write(&self.exports(), self.files_per_folder);
    }

    fn run_job(&self, job: &Job, days: &[NaiveDate]) {
        match job {
            Job::Run(day) => {
                self.run_each("results", &[*day.get(days)], &[]);
            }
            Job::Backfill { from, to, flags } => {
                let (a, b) = (from.get(days), to.get(days));
                let (from, to) = (a.min(b).to_string(), a.max(b).to_string());
                let range = ["backfill", "--from", &from, "--to", &to];
                self.etl("results", &[&range, *flags].concat());
            }
        }
    }

    fn run_each(
        &self,
        results: &str,
        days: &[NaiveDate],
        more: &[&str],
    ) -> BTreeMap<NaiveDate, Outcome> {
        let mut outcomes = BTreeMap::new();
        for day in days {
            let day_text = day.to_string();
            let command = [&["run", "--day", &day_text], more].concat();
            outcomes.insert(*day, self.etl(results, &command));
        }
        outcomes
    }
}

#[test]
fn every_cell_equals_the_oracles() {
    check(
        "every_cell_equals_the_oracles",
        Cases {
            sampled: 4,
            full: 48,
        },
        |case| compare_with_oracle(&case),
    );
}

#[test]
fn every_cell_of_a_crowded_marketplace_equals_the_oracles() {
    check_all(
        "every_cell_of_a_crowded_marketplace_equals_the_oracles",
        Cases {
            sampled: 3,
            full: 24,
        },
        crowded_cases(),
        |case| compare_with_oracle(&case),
    );
}

fn compare_with_oracle(case: &Case) -> Result<(), TestCaseError> {
    let desk = Desk::new(case);
    let outcomes = desk.run_each("results", &case.days, &[]);
    let expected = case.expected();
    let mut differences = Vec::new();
    for day in &case.days {
        compare_outcome(&expected, *day, &outcomes[day], &mut differences);
        for table in tables::all() {
            let found = read_table(&desk.results("results"), table.name, *day);
            let rows = expected.tables.get(&(table.name.to_owned(), *day));
            compare_tables(table, *day, rows, found.as_ref(), &mut differences);
        }
        if !matches!(expected.verdicts[day], Verdict::NotFinal(_)) {
            compare_quarantines(&expected, &desk.results("results"), *day, &mut differences);
        }
    }
    prop_assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        first_of(&differences)
    );
    Ok(())
}

fn first_of(differences: &[String]) -> String {
    differences
        .iter()
        .take(12)
        .map(|d| format!("  {d}\n"))
        .collect()
}

fn compare_outcome(
    expected: &Expected,
    day: NaiveDate,
    outcome: &Outcome,
    differences: &mut Vec<String>,
) {
    let benchmark_day = expected.benchmark_days.get(&day);
    let is_fallback = benchmark_day.is_some_and(|b| *b != day);
    let (word, code) = match (&expected.verdicts[&day], is_fallback) {
        (Verdict::Published, _) => ("published", 0),
        (Verdict::NotFinal(_), true) => ("fallback", 75),
        (Verdict::NotFinal(_), false) => ("not_final", 75),
        (Verdict::Blocked(_), _) => ("blocked", 65),
    };
    if outcome.json.is_null() || outcome.code == 70 {
        differences.push(format!(
            "run for {day}: exit code {}, stderr: {}",
            outcome.code, outcome.stderr
        ));
        return;
    }
    let mut compare = |what: &str, expected: serde_json::Value, found: &serde_json::Value| {
        if expected != *found {
            differences.push(format!(
                "run for {day}, {what}: expected {expected}, found {found}"
            ));
        }
    };
    let json = &outcome.json;
    compare("exit code", code.into(), &outcome.code.into());
    compare("outcome", word.into(), &json["outcome"]);
    compare("is_fallback", is_fallback.into(), &json["is_fallback"]);
    compare(
        "benchmark_day",
        benchmark_day.map(|b| b.to_string()).into(),
        &json["benchmark_day"],
    );
    let none = Vec::new();
    let (missing, blocked) = match &expected.verdicts[&day] {
        Verdict::Published => (&none, &none),
        Verdict::NotFinal(names) => (names, &none),
        Verdict::Blocked(names) => (&none, names),
    };
    compare(
        "missing",
        missing.clone().into(),
        &datasets_of(&json["missing"], day),
    );
    compare(
        "blocked",
        blocked.clone().into(),
        &datasets_of(&json["blocked"], day),
    );
    for dataset in DATASETS {
        let Some(accounting) = expected.accounting.get(&(dataset.name.to_owned(), day)) else {
            continue;
        };
        let is_it =
            |e: &&serde_json::Value| e["day"] == day.to_string() && e["dataset"] == dataset.name;
        let found = json["datasets"]
            .as_array()
            .into_iter()
            .flatten()
            .find(is_it);
        let found = found.map(read_accounting).unwrap_or_default();
        if found != *accounting {
            let line = format!(
                "{day} {}: expected {accounting:?}, found {found:?}",
                dataset.name
            );
            differences.push(line);
        }
    }
}

/// The datasets that a list of the JSON names for a day, sorted.
fn datasets_of(list: &serde_json::Value, day: NaiveDate) -> serde_json::Value {
    let of_day = list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|e| e["day"] == day.to_string());
    let names: BTreeSet<&str> = of_day.filter_map(|e| e["dataset"].as_str()).collect();
    names.into_iter().collect()
}

fn read_accounting(json: &serde_json::Value) -> Accounting {
    let count = |name: &str| i128::from(json[name].as_i64().unwrap_or(-1));
    let reasons = json["reasons"].as_object().into_iter().flatten();
    Accounting {
        read: count("rows_read"),
        used: count("rows_used"),
        quarantined: count("rows_quarantined"),
        out_of_scope: count("rows_out_of_scope"),
        reasons: reasons
            .map(|(reason, n)| (reason.clone(), n.as_i64().unwrap_or(-1).into()))
            .collect(),
    }
}

fn compare_tables(
    table: &Table,
    day: NaiveDate,
    expected: Option<&Vec<Cells>>,
    found: Option<&Vec<Cells>>,
    differences: &mut Vec<String>,
) {
    let (expected, found) = match (expected, found) {
        (Some(expected), Some(found)) => (expected, found),
        (None, None) => return,
        (expected, _) => {
            let (wanted, is) = if expected.is_some() {
                ("", "not ")
            } else {
                ("not ", "")
            };
            differences.push(format!(
                "{} of {day}: expected {wanted}written, is {is}written",
                table.name
            ));
            return;
        }
    };
    if !found.is_sorted_by(|a, b| compare_keys(table, a, b).is_lt()) {
        differences.push(format!(
            "{} of {day}: rows are not in the order of the key, or a key repeats",
            table.name
        ));
    }
    let expected_by_key: BTreeMap<String, &Cells> = by_key(table, expected);
    let found_by_key: BTreeMap<String, &Cells> = by_key(table, found);
    for (key, row) in &found_by_key {
        if !expected_by_key.contains_key(key) {
            differences.push(format!(
                "{} of {day}, key {key}: row not expected: {row:?}",
                table.name
            ));
        }
    }
    for (key, row) in expected_by_key {
        let Some(found) = found_by_key.get(&key) else {
            differences.push(format!(
                "{} of {day}, key {key}: row not found: {row:?}",
                table.name
            ));
            continue;
        };
        let tolerance_of = tolerances(table, row);
        for ((column, expected), found) in table.columns.iter().zip(row).zip(*found) {
            if !is_same(
                column.kind,
                tolerance_of(column.name),
                expected.as_deref(),
                found.as_deref(),
            ) {
                differences.push(format!(
                    "{} of {day}, column {}, key {key}: expected {expected:?}, found {found:?}",
                    table.name, column.name
                ));
            }
        }
    }
}

/// Rows by the cells of their key, joined with bars.
fn by_key<'a>(table: &Table, rows: &'a [Cells]) -> BTreeMap<String, &'a Cells> {
    let mut by_key = BTreeMap::new();
    for row in rows {
        let of_key = table
            .columns
            .iter()
            .zip(row)
            .filter(|(c, _)| table.key.contains(&c.name));
        let cells = of_key.map(|(_, cell)| cell.as_deref().unwrap_or("null"));
        by_key.insert(cells.collect::<Vec<_>>().join("|"), row);
    }
    by_key
}

/// The absolute difference that a column may have besides the rounding of a few operations.
fn tolerances(table: &Table, row: &Cells) -> impl Fn(&str) -> f64 {
    let number = |name: &str| {
        table
            .columns
            .iter()
            .zip(row)
            .find(|(c, _)| c.name == name)?
            .1
            .as_ref()?
            .parse::<f64>()
            .ok()
    };
    // The parts of a gap can be far greater than the gap, and are rounded at their own size.
    let gmv = [number("gmv"), number("benchmark_gmv")]
        .into_iter()
        .flatten()
        .sum::<f64>();
    let of_gap = if table.name == "gmv_gap" {
        1e-9 * gmv
    } else {
        0.0
    };
    // A percentage is a difference, rounded at the size of 100.
    move |column| {
        if column.ends_with("_pct") {
            1e-10
        } else {
            of_gap
        }
    }
}

fn is_same(kind: Kind, tolerance: f64, expected: Option<&str>, found: Option<&str>) -> bool {
    match (expected, found) {
        (Some(a), Some(b)) if kind == Kind::Double => {
            let (a, b): (f64, f64) = (a.parse().unwrap(), b.parse().unwrap());
            (a - b).abs() <= tolerance.max(1e-12 * a.abs().max(b.abs()))
        }
        (expected, found) => expected == found,
    }
}

fn compare_quarantines(
    expected: &Expected,
    results: &Path,
    day: NaiveDate,
    differences: &mut Vec<String>,
) {
    let none = Vec::new();
    for dataset in DATASETS {
        let rows = expected
            .quarantine
            .get(&(dataset.name.to_owned(), day))
            .unwrap_or(&none);
        let found = read_quarantine(results, dataset.name, day);
        if found != *rows {
            differences.push(format!(
                "quarantine of {} of {day}: expected {rows:?}, found {found:?}",
                dataset.name
            ));
        }
    }
}

#[test]
fn order_of_rows_and_split_into_files_change_no_byte() {
    check(
        "order_of_rows_and_split_into_files_change_no_byte",
        Cases {
            sampled: 1,
            full: 10,
        },
        |mut case| {
            leave_out_repeated_keys(&mut case.world);
            let mut shuffled = case.clone();
            shuffled.files_per_folder = case.files_per_folder % 3 + 2;
            for (i, rows) in shuffled.world.exports.values_mut().enumerate() {
                rows.reverse();
                let by = i % rows.len().max(1);
                rows.rotate_left(by);
            }
            let (desk, other) = (Desk::new(&case), Desk::new(&shuffled));
            desk.run_each("results", &case.days, &[]);
            other.run_each("results", &case.days, &[]);
            same_files(
                &table_files(&desk.results("results")),
                &table_files(&other.results("results")),
            )
        },
    );
}

fn leave_out_repeated_keys(world: &mut World) {
    for ((dataset, _), rows) in &mut world.exports {
        let contract = datasets::dataset(dataset).unwrap();
        if contract.key.is_empty() {
            continue;
        }
        let mut seen = BTreeSet::new();
        rows.retain(|r| {
            seen.insert(
                contract
                    .key
                    .iter()
                    .map(|k| r[contract.position(k)].clone())
                    .collect::<Vec<_>>(),
            )
        });
    }
}

#[test]
fn a_second_run_any_number_of_threads_and_any_memory_limit_give_the_same_bytes() {
    check(
        "a_second_run_any_number_of_threads_and_any_memory_limit_give_the_same_bytes",
        Cases {
            sampled: 1,
            full: 8,
        },
        |case| {
            let desk = Desk::new(&case);
            let runs = [
                ("first", [].as_slice()),
                ("second", &[]),
                ("one", &["--threads", "1"]),
                ("eight", &["--threads", "8"]),
                // Every row is spilled; window tables are computed one row, or ten rows, at a time.
                ("row", &["--memory-limit", "4KiB"]),
                ("rows", &["--memory-limit", "40KiB"]),
            ];
            for (results, more) in runs {
                desk.run_each(results, &case.days, more);
            }
            let first = lasting_files(&desk.results("first"));
            for other in ["second", "one", "eight", "row", "rows"] {
                same_files(&first, &lasting_files(&desk.results(other)))?;
            }
            Ok(())
        },
    );
}

#[test]
fn a_backfill_of_the_days_gives_the_bytes_of_a_run_for_each() {
    check(
        "a_backfill_of_the_days_gives_the_bytes_of_a_run_for_each",
        Cases {
            sampled: 2,
            full: 10,
        },
        |case| {
            let desk = Desk::new(&case);
            desk.run_each("each", &case.days, &[]);
            let (first, last) = (
                case.days[0].to_string(),
                case.days[case.days.len() - 1].to_string(),
            );
            desk.etl("range", &["backfill", "--from", &first, "--to", &last]);
            same_files(
                &table_files(&desk.results("each")),
                &table_files(&desk.results("range")),
            )
        },
    );
}

/// The number of times that exports arrive and commands are run.
const ROUNDS: u8 = 4;

/// The arrival of one export: its drafts and its final state.
#[derive(Clone, Debug)]
struct Arrival {
    /// The round in which its final state arrives.
    final_round: u8,
    /// Earlier rounds with another state. Other rows arrive only for days that end published: the
    /// tables of a published day stay when the day is blocked later.
    drafts: Vec<(u8, Draft)>,
    /// A later round in which the same rows are written once more.
    again: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Draft {
    /// Rows in another order, and one of them missing.
    Other,
    /// Its `_SUCCESS` is removed.
    Withdrawn,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let draft = (
        0..ROUNDS,
        prop_oneof![Just(Draft::Other), Just(Draft::Withdrawn)],
    );
    let again = prop_oneof![3 => Just(None), 1 => (0..ROUNDS).prop_map(Some)];
    (0..ROUNDS, vec(draft, 0..3), again).prop_map(|(final_round, mut drafts, again)| {
        drafts.retain(|(round, _)| *round < final_round);
        Arrival {
            final_round,
            drafts,
            again: again.filter(|round| *round > final_round),
        }
    })
}

/// A command for days by their positions among those of the case.
#[derive(Clone, Debug)]
enum Job {
    Run(prop::sample::Index),
    Backfill {
        from: prop::sample::Index,
        to: prop::sample::Index,
        flags: &'static [&'static str],
    },
}

const FLAGS: &[&[&str]] = &[
    &[],
    &["--latest-first"],
    &["--parallel", "3"],
    &["--latest-first", "--parallel", "2"],
];

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let flags = prop::sample::select(FLAGS);
    let index = any::<prop::sample::Index>;
    let backfill =
        (index(), index(), flags).prop_map(|(from, to, flags)| Job::Backfill { from, to, flags });
    vec(
        prop_oneof![2 => index().prop_map(Job::Run), 1 => backfill],
        0..=2,
    )
}

/// Late, repeated, changed and withdrawn exports; runs and backfills in any order, also twice.
#[test]
fn any_order_of_arrivals_changes_and_runs_ends_in_the_same_tables() {
    let histories = (
        random_worlds::cases(),
        vec(arrival(), 60),
        vec(jobs(), usize::from(ROUNDS)),
    );
    check_all(
        "any_order_of_arrivals_changes_and_runs_ends_in_the_same_tables",
        Cases {
            sampled: 2,
            full: 16,
        },
        histories,
        |(case, arrivals, jobs)| {
            let complete = Desk::new(&case);
            complete.run_each("results", &case.days, &[]);
            let verdicts = case.expected().verdicts;
            let late = Desk::new(&Case {
                world: World::default(),
                ..case.clone()
            });
            for (round, jobs) in (0..ROUNDS).zip(&jobs) {
                for ((export, rows), arrival) in
                    case.world.exports.iter().zip(arrivals.iter().cycle())
                {
                    for (_, draft) in arrival.drafts.iter().filter(|(at, _)| *at == round) {
                        match draft {
                            Draft::Other if verdicts[&export.1] == Verdict::Published => {
                                late.export(export, rows.iter().skip(1).rev().cloned().collect());
                            }
                            _ => drop(fs::remove_file(late.folder(export).join("_SUCCESS"))),
                        }
                    }
                    if arrival.final_round == round || arrival.again == Some(round) {
                        late.export(export, rows.clone());
                    }
                }
                for job in jobs {
                    late.run_job(job, &case.days);
                }
            }
            late.run_each("results", &case.days, &[]);
            same_files(
                &table_files(&complete.results("results")),
                &table_files(&late.results("results")),
            )?;
            let before = files_below(&late.results("results"), ".");
            late.run_each("results", &case.days, &[]);
            same_files(&before, &files_below(&late.results("results"), "."))
        },
    );
}

type Files = BTreeMap<String, Vec<u8>>;

fn table_files(results: &Path) -> Files {
    tables::all()
        .flat_map(|table| files_below(results, table.name))
        .collect()
}

fn lasting_files(results: &Path) -> Files {
    let mut files = table_files(results);
    files.extend(files_below(results, "_quarantine"));
    files
}

fn files_below(root: &Path, name: &str) -> Files {
    let path = root.join(name);
    if path.is_file() {
        return Files::from([(name.to_owned(), fs::read(path).unwrap())]);
    }
    let entries = fs::read_dir(path).into_iter().flatten();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    names
        .flat_map(|child| files_below(root, &format!("{name}/{child}")))
        .collect()
}

fn same_files(a: &Files, b: &Files) -> Result<(), TestCaseError> {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    prop_assert_eq!(names(a), names(b));
    for (name, bytes) in a {
        prop_assert!(*bytes == b[name], "{} differs", name);
    }
    Ok(())
}

#[test]
fn sums_over_shops_equal_those_of_the_used_rows() {
    check(
        "sums_over_shops_equal_those_of_the_used_rows",
        Cases {
            sampled: 1,
            full: 10,
        },
        |case| {
            let desk = Desk::new(&case);
            desk.run_each("results", &case.days, &[]);
            let expected = case.expected();
            for ((dataset, day), rows) in &expected.used {
                for (column, sum) in sums_of(dataset, rows) {
                    for table in ["shop_daily", "channel_daily", "product_daily", "sku_daily"] {
                        let contract = tables::table(table).unwrap();
                        let Some(at) = contract.columns.iter().position(|c| c.name == column)
                        else {
                            continue;
                        };
                        let found =
                            read_table(&desk.results("results"), table, *day).unwrap_or_default();
                        let found: i128 =
                            found.iter().map(|r| whole(r[at].as_deref().unwrap())).sum();
                        prop_assert_eq!(found, sum, "{} of {} in {}", column, day, table);
                    }
                }
            }
            Ok(())
        },
    );
}

/// The sums over an export's rows that several tables publish, by the name of their column.
fn sums_of(dataset: &str, rows: &[Cells]) -> Vec<(&'static str, i128)> {
    let sum = |column: &str| sum_of(dataset, rows, column);
    match dataset {
        "order_lines" => vec![
            ("gmv", sum("sub_total") + sum("shipping_fee")),
            ("sku_orders", rows.len() as i128),
            ("items_sold", sum("quantity")),
            ("contribution_product", sum("platform_discount")),
            ("contribution_shipping", sum("shipping_platform_discount")),
        ],
        "product_traffic" => vec![
            ("product_impressions", sum("impressions")),
            ("product_clicks", sum("clicks")),
            ("page_views", sum("page_views")),
            ("add_to_carts", sum("add_to_carts")),
        ],
        _ => Vec::new(),
    }
}

fn sum_of(dataset: &str, rows: &[Cells], column: &str) -> i128 {
    let position = datasets::dataset(dataset).unwrap().position(column);
    rows.iter()
        .map(|row| whole(row[position].as_deref().unwrap()))
        .sum()
}

/// Money in cents, counts as they are.
fn whole(cell: &str) -> i128 {
    if cell.contains('.') {
        parse_cents(cell)
    } else {
        cell.parse().unwrap()
    }
}

#[test]
fn a_benchmark_lies_between_its_peers_and_no_small_group_can_be_had_by_subtraction() {
    check(
        "a_benchmark_lies_between_its_peers_and_no_small_group_can_be_had_by_subtraction",
        Cases {
            sampled: 3,
            full: 16,
        },
        |mut case| {
            // With any other share, cohorts are not nested, and shop_benchmark does not show them.
            case.settings.top_share = "1.0".into();
            let desk = Desk::new(&case);
            desk.run_each("results", &case.days, &[]);
            for day in &case.days {
                let read = |table: &str| {
                    read_table(&desk.results("results"), table, *day).unwrap_or_default()
                };
                check_cohorts(&case, &read("category_benchmark"), &read("shop_benchmark"))?;
            }
            Ok(())
        },
    );
}

fn check_cohorts(case: &Case, cohorts: &[Cells], shops: &[Cells]) -> Result<(), TestCaseError> {
    let mut published: BTreeMap<[String; 4], Vec<BTreeSet<String>>> = BTreeMap::new();
    for cohort in cohorts {
        let of_cohort = |column: &str| cell("category_benchmark", cohort, column);
        let is_suppressed = of_cohort("is_suppressed") == Some("true");
        let numbers = ["peer_count", "mean", "p25", "p50", "p75"].map(of_cohort);
        prop_assert!(
            numbers.iter().all(|n| n.is_none() == is_suppressed),
            "{cohort:?}"
        );
        prop_assert_eq!(of_cohort("suppression_reason").is_some(), is_suppressed);
        if is_suppressed {
            continue;
        }
        let peers = peers_of(case, cohort, shops);
        prop_assert!(
            peers.len() >= case.settings.min_peers,
            "{cohort:?} has the peers {peers:?}"
        );
        prop_assert_eq!(numbers[0], Some(&*peers.len().to_string()));
        let least = peers.values().copied().fold(f64::INFINITY, f64::min);
        let greatest = peers.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let slack = 1e-12 * greatest.abs();
        for number in &numbers[1..] {
            let number: f64 = number.unwrap().parse().unwrap();
            let is_between = least - slack <= number && number <= greatest + slack;
            prop_assert!(is_between, "{cohort:?} of {peers:?}");
        }
        let group = group("category_benchmark", cohort);
        published
            .entry(group)
            .or_default()
            .push(peers.into_keys().collect());
    }
    for (group, cohorts) in published {
        for (i, a) in cohorts.iter().enumerate() {
            for b in &cohorts[..i] {
                let between = a.symmetric_difference(b).count();
                let is_safe = between == 0 || between >= case.settings.min_peers;
                prop_assert!(is_safe, "{group:?}: {a:?} and {b:?}");
            }
        }
    }
    Ok(())
}

/// Scope, campaign, category and metric of a row.
fn group(table: &str, row: &Cells) -> [String; 4] {
    ["scope", "campaign_id", "category", "metric"]
        .map(|column| cell(table, row, column).unwrap().to_owned())
}

/// The shops of a cohort with their values: those of its tier and of higher ones.
fn peers_of(case: &Case, cohort: &Cells, shops: &[Cells]) -> BTreeMap<String, f64> {
    let tiers = &case.settings.tiers;
    let tier_number = |name: &str| tiers.iter().position(|(tier, _)| tier == name).unwrap();
    let least_tier = tier_number(cell("category_benchmark", cohort, "tier").unwrap());
    let of_group = group("category_benchmark", cohort);
    let mut peers = BTreeMap::new();
    for shop in shops
        .iter()
        .filter(|shop| group("shop_benchmark", shop) == of_group)
    {
        let of_shop = |column: &str| cell("shop_benchmark", shop, column);
        let Some(value) = of_shop("value") else {
            continue;
        };
        if tier_number(of_shop("tier").unwrap()) >= least_tier {
            peers.insert(
                of_shop("shop_id").unwrap().to_owned(),
                value.parse().unwrap(),
            );
        }
    }
    peers
}

/// A published cohort with its peers.
#[derive(Debug)]
struct Cohort<'a> {
    scope: &'a str,
    campaign: &'a str,
    category: &'a str,
    metric: &'a str,
    peers: &'a BTreeSet<i64>,
}

impl Cohort<'_> {
    /// Whether one is of a day and the other of a campaign.
    fn is_beside(&self, other: &Cohort) -> bool {
        let is_of_a_day = self.scope == "DAILY" || other.scope == "DAILY";
        let is_of_one_scope = (self.scope, self.campaign) == (other.scope, other.campaign);
        is_of_a_day && !is_of_one_scope
    }

    /// Whether a value of few shops follows from the two by subtraction.
    fn can_be_subtracted(&self, other: &Cohort) -> bool {
        let is_sum = !RATIOS.contains(&self.metric);
        let is_of_one_scope = (self.scope, self.campaign) == (other.scope, other.campaign);
        (self.category, self.metric) == (other.category, other.metric)
            && (is_of_one_scope || (self.is_beside(other) && is_sum))
    }
}

/// The reader knows everything that is published, and the peers of all cohorts, but not their
/// values.
#[test]
fn peers_of_published_sums_and_counts_never_differ_by_few_shops() {
    let (published, beside_days) = (Cell::new(0), Cell::new(0));
    let name = "peers_of_published_sums_and_counts_never_differ_by_few_shops";
    check_all(
        name,
        Cases {
            sampled: 4,
            full: 32,
        },
        crowded_cases(),
        |case| {
            let desk = Desk::new(&case);
            desk.run_each("results", &case.days, &[]);
            let peers = case.expected().peers;
            let min_peers = case.settings.min_peers;
            for day in &case.days {
                let rows = read_table(&desk.results("results"), "category_benchmark", *day);
                let rows = rows.unwrap_or_default();
                let cohorts = published_cohorts(&rows, *day, &peers, min_peers)?;
                for (i, a) in cohorts.iter().enumerate() {
                    for b in cohorts[..i].iter().filter(|b| a.can_be_subtracted(b)) {
                        let between = a.peers.symmetric_difference(b.peers).count();
                        let is_safe = between == 0 || between >= min_peers;
                        prop_assert!(is_safe, "{day}: {a:?} and {b:?}");
                        beside_days.set(beside_days.get() + usize::from(a.is_beside(b)));
                    }
                }
                published.set(published.get() + cohorts.len());
            }
            Ok(())
        },
    );
    let (least, least_beside) = if is_full() { (400, 100) } else { (50, 10) };
    assert!(
        published.get() > least && beside_days.get() > least_beside,
        "{published:?}, {beside_days:?}"
    );
}

/// The cohorts that show their values; each has enough peers, and says how many.
fn published_cohorts<'a>(
    rows: &'a [Cells],
    day: NaiveDate,
    peers: &'a Peers,
    min_peers: usize,
) -> Result<Vec<Cohort<'a>>, TestCaseError> {
    let mut cohorts = Vec::new();
    for row in rows {
        let of_row = |column: &str| cell("category_benchmark", row, column);
        if of_row("mean").is_none() {
            continue;
        }
        let key =
            ["scope", "campaign_id", "category", "tier", "metric"].map(|c| of_row(c).unwrap());
        let [scope, campaign, category, tier, metric] = key.map(str::to_owned);
        let peers = &peers[&(day, scope, campaign, category, tier, metric)];
        prop_assert_eq!(of_row("peer_count"), Some(&*peers.len().to_string()));
        prop_assert!(peers.len() >= min_peers, "{row:?} has the peers {peers:?}");
        let [scope, campaign, category, _, metric] = key;
        cohorts.push(Cohort {
            scope,
            campaign,
            category,
            metric,
            peers,
        });
    }
    Ok(cohorts)
}

#[test]
fn what_explains_a_gap_adds_up_to_it() {
    let explained = Cell::new(0);
    check_all(
        "what_explains_a_gap_adds_up_to_it",
        Cases {
            sampled: 3,
            full: 24,
        },
        crowded_cases(),
        |case| {
            let desk = Desk::new(&case);
            desk.run_each("results", &case.days, &[]);
            for day in &case.days {
                for row in read_table(&desk.results("results"), "gmv_gap", *day).unwrap_or_default()
                {
                    let columns = tables::table("gmv_gap").unwrap().columns.iter();
                    let numbers: BTreeMap<&str, f64> = columns
                        .zip(&row)
                        .filter_map(|(c, v)| Some((c.name, v.as_ref()?.parse().ok()?)))
                        .collect();
                    let (gmv, benchmark) = (numbers["gmv"], numbers["benchmark_gmv"]);
                    prop_assert_eq!(numbers["gap"], gmv - benchmark);
                    let effects: Vec<f64> = numbers
                        .iter()
                        .filter(|(name, _)| name.starts_with("from_"))
                        .map(|(_, effect)| *effect)
                        .collect();
                    if effects.is_empty() {
                        continue;
                    }
                    let difference = effects.iter().sum::<f64>() - numbers["gap"];
                    prop_assert!(
                        effects.len() == 4 && difference.abs() <= 1e-9 * (gmv + benchmark),
                        "{:?}",
                        row
                    );
                    explained.set(explained.get() + 1);
                }
            }
            Ok(())
        },
    );
    let least = if is_full() { 20 } else { 3 };
    assert!(explained.get() > least, "{explained:?}");
}

#[test]
fn a_difference_names_table_day_column_key_expected_and_found() {
    let expected = funnel_row("0.3", Some("0.5"));
    // 0.1 + 0.2 is rounding, one part in ten thousand million is not; neither is a null.
    let rounded = funnel_row("0.30000000000000004", Some("0.5"));
    assert_eq!(funnel_differences(&[&expected], &[&rounded]), [""; 0]);
    assert_eq!(
        funnel_differences(&[&expected], &[&funnel_row("0.30000000003", None)]),
        [
            r#"funnel_period of 2026-03-08, column avg_unique_reach, key 1|7: expected Some("0.3"), found Some("0.30000000003")"#,
            r#"funnel_period of 2026-03-08, column click_rate, key 1|7: expected Some("0.5"), found None"#,
        ]
    );
    assert_eq!(funnel_differences(&[&expected], &[]).len(), 1);
    assert_eq!(funnel_differences(&[], &[&expected]).len(), 1);
}

fn funnel_row(reach: &str, rate: Option<&str>) -> Cells {
    let cells = ["1", "7", "2026-03-08", "3", reach, "1.5", "0.5"].map(|c| Some(c.to_owned()));
    cells
        .into_iter()
        .chain([rate.map(String::from), None])
        .collect()
}

fn funnel_differences(expected: &[&Cells], found: &[&Cells]) -> Vec<String> {
    let rows = |rows: &[&Cells]| rows.iter().map(|row| (*row).clone()).collect::<Vec<_>>();
    let (expected, found) = (rows(expected), rows(found));
    let (table, day) = (
        tables::table("funnel_period").unwrap(),
        "2026-03-08".parse().unwrap(),
    );
    let mut differences = Vec::new();
    compare_tables(table, day, Some(&expected), Some(&found), &mut differences);
    differences
}
