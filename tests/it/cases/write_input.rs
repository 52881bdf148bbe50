//! The exports of a case, written as Parquet; a column that is left out has a neutral default.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::str::FromStr;
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
use campaign_etl::contracts::{Column, Dataset, Kind};
use chrono::{DateTime, FixedOffset, NaiveDate};
use parquet::arrow::ArrowWriter;
use parquet::data_type::Int96;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::case_csv::Csv;
use super::case_toml::Step;
use super::{FILLER_SHOP, list};
use crate::int96::{AdHour, write_ad_hours};
use crate::world::{Cells, parse_cents, parse_micros};

/// The rows of one export with the file that each is in.
type Rows = Vec<(String, Cells)>;

/// The exports that arrive with a step, by dataset and day.
type Arriving = BTreeMap<(&'static str, NaiveDate), Rows>;

/// Writes the exports that arrive with a step. `days` are those that have exports, and grow.
pub fn write_exports(exports: &Path, input: &Path, step: &Step, days: &mut BTreeSet<NaiveDate>) {
    let mut arriving = read_input(input);
    let of_rows = arriving.keys().map(|(_, day)| *day);
    let named: BTreeSet<_> = of_rows.chain(step.no_rows().map(|(_, day)| day)).collect();
    for day in named.difference(days) {
        for contract in DATASETS {
            let rows = arriving.entry((contract.name, *day));
            rows.or_insert_with(|| filler(contract, *day));
        }
    }
    for (name, day) in step.no_rows() {
        arriving.insert((dataset(name).unwrap().name, day), Vec::new());
    }
    for (name, day) in step.not_final() {
        arriving.retain(|export, _| !(export.1 == day && (name == "*" || name == export.0)));
    }
    for ((name, day), rows) in &arriving {
        write_export(exports, dataset(name).unwrap(), *day, rows, step);
    }
    days.extend(named);
}

fn read_input(input: &Path) -> Arriving {
    let mut arriving = Arriving::new();
    for file in list(input) {
        let contract = dataset(file.strip_suffix(".csv").unwrap()).unwrap();
        let csv = Csv::read(&input.join(&file));
        for ((day, cells), number) in csv.rows.iter().zip(1..) {
            let row = contract_row(contract, &csv.columns, cells, *day, number);
            arriving.entry((contract.name, *day)).or_default().push(row);
        }
    }
    arriving
}

fn contract_row(
    contract: &Dataset,
    columns: &[String],
    cells: &[Option<String>],
    day: NaiveDate,
    number: usize,
) -> (String, Cells) {
    for column in columns {
        let is_known = column == "file" || contract.columns.iter().any(|c| c.name == column);
        assert!(is_known, "{}: no column {column}", contract.name);
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
    let file = given("file")
        .flatten()
        .unwrap_or_else(|| "part-0.parquet".to_owned());
    (file, row.collect())
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
        let of_file = rows.iter().filter(|(f, _)| f == *file);
        let rows = of_file.map(|(_, cells)| cells).collect::<Vec<_>>();
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
        return write_ad_hours(path, &rows.iter().map(|r| ad_hour(r)).collect::<Vec<_>>());
    }
    let mut arrays = Vec::new();
    for (column, at) in contract.columns.iter().zip(0..) {
        let contract_type = contract_type(column.kind);
        let kind = changes.get(column.name).copied().unwrap_or(contract_type);
        let cells = rows.iter().map(|r| r[at].as_deref()).collect::<Vec<_>>();
        if kind != "missing" {
            arrays.push((column.name, to_array(kind, &cells)));
        }
    }
    let has = |change: &str| types.contains(&format!("{} {change}", contract.name));
    if has("extra_column") {
        arrays.insert(
            0,
            ("note", to_array("string", &vec![Some("x"); rows.len()])),
        );
    }
    if has("reversed") {
        arrays.reverse();
    }
    write_arrays(path, arrays);
}

fn write_arrays(path: &Path, arrays: Vec<(&str, ArrayRef)>) {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(arrays.iter().map(field).collect::<Vec<_>>()));
    let columns = arrays.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
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

/// Cells as an array of a type that `types` in `case.toml` names.
fn to_array(kind: &str, cells: &[Option<&str>]) -> ArrayRef {
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
        "date" => Arc::new(Date32Array::from(all(cells, days_since_1970))),
        _ if kind.starts_with("timestamp") => to_timestamps(kind, cells),
        _ => to_decimals(kind, cells),
    }
}

fn all<T>(cells: &[Option<&str>], parse: impl Fn(&str) -> T) -> Vec<Option<T>> {
    cells.iter().map(|c| c.map(&parse)).collect()
}

fn number<T: FromStr>(cell: &str) -> T {
    cell.parse()
        .unwrap_or_else(|_| panic!("not a number of that type: {cell:?}"))
}

fn days_since_1970(cell: &str) -> i32 {
    (number::<NaiveDate>(cell) - NaiveDate::default()).num_days() as i32
}

fn to_timestamps(kind: &str, cells: &[Option<&str>]) -> ArrayRef {
    let micros = all(cells, |c| parse_micros(&with_time(c)));
    let millis = || all(cells, |c| instant(c).timestamp_millis());
    let nanos = || all(cells, |c| instant(c).timestamp_nanos_opt().unwrap());
    match kind {
        "timestamp(us)" => Arc::new(TimestampMicrosecondArray::from(micros)),
        "timestamp(us,UTC)" => {
            Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
        }
        "timestamp(ms)" => Arc::new(TimestampMillisecondArray::from(millis())),
        "timestamp(ms,UTC)" => {
            Arc::new(TimestampMillisecondArray::from(millis()).with_timezone("UTC"))
        }
        "timestamp(ns,UTC)" => {
            Arc::new(TimestampNanosecondArray::from(nanos()).with_timezone("UTC"))
        }
        other => panic!("no such type: {other}"),
    }
}

fn instant(cell: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(cell).unwrap()
}

/// A date that is written as an instant is its midnight.
fn with_time(cell: &str) -> String {
    if cell.len() == "2026-03-14".len() {
        format!("{cell}T00:00:00Z")
    } else {
        cell.to_owned()
    }
}

/// `decimal(precision,scale)`.
fn to_decimals(kind: &str, cells: &[Option<&str>]) -> ArrayRef {
    let digits = kind
        .strip_prefix("decimal(")
        .and_then(|k| k.strip_suffix(')'));
    let digits = digits.unwrap_or_else(|| panic!("no such type: {kind}"));
    let (precision, scale) = digits.split_once(',').unwrap();
    let (precision, scale): (u8, i8) = (number(precision), number(scale));
    let unscaled = all(cells, |cell| unscaled(cell, scale as usize));
    let unscaled = unscaled.iter().map(Option::as_deref).collect::<Vec<_>>();
    if precision > 38 {
        let array = Decimal256Array::from(all(&unscaled, |u| Wide::from_string(u).unwrap()));
        return Arc::new(array.with_precision_and_scale(precision, scale).unwrap());
    }
    let array = Decimal128Array::from(all(&unscaled, number::<i128>));
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

type Wide = <Decimal256Type as ArrowPrimitiveType>::Native;

/// The digits of an amount with so many decimals, without the point.
fn unscaled(cell: &str, scale: usize) -> String {
    let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
    assert!(part.len() <= scale, "{cell} has more than {scale} decimals");
    format!("{whole}{part:0<scale$}")
}

fn ad_hour(cells: &Cells) -> AdHour {
    let text = |at: usize| cells[at].as_deref().unwrap();
    AdHour {
        ad_account_id: number(text(0)),
        shop_id: number(text(1)),
        hour_start: int96(instant(text(2)).timestamp_nanos_opt().unwrap()),
        spend: parse_cents(text(3)) as i64,
        gross_revenue: parse_cents(text(4)) as i64,
    }
}

/// Spark's layout of an instant: nanoseconds of the day, and the Julian day.
fn int96(nanos: i64) -> Int96 {
    const JULIAN_DAY_OF_1970: i64 = 2_440_588;
    const NANOS_PER_DAY: i64 = 86_400_000_000_000;
    let of_day = nanos.rem_euclid(NANOS_PER_DAY);
    let julian_day = nanos.div_euclid(NANOS_PER_DAY) + JULIAN_DAY_OF_1970;
    let mut value = Int96::new();
    value.set_data(of_day as u32, (of_day >> 32) as u32, julian_day as u32);
    value
}
