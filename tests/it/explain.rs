//! `explain`: the published cell, its inputs, the meaning of null, and earlier values.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use campaign_etl::contracts::{Kind, tables};
use campaign_etl::exit_code::ExitCode;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::history::Nights;
use crate::scene::day;
use crate::world::{copy_folder, etl, parse_micros, read_table};

fn explained(nights: &Nights, question: &str) -> Value {
    let (told, code) = explained_with_code(nights, question);
    assert_eq!(code, 0, "{told}");
    if told.get("sql").is_none() {
        assert_eq!(told["recomputed"]["outcome"], "agrees", "{told}");
    }
    told
}

fn explained_with_code(nights: &Nights, question: &str) -> (Value, i32) {
    let words: Vec<&str> = question.split(' ').collect();
    let outcome = nights.etl(&[&["explain", "--format", "json"], &words[..]].concat());
    let told = serde_json::from_str(&outcome.stdout);
    (
        told.unwrap_or_else(|e| panic!("{e}: {}", outcome.stderr)),
        outcome.code,
    )
}

#[test]
fn a_sum_over_a_period_is_told_day_by_day_and_with_its_earlier_values() {
    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    let question = "--shop 1 --day 2026-03-10 --metric gmv --table shop_period --campaign 1";
    let told = explained(&nights, question);
    // 4 on the 9th and 1 on the 10th.
    assert_eq!(told["value"]["value"], "5.00");
    let [days] = &told["value"]["days"].as_array().unwrap()[..] else {
        panic!("{told}");
    };
    assert_eq!([&days["table"], &days["column"]], ["shop_daily", "gmv"]);
    let expected = json!([
        { "day": "2026-03-09", "value": "4.00", "missing": null },
        { "day": "2026-03-10", "value": "1.00", "missing": null },
    ]);
    assert_eq!(days["days"], expected);
    let before = told["publications"].as_array().unwrap();
    let values: Vec<&Value> = before
        .iter()
        .map(|publication| &publication["value"])
        .collect();
    assert_eq!(values, ["1.00", "3.00", "5.00"]);
    let changes: Vec<&Value> = before
        .iter()
        .map(|publication| &publication["change"])
        .collect();
    assert_eq!(changes, [&Value::Null, &json!("2.00"), &json!("2.00")]);
    let cause = "shop_daily of 2026-03-09, which it reads";
    assert_eq!(before[2]["causes"], json!([cause]));
}

#[test]
fn a_day_of_the_period_without_a_table_says_why() {
    let mut nights = Nights::new("");
    nights.night();
    let question = "--shop 1 --day 2026-03-10 --metric gmv --table shop_period --campaign 1";
    let told = explained(&nights, question);
    let first = &told["value"]["days"][0]["days"][0];
    let expected =
        json!({ "day": "2026-03-09", "value": null, "missing": "the day is not published" });
    assert_eq!(*first, expected);
}

#[test]
fn a_ratio_is_told_with_both_terms_and_the_reason_of_a_null() {
    let mut nights = Nights::new("");
    nights.night();
    let told = explained(
        &nights,
        "--shop 1 --day 2026-03-10 --metric avg_order_value",
    );
    assert_eq!(told["value"]["value"], "1");
    let terms = told["value"]["inputs"].as_array().unwrap();
    let terms: Vec<_> = terms
        .iter()
        .map(|term| (&term["column"], &term["value"]))
        .collect();
    assert_eq!(
        terms,
        [
            (&json!("gmv"), &json!("1.00")),
            (&json!("orders"), &json!("1"))
        ]
    );
    // Shop 1 has no traffic.
    let told = explained(&nights, "--shop 1 --day 2026-03-10 --metric ctr");
    assert_eq!(told["value"]["value"], Value::Null);
    let why = "the denominator product_impressions is 0";
    assert_eq!(told["value"]["null_because"], why);
}

#[test]
fn an_export_that_changed_since_is_said_to_have_changed() {
    let mut nights = Nights::new("");
    nights.night();
    let state = |nights: &Nights| {
        let question = "--shop 1 --day 2026-03-10 --metric gmv";
        let (told, code) = explained_with_code(nights, question);
        let export = &told["exports"][0];
        assert_eq!(export["dataset"], "order_lines");
        assert_eq!(export["account"]["rows_used"], 1);
        let again = &told["recomputed"];
        json!([
            export["is_unchanged"],
            code,
            again["outcome"],
            again["changed"]
        ])
    };
    assert_eq!(state(&nights), json!([true, 0, "agrees", []]));
    let folder = nights.path("exports/order_lines/dt=2026-03-10");
    let mut files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    fs::copy(file.unwrap(), folder.join("again.parquet")).unwrap();
    let changed = "the export order_lines of 2026-03-10";
    let expected = json!([false, 75, "inputs_changed", [changed]]);
    assert_eq!(state(&nights), expected);
}

#[test]
fn a_question_about_no_published_number_is_refused_with_its_reason() {
    let mut nights = Nights::new("");
    nights.night();
    for (question, said) in [
        (
            "--metric no_such",
            "no table of shops has a column \"no_such\"",
        ),
        (
            "--metric gmv --day 2026-03-09",
            "shop_daily of 2026-03-09 is not published",
        ),
    ] {
        let words: Vec<&str> = question.split(' ').collect();
        let mut command = vec!["explain", "--shop", "1"];
        if !question.contains("--day") {
            command.extend(["--day", "2026-03-10"]);
        }
        let outcome = nights.etl(&[&command[..], &words[..]].concat());
        let found = (outcome.code, outcome.stderr.contains(said));
        let expected = (i32::from(ExitCode::ConfigWrong as u8), true);
        assert_eq!(found, expected, "{question}: {}", outcome.stderr);
    }
}

/// The flag that gives a column of a key.
pub fn flag(column: &str) -> Option<&'static str> {
    Some(match column {
        "scope" => "--scope",
        "campaign_id" => "--campaign",
        "product_id" => "--product",
        "channel" => "--channel",
        "content_id" => "--content",
        "sku_id" => "--sku",
        "sub_campaign_id" => "--sub-campaign",
        "baseline_day" => "--baseline-day",
        "hour_start" => "--hour",
        _ => return None,
    })
}

/// Three days of the sample, published.
struct Sample {
    exports: PathBuf,
    results: PathBuf,
    _folder: TempDir,
}

impl Sample {
    fn published() -> Sample {
        let folder = TempDir::new().unwrap();
        let sample = Sample {
            exports: Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports"),
            results: folder.path().join("results"),
            _folder: folder,
        };
        let backfill = ["backfill", "--from", "2026-03-10", "--to", "2026-03-12"];
        let run = etl(&[&backfill[..], &sample.folders()].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        sample
    }

    fn folders(&self) -> [&str; 4] {
        let [exports, results] = [&self.exports, &self.results].map(|path| path.to_str().unwrap());
        ["--exports", exports, "--results", results]
    }
}

/// The last row of each table of a sample's day, and every column of it.
#[test]
fn every_column_of_every_table_is_explained_with_its_published_value() {
    let sample = Sample::published();
    let (results, folders) = (&sample.results, sample.folders());
    let (mut tables_told, mut cells) = (BTreeSet::new(), 0);
    for table in tables::all().filter(|table| table.key.contains(&"shop_id")) {
        let rows = read_table(results, table.name, day("2026-03-12")).unwrap();
        let Some(row) = rows.last() else { continue };
        let position = |name: &str| table.columns.iter().position(|c| c.name == name).unwrap();
        let cell = |name: &str| row[position(name)].clone();
        let mut question = vec!["--shop".to_owned(), cell("shop_id").unwrap()];
        for name in table.key {
            let given = flag(name).map(|flag| [flag.to_owned(), cell(name).unwrap()]);
            question.extend(given.into_iter().flatten());
        }
        // Of a table with a metric in its key, the difference from the benchmark is told.
        let metric = table
            .key
            .contains(&"metric")
            .then(|| cell("metric").unwrap());
        for column in table.columns {
            let is_asked = match metric {
                Some(_) => column.name == "difference_pct",
                None => !table.key.contains(&column.name),
            };
            if !is_asked {
                continue;
            }
            let asked = metric.as_deref().unwrap_or(column.name);
            let mut command = vec!["explain", "--day", "2026-03-12", "--table", table.name];
            command.extend(["--metric", asked, "--format", "json"]);
            command.extend(question.iter().map(String::as_str));
            let outcome = etl(&[&command[..], &folders[..]].concat());
            assert_eq!(outcome.code, 0, "{command:?}: {}", outcome.stderr);
            let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert_eq!(told["recomputed"]["outcome"], "agrees", "{told}");
            let told = told["value"]["value"].as_str().map(str::to_owned);
            let published = cell(column.name);
            let double = |text: &Option<String>| text.as_ref().map(|t| t.parse::<f64>().unwrap());
            let is_same = match column.kind {
                Kind::Double => double(&told) == double(&published),
                Kind::Instant => {
                    told.map(|at| parse_micros(&at)) == published.map(|at| parse_micros(&at))
                }
                _ => told == published,
            };
            assert!(is_same, "{command:?}: {}", outcome.stdout);
            tables_told.insert(table.name);
            cells += 1;
        }
    }
    assert!(
        tables_told.len() >= 15 && cells > 150,
        "{cells} cells of {tables_told:?}"
    );
}

/// Every cell of 30 shops, with the exports of every day behind the windows.
#[test]
fn every_number_of_a_day_of_many_shops_agrees_with_the_second_route() {
    let sample = Sample::published();
    let rows = read_table(&sample.results, "shop_tier", day("2026-03-12")).unwrap();
    let position = tables::SHOP_TIER
        .columns
        .iter()
        .position(|c| c.name == "shop_id");
    let shops = rows
        .iter()
        .map(|row| row[position.unwrap()].clone().unwrap());
    let (mut tables_told, mut cells) = (BTreeSet::new(), 0);
    for shop in shops.take(30) {
        let question = [
            "explain",
            "--deep",
            "--shop",
            &shop,
            "--day",
            "2026-03-12",
            "--format",
            "json",
        ];
        let outcome = etl(&[&question[..], &sample.folders()].concat());
        assert_eq!(outcome.code, 0, "{shop}: {}", outcome.stdout);
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(told["recomputed"]["outcome"], "agrees");
        for table in told["tables"].as_array().unwrap() {
            assert_eq!(table["differing"], json!([]), "{shop}");
            let of_table = table["cells"].as_u64().unwrap();
            cells += of_table;
            if of_table > 0 {
                tables_told.insert(table["table"].as_str().unwrap().to_owned());
            }
        }
    }
    let all: BTreeSet<String> = tables::all().map(|table| table.name.to_owned()).collect();
    assert_eq!(tables_told, all);
    assert!(cells > 50_000, "{cells} cells");
}

fn read_batches(file: &Path) -> (SchemaRef, Vec<RecordBatch>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let batches: Result<Vec<RecordBatch>, _> = builder.build().unwrap().collect();
    (schema, batches.unwrap())
}

/// The bytes of a Parquet file with cents added to a column of every row. A note fills them up to the
/// size of the file where they are fewer.
fn with_more_cents(file: &Path, column: &str, cents: i128) -> Vec<u8> {
    let size = fs::metadata(file).unwrap().len() as usize;
    let (schema, batches) = read_batches(file);
    let add = |batch: &RecordBatch| {
        let (at, field) = schema.column_with_name(column).unwrap();
        let amounts = batch.column(at).as_primitive::<Decimal128Type>();
        let more = amounts.unary::<_, Decimal128Type>(|amount| amount + cents);
        let mut columns = batch.columns().to_vec();
        columns[at] = Arc::new(more.with_data_type(field.data_type().clone())) as ArrayRef;
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    let batches: Vec<RecordBatch> = batches.iter().map(add).collect();
    let write = |note: usize| {
        let properties = WriterProperties::builder()
            .set_statistics_enabled(EnabledStatistics::None)
            .set_dictionary_enabled(false)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![KeyValue::new("n".to_owned(), "n".repeat(note))]));
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_skip_arrow_metadata(true);
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new_with_options(&mut bytes, schema.clone(), options).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap();
        bytes
    };
    let most = size.saturating_sub(write(0).len());
    let fitting = (most.saturating_sub(4)..=most).map(write);
    let fitting = fitting.into_iter().find(|bytes| bytes.len() == size);
    fitting.unwrap_or_else(|| write(0))
}

fn add_cents(file: &Path, column: &str, cents: i128) {
    let bytes = with_more_cents(file, column, cents);
    fs::write(file, bytes).unwrap();
}

/// The Parquet file of an export's day.
fn export_file(exports: &Path, folder: &str) -> PathBuf {
    let mut files = fs::read_dir(exports.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .find(|path| path.extension().is_some_and(|ending| ending == "parquet"))
        .unwrap()
}

#[test]
fn a_cell_of_an_export_that_was_changed_by_hand_makes_the_number_differ() {
    let mut nights = Nights::new("");
    nights.night();
    let file = export_file(&nights.path("exports"), "order_lines/dt=2026-03-10");
    // Written once by this test, so that the second writing changes only the amount.
    add_cents(&file, "sub_total", 0);
    let outcome = nights.etl(&["run", "--day", "2026-03-10"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let receipt = nights.path("receipt.json");
    let question = "--shop 1 --day 2026-03-10 --metric gmv";
    let (before, _) = explained_with_code(&nights, question);
    fs::write(&receipt, before.to_string()).unwrap();

    let (bytes, modified) = {
        let entry = fs::metadata(&file).unwrap();
        (entry.len(), entry.modified().unwrap())
    };
    add_cents(&file, "sub_total", 900);
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), bytes);
    let (told, code) = explained_with_code(&nights, question);
    let again = &told["recomputed"];
    let found = json!([
        code,
        again["outcome"],
        told["value"]["value"],
        again["value"]
    ]);
    assert_eq!(found, json!([65, "differs", "1.00", "10.00"]));
    // The hashes of the receipt name the file.
    let outcome = nights.etl(&["explain", "--verify", receipt.to_str().unwrap()]);
    let name = format!("{} has other bytes", file.display());
    assert_eq!(
        (outcome.code, outcome.stdout.contains(&name)),
        (75, true),
        "{}",
        outcome.stdout
    );
    let outcome = nights.etl(&["explain", "--shop", "1", "--day", "2026-03-10"]);
    let cell = "gmv: published 1.00, computed again 10.00";
    assert_eq!(
        (outcome.code, outcome.stdout.contains(cell)),
        (65, true),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_cell_of_a_result_that_was_changed_by_hand_is_named() {
    let mut nights = Nights::new("");
    nights.night();
    let name = "shop_daily/dt=2026-03-10/part-0.parquet";
    let damage = format!("{name} has other bytes than were published");
    let file = nights.path("results").join(name);
    let published = fs::read(&file).unwrap();
    add_cents(&file, "gmv", 900);
    assert_eq!(fs::metadata(&file).unwrap().len(), published.len() as u64);
    let (told, code) = explained_with_code(&nights, "--shop 1 --day 2026-03-10 --metric gmv");
    let again = &told["recomputed"];
    let found = json!([
        code,
        again["outcome"],
        told["value"]["value"],
        again["value"],
        again["damaged"]
    ]);
    assert_eq!(
        found,
        json!([65, "differs", "10.00", "1.00", [damage.clone()]])
    );
    assert_eq!(told["published"]["is_unchanged"], false);

    let (told, code) = explained_with_code(&nights, "--shop 1 --day 2026-03-10");
    assert_eq!(code, 65);
    let tables = told["tables"].as_array().unwrap();
    let differing: Vec<_> = tables
        .iter()
        .filter(|table| table["differing"] != json!([]))
        .collect();
    let gmv = json!([{ "column": "gmv", "published": "10.00", "computed": "1.00", "is_withheld": false }]);
    let shop_daily = differing
        .iter()
        .find(|table| table["table"] == "shop_daily")
        .unwrap();
    assert_eq!(shop_daily["differing"][0]["cells"], gmv);
    // A period that was added up from the number before the change differs from it now.
    let shop_period = differing
        .iter()
        .find(|table| table["table"] == "shop_period");
    assert!(shop_period.is_some(), "{differing:?}");

    // A file of another size, or none.
    let damages: [fn(&Path); 2] = [
        |file| fs::write(file, "another file").unwrap(),
        |file| fs::remove_file(file).unwrap(),
    ];
    for damage in damages {
        damage(&file);
        let outcome = nights.etl(&["explain", "--shop", "1", "--day", "2026-03-10"]);
        let found = (
            outcome.code,
            outcome
                .stdout
                .contains(&format!("damaged: {name}: its file")),
        );
        assert_eq!(found, (65, true), "{}", outcome.stdout);
        let outcome = nights.etl(&[
            "explain",
            "--shop",
            "1",
            "--day",
            "2026-03-10",
            "--metric",
            "gmv",
        ]);
        let found = (outcome.code, outcome.stderr.contains(name));
        assert_eq!(found, (74, true), "{}", outcome.stderr);
    }

    // As the answers say, the day is published again.
    let backfill = ["backfill", "--from", "2026-03-10", "--to", "2026-03-10"];
    assert_eq!(nights.etl(&backfill).code, 0);
    assert_eq!(fs::read(&file).unwrap(), published);
    drop(explained(&nights, "--shop 1 --day 2026-03-10"));

    // Any byte of the file, also one that makes it unreadable.
    for at in [4, published.len() / 2, published.len() - 5] {
        let mut bytes = published.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let outcome = nights.etl(&[
            "explain",
            "--shop",
            "1",
            "--day",
            "2026-03-10",
            "--metric",
            "gmv",
        ]);
        let said = outcome.stdout.contains(&damage) || outcome.stderr.contains(name);
        let found = ([65, 74].contains(&outcome.code), said);
        assert_eq!(
            found,
            (true, true),
            "byte {at}: {} {}",
            outcome.stdout,
            outcome.stderr
        );
    }
}

#[test]
fn a_receipt_is_verified_with_other_copies_of_the_exports_and_results() {
    let mut here = Nights::new("");
    (0..2).for_each(|_| drop(here.night()));
    let questions = [
        "--shop 1 --day 2026-03-10 --metric gmv --table shop_period --campaign 1",
        "--shop 1 --day 2026-03-10 --metric gmv --deep --table shop_period --campaign 1",
        "--shop 1 --day 2026-03-10 --metric gmv --table shop_benchmark --scope DAILY --column value",
        "--shop 1 --day 2026-03-10 --metric gmv --table product_daily --product 77",
        "--shop 1 --day 2026-03-10",
    ];
    // The other place has only copies of the exports, and publishes them itself.
    let there = Nights::new("");
    copy_folder(&here.path("exports"), &there.path("exports"));
    let backfill = ["backfill", "--from", "2026-03-09", "--to", "2026-03-10"];
    let outcome = there.etl(&backfill);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let verified = |nights: &Nights, receipt: &Path, json: bool| {
        let format = if json { "json" } else { "text" };
        nights.etl(&[
            "explain",
            "--format",
            format,
            "--verify",
            receipt.to_str().unwrap(),
        ])
    };
    let receipts: Vec<PathBuf> = (0..questions.len())
        .map(|number| there.path(&format!("receipt-{number}.json")))
        .collect();
    for (question, receipt) in questions.iter().zip(&receipts) {
        fs::write(receipt, explained(&here, question).to_string()).unwrap();
        let outcome = verified(&there, receipt, true);
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let found = json!([
            outcome.code,
            told["outcome"],
            told["changed"],
            told["value"]
        ]);
        assert_eq!(
            found,
            json!([0, "agrees", [], told["receipt_value"]]),
            "{question}"
        );
        assert!(told["files"].as_u64().unwrap() > 0, "{question}");
    }

    let file = export_file(&there.path("exports"), "order_lines/dt=2026-03-10");
    let bytes = fs::read(&file).unwrap();
    let mut other = bytes.clone();
    other[bytes.len() / 2] ^= 1;
    fs::write(&file, &other).unwrap();
    // The question without --deep about a period reads no order lines of its last day.
    for receipt in [&receipts[1], &receipts[3], &receipts[4]] {
        let outcome = verified(&there, receipt, false);
        let name = format!("{} has other bytes", file.display());
        let found = (outcome.code, outcome.stdout.contains(&name));
        assert_eq!(
            found,
            (75, true),
            "{} {}",
            receipt.display(),
            outcome.stdout
        );
    }
    fs::remove_file(&file).unwrap();
    let outcome = verified(&there, &receipts[4], false);
    let found = (outcome.code, outcome.stdout.contains("is not there"));
    assert_eq!(found, (75, true), "{}", outcome.stdout);
    fs::write(&file, &bytes).unwrap();
    fs::write(file.with_file_name("more.parquet"), &bytes).unwrap();
    let outcome = verified(&there, &receipts[4], false);
    let name = "order_lines/dt=2026-03-10/more.parquet is not in the receipt";
    let found = (outcome.code, outcome.stdout.contains(name));
    assert_eq!(found, (75, true), "{}", outcome.stdout);
    fs::remove_file(file.with_file_name("more.parquet")).unwrap();

    fs::write(there.path("job.toml"), "[benchmark]\nmin_peers = 7\n").unwrap();
    let outcome = verified(&there, &receipts[4], false);
    let name = "the setting benchmark.min_peers is 7; in the receipt 10";
    let found = (outcome.code, outcome.stdout.contains(name));
    assert_eq!(found, (75, true), "{}", outcome.stdout);
}

#[test]
fn a_receipt_with_another_value_differs_and_another_document_is_refused() {
    let mut nights = Nights::new("");
    nights.night();
    let mut told = explained(&nights, "--shop 1 --day 2026-03-10 --metric gmv");
    told["value"]["value"] = json!("2.00");
    let receipt = nights.path("receipt.json");
    fs::write(&receipt, told.to_string()).unwrap();
    let outcome = nights.etl(&["explain", "--verify", receipt.to_str().unwrap()]);
    let said = "published value in the receipt: 2.00; here: 1.00";
    assert_eq!(
        (outcome.code, outcome.stdout.contains(said)),
        (65, true),
        "{}",
        outcome.stdout
    );

    let mut told = explained(&nights, "--shop 1 --day 2026-03-10 --metric gmv");
    told["recomputed"]["value"] = json!("2.00");
    fs::write(&receipt, told.to_string()).unwrap();
    let outcome = nights.etl(&["explain", "--verify", receipt.to_str().unwrap()]);
    assert_eq!(outcome.code, 65, "{}", outcome.stdout);
    told["recomputed"]["files"][0]["path"] = json!("../job.toml");
    fs::write(&receipt, told.to_string()).unwrap();
    let outcome = nights.etl(&["explain", "--verify", receipt.to_str().unwrap()]);
    let said = outcome.stderr.contains("../job.toml is no path below");
    assert_eq!((outcome.code, said), (78, true), "{}", outcome.stderr);

    for text in ["", "{}", "not JSON", "{\"shop_id\": \"1\"}"] {
        fs::write(&receipt, text).unwrap();
        let outcome = nights.etl(&["explain", "--verify", receipt.to_str().unwrap()]);
        let said = outcome.stderr.contains("receipt.json is not a receipt");
        assert_eq!(
            (outcome.code, said),
            (78, true),
            "{text:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn a_shop_without_rows_is_refused_and_does_not_agree() {
    let mut nights = Nights::new("");
    nights.night();
    for question in [
        "--shop 77",
        "--shop 1 --campaign 99999 --table shop_period",
        "--shop 1 --table ad_hourly",
    ] {
        let words: Vec<&str> = question.split(' ').collect();
        let outcome = nights.etl(&[&["explain", "--day", "2026-03-10"], &words[..]].concat());
        let said = outcome.stderr.contains("no published row of shop");
        assert_eq!(
            (outcome.code, said),
            (78, true),
            "{question}: {}",
            outcome.stdout
        );
    }
    let question = [
        "explain",
        "--day",
        "2026-03-10",
        "--shop",
        "77",
        "--metric",
        "gmv",
    ];
    let outcome = nights.etl(&question);
    let said = "computed again by another route: no such row either";
    assert!(outcome.stdout.contains(said), "{}", outcome.stdout);
}

#[test]
fn several_rows_of_a_key_are_refused_with_the_flags_that_choose_one() {
    let sample = Sample::published();
    let question = "explain --shop 1000008 --day 2026-03-12 --metric gmv --table channel_daily";
    let words: Vec<&str> = question.split(' ').collect();
    let outcome = etl(&[&words[..], &sample.folders()].concat());
    let said = outcome.stderr.contains("choose one with --channel (");
    assert_eq!((outcome.code, said), (78, true), "{}", outcome.stderr);
}

/// The text after the last SELECT that is not inside of parentheses.
fn last_select(sql: &str) -> &str {
    let at = sql.rfind("\nSELECT").unwrap_or_default();
    &sql[at..]
}

#[test]
fn a_query_has_an_expression_for_every_column_of_every_table() {
    let sample = Sample::published();
    let folders = sample.folders();
    for table in tables::all() {
        let command = [
            "explain",
            "--sql",
            "--shop",
            "1000008",
            "--day",
            "2026-03-12",
        ];
        let of_table = ["--table", table.name];
        let outcome = etl(&[&command[..], &of_table[..], &folders[..]].concat());
        assert_eq!(outcome.code, 0, "{}: {}", table.name, outcome.stderr);
        let mut rest = last_select(&outcome.stdout);
        for column in table.columns {
            // A column is named by its alias, or is the last part of a plain `step.column`.
            let names = [format!(" AS {}", column.name), format!(".{}", column.name)];
            let ends =
                |at: usize, name: &str| rest[at + name.len()..].starts_with([',', '\n', ' ']);
            let places = names.iter().flat_map(|name| {
                let found = rest.match_indices(name.as_str());
                found
                    .filter(|(at, name)| ends(*at, name))
                    .map(|(at, name)| at + name.len())
            });
            let at = places.min();
            let what = format!("{}.{}: {}", table.name, column.name, outcome.stdout);
            let found = &rest[..at.expect(&what)];
            let is_missing = found.contains("CAST(NULL") && column.name != "fallback_reason";
            assert!(!is_missing, "{what}");
            rest = &rest[at.unwrap()..];
        }
        let of_key = format!("ORDER BY {};", table.key.join(", "));
        assert!(
            outcome.stdout.trim_end().ends_with(&of_key),
            "{}",
            outcome.stdout
        );
    }
}

#[test]
fn a_query_holds_only_the_steps_and_columns_of_its_cell() {
    let mut nights = Nights::new("");
    nights.night();
    let question = "--sql --shop 1 --day 2026-03-10 --metric gmv";
    let told = explained(&nights, question);
    assert_eq!(
        (&told["table"], &told["column"]),
        (&json!("shop_daily"), &json!("gmv"))
    );
    let sql = told["sql"].as_str().unwrap();
    assert_eq!(sql.matches("read_parquet").count(), 1, "{sql}");
    for needed in [
        "/order_lines/dt=2026-03-10/",
        "exported.shop_id = 1",
        "sum(sub_total + shipping_fee)",
    ] {
        assert!(sql.contains(needed), "{needed}: {sql}");
    }
    assert!(
        !sql.contains("quantity") && !sql.contains("buyer_id"),
        "{sql}"
    );
    let outcome = nights.etl(&["explain", "--sql", "--shop", "1", "--day", "2026-03-10"]);
    let said = "--sql needs --metric, or --table for every column of its rows";
    let found = (outcome.code, outcome.stderr.contains(said));
    assert_eq!(found, (2, true), "{}", outcome.stderr);
}

/// Drops every fiftieth row of an export, beginning with the fourth.
fn drop_rows(file: &Path) {
    let (schema, batches) = read_batches(file);
    let mut writer = ArrowWriter::try_new(fs::File::create(file).unwrap(), schema, None).unwrap();
    let mut row = 0;
    for batch in batches {
        for offset in 0..batch.num_rows() {
            if row % 50 != 3 {
                writer.write(&batch.slice(offset, 1)).unwrap();
            }
            row += 1;
        }
    }
    writer.close().unwrap();
}

/// Whether a line has the parts of a pattern in their order; `...` stands for anything.
fn fits(line: &str, pattern: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, mut rest) = (words(line), String::new());
    rest.push_str(&line);
    pattern
        .split("...")
        .map(words)
        .all(|part| match rest.find(&part) {
            None => false,
            Some(at) => {
                rest = rest[at + part.len()..].to_owned();
                true
            }
        })
}

#[test]
fn the_commands_print_the_worked_example_of_the_page() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::TempDir::new().unwrap();
    let [exports, results] = ["exports", "results"].map(|name| folder.path().join(name));
    copy_folder(&repository.join("sample_data/exports"), &exports);
    let paths = [&exports, &results].map(|path| path.to_str().unwrap());
    let run = |command: &str| {
        let words: Vec<&str> = command.split_whitespace().collect();
        let outcome = etl(&[&words[..], &["--exports", paths[0], "--results", paths[1]]].concat());
        assert_eq!(outcome.code, 0, "{command}: {}", outcome.stderr);
        outcome.stdout
    };
    run("backfill --from 2026-03-01 --to 2026-03-06");
    drop_rows(&exports.join("order_lines/dt=2026-03-05/part-0.parquet"));
    run("run --day 2026-03-06");

    let page = fs::read_to_string(repository.join("docs/explain.md")).unwrap();
    let (mut said, mut command, mut lines) = (String::new(), String::new(), 0);
    let blocks = page.split("```console\n").skip(1);
    for line in blocks.flat_map(|block| block.split("```").next().unwrap().lines()) {
        match line.strip_prefix("$ campaign-etl ") {
            Some(next) => (command, said) = (next.to_owned(), run(next)),
            None => {
                let is_said = said.lines().any(|of_output| fits(of_output, line));
                assert!(is_said, "{command} does not say {line:?}:\n{said}");
                lines += 1;
            }
        }
    }
    assert!(lines > 15, "{lines} lines of output");
}
