//! A small marketplace as text cells: written as exports, and read back from results.
//!
//! How a cell is written, in either direction:
//!
//! | kind | cell |
//! | --- | --- |
//! | null | `None` |
//! | INT32, INT64 | `-7` |
//! | DECIMAL(18,2) | `12.34` |
//! | DOUBLE | Rust's shortest form, `0.1`, `3.0` |
//! | STRING | as it is |
//! | BOOLEAN | `true`, `false` |
//! | DATE | `2026-03-08` |
//! | TIMESTAMP(us, UTC) | `2026-03-08T07:59:59.999999Z`, fractions only where there are any |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use campaign_etl::cli::SchemaName;
use campaign_etl::contracts::{Column, Kind, arrow, datasets, tables};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

/// The cells of one row, in contract order.
pub type Cells = Vec<Option<String>>;

/// The exports of a marketplace. An entry is a final folder; without rows it has no Parquet file.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub exports: BTreeMap<(String, NaiveDate), Vec<Cells>>,
}

impl World {
    /// Writes every export under `dir`, its rows in order, in `files_per_folder` files, or in fewer
    /// where rows are fewer.
    pub fn write(&self, dir: &Path, files_per_folder: usize) {
        for ((dataset, day), rows) in &self.exports {
            let folder = dir.join(dataset).join(format!("dt={day}"));
            fs::create_dir_all(&folder).unwrap();
            let contract =
                datasets::dataset(dataset).unwrap_or_else(|| panic!("no dataset {dataset}"));
            for (name, range) in file_ranges(rows.len(), files_per_folder) {
                write_file(&folder.join(name), contract.columns, &rows[range]);
            }
            File::create(folder.join("_SUCCESS")).unwrap();
        }
    }
}

/// The names of the files of a folder with so many rows, and the rows of each; in bytewise order
/// of name.
pub fn file_ranges(rows: usize, files_per_folder: usize) -> Vec<(String, Range<usize>)> {
    let per_file = rows.div_ceil(files_per_folder.max(1)).max(1);
    (0..rows)
        .step_by(per_file)
        .enumerate()
        .map(|(i, first)| {
            (
                format!("part-{i:05}.parquet"),
                first..(first + per_file).min(rows),
            )
        })
        .collect()
}

/// Writes one Parquet file by a contract. Every column is nullable, so that a forbidden null can
/// be written.
pub fn write_file(path: &Path, columns: &[Column], rows: &[Cells]) {
    let fields = columns
        .iter()
        .map(|c| Field::new(c.name, arrow::data_type(c.kind), true))
        .collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(i, c)| write_column(c, rows.iter().map(|r| r[i].as_deref())));
    let batch = RecordBatch::try_new(schema.clone(), arrays.collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write_column<'a>(column: &Column, cells: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    fn parse<T: std::str::FromStr>(cell: &str) -> T {
        cell.parse()
            .unwrap_or_else(|_| panic!("not a {}: {cell:?}", std::any::type_name::<T>()))
    }
    match column.kind {
        Kind::Int64 => Arc::new(Int64Array::from_iter(cells.map(|c| c.map(parse::<i64>)))),
        Kind::Int32 => Arc::new(Int32Array::from_iter(cells.map(|c| c.map(parse::<i32>)))),
        Kind::Double => Arc::new(Float64Array::from_iter(cells.map(|c| c.map(parse::<f64>)))),
        Kind::Boolean => Arc::new(BooleanArray::from_iter(cells.map(|c| c.map(parse::<bool>)))),
        Kind::Text => Arc::new(StringArray::from_iter(cells)),
        Kind::Date => Arc::new(Date32Array::from_iter(
            cells.map(|c| c.map(|c| day_number(parse(c)))),
        )),
        Kind::Money => {
            let array = Decimal128Array::from_iter(cells.map(|c| c.map(parse_cents)));
            Arc::new(array.with_precision_and_scale(18, 2).unwrap())
        }
        Kind::Instant => {
            let array = TimestampMicrosecondArray::from_iter(cells.map(|c| c.map(parse_micros)));
            Arc::new(array.with_timezone("UTC"))
        }
    }
}

/// The rows of a published table, `None` where the day has none; its columns are checked against
/// the contract.
pub fn read_table(results: &Path, table: &str, day: NaiveDate) -> Option<Vec<Cells>> {
    let folder = results.join(table).join(format!("dt={day}"));
    if !folder.join("_SUCCESS").exists() {
        return None;
    }
    let contract = tables::table(table).unwrap_or_else(|| panic!("no table {table}"));
    let expected = contract
        .columns
        .iter()
        .map(|c| (c.name.to_owned(), arrow::data_type(c.kind)))
        .collect::<Vec<_>>();
    let (found, rows) = read_file(&folder.join("part-0.parquet"));
    assert_eq!(found, expected, "columns of {table} of {day}");
    Some(rows)
}

/// The quarantined rows of a dataset and day (reason, column, value, file, row_number, key); empty
/// where there is no file.
pub fn read_quarantine(results: &Path, dataset: &str, day: NaiveDate) -> Vec<Cells> {
    let file = results
        .join("_quarantine")
        .join(dataset)
        .join(format!("dt={day}"))
        .join("part-0.parquet");
    if !file.exists() {
        return Vec::new();
    }
    let (found, rows) = read_file(&file);
    let expected = [
        ("reason", DataType::Utf8),
        ("column", DataType::Utf8),
        ("value", DataType::Utf8),
        ("file", DataType::Utf8),
        ("row_number", DataType::Int64),
        ("key", DataType::Utf8),
    ];
    assert_eq!(
        found,
        expected.map(|(name, kind)| (name.to_owned(), kind)),
        "columns of the quarantine of {dataset}"
    );
    rows
}

pub fn read_file(path: &Path) -> (Vec<(String, DataType)>, Vec<Cells>) {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let columns = reader
        .schema()
        .fields()
        .iter()
        .map(|f| (f.name().clone(), f.data_type().clone()))
        .collect();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            rows.push(
                batch
                    .columns()
                    .iter()
                    .map(|array| read_cell(array, row))
                    .collect(),
            );
        }
    }
    (columns, rows)
}

fn read_cell(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => show_double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Date32 => show_day_number(array.as_primitive::<Date32Type>().value(row)),
        DataType::Decimal128(_, 2) => show_cents(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            show_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        other => panic!("no cell form for {other}"),
    })
}

/// Copies a folder; the copies have other times.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// The exit code and the output of a run.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    /// `Null` where stdout is not one JSON document.
    pub json: serde_json::Value,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: Output) -> Outcome {
        Outcome {
            code: output.status.code().unwrap_or(-1),
            json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs the real binary. Where `CAMPAIGN_ETL_TESTS_SPARK` names a server, that one computes the
/// rollups (`tests/spark/run.sh`).
pub fn etl(args: &[&str]) -> Outcome {
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    if let Ok(remote) = std::env::var("CAMPAIGN_ETL_TESTS_SPARK") {
        program.args(["--engine", "spark", "--spark-remote", &remote]);
    }
    let outcome = Outcome::of(program.args(args).output().unwrap());
    keep_document(args, &outcome);
    outcome
}

/// Keeps a JSON document where `CAMPAIGN_ETL_TESTS_DOCUMENTS` names a folder. `tests/readers/schemas.py`
/// validates it.
fn keep_document(args: &[&str], outcome: &Outcome) {
    static KEPT: AtomicU64 = AtomicU64::new(0);
    let is_json = args.windows(2).any(|pair| pair == ["--format", "json"]);
    let Some(folder) = std::env::var_os("CAMPAIGN_ETL_TESTS_DOCUMENTS").filter(|_| is_json) else {
        return;
    };
    let has_schema = |arg: &&&str| SchemaName::ALL.iter().any(|name| name.word() == **arg);
    let Some(command) = args
        .iter()
        .find(has_schema)
        .filter(|_| outcome.json.is_object())
    else {
        return;
    };
    let kept = json!({ "command": command, "arguments": args, "document": outcome.json });
    let number = KEPT.fetch_add(1, Ordering::Relaxed);
    fs::create_dir_all(&folder).unwrap();
    let name = format!("{command}-{}-{number}.json", std::process::id());
    fs::write(Path::new(&folder).join(name), kept.to_string()).unwrap();
}

/// Runs a command in words over the exports of a folder, with this job file, for its JSON.
pub fn etl_in(folder: &Path, command: &str, results: &str, job: &str) -> Outcome {
    let config = folder.join("job.toml");
    fs::write(&config, job).unwrap();
    let paths = [config, folder.join("exports"), folder.join(results)];
    let [config, exports, results] = paths.each_ref().map(|p| p.to_str().unwrap());
    let mut args: Vec<&str> = command.split(' ').collect();
    args.extend(["--config", config, "--exports", exports]);
    args.extend(["--results", results, "--format", "json"]);
    etl(&args)
}

/// `12.34`, `-0.5` or `7` in cents.
pub fn parse_cents(cell: &str) -> i128 {
    let (sign, digits) = cell.strip_prefix('-').map_or((1, cell), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(part.len() <= 2, "more than two decimals: {cell:?}");
    sign * format!("{whole}{part:0<2}")
        .parse::<i128>()
        .unwrap_or_else(|_| panic!("not money: {cell:?}"))
}

pub fn show_cents(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub fn parse_micros(cell: &str) -> i64 {
    DateTime::parse_from_rfc3339(cell)
        .unwrap_or_else(|e| panic!("not an instant: {cell:?}: {e}"))
        .timestamp_micros()
}

pub fn show_micros(micros: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(micros)
        .unwrap()
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub fn show_double(value: f64) -> String {
    format!("{value:?}")
}

fn day_number(day: NaiveDate) -> i32 {
    (day - NaiveDate::default()).num_days() as i32
}

fn show_day_number(number: i32) -> String {
    (NaiveDate::default() + chrono::Duration::days(number.into())).to_string()
}

/// Every kind of cell, and nulls, are read as they were written; rows are split into files.
#[test]
fn cells_survive_a_parquet_file() {
    let dir = tempfile::tempdir().unwrap();
    let some = |s: &str| Some(s.to_owned());
    let columns = [
        Kind::Int64,
        Kind::Int32,
        Kind::Money,
        Kind::Double,
        Kind::Text,
        Kind::Boolean,
    ]
    .into_iter()
    .chain([Kind::Date, Kind::Instant])
    .zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    .map(|(kind, name)| Column::new(name, kind, ""));
    let named: Vec<Column> = columns.collect();
    let cells = [
        "-7",
        "8",
        "-0.05",
        "0.1",
        "é|",
        "true",
        "2026-03-08",
        "2026-03-08T07:59:59.999999Z",
    ];
    let rows = vec![cells.map(some).to_vec(), vec![None; cells.len()]];
    write_file(&dir.path().join("x.parquet"), &named, &rows);
    assert_eq!(read_file(&dir.path().join("x.parquet")).1, rows);
    assert_eq!(
        file_ranges(5, 2),
        [
            ("part-00000.parquet".into(), 0..3),
            ("part-00001.parquet".into(), 3..5)
        ]
    );
    assert_eq!(file_ranges(0, 2), []);
}
