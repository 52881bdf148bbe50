//! The hand-worked cases of `tests/cases`: each folder is written as exports, run, and compared
//! cell by cell.
//!
//! tests/README.md says how a case is written. What a case leaves out has a default, chosen to be
//! neutral:
//!
//! 1. Every day that an input file names gets all ten exports. Where the case gives none,
//!    `order_lines`, `product_traffic` and `shops` hold one row of the filler shop 900 (no
//!    category, sales and traffic of 0), so that the day is not blocked; the others are final
//!    without rows. The filler shop is left out of every comparison.
//! 2. A column that is left out has the value of `default_cell`.
//!
//! With `CASES_KEEP=DIR` in the environment, the tables and the quarantine of each case's last step
//! are copied to `DIR/<case>/`, so that the bytes of two versions of the program can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Decimal256Type, Int32Type};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt32Array, UInt64Array,
};
use arrow_schema::{Field, Schema};
use campaign_etl::contracts::datasets::{DATASETS, dataset};
use campaign_etl::contracts::tables::table;
use campaign_etl::contracts::{Column, Dataset, Kind};
use chrono::{DateTime, NaiveDate};
use parquet::arrow::ArrowWriter;
use parquet::data_type::{Int64Type as ParquetInt64, Int96, Int96Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde::Deserialize;

use crate::scene::walk;
use crate::world::{Cells, Outcome, etl, parse_cents, parse_micros, read_quarantine, read_table};

/// The shop of the rows that the harness adds.
const FILLER_SHOP: &str = "900";
const RELATIVE_TOLERANCE: f64 = 1e-12;

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
    let folders = list(&cases_root()).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(
        folders,
        NAMES
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<BTreeSet<_>>()
    );
}

/// `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    shows: String,
    rule: String,
    /// What differs from the default job file.
    #[serde(default)]
    job: toml::Table,
    step: Vec<Step>,
}

/// Exports that arrive or change, one command, and what it says. Exports are named `dataset day`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    run: String,
    exit: i32,
    outcome: Option<String>,
    benchmark_day: Option<String>,
    is_fallback: Option<bool>,
    /// Exactly these exports; `* day` stands for the five that are always required.
    missing: Option<Vec<String>>,
    blocked: Option<Vec<String>>,
    /// Exactly these tables of the step's day: `table day`.
    skipped: Option<Vec<String>>,
    /// Exactly these tables are written: `table day`.
    tables: Option<Vec<String>>,
    /// Text that stdout or stderr holds.
    #[serde(default)]
    says: Vec<String>,
    /// Final without a Parquet file.
    #[serde(default)]
    no_rows: Vec<String>,
    #[serde(default)]
    not_final: Vec<String>,
    /// A `_SUCCESS` with a list of files: `dataset day
    /// right|lying_size|lying_row_count|extra_file|missing_file`.
    #[serde(default)]
    success: Vec<String>,
    /// Files that are not Parquet: `dataset day name`.
    #[serde(default)]
    stray: Vec<String>,
    /// Columns written as another type, `dataset.column type`, or `dataset reversed|extra_column`.
    #[serde(default)]
    types: Vec<String>,
}

fn check_case(name: &str) {
    let folder = cases_root().join(name);
    let text = fs::read_to_string(folder.join("case.toml")).unwrap();
    let case: Case = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}/case.toml: {e}"));
    assert!(
        !case.shows.is_empty() && !case.rule.is_empty(),
        "{name}/case.toml: say what it shows, and which rule"
    );
    check_names(&folder, case.step.len());

    let dir = tempfile::tempdir().unwrap();
    let job = dir.path().join("job.toml");
    fs::write(&job, job_file(&case.job)).unwrap();
    let (exports, results) = (dir.path().join("exports"), dir.path().join("results"));
    let mut days = BTreeSet::new();
    let mut wrong = Vec::new();
    for (step, number) in case.step.iter().zip(1..) {
        let input = if number == 1 {
            "input".to_owned()
        } else {
            format!("input.{number}")
        };
        write_exports(&exports, &folder.join(input), step, &mut days);

        let mut args = step.run.split_whitespace().collect::<Vec<_>>();
        let paths = [&job, &exports, &results].map(|p| p.to_str().unwrap().to_owned());
        args.extend([
            "--config",
            &paths[0],
            "--exports",
            &paths[1],
            "--results",
            &paths[2],
            "--format",
            "json",
        ]);
        let planned = plan_before(&args);
        let outcome = etl(&args);
        let mut found = compare_outcome(step, &outcome);
        if let Some(planned) = planned {
            found.extend(compare_plan(
                &planned,
                &outcome.json,
                &plan_before(&args).unwrap(),
            ));
        }
        let last = number == case.step.len();
        for expected in [format!("expected.{number}"), "expected".to_owned()]
            .iter()
            .take(1 + usize::from(last))
        {
            found.extend(compare_expected(
                &folder.join(expected),
                &results,
                &days,
                &outcome,
            ));
        }
        if !found.is_empty() {
            found.push(format!("stderr:\n{}", outcome.stderr));
        }
        wrong.extend(
            found
                .into_iter()
                .map(|w| format!("case {name}, step {number} ({}): {w}", step.run)),
        );
    }
    if let Some(kept) = std::env::var_os("CASES_KEEP") {
        keep_results(&results, &Path::new(&kept).join(name));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Copies the published tables and the quarantine; manifests and the commit log differ in every run.
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

/// What `plan` says before a `run`: per day, the tables that it would compute.
fn plan_before(args: &[&str]) -> Option<BTreeMap<String, Vec<String>>> {
    let of_run: Vec<&str> = args
        .iter()
        .copied()
        .filter(|a| !["--strict", "--accept-fallback"].contains(a))
        .collect();
    let plan = (of_run[0] == "run").then(|| etl(&[&["plan"], &of_run[1..]].concat()))?;
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let day = |d: &serde_json::Value| {
        let tables = d["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_str().unwrap().to_owned())
            .collect();
        (d["day"].as_str().unwrap().to_owned(), tables)
    };
    Some(
        plan.json["days"]
            .as_array()
            .unwrap()
            .iter()
            .map(day)
            .collect(),
    )
}

/// A run writes only what `plan` announced, and leaves nothing for the next one.
fn compare_plan(
    planned: &BTreeMap<String, Vec<String>>,
    run: &serde_json::Value,
    after: &BTreeMap<String, Vec<String>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for written in run["tables"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
    {
        let (day, table) = (
            written["day"].as_str().unwrap(),
            written["table"].as_str().unwrap(),
        );
        if planned
            .get(day)
            .is_some_and(|tables| !tables.iter().any(|t| t == table))
        {
            wrong.push(format!(
                "{table} of {day} was written, but plan did not announce it"
            ));
        }
    }
    for (day, tables) in after.iter().filter(|(_, tables)| !tables.is_empty()) {
        wrong.push(format!(
            "after the run, plan would still compute {tables:?} of {day}"
        ));
    }
    wrong
}

fn cases_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn list(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    names.sort();
    names
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
            let known = match kind {
                "input" => dataset(stem).is_some(),
                "expected" => table(stem).is_some() || stem == "quarantine" || stem == "accounting",
                _ => false,
            };
            assert!(
                known,
                "{}/{name}/{file}: not a file of a case",
                folder.display()
            );
        }
    }
}

fn job_file(changes: &toml::Table) -> String {
    let mut job: toml::Table =
        toml::from_str("time_zone = 'America/Los_Angeles'\ncurrency = 'USD'\n").unwrap();
    job.extend(changes.clone());
    toml::to_string(&job).unwrap()
}

// Reading the CSV files of a case.

/// A file's column names after `dt`, its `# rows:` directive, and its rows with their day.
struct Csv {
    columns: Vec<String>,
    rows_where: Vec<(String, Vec<String>)>,
    rows: Vec<(NaiveDate, Vec<Option<String>>)>,
}

/// An empty cell is null, `""` is the empty text; `a..b` stands for one row for each day or number
/// of the range.
fn read_csv(path: &Path) -> Csv {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut csv = Csv {
        columns: Vec::new(),
        rows_where: Vec::new(),
        rows: Vec::new(),
    };
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        if let Some(condition) = line.strip_prefix("# rows: ") {
            let (column, values) = condition.split_once('=').unwrap();
            csv.rows_where.push((
                column.to_owned(),
                values.split('|').map(str::to_owned).collect(),
            ));
        } else if line.starts_with('#') {
        } else if csv.columns.is_empty() {
            csv.columns = line.split(',').skip(1).map(str::to_owned).collect();
            assert!(
                line.starts_with("dt,"),
                "{}: the first column is dt",
                path.display()
            );
        } else {
            for cells in expand(&split(line)) {
                let day = cells[0].as_deref().unwrap().parse().unwrap();
                assert!(
                    cells.len() == csv.columns.len() + 1
                        || cells[1].as_deref().is_some_and(|c| c.starts_with('(')),
                    "{}: {} cells for {} columns: {line}",
                    path.display(),
                    cells.len() - 1,
                    csv.columns.len()
                );
                csv.rows.push((day, cells[1..].to_vec()));
            }
        }
    }
    csv
}

fn split(line: &str) -> Cells {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, tail) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (text, tail) = quoted.split_once('"').expect("a closing quote");
                (Some(text.to_owned()), tail.strip_prefix(','))
            }
            None => {
                let (text, tail) = rest
                    .split_once(',')
                    .map_or((rest, None), |(c, t)| (c, Some(t)));
                (Some(text.to_owned()).filter(|t| !t.is_empty()), tail)
            }
        };
        cells.push(cell);
        let Some(tail) = tail else { return cells };
        rest = tail;
    }
}

fn expand(cells: &Cells) -> Vec<Cells> {
    let range = |cell: &Option<String>| cell.as_deref().is_some_and(|c| c.contains(".."));
    let Some(at) = cells.iter().position(range) else {
        return vec![cells.clone()];
    };
    let (first, last) = cells[at].as_deref().unwrap().split_once("..").unwrap();
    let values: Vec<String> = match (first.parse::<i64>(), last.parse::<i64>()) {
        (Ok(first), Ok(last)) => (first..=last).map(|n| n.to_string()).collect(),
        _ => {
            let (first, last): (NaiveDate, NaiveDate) =
                (first.parse().unwrap(), last.parse().unwrap());
            first
                .iter_days()
                .take_while(|d| *d <= last)
                .map(|d| d.to_string())
                .collect()
        }
    };
    let with = |value: String| {
        let mut row = cells.clone();
        row[at] = Some(value);
        expand(&row)
    };
    values.into_iter().flat_map(with).collect()
}

// Writing exports.

/// Rows of one export with the file that each is in.
type Rows = Vec<(String, Cells)>;

fn write_exports(exports: &Path, input: &Path, step: &Step, days: &mut BTreeSet<NaiveDate>) {
    let mut arriving: BTreeMap<(&str, NaiveDate), Rows> = BTreeMap::new();
    for file in list(input) {
        let contract = dataset(file.strip_suffix(".csv").unwrap()).unwrap();
        let csv = read_csv(&input.join(&file));
        for ((day, cells), number) in csv.rows.iter().zip(1..) {
            let row = contract_row(contract, &csv.columns, cells, *day, number);
            arriving.entry((contract.name, *day)).or_default().push(row);
        }
    }
    let named = |lines: &[String]| -> Vec<(String, NaiveDate)> {
        let split = |l: &String| {
            l.split_once(' ')
                .map(|(d, day)| (d.to_owned(), day.parse().unwrap()))
                .unwrap()
        };
        lines.iter().map(split).collect()
    };
    let (no_rows, not_final) = (named(&step.no_rows), named(&step.not_final));
    let no_rows_days = no_rows.iter().map(|(_, day)| *day);
    let new_days: BTreeSet<_> = arriving
        .keys()
        .map(|(_, day)| *day)
        .chain(no_rows_days)
        .filter(|d| !days.contains(d))
        .collect();
    for day in &new_days {
        for contract in DATASETS {
            arriving
                .entry((contract.name, *day))
                .or_insert_with(|| filler(contract, *day));
        }
    }
    for (name, day) in &no_rows {
        arriving.insert((dataset(name).unwrap().name, *day), Vec::new());
    }
    for (name, day) in &not_final {
        let (name, day) = (name.as_str(), *day);
        arriving.retain(|export, _| !(export.1 == day && (name == "*" || name == export.0)));
    }
    for ((name, day), rows) in &arriving {
        write_export(exports, dataset(name).unwrap(), *day, rows, step);
    }
    days.extend(new_days);
}

fn contract_row(
    contract: &Dataset,
    columns: &[String],
    cells: &[Option<String>],
    day: NaiveDate,
    number: usize,
) -> (String, Cells) {
    for column in columns {
        let known = column == "file" || contract.columns.iter().any(|c| c.name == column);
        assert!(known, "{}: no column {column}", contract.name);
    }
    let given = |name: &str| {
        columns
            .iter()
            .position(|c| c == name)
            .map(|at| cells[at].clone())
    };
    let row = contract
        .columns
        .iter()
        .map(|c| given(c.name).unwrap_or_else(|| default_cell(contract, c, day, number)));
    (
        given("file")
            .flatten()
            .unwrap_or_else(|| "part-0.parquet".to_owned()),
        row.collect(),
    )
}

/// The value of a column that a case leaves out. `number` counts the rows of the case's file from
/// 1.
fn default_cell(
    contract: &Dataset,
    column: &Column,
    day: NaiveDate,
    number: usize,
) -> Option<String> {
    let cell = match (contract.name, column.name) {
        ("order_lines", "order_id") | ("contents", "content_id") => number.to_string(),
        ("inventory", "sku_id") | ("sub_campaigns", "sub_campaign_id") => number.to_string(),
        ("campaigns", "first_day" | "last_day") => panic!("campaigns needs {}", column.name),
        (_, "channel") => "SHOP_TAB".to_owned(),
        (_, "content_type") => "VIDEO".to_owned(),
        (_, "account_type") => "AFFILIATE_ACCOUNTS".to_owned(),
        (_, "quantity") => "1".to_owned(),
        (_, "impressions" | "clicks" | "page_views" | "add_to_carts" | "available_quantity") => {
            "0".to_owned()
        }
        _ if column.null.is_some() => return None,
        _ => match column.kind {
            Kind::Int64 | Kind::Int32 => "1".to_owned(),
            Kind::Money => "0.00".to_owned(),
            Kind::Text => column.name.to_owned(),
            Kind::Boolean => "false".to_owned(),
            // Early afternoon in America, inside the day of every zone that the cases use.
            Kind::Instant => format!("{day}T20:00:00Z"),
            Kind::Double | Kind::Date => panic!("{} has no default", column.name),
        },
    };
    Some(cell)
}

fn filler(contract: &Dataset, day: NaiveDate) -> Rows {
    match contract.name {
        "order_lines" | "product_traffic" | "shops" => {
            let shop = [Some(FILLER_SHOP.to_owned())];
            vec![contract_row(
                contract,
                &["shop_id".to_owned()],
                &shop,
                day,
                900,
            )]
        }
        _ => Vec::new(),
    }
}

fn write_export(exports: &Path, contract: &Dataset, day: NaiveDate, rows: &Rows, step: &Step) {
    let folder = exports.join(contract.partition(day));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let files = rows.iter().map(|(file, _)| file).collect::<BTreeSet<_>>();
    for file in &files {
        let rows = rows
            .iter()
            .filter(|(f, _)| f == *file)
            .map(|(_, cells)| cells)
            .collect::<Vec<_>>();
        write_file(&folder.join(file), contract, &rows, &step.types);
    }
    let export = format!("{} {day} ", contract.name);
    let mut marker = String::new();
    if let Some(kind) = step.success.iter().find_map(|s| s.strip_prefix(&export)) {
        marker = success_list(&folder, &files, kind);
    }
    fs::write(folder.join("_SUCCESS"), marker).unwrap();
    for name in step.stray.iter().filter_map(|s| s.strip_prefix(&export)) {
        fs::write(folder.join(name), "not Parquet").unwrap();
    }
}

fn success_list(folder: &Path, files: &BTreeSet<&String>, kind: &str) -> String {
    let mut listed = Vec::new();
    for (name, at) in files.iter().zip(0..) {
        let path = folder.join(name);
        let mut size_bytes = fs::metadata(&path).unwrap().len();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let mut row_count = reader.metadata().file_metadata().num_rows();
        match (kind, at) {
            ("lying_size", 0) => size_bytes += 1,
            ("lying_row_count", 0) => row_count += 1,
            ("extra_file", 0) => continue,
            _ => {}
        }
        listed.push(
            serde_json::json!({"name": name, "size_bytes": size_bytes, "row_count": row_count}),
        );
    }
    match kind {
        "missing_file" => listed
            .push(serde_json::json!({"name": "gone.parquet", "size_bytes": 9, "row_count": 9})),
        "right" => {}
        "lying_size" | "lying_row_count" | "extra_file" => assert!(!files.is_empty()),
        other => panic!("no such list: {other}"),
    }
    serde_json::json!({"files": listed}).to_string()
}

fn write_file(path: &Path, contract: &Dataset, rows: &[&Cells], types: &[String]) {
    let of_contract = format!("{}.", contract.name);
    let changes: BTreeMap<&str, &str> = types
        .iter()
        .filter_map(|t| t.strip_prefix(&of_contract))
        .map(|t| t.split_once(' ').unwrap())
        .collect();
    for name in changes.keys() {
        contract.position(name);
    }
    if changes.values().any(|t| *t == "int96") {
        return write_ad_hours_with_int96(path, rows);
    }
    let has = |what: &str| types.contains(&format!("{} {what}", contract.name));
    let mut arrays = Vec::new();
    for (column, at) in contract.columns.iter().zip(0..) {
        let kind = changes
            .get(column.name)
            .copied()
            .unwrap_or_else(|| contract_type(column.kind));
        let cells = rows.iter().map(|r| r[at].as_deref()).collect::<Vec<_>>();
        if kind != "missing" {
            arrays.push((column.name, to_array(kind, &cells)));
        }
    }
    if has("extra_column") {
        arrays.insert(
            0,
            ("note", to_array("string", &vec![Some("x"); rows.len()])),
        );
    }
    if has("reversed") {
        arrays.reverse();
    }
    let fields = arrays
        .iter()
        .map(|(name, a)| Field::new(*name, a.data_type().clone(), true))
        .collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(schema.clone(), arrays.into_iter().map(|(_, a)| a).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn contract_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int64 => "int64",
        Kind::Int32 => "int32",
        Kind::Money => "decimal(18,2)",
        Kind::Double => "double",
        Kind::Text => "string",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::Instant => "timestamp(us,UTC)",
    }
}

fn to_array(kind: &str, cells: &[Option<&str>]) -> ArrayRef {
    fn all<T>(cells: &[Option<&str>], parse: impl Fn(&str) -> T) -> Vec<Option<T>> {
        cells.iter().map(|c| c.map(&parse)).collect()
    }
    fn number<T: std::str::FromStr>(cell: &str) -> T {
        cell.parse()
            .unwrap_or_else(|_| panic!("not a number of that type: {cell:?}"))
    }
    let instant = |cell: &str| DateTime::parse_from_rfc3339(cell).unwrap();
    match kind {
        "int8" => Arc::new(Int8Array::from(all(cells, number))),
        "int16" => Arc::new(Int16Array::from(all(cells, number))),
        "int32" => Arc::new(Int32Array::from(all(cells, number))),
        "int64" => Arc::new(Int64Array::from(all(cells, number))),
        "uint32" => Arc::new(UInt32Array::from(all(cells, number))),
        "uint64" => Arc::new(UInt64Array::from(all(cells, number))),
        "double" => Arc::new(Float64Array::from(all(cells, number))),
        "boolean" => Arc::new(BooleanArray::from(all(cells, number))),
        "string" => Arc::new(StringArray::from_iter(cells)),
        "large_string" => Arc::new(LargeStringArray::from_iter(cells)),
        "dictionary" => Arc::new(
            cells
                .iter()
                .copied()
                .collect::<DictionaryArray<Int32Type>>(),
        ),
        "date" => {
            let days =
                |cell: &str| (number::<NaiveDate>(cell) - NaiveDate::default()).num_days() as i32;
            Arc::new(Date32Array::from(all(cells, days)))
        }
        "timestamp(us)" => Arc::new(TimestampMicrosecondArray::from(all(cells, parse_micros))),
        "timestamp(us,UTC)" => {
            // A date written as an instant is its midnight.
            let micros = |c: &str| {
                if c.len() == 10 {
                    parse_micros(&format!("{c}T00:00:00Z"))
                } else {
                    parse_micros(c)
                }
            };
            Arc::new(TimestampMicrosecondArray::from(all(cells, micros)).with_timezone("UTC"))
        }
        "timestamp(ms)" => Arc::new(TimestampMillisecondArray::from(all(cells, |c| {
            instant(c).timestamp_millis()
        }))),
        "timestamp(ms,UTC)" => {
            let array =
                TimestampMillisecondArray::from(all(cells, |c| instant(c).timestamp_millis()));
            Arc::new(array.with_timezone("UTC"))
        }
        "timestamp(ns,UTC)" => {
            let array = TimestampNanosecondArray::from(all(cells, |c| {
                instant(c).timestamp_nanos_opt().unwrap()
            }));
            Arc::new(array.with_timezone("UTC"))
        }
        _ => {
            let digits = kind
                .strip_prefix("decimal(")
                .and_then(|k| k.strip_suffix(')'))
                .unwrap_or_else(|| panic!("{kind}"));
            let (precision, scale) = digits.split_once(',').unwrap();
            let (precision, scale): (u8, usize) = (number(precision), number(scale));
            let unscaled = |cell: &str| {
                let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
                assert!(part.len() <= scale, "{cell} does not fit {kind}");
                format!("{whole}{part:0<scale$}")
            };
            if precision > 38 {
                let wide = |cell: &str| Wide::from_string(&unscaled(cell)).unwrap();
                let array = Decimal256Array::from(all(cells, wide));
                return Arc::new(
                    array
                        .with_precision_and_scale(precision, scale as i8)
                        .unwrap(),
                );
            }
            let array = Decimal128Array::from(all(cells, |cell| number::<i128>(&unscaled(cell))));
            Arc::new(
                array
                    .with_precision_and_scale(precision, scale as i8)
                    .unwrap(),
            )
        }
    }
}

type Wide = <Decimal256Type as ArrowPrimitiveType>::Native;

/// INT96 has no Arrow type to write it from: Spark's layout, nanoseconds of the day and the Julian
/// day.
fn write_ad_hours_with_int96(path: &Path, rows: &[&Cells]) {
    const JULIAN_DAY_OF_1970: i64 = 2_440_588;
    const NANOS_PER_DAY: i64 = 86_400_000_000_000;
    let schema = "message ad_hours { required int64 ad_account_id; required int64 shop_id; required int96 hour_start;
        required int64 spend (DECIMAL(18,2)); required int64 gross_revenue (DECIMAL(18,2)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for at in 0..5 {
        let cells = rows.iter().map(|r| r[at].as_deref().unwrap());
        let mut column = group.next_column().unwrap().unwrap();
        if at == 2 {
            let instants = cells.map(|cell| {
                let nanos = DateTime::parse_from_rfc3339(cell)
                    .unwrap()
                    .timestamp_nanos_opt()
                    .unwrap();
                let (day, of_day) = (
                    nanos.div_euclid(NANOS_PER_DAY),
                    nanos.rem_euclid(NANOS_PER_DAY),
                );
                let mut value = Int96::new();
                value.set_data(
                    of_day as u32,
                    (of_day >> 32) as u32,
                    (day + JULIAN_DAY_OF_1970) as u32,
                );
                value
            });
            column
                .typed::<Int96Type>()
                .write_batch(&instants.collect::<Vec<_>>(), None, None)
                .unwrap();
        } else {
            let values = cells.map(|c| {
                if at > 2 {
                    parse_cents(c) as i64
                } else {
                    c.parse().unwrap()
                }
            });
            column
                .typed::<ParquetInt64>()
                .write_batch(&values.collect::<Vec<_>>(), None, None)
                .unwrap();
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

// Comparing. Each function gives what is wrong, one line each.

fn compare_outcome(step: &Step, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, expected: String, found: String| {
        if expected != found {
            wrong.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let json = &outcome.json;
    check("exit code", step.exit.to_string(), outcome.code.to_string());
    let day = step
        .run
        .split_whitespace()
        .skip_while(|w| *w != "--day")
        .nth(1)
        .unwrap_or_default();
    if !day.is_empty() {
        check("day", format!("{day:?}"), json["day"].to_string());
    }
    if let Some(expected) = &step.outcome {
        check(
            "outcome",
            format!("{expected:?}"),
            json["outcome"].to_string(),
        );
    }
    if let Some(expected) = &step.benchmark_day {
        check(
            "benchmark_day",
            format!("{expected:?}"),
            json["benchmark_day"].to_string(),
        );
    }
    if let Some(expected) = step.is_fallback {
        check(
            "is_fallback",
            expected.to_string(),
            json["is_fallback"].to_string(),
        );
    }
    let listed = |what: &str, name: &str| -> BTreeSet<String> {
        let entries = json[what].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |e: &serde_json::Value| {
            format!(
                "{} {}",
                e[name].as_str().unwrap_or("?"),
                e["day"].as_str().unwrap_or("?")
            )
        };
        entries.iter().map(text).collect()
    };
    let required = || DATASETS.into_iter().filter(|d| d.always_required);
    let expected = |lines: &Vec<String>| -> BTreeSet<String> {
        let all = |l: &String| match l.strip_prefix("* ") {
            Some(day) => required().map(|d| format!("{} {day}", d.name)).collect(),
            None => vec![l.clone()],
        };
        lines.iter().flat_map(all).collect()
    };
    let lists = [
        ("missing", "dataset", &step.missing),
        ("blocked", "dataset", &step.blocked),
    ];
    for (what, name, lines) in lists.into_iter().chain([("tables", "table", &step.tables)]) {
        if let Some(lines) = lines {
            check(
                what,
                format!("{:?}", expected(lines)),
                format!("{:?}", listed(what, name)),
            );
        }
    }
    if let Some(lines) = &step.skipped {
        // An entry with columns is a table that is written, with these columns null.
        let whole = |e: &&serde_json::Value| e["columns"].as_array().is_none_or(Vec::is_empty);
        let entries = json["skipped"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let of_day = entries.iter().filter(whole).filter(|e| e["day"] == day);
        let of_day: BTreeSet<_> = of_day
            .map(|e| format!("{} {day}", e["table"].as_str().unwrap_or("?")))
            .collect();
        check(
            "skipped",
            format!("{:?}", expected(lines)),
            format!("{of_day:?}"),
        );
    }
    for text in &step.says {
        if !outcome.stderr.contains(text) && !json.to_string().contains(text) {
            check("says", text.clone(), json.to_string());
        }
    }
    wrong
}

fn compare_expected(
    folder: &Path,
    results: &Path,
    days: &BTreeSet<NaiveDate>,
    outcome: &Outcome,
) -> Vec<String> {
    let compare = |file: String| {
        let csv = read_csv(&folder.join(&file));
        match file.strip_suffix(".csv").unwrap() {
            "quarantine" => compare_quarantine(&csv, results, days),
            "accounting" => compare_accounting(&csv, &outcome.json),
            name => compare_table(name, &csv, results),
        }
    };
    list(folder).into_iter().flat_map(compare).collect()
}

fn compare_table(name: &str, csv: &Csv, results: &Path) -> Vec<String> {
    let contract = table(name).unwrap();
    let at = |column: &str| contract.columns.iter().position(|c| c.name == column);
    let positions = csv
        .columns
        .iter()
        .map(|c| at(c).unwrap_or_else(|| panic!("{name} has no column {c}")));
    let positions = positions.collect::<Vec<_>>();
    // Rows are matched by key where the file names all of it, else by their order in the table.
    let key = contract
        .key
        .iter()
        .map(|k| csv.columns.iter().position(|c| c == k))
        .collect::<Option<Vec<_>>>();
    let mut wrong = Vec::new();
    for day in csv
        .rows
        .iter()
        .map(|(day, _)| *day)
        .collect::<BTreeSet<_>>()
    {
        let mut expected = csv
            .rows
            .iter()
            .filter(|(d, _)| *d == day)
            .map(|(_, cells)| cells.clone())
            .collect::<Vec<_>>();
        let special = expected[0][0].clone().filter(|c| c.starts_with('('));
        let Some(rows) = read_table(results, name, day) else {
            if special.as_deref() != Some("(absent)") {
                wrong.push(format!(
                    "{name} of {day}: expected {} rows, found no table",
                    expected.len()
                ));
            }
            continue;
        };
        if special.as_deref() == Some("(absent)") {
            wrong.push(format!(
                "{name} of {day}: expected none, found {} rows",
                rows.len()
            ));
            continue;
        }
        if special.as_deref() == Some("(no rows)") {
            expected.clear();
        }
        let kept = |row: &Cells| {
            at("shop_id").is_none_or(|i| row[i].as_deref() != Some(FILLER_SHOP))
                && csv.rows_where.iter().all(|(column, values)| {
                    let cell = row
                        [at(column).unwrap_or_else(|| panic!("{name} has no column {column}"))]
                    .as_deref();
                    values.iter().any(|v| cell == Some(v))
                })
        };
        let found = rows
            .into_iter()
            .filter(kept)
            .map(|row| positions.iter().map(|&i| row[i].clone()).collect());
        let label = |rows: Vec<Cells>| -> BTreeMap<String, Cells> {
            let of = |(i, row): (usize, Cells)| match &key {
                Some(key) => (
                    key.iter()
                        .map(|&k| row[k].clone().unwrap_or_default())
                        .collect::<Vec<_>>()
                        .join("|"),
                    row,
                ),
                None => (format!("row {i:03}"), row),
            };
            rows.into_iter().enumerate().map(of).collect()
        };
        let (count, expected, found) = (expected.len(), label(expected), label(found.collect()));
        assert_eq!(
            count,
            expected.len(),
            "{name} of {day}: a key is expected twice"
        );
        for label in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            match (expected.get(label), found.get(label)) {
                (Some(expected), Some(found)) => {
                    for ((position, expected), found) in positions.iter().zip(expected).zip(found) {
                        let column = &contract.columns[*position];
                        if !same(column.kind, expected.as_deref(), found.as_deref()) {
                            let cells = format!("expected {expected:?}, found {found:?}");
                            wrong.push(format!(
                                "{name} of {day}, {}, {label}: {cells}",
                                column.name
                            ));
                        }
                    }
                }
                (Some(_), None) => {
                    wrong.push(format!("{name} of {day}, {label}: expected, not found"))
                }
                (None, found) => wrong.push(format!(
                    "{name} of {day}, {label}: not expected, found {found:?}"
                )),
            }
        }
    }
    wrong
}

/// `*` is any value; a double may be written as a quotient.
fn same(kind: Kind, expected: Option<&str>, found: Option<&str>) -> bool {
    let (Some(expected), Some(found)) = (expected, found) else {
        return expected == found || expected == Some("*");
    };
    match kind {
        _ if expected == "*" => true,
        Kind::Double => {
            let (over, under) = expected.split_once('/').unwrap_or((expected, "1"));
            let expected = over.parse::<f64>().unwrap() / under.parse::<f64>().unwrap();
            let found: f64 = found.parse().unwrap();
            (expected - found).abs() <= RELATIVE_TOLERANCE * expected.abs().max(found.abs())
        }
        Kind::Money => parse_cents(expected) == parse_cents(found),
        Kind::Instant => parse_micros(expected) == parse_micros(found),
        _ => expected == found,
    }
}

/// The file lists every quarantined row of the case.
fn compare_quarantine(csv: &Csv, results: &Path, days: &BTreeSet<NaiveDate>) -> Vec<String> {
    assert_eq!(
        csv.columns,
        [
            "dataset",
            "reason",
            "column",
            "value",
            "file",
            "row_number",
            "key"
        ]
    );
    let mut expected = BTreeMap::new();
    for (day, cells) in &csv.rows {
        let text = |i: usize| cells[i].clone().unwrap();
        expected.insert(
            (*day, text(0), text(4), text(5)),
            (cells[1..4].to_vec(), cells[6].clone()),
        );
    }
    let mut wrong = Vec::new();
    for (day, contract) in days
        .iter()
        .flat_map(|day| DATASETS.into_iter().map(|d| (*day, d)))
    {
        for row in read_quarantine(results, contract.name, day) {
            let [reason, column, value, file, number, key] =
                <[Option<String>; 6]>::try_from(row).unwrap();
            let place = (
                day,
                contract.name.to_owned(),
                file.unwrap(),
                number.unwrap(),
            );
            let found = (vec![reason, column, value], key);
            match expected.remove(&place) {
                Some(e) if e.0 == found.0 && (e.1 == found.1 || e.1.as_deref() == Some("*")) => {}
                e => wrong.push(format!(
                    "quarantine, {place:?}: expected {e:?}, found {found:?}"
                )),
            }
        }
    }
    wrong.extend(
        expected
            .into_iter()
            .map(|(place, e)| format!("quarantine, {place:?}: expected {e:?}, not found")),
    );
    wrong
}

fn compare_accounting(csv: &Csv, json: &serde_json::Value) -> Vec<String> {
    assert_eq!(
        csv.columns,
        [
            "dataset",
            "rows_read",
            "rows_used",
            "rows_quarantined",
            "rows_out_of_scope",
            "reasons"
        ]
    );
    let mut wrong = Vec::new();
    for (day, cells) in &csv.rows {
        let text = |i: usize| cells[i].clone().unwrap_or_default();
        let of = |e: &&serde_json::Value| e["day"] == day.to_string() && e["dataset"] == text(0);
        let entries = json["datasets"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let [entry] = entries.iter().filter(of).collect::<Vec<_>>()[..] else {
            wrong.push(format!(
                "datasets, {} of {day}: expected one entry in {}",
                text(0),
                json["datasets"]
            ));
            continue;
        };
        for (column, i) in csv.columns[1..5].iter().zip(1..) {
            let found = entry[column].to_string();
            if found != text(i) {
                wrong.push(format!(
                    "{column}, {} of {day}: expected {}, found {}",
                    text(0),
                    text(i),
                    entry[column]
                ));
            }
        }
        let split = |r: &str| {
            r.split_once('=')
                .map(|(reason, n)| (reason.to_owned(), n.parse().unwrap()))
                .unwrap()
        };
        let expected: BTreeMap<String, u64> = text(5).split_whitespace().map(split).collect();
        let found: BTreeMap<String, u64> =
            serde_json::from_value(entry["reasons"].clone()).unwrap_or_default();
        if expected != found {
            wrong.push(format!(
                "reasons, {} of {day}: expected {expected:?}, found {}",
                text(0),
                entry["reasons"]
            ));
        }
    }
    wrong
}
