//! The Parquet field ids of published files: given once, never changed, and not needed to read a file.
//!
//! `field_ids.txt` holds every id that was ever given, one a line: table, id, column.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use campaign_etl::contracts::quarantine::QUARANTINE;
use campaign_etl::contracts::tables;
use campaign_etl::fingerprint::sha256;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::schema::types::Type;
use serde_json::Value;

use crate::world::{Outcome, etl};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/field_ids.txt");
const HOW: &str =
    "add the new ids: WRITE_FIELD_IDS=1 cargo test --release --locked --test it field_ids";
const DAY: &str = "2026-03-14";

fn sample(command: &[&str], results: &Path) -> Outcome {
    let root = env!("CARGO_MANIFEST_DIR");
    let job = format!("{root}/jobs/daily.toml");
    let exports = format!("{root}/sample_data/exports");
    let results = results.to_str().unwrap();
    let places = [
        "--config",
        &job,
        "--exports",
        &exports,
        "--results",
        results,
        "--quiet",
    ];
    let ended = etl(&[command, &places].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended
}

/// The ids and names of a file's columns, as Parquet holds them; 0: no id.
fn ids_of(file: &Path) -> Vec<(i32, String)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let columns = reader.parquet_schema().root_schema().get_fields().iter();
    let id = |column: &Type| {
        let info = column.get_basic_info();
        let id = info.has_id().then(|| info.id());
        (id.unwrap_or_default(), info.name().to_owned())
    };
    columns.map(|column| id(column)).collect()
}

type Ids = BTreeMap<(String, i32), String>;

fn given() -> Ids {
    let text = fs::read_to_string(FILE).unwrap();
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [table, id, column] = words[..] else {
            panic!("{line}");
        };
        ((table.to_owned(), id.parse().unwrap()), column.to_owned())
    });
    lines.collect()
}

#[test]
fn an_id_that_was_given_stays_with_its_column() {
    let results = tempfile::tempdir().unwrap();
    // Rows of 6 March are quarantined.
    let range = ["backfill", "--from", "2026-03-06", "--to", DAY];
    sample(&range, results.path());
    let mut files: Vec<(String, String)> = tables::all()
        .map(|table| {
            (
                table.name.to_owned(),
                format!("{}/dt={DAY}/part-0.parquet", table.name),
            )
        })
        .collect();
    let quarantined = "_quarantine/order_lines/dt=2026-03-06/part-0.parquet";
    files.push(("quarantine".into(), quarantined.into()));
    let mut found = Ids::new();
    for (owner, file) in files {
        for (id, column) in ids_of(&results.path().join(&file)) {
            assert!(id > 0, "{file}: {column} has no id");
            let other = found.insert((owner.clone(), id), column);
            assert_eq!(other, None, "{file}: the id {id} twice");
        }
    }
    let columns = tables::all()
        .map(|table| table.columns.len())
        .sum::<usize>();
    assert_eq!(found.len(), columns + QUARANTINE.len());

    let mut given = given();
    for (id, column) in &given {
        // A column that is gone keeps its line.
        assert!(
            found.get(id).is_none_or(|found| found == column),
            "{id:?} was given to {column}, and is now that of {:?}",
            found.get(id)
        );
    }
    let new: Ids = found
        .into_iter()
        .filter(|(id, _)| !given.contains_key(id))
        .collect();
    for ((table, _), column) in &new {
        let had_one = given
            .iter()
            .any(|((of, _), name)| of == table && name == column);
        assert!(!had_one, "{table}.{column} has another id now");
    }
    if std::env::var_os("WRITE_FIELD_IDS").is_some() {
        given.extend(new.clone());
        let lines = given
            .iter()
            .map(|((table, id), column)| format!("{table} {id} {column}\n"));
        fs::write(FILE, lines.collect::<String>()).unwrap();
        return;
    }
    assert!(new.is_empty(), "{new:?}: {HOW}");
}

/// Version 0.2.0 wrote files without ids. Such a file is found by its manifest and read by names.
#[test]
fn a_published_file_without_ids_is_read_like_one_with_ids() {
    let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for results in [&with, &without] {
        sample(&["run", "--day", "2026-03-13"], results.path());
    }
    let file = without
        .path()
        .join("shop_daily/dt=2026-03-13/part-0.parquet");
    write_without_ids(&file);
    assert!(ids_of(&file).iter().all(|(id, _)| *id == 0));
    let runs = without.path().join("_runs/dt=2026-03-13");
    let manifest = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let mut document: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let bytes = fs::read(&file).unwrap();
    let entry = document["tables"]["shop_daily"].as_object_mut().unwrap();
    entry.insert("bytes".into(), bytes.len().into());
    entry.insert("sha256".into(), sha256(&bytes).into());
    entry.remove("footer");
    entry.remove("contract");
    fs::write(&manifest, document.to_string()).unwrap();

    for results in [&with, &without] {
        sample(&["run", "--day", DAY], results.path());
    }
    assert_eq!(fs::read(&file).unwrap(), bytes, "its inputs are the same");
    for table in tables::all() {
        let path = format!("{}/dt={DAY}/part-0.parquet", table.name);
        let [a, b] = [&with, &without].map(|results| fs::read(results.path().join(&path)).unwrap());
        assert!(a == b, "{path}");
    }
}

fn write_without_ids(file: &Path) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let fields: Vec<Field> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_metadata(HashMap::new()))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batches: Vec<RecordBatch> = reader
        .build()
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect();
    let mut writer =
        ArrowWriter::try_new(File::create(file).unwrap(), schema.clone(), None).unwrap();
    for batch in batches {
        let columns = batch.columns().to_vec();
        writer
            .write(&RecordBatch::try_new(schema.clone(), columns).unwrap())
            .unwrap();
    }
    writer.close().unwrap();
}
