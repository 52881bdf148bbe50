//! Exports with foreign folders, names and types, read through a mapping: the same bytes as from exports by
//! the contract.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use campaign_etl::contracts::{Column, Dataset, Kind, datasets};
use chrono::{DateTime, Utc};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::places::rows;
use crate::scene::walk;
use crate::world::{World, etl, read_quarantine, read_table};

pub const JOB: &str = include_str!("../../jobs/daily.toml");
pub const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample_data/exports");
pub const ZONE: chrono_tz::Tz = chrono_tz::America::Los_Angeles;

/// How somebody else lays exports out.
pub struct Foreign {
    /// The `[source]` section up to the columns: keys of all datasets.
    pub path: &'static str,
    pub folder: fn(&str, &str) -> String,
    pub file: fn(usize) -> String,
    pub success: &'static str,
    /// A column as they have it, and the right side of its line in the mapping.
    pub column: fn(&Dataset, &Column, ArrayRef) -> (String, ArrayRef, String),
    /// Columns that no contract has, of this number of rows.
    pub extra: fn(&Dataset, usize) -> Vec<(String, ArrayRef)>,
}

/// As an order export of the marketplace's own names would be: texts as ids, local times, minor units.
pub const TIKTOK: Foreign = Foreign {
    path: "raw/{dataset}/{day:%Y/%m/%d}",
    folder: |dataset, day| format!("raw/{dataset}/{}", day.replace('-', "/")),
    file: |number| format!("export_{number}.parquet"),
    success: "",
    column: |dataset, column, array| {
        let name = camel_case(column.name);
        let (array, verb) = match column.kind {
            Kind::Int64 if column.unit.is_empty() => {
                (texts_of(&array), "text_id = true".to_owned())
            }
            Kind::Money => (minor_units(&array), "scale = 2".to_owned()),
            Kind::Instant => {
                let zone = format!("time_zone = \"{ZONE}\"");
                (local_times(&array, dataset.name == "order_lines"), zone)
            }
            Kind::Text if column.name == "channel" => {
                let values = "values = { live = \"LIVE\", vid = \"VIDEO\" }, otherwise = \"keep\"";
                (
                    replaced(&array, &[("LIVE", "live"), ("VIDEO", "vid")]),
                    values.to_owned(),
                )
            }
            _ => return (name.clone(), array, format!("\"{name}\"")),
        };
        let line = format!("{{ from = \"{name}\", {verb} }}");
        (name, array, line)
    },
    extra: |_, _| vec![],
};

/// As Spark writes to S3: another name of the partition, long file names, a marker with content.
pub const SPARK: Foreign = Foreign {
    path: "{dataset}/date={day:%Y%m%d}",
    folder: |dataset, day| format!("{dataset}/date={}", day.replace('-', "")),
    file: |number| {
        format!("part-{number:05}-5b2f9c1e-6a0d-4a7e-9d53-0c1f2a3b4c5d.c000.snappy.parquet")
    },
    success: r#"{"name":"org.apache.hadoop.fs.s3a.commit.files.SuccessData/1","success":true,"filenames":["a"]}"#,
    column: |_, column, array| {
        let name = format!("{}_", column.name);
        (name.clone(), array, format!("\"{name}\""))
    },
    extra: |_, _| vec![],
};

/// As Trino writes: names without endings, upper case, wide decimals.
pub const TRINO: Foreign = Foreign {
    path: "warehouse/{dataset}/ds={day}",
    folder: |dataset, day| format!("warehouse/{dataset}/ds={day}"),
    file: |number| format!("20260315_101010_{number:05}_abcde_5b2f9c1e"),
    success: "\n",
    column: |_, column, array| {
        let name = column.name.to_uppercase();
        let array = match column.kind {
            Kind::Money => wide(&array),
            _ => array,
        };
        (name.clone(), array, format!("\"{name}\""))
    },
    extra: |_, _| vec![],
};

pub fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        all + &word[..1].to_uppercase() + &word[1..]
    })
}

pub fn texts_of(array: &ArrayRef) -> ArrayRef {
    let numbers = array.as_primitive::<Int64Type>().iter();
    Arc::new(StringArray::from_iter(
        numbers.map(|n| n.map(|n| n.to_string())),
    ))
}

pub fn minor_units(array: &ArrayRef) -> ArrayRef {
    let cents = array.as_primitive::<Decimal128Type>().iter();
    Arc::new(cents.map(|c| c.map(|c| c as i64)).collect::<Int64Array>())
}

fn wide(array: &ArrayRef) -> ArrayRef {
    let cents = array.as_primitive::<Decimal128Type>().iter();
    let units = cents
        .map(|c| c.map(|c| c * 10_000_000))
        .collect::<Decimal128Array>();
    Arc::new(units.with_precision_and_scale(38, 9).unwrap())
}

/// Texts, or timestamps without a zone in milliseconds.
pub fn local_times(array: &ArrayRef, as_texts: bool) -> ArrayRef {
    let instants = array.as_primitive::<TimestampMicrosecondType>().iter();
    let local = |us: i64| {
        DateTime::<Utc>::from_timestamp_micros(us)
            .unwrap()
            .with_timezone(&ZONE)
            .naive_local()
    };
    let mut local = instants.map(|us| us.map(local));
    match as_texts {
        true => Arc::new(StringArray::from_iter(
            local.map(|at| at.map(|at| at.to_string())),
        )),
        false => {
            let in_ms = local
                .by_ref()
                .map(|at| at.map(|at| at.and_utc().timestamp_millis()));
            Arc::new(in_ms.collect::<TimestampMillisecondArray>())
        }
    }
}

pub fn replaced(array: &ArrayRef, pairs: &[(&str, &str)]) -> ArrayRef {
    let other = |text: &str| {
        let pair = pairs.iter().find(|(from, _)| *from == text);
        pair.map_or(text.to_owned(), |(_, to)| (*to).to_owned())
    };
    let texts = array.as_string::<i32>().iter();
    Arc::new(StringArray::from_iter(texts.map(|text| text.map(other))))
}

/// Writes the sample's exports in a foreign form, and returns the `[source]` section that maps them.
pub fn write_foreign(foreign: &Foreign, out: &Path) -> String {
    let mut section = format!("\n[source]\npath = \"{}\"\n", foreign.path);
    for dataset in datasets::DATASETS {
        let mut lines = BTreeMap::new();
        for day in fs::read_dir(Path::new(SAMPLE).join(dataset.name)).unwrap() {
            let day = day.unwrap().path();
            let name = day.file_name().unwrap().to_str().unwrap();
            let folder = out.join((foreign.folder)(
                dataset.name,
                name.strip_prefix("dt=").unwrap(),
            ));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("_SUCCESS"), foreign.success).unwrap();
            let mut files = walk(&day);
            files.retain(|file| file != "_SUCCESS");
            files.sort();
            for (number, file) in files.iter().enumerate() {
                let to = folder.join((foreign.file)(number));
                convert(foreign, dataset, &day.join(file), &to, &mut lines);
            }
        }
        writeln!(section, "[source.{}.columns]", dataset.name).unwrap();
        for (column, line) in lines {
            writeln!(section, "{column} = {line}").unwrap();
        }
    }
    section
}

fn convert(
    foreign: &Foreign,
    dataset: &Dataset,
    from: &Path,
    to: &Path,
    lines: &mut BTreeMap<&'static str, String>,
) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(from).unwrap()).unwrap();
    let mut writer: Option<ArrowWriter<File>> = None;
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let columns = dataset.columns.iter().map(|column| {
            let array = batch.column_by_name(column.name).unwrap().clone();
            let (name, array, line) = (foreign.column)(dataset, column, array);
            lines.insert(column.name, line);
            (name, array, true)
        });
        let extra = (foreign.extra)(dataset, batch.num_rows()).into_iter();
        let columns = columns.chain(extra.map(|(name, array)| (name, array, true)));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let new = || ArrowWriter::try_new(File::create(to).unwrap(), batch.schema(), None).unwrap();
        writer.get_or_insert_with(new).write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}

/// Publishes all days of the exports. The bytes of every result and quarantine file.
pub fn published(exports: &Path, job: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = TempDir::new().unwrap();
    let (config, results) = (
        folder.path().join("job.toml"),
        folder.path().join("results"),
    );
    fs::write(&config, job).unwrap();
    run_sample(&config, exports, &results);
    let mut files = walk(&results);
    files.retain(|file| file.contains("/dt=") && file.ends_with(".parquet"));
    let bytes = |file: String| (file.clone(), fs::read(results.join(&file)).unwrap());
    files.into_iter().map(bytes).collect()
}

fn run_sample(config: &Path, exports: &Path, results: &Path) {
    let done = etl(&[
        "run",
        "--day",
        "2026-03-14",
        "--quiet",
        "--config",
        config.to_str().unwrap(),
        "--exports",
        exports.to_str().unwrap(),
        "--results",
        results.to_str().unwrap(),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

fn gives_the_same_bytes(foreign: &Foreign) {
    let exports = TempDir::new().unwrap();
    let section = write_foreign(foreign, exports.path());
    let expected = published(Path::new(SAMPLE), JOB);
    let found = published(exports.path(), &format!("{JOB}{section}"));
    are_the_same(&found, &expected);
}

/// Compares the files of two results, byte by byte.
pub fn are_the_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert!(expected.len() > 100, "{}", expected.len());
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

#[test]
fn text_ids_local_times_and_minor_units_give_the_same_bytes() {
    gives_the_same_bytes(&TIKTOK);
}

#[test]
fn exports_by_spark_give_the_same_bytes() {
    gives_the_same_bytes(&SPARK);
}

#[test]
fn exports_by_trino_give_the_same_bytes() {
    gives_the_same_bytes(&TRINO);
}

/// The verbs that every engine has: ids in texts of digits, minor units, other words.
const WORDS: Foreign = Foreign {
    path: "{dataset}/dt={day}",
    folder: |dataset, day| format!("{dataset}/dt={day}"),
    file: |number| format!("part-{number}.parquet"),
    success: "",
    column: |_, column, array| {
        let (array, line) = match column.kind {
            Kind::Int64 if column.unit.is_empty() => {
                (texts_of(&array), "{ text_id = \"digits\" }".to_owned())
            }
            Kind::Money => (minor_units(&array), "{ scale = 2 }".to_owned()),
            Kind::Text if column.name == "channel" => {
                let pairs = [("LIVE", "live's"), ("VIDEO", "vid\\eo")];
                let values = "values = { \"live's\" = \"LIVE\", 'vid\\eo' = \"VIDEO\" }";
                let line = format!("{{ {values}, otherwise = \"keep\" }}");
                (replaced(&array, &pairs), line)
            }
            _ => (array, format!("\"{}\"", column.name)),
        };
        (column.name.to_owned(), array, line)
    },
    extra: |_, _| vec![],
};

#[test]
fn exports_by_words_that_every_engine_has_give_the_same_bytes() {
    gives_the_same_bytes(&WORDS);
}

/// Every id as a text that is no number.
const HASHED: Foreign = Foreign {
    path: "{dataset}/dt={day}",
    folder: |dataset, day| format!("{dataset}/dt={day}"),
    file: |number| format!("part-{number}.parquet"),
    success: "",
    column: |_, column, array| {
        let is_id = column.kind == Kind::Int64 && column.unit.is_empty();
        if !is_id {
            let name = column.name.to_owned();
            return (name.clone(), array, format!("\"{name}\""));
        }
        let ids = array.as_primitive::<Int64Type>().iter();
        let texts = StringArray::from_iter(ids.map(|id| id.map(text_of)));
        let line = "{ text_id = true }".to_owned();
        (column.name.to_owned(), Arc::new(texts), line)
    },
    extra: |_, _| vec![],
};

fn text_of(id: i64) -> String {
    format!("urn:{id}")
}

/// The documented formula.
fn id_of(text: &str) -> i64 {
    let digest = Sha256::digest(text.as_bytes());
    let first = u64::from_be_bytes(digest[..8].try_into().unwrap());
    -1 - (first >> 1) as i64
}

/// All daily tables have the same rows, with other ids. Of equal contents, that of the smaller id is ranked
/// first, so ranks may differ.
#[test]
fn texts_that_are_no_numbers_are_ids_by_their_hash() {
    let (exports, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let section = write_foreign(&HASHED, exports.path());
    let results_of = |name: &str, exports: &Path, job: &str| {
        let (config, results) = (folder.path().join("job.toml"), folder.path().join(name));
        fs::write(&config, job).unwrap();
        run_sample(&config, exports, &results);
        results
    };
    let expected = results_of("contract", Path::new(SAMPLE), JOB);
    let found = results_of("hashed", exports.path(), &format!("{JOB}{section}"));
    let day = "2026-03-14".parse().unwrap();
    let mut rows = 0;
    for table in campaign_etl::contracts::tables::ROLLUPS {
        let mut of_contract = read_table(&expected, table.name, day).unwrap();
        let mut hashed = read_table(&found, table.name, day).unwrap();
        for (position, column) in table.columns.iter().enumerate() {
            if column.name == "gmv_rank" {
                let rows = of_contract.iter_mut().chain(&mut hashed);
                rows.for_each(|row| row[position] = None);
            }
            if !column.name.ends_with("_id") {
                continue;
            }
            for row in &mut of_contract {
                let id = row[position].as_ref().map(|id| id.parse().unwrap());
                row[position] = id.map(|id| id_of(&text_of(id)).to_string());
            }
        }
        of_contract.sort();
        hashed.sort();
        assert!(hashed == of_contract, "{}", table.name);
        rows += hashed.len();
    }
    assert!(rows > 100, "{rows}");
}

/// Two texts with the same first 63 bits of their SHA-256, found by a search.
const ONE_ID: [&str; 2] = ["id-30371d644c92dbda", "id-7dbf50c42c5a8844"];

/// Adds a column of texts to the one file of a dataset.
fn add_texts(exports: &Path, dataset: &str, name: &str, texts: &[&str]) {
    let file = exports.join(format!("{dataset}/dt={DAY}/part-00000.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let mut columns: Vec<(String, ArrayRef)> = names.zip(batch.columns().iter().cloned()).collect();
    columns.push((name.into(), Arc::new(StringArray::from(texts.to_vec()))));
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Runs the day with texts for the buyers of two lines, and for the user of one visit.
fn run_with_texts(verb: &str, buyers: [&str; 2], user: &str, code: i32) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let exports = folder.path().join("exports");
    crate::places::one_day().write(&exports, 1);
    add_texts(&exports, "order_lines", "buyer", &buyers);
    add_texts(&exports, "product_traffic", "visitor", &[user]);
    let source = format!(
        "[source.order_lines.columns]\nbuyer_id = {{ from = \"buyer\", text_id = {verb} }}\n\
         [source.product_traffic.columns]\nuser_id = {{ from = \"visitor\", text_id = {verb} }}\n"
    );
    let said = run_exports(&folder, &source, code);
    (folder, said)
}

/// In one export, and in two of them. The texts, their files and columns are told.
#[test]
fn two_texts_of_a_day_with_one_id_are_refused() {
    let [one, other] = ONE_ID;
    let says =
        "\"id-30371d644c92dbda\" and \"id-7dbf50c42c5a8844\" have one id: -584651252402891260";
    let in_one = "part-00000.parquet ┆ buyer_id (from buyer)";
    let in_other = "part-00000.parquet ┆ user_id (from visitor)";
    for (buyers, user, is_in_other) in [([one, other], "x", false), ([other, "x"], one, true)] {
        let (folder, said) = run_with_texts("true", buyers, user, 65);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(says), "{said}");
        assert!(said.contains(in_one), "{said}");
        assert_eq!(said.contains(in_other), is_in_other, "{said}");
        assert!(!folder.path().join("results/shop_daily").exists());
    }
    // The same text in two exports is one id.
    run_with_texts("true", [one, "x"], one, 0);
}

/// A stray text is an id by its hash, unless only digits are.
#[test]
fn where_only_digits_are_ids_other_texts_go_to_quarantine() {
    let (folder, said) = run_with_texts("\"digits\"", ["31", "N/A"], "31", 0);
    assert!(
        said.contains("INEXACT_CAST 1 (buyer_id (from buyer) = N/A"),
        "{said}"
    );
    let of = |folder: &TempDir| {
        let results = folder.path().join("results");
        read_quarantine(&results, "order_lines", DAY.parse().unwrap()).len()
    };
    assert_eq!(of(&folder), 1);
    let (folder, said) = run_with_texts("true", ["31", ""], "31", 0);
    assert!(said.contains("INEXACT_CAST 1 (buyer_id"), "{said}");
    assert_eq!(of(&folder), 1);
    let (folder, _) = run_with_texts("true", ["31", "N/A"], "31", 0);
    assert_eq!(of(&folder), 0);
}

const DAY: &str = "2026-03-10";

/// Runs one day with this `[source]` section. Returns the folder with exports, job file and results, and stderr.
fn run(world: &World, source: &str, code: i32) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    world.write(&folder.path().join("exports"), 1);
    let said = run_exports(&folder, source, code);
    (folder, said)
}

/// Runs one day of the exports in the folder. Returns stderr.
fn run_exports(folder: &TempDir, source: &str, code: i32) -> String {
    let config = folder.path().join("job.toml");
    fs::write(
        &config,
        format!("lookback_days = 0\n[quarantine]\nmax_ratio = 0.5\n{source}"),
    )
    .unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let done = etl(&[
        "run",
        "--day",
        DAY,
        "--config",
        config.to_str().unwrap(),
        "--exports",
        &path("exports"),
        "--results",
        &path("results"),
    ]);
    assert_eq!(done.code, code, "{}", done.stderr);
    done.stderr
}

#[test]
fn values_that_do_not_fit_go_to_quarantine_and_every_row_is_counted() {
    let mut world = crate::places::one_day();
    let day = DAY.parse().unwrap();
    let shops = ("shops".to_owned(), day);
    world
        .exports
        .insert(shops, rows(&["5|Ada|Books|", "6|Bob|Toys|", "7|Cyd||"]));
    let source = "[source.shops.columns]\ncategory = { values = { Books = \"B\" } }\n\
                  [source.campaign_shops.columns]\ntarget_gmv = { absent = true }\n\
                  [source.order_lines.columns]\nshipping_fee = { constant = \"0.25\" }\n";
    let (folder, said) = run(&world, source, 0);
    assert!(
        said.contains("UNMAPPED_VALUE 1 (category = Toys in row 1"),
        "{said}"
    );
    let set_aside = read_quarantine(&folder.path().join("results"), "shops", day);
    let text = |text: &str| Some(text.to_owned());
    let expected = vec![vec![
        text("UNMAPPED_VALUE"),
        text("category"),
        text("Toys"),
        text("part-00000.parquet"),
        text("1"),
        text("6"),
    ]];
    assert_eq!(set_aside, expected);
    // Two lines of 10.00 and 5.00, each with a fee of 0.25.
    let shop_daily = read_table(&folder.path().join("results"), "shop_daily", day).unwrap();
    let columns = campaign_etl::contracts::tables::table("shop_daily")
        .unwrap()
        .columns;
    let gmv = columns
        .iter()
        .position(|column| column.name == "gmv")
        .unwrap();
    assert_eq!(shop_daily[0][gmv], text("15.50"));
}

/// In a large export, which another engine may read.
#[test]
fn values_that_do_not_fit_a_large_export_are_quarantined_with_their_column() {
    let mut world = crate::places::one_day();
    let day = DAY.parse().unwrap();
    let line = |id: &str| format!("{id}|11|21|5|31|2026-03-10T20:00:00Z|1|1.00|0|0|0|LIVE||");
    let lines: Vec<String> = ["1", "2", "3", "4", "5", "6"].map(line).into();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    world
        .exports
        .insert(("order_lines".to_owned(), day), rows(&lines));
    let folder = TempDir::new().unwrap();
    let exports = folder.path().join("exports");
    world.write(&exports, 1);

    // Mills, of which 1005 are no whole cents; a text that is no number; a word that is not mapped.
    let path = exports.join(format!("order_lines/dt={DAY}/part-00000.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let columns = batch.schema().fields().clone();
    let columns = columns.iter().zip(batch.columns()).map(|(field, array)| {
        let array: ArrayRef = match field.name().as_str() {
            "order_id" => Arc::new(StringArray::from(vec!["1", "2", "x3", "4", "5", "6"])),
            "sub_total" => Arc::new(Int64Array::from(vec![1000, 1005, 1000, 1000, 2000, 30])),
            "channel" => Arc::new(StringArray::from(vec!["a", "a", "a", "b", "a", "a"])),
            _ => array.clone(),
        };
        (field.name().clone(), array, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let source = "[source.order_lines.columns]\norder_id = { text_id = \"digits\" }\n\
                  sub_total = { scale = 3 }\nchannel = { values = { a = \"LIVE\" } }\n\
                  sub_campaign_id = { absent = true }\n";
    run_exports(&folder, source, 0);
    let results = folder.path().join("results");
    let set_aside = read_quarantine(&results, "order_lines", day);
    let told: Vec<Vec<String>> = set_aside
        .into_iter()
        .map(|row| row.into_iter().take(5).map(Option::unwrap).collect())
        .collect();
    let part = "part-00000.parquet";
    assert_eq!(
        told,
        [
            ["INEXACT_CAST", "sub_total", "1005", part, "1"],
            ["INEXACT_CAST", "order_id", "x3", part, "2"],
            ["UNMAPPED_VALUE", "channel", "b", part, "3"],
        ]
    );
    // 1.00 and 2.00 and 0.03.
    let shop_daily = read_table(&results, "shop_daily", day).unwrap();
    let table = campaign_etl::contracts::tables::table("shop_daily").unwrap();
    let gmv = table.columns.iter().position(|column| column.name == "gmv");
    assert_eq!(shop_daily[0][gmv.unwrap()], Some("3.03".to_owned()));
    // Values that do not fit are no nulls of the file; sub_campaign_id is absent in all six rows.
    let manifest = walk(&results)
        .into_iter()
        .find(|path| path.starts_with(&format!("_runs/dt={DAY}/")))
        .unwrap();
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(results.join(manifest)).unwrap()).unwrap();
    let accounts = manifest["datasets"].as_array().unwrap();
    let account = accounts
        .iter()
        .find(|account| account["dataset"] == "order_lines")
        .unwrap();
    assert_eq!(account["nulls"]["sub_campaign_id"], 6);
    assert_eq!(account["rows_quarantined"], 3);
}

/// More of them than the budget allows: the mapping is as likely wrong as the export.
#[test]
fn a_mapping_that_most_values_do_not_fit_is_told_with_the_remedy() {
    let source = "[source.order_lines.columns]\nchannel = { values = { live = \"LIVE\" } }\n";
    let (_, said) = run(&crate::places::one_day(), source, 65);
    assert!(
        said.contains("2 of 2 rows: UNMAPPED_VALUE 2 (channel = LIVE in row 0"),
        "{said}"
    );
    assert!(
        said.contains("correct the mapping of these columns in the job file"),
        "{said}"
    );
}

/// `tests/readers/explain.sh` runs such queries.
#[test]
fn explain_gives_a_query_and_the_second_route_over_a_mapped_export() {
    let source = "[source.order_lines.columns]\nshipping_fee = { constant = \"0.25\" }\n";
    let (folder, _) = run(&crate::places::one_day(), source, 0);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (config, exports, results) = (path("job.toml"), path("exports"), path("results"));
    let explain = |more: &[&str]| {
        let arguments = ["explain", "--shop", "5", "--day", DAY, "--metric", "gmv"];
        let places = [
            "--config",
            &config,
            "--exports",
            &exports,
            "--results",
            &results,
        ];
        etl(&[&arguments[..], &places[..], more].concat())
    };
    let query = explain(&["--sql"]);
    assert_eq!(query.code, 0, "{}", query.stderr);
    let fee = "CAST('0.25' AS DECIMAL(18, 2)) AS shipping_fee";
    assert!(query.stdout.contains(fee), "{}", query.stdout);
    let amount = "TRY_CAST(exported.\"sub_total\" AS DECIMAL(18, 2)) AS sub_total";
    assert!(query.stdout.contains(amount), "{}", query.stdout);
    // Two lines of 10.00 and 5.00, each with a fee of 0.25, by the second route too.
    let agrees = explain(&[]);
    assert_eq!(agrees.code, 0, "{}", agrees.stderr);
    assert!(agrees.stdout.contains("15.50"), "{}", agrees.stdout);
}

/// Another mapping makes the days stale that it is for, and no others.
#[test]
fn a_mapping_counts_for_the_days_that_it_is_for() {
    let (folder, _) = run(&crate::places::one_day(), "", 0);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let plan = |source: &str| {
        fs::write(
            path("job.toml"),
            format!("lookback_days = 0\n[quarantine]\nmax_ratio = 0.5\n{source}"),
        )
        .unwrap();
        let arguments = [
            "plan",
            "--day",
            DAY,
            "--config",
            &path("job.toml"),
            "--exports",
            &path("exports"),
            "--results",
            &path("results"),
        ];
        etl(&arguments).stdout
    };
    let unchanged = plan("");
    let of_a_later_day = "[source.order_lines]\nfrom_day = 2026-03-11\n[source.order_lines.columns]\norder_id = \"orderId\"\n";
    assert_eq!(plan(of_a_later_day), unchanged);
    let of_the_day = "[source.order_lines]\nfrom_day = 2026-03-10\n[source.order_lines.columns]\nchannel = { values = { LIVE = \"VIDEO\" }, otherwise = \"keep\" }\n";
    assert_ne!(plan(of_the_day), unchanged);
}

/// Every export of the day as a job without `_SUCCESS` writes it: last changed at this time.
fn without_marks(world: &World, at: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let exports = folder.path().join("exports");
    world.write(&exports, 1);
    for file in walk(&exports) {
        let path = exports.join(&file);
        match file.ends_with("_SUCCESS") {
            true => fs::remove_file(path).unwrap(),
            false => set_modified(&path, at),
        }
    }
    for file in walk(&exports) {
        set_modified(exports.join(file).parent().unwrap(), at);
    }
    folder
}

/// Of a file or a folder.
fn set_modified(path: &Path, at: &str) {
    let at: DateTime<Utc> = at.parse().unwrap();
    let opened = File::open(path).unwrap();
    opened.set_modified(at.into()).unwrap();
}

/// A command over the folder, whose job file was written by `run_exports`: its stdout.
fn stdout_of(folder: &TempDir, command: &str) -> String {
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let places = [path("job.toml"), path("exports"), path("results")];
    let [config, exports, results] = &places;
    let arguments = [command, "--day", DAY, "--config", config];
    etl(&[
        &arguments[..],
        &["--exports", exports, "--results", results],
    ]
    .concat())
    .stdout
}

const SETTLES: &str = "[source]\nsuccess = \"none\"\nsettle_minutes = 30\n";

#[test]
fn an_export_without_a_mark_is_final_once_nothing_in_it_changed_for_a_time() {
    let folder = without_marks(&crate::places::one_day(), "2026-03-11T08:00:00Z");
    let shops = folder.path().join(format!("exports/shops/dt={DAY}"));
    let file = shops.join("part-00000.parquet");
    // Not before the year 2100.
    set_modified(&file, "2100-01-01T09:00:00.5Z");
    let says = "shops (changed at 2100-01-01T09:00:01Z, final at 2100-01-01T09:30:01Z)";
    let said = run_exports(&folder, SETTLES, 75);
    assert!(
        said.contains("waiting for shops (final at 2100-01-01T09:30:01Z)"),
        "{said}"
    );
    let flat = |text: String| {
        let words = text.split(|c: char| c.is_whitespace() || c == '│' || c == '┆');
        words
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for command in ["plan", "validate"] {
        let said = flat(stdout_of(&folder, command));
        assert!(said.contains(says), "{command}: {said}");
    }
    // While a job has not moved its files here, and while there is no file.
    set_modified(&file, "2026-03-11T08:00:00Z");
    let says_in_each = |says: &str| {
        let said = run_exports(&folder, SETTLES, 75);
        assert!(said.contains(&format!("waiting for {says}")), "{said}");
        for command in ["plan", "validate"] {
            let said = flat(stdout_of(&folder, command));
            assert!(said.contains(says), "{command}: {said}");
        }
        // Its table breaks the line before the last word.
        let said = flat(stdout_of(&folder, "status"));
        let (start, last) = says.rsplit_once(' ').unwrap();
        assert!(said.contains(start) && said.contains(last), "{said}");
    };
    for unfinished in ["_temporary", ".hive-staging_1"] {
        fs::create_dir(shops.join(unfinished)).unwrap();
        fs::write(shops.join(unfinished).join("part-1"), "").unwrap();
        says_in_each(&format!("shops (has the folder {unfinished})"));
        fs::remove_dir_all(shops.join(unfinished)).unwrap();
    }
    let elsewhere = folder.path().join("elsewhere.parquet");
    fs::rename(&file, &elsewhere).unwrap();
    says_in_each("shops (has no data file)");
    // It keeps its old time, but it has just come.
    fs::rename(&elsewhere, &file).unwrap();
    let said = run_exports(&folder, SETTLES, 75);
    assert!(said.contains("waiting for shops (final at 2"), "{said}");
    set_modified(&shops, "2026-03-11T08:00:00Z");
    run_exports(&folder, SETTLES, 0);
    assert!(stdout_of(&folder, "plan").contains("up to date"));
}

/// A file that arrives after the day was published makes it stale.
#[test]
fn a_late_file_of_an_export_without_a_mark_makes_the_day_stale() {
    let mut world = crate::places::one_day();
    let folder = without_marks(&world, "2026-03-11T08:00:00Z");
    run_exports(&folder, SETTLES, 0);
    let shops = ("shops".to_owned(), DAY.parse().unwrap());
    world.exports.insert(shops, rows(&["6|Bob|Toys|"]));
    let late = without_marks(&world, "2026-03-11T09:00:00Z");
    let of =
        |folder: &TempDir, file: &str| folder.path().join(format!("exports/shops/dt={DAY}/{file}"));
    let file = of(&folder, "part-00001.parquet");
    fs::rename(of(&late, "part-00000.parquet"), file).unwrap();
    set_modified(&of(&folder, ""), "2026-03-11T09:00:00Z");
    assert!(!stdout_of(&folder, "plan").contains("up to date"));
    run_exports(&folder, SETTLES, 0);
    let tiers = read_table(
        &folder.path().join("results"),
        "shop_daily",
        DAY.parse().unwrap(),
    );
    let shops: Vec<_> = tiers
        .unwrap()
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(shops, [Some("5".to_owned()), Some("6".to_owned())]);
}

/// Of all datasets, of one, and from a day on. What is in it does not matter, and it is no data file.
#[test]
fn an_export_is_final_by_a_mark_of_another_name() {
    let folder = without_marks(&crate::places::one_day(), "2026-03-11T08:00:00Z");
    let source = "[source]\nsuccess = \"done.txt\"\n\
                  [source.shops]\nsuccess = \"_READY\"\n\
                  [[source.campaigns]]\nfrom_day = 2026-03-10\nsuccess = \"none\"\nsettle_minutes = 5\n\
                  [[source.campaigns]]\nfrom_day = 2026-03-11\n";
    let mark = |dataset: &str, name: &str| {
        let file = folder
            .path()
            .join(format!("exports/{dataset}/dt={DAY}/{name}"));
        fs::write(file, "written at 09:00\n").unwrap();
    };
    for dataset in ["order_lines", "product_traffic", "campaign_shops"] {
        mark(dataset, "done.txt");
    }
    mark("shops", "_SUCCESS");
    let said = run_exports(&folder, source, 75);
    assert!(said.contains("waiting for shops;"), "{said}");
    mark("shops", "_READY");
    run_exports(&folder, source, 0);
}

/// The way to get it wrong, the line and column of it, and what the message says.
const WRONG: [(&str, &str, &str); 42] = [
    (
        "[source]\nsuccess = \"NONE\"",
        "line 2, column 11",
        "\"NONE\" is not the name of a file such as \"_SUCCESS\", or \"none\"",
    ),
    (
        "[source.order_lines.columns]\nchannel = { values = {} }",
        "line 2, column 22",
        "{} is not a table of at least one text, such as { web = \"SHOP\" }",
    ),
    (
        "[source.campaigns.columns]\nfirst_day = { constant = \"2026-03-09\" }\nlast_day = { constant = \"2026-03-08\" }",
        "line 3, column 12",
        "{ constant = \"2026-03-08\" } is not a day from first_day on",
    ),
    (
        "[source]\npaht = \"{dataset}/{day}\"",
        "line 2, column 1",
        "\"paht\" is not a dataset or a key of source; the nearest is \"path\"",
    ),
    (
        "[source.order_line]",
        "line 1, column 9",
        "\"order_line\" is not a dataset or a key of source; the nearest is \"order_lines\"",
    ),
    (
        "[source]\npath = \"{dataset}/all\"",
        "line 2, column 8",
        "no {day}",
    ),
    (
        "[source]\npath = \"all/{day}\"",
        "line 2, column 8",
        "no {dataset}",
    ),
    (
        "[source.shops]\npath = 5",
        "line 2, column 8",
        "5 is not a path",
    ),
    (
        "[source]\nsuccess = \"none\"",
        "line 2, column 11",
        "add settle_minutes",
    ),
    (
        "[source]\nsuccess = \"a/_SUCCESS\"",
        "line 2, column 11",
        "is not the name of a file",
    ),
    (
        "[source]\nsettle_minutes = 30",
        "line 2, column 1",
        "a folder is final once it has _SUCCESS",
    ),
    (
        "[source.shops]\nsuccess = \"_DONE\"\nsettle_minutes = 30",
        "line 3, column 1",
        "a folder is final once it has _DONE",
    ),
    (
        "[source.shops]\nsuccess = \"none\"\nsettle_minutes = 0",
        "line 3, column 18",
        "0 is not a number of minutes from 1 to 10080",
    ),
    (
        "[source.shops]\nfrom = 2026-03-01",
        "line 2, column 1",
        "\"from\" is not a key of a dataset",
    ),
    (
        "[source.shops]\nfrom_day = \"soon\"",
        "line 2, column 12",
        "\"soon\" is not a day such as 2026-03-01",
    ),
    (
        "[[source.shops]]\nfrom_day = 2026-03-02\n[[source.shops]]\nfrom_day = 2026-03-02",
        "line 3, column 1",
        "does not begin after the one before it",
    ),
    (
        "[source.order_lines.columns]\norder_ref = \"x\"",
        "line 2, column 1",
        "\"order_ref\" is not a column of order_lines",
    ),
    (
        "[source.order_lines.columns]\norder_id = { form = \"x\" }",
        "line 2, column 14",
        "\"form\" is not a key of a column; the nearest is \"from\"",
    ),
    (
        "[source.order_lines.columns]\norder_id = { from = \"x\", scale = 2 }",
        "line 2, column 26",
        "it is for amounts of money",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { scale = -1 }",
        "line 2, column 23",
        "-1 is not a number of decimal places",
    ),
    (
        "[source.order_lines.columns]\nquantity = { time_zone = \"UTC\" }",
        "line 2, column 14",
        "it is for instants",
    ),
    (
        "[source.order_lines.columns]\npaid_at = { time_zone = \"PST8\" }",
        "line 2, column 25",
        "\"PST8\" is not an IANA name",
    ),
    (
        "[source.order_lines.columns]\nbuyer_id = { values = {} }",
        "line 2, column 14",
        "it is for texts",
    ),
    (
        "[source.contents.columns]\ncontent_type = { values = { v = \"VID\" } }",
        "line 2, column 33",
        "\"VID\" is not one of VIDEO, LIVE",
    ),
    (
        "[source.order_lines.columns]\nchannel = { values = { a = \"A\", a = \"B\" } }",
        "line 2, column 33",
        "duplicate key",
    ),
    (
        "[source.order_lines.columns]\nquantity = { text_id = true }",
        "line 2, column 14",
        "it is for ids",
    ),
    (
        "[source.order_lines.columns]\norder_id = { text_id = \"digit\" }",
        "line 2, column 24",
        "\"digit\" is not true or \"digits\"",
    ),
    (
        "[source.order_lines.columns]\norder_id = { absent = true }",
        "line 2, column 14",
        "it is never null",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { constant = 0.5 }",
        "line 2, column 26",
        "0.5 is not an amount of 0 or more in quotes",
    ),
    (
        "[source.order_lines.columns]\norder_id = \"id\"\nsku_id = \"id\"",
        "line 3, column 1",
        "order_id and sku_id both come from \"id\"",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { scale = 2, constant = \"1\" }",
        "line 2, column 26",
        "two verbs",
    ),
    (
        "[source.order_lines.columns]\norder_id = \"\"",
        "line 2, column 12",
        "\"\" is not the name of a column of the files",
    ),
    (
        "[source.order_lines.columns]\norder_id = 5",
        "line 2, column 12",
        "5 is not the name of a column, or a table such as",
    ),
    (
        "[source.order_lines.columns]\norder_id = { constant = 5 }\nsku_id = { constant = 7 }",
        "line 3, column 1",
        "each row would have the same key (order_id, sku_id)",
    ),
    (
        "[source.order_lines.columns]\nquantity = { constant = 0 }",
        "line 2, column 25",
        "0 is not at least 1",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { constant = \"-0.01\" }",
        "line 2, column 26",
        "\"-0.01\" is not an amount of 0 or more",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { constant = \"1000000000000.01\" }",
        "line 2, column 26",
        "\"1000000000000.01\" is not at most 1000000000000.00",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { constant = \"0.005\" }",
        "line 2, column 26",
        "at most two decimal places",
    ),
    (
        "[source.order_lines.columns]\npaid_at = { constant = \"2026-03-14T00:00:00Z\" }",
        "line 2, column 13",
        "each row has a value of its own",
    ),
    (
        "[source.order_lines.columns]\nsub_campaign_id = { from = \"x\", absent = true }",
        "line 2, column 33",
        "it reads no column, so it cannot stand beside from",
    ),
    (
        "[source.order_lines.columns]\nchannel = { from = \"x\", otherwise = \"keep\" }",
        "line 2, column 25",
        "it needs values beside it",
    ),
    (
        "[source.inventory.columns]\nsku_id = \"product_id\"",
        "line 2, column 1",
        "product_id and sku_id both come from \"product_id\"",
    ),
];

#[test]
fn every_wrong_mapping_is_told_with_its_line_and_column() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("job.toml");
    let mut failures = String::new();
    for (source, place, says) in WRONG {
        fs::write(&config, source).unwrap();
        let config = config.to_str().unwrap();
        let done = etl(&["status", "--config", config, "--exports", SAMPLE]);
        let said = done.stderr;
        let is_told =
            said.contains(&format!("{place}\n")) && said.contains(says) && said.contains('^');
        if done.code != 78 || !is_told {
            failures += &format!("{source}\n{place}: {says}\n{said}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// What a look into the files finds is told with both names, the place of the mapping, and what to write there.
#[test]
fn a_mapping_that_the_files_do_not_have_is_told_with_both_names_and_its_place() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    crate::places::one_day().write(&folder.path().join("exports"), 1);
    let (config, exports) = (path("job.toml"), path("exports"));
    for (mapping, column, at, expected, found, remedy) in [
        (
            "sub_total = { from = \"channel\", scale = 2 }",
            "sub_total (from channel)",
            "line 2, column 13",
            "a whole number of minor units",
            "STRING",
            "cast the column to a whole number of minor units in the export",
        ),
        (
            "sub_total = { scale = 2 }",
            "sub_total",
            "line 2, column 13",
            "a whole number of minor units",
            "DECIMAL(18,2)",
            "leave scale out of the mapping of this column: its values need no change",
        ),
        (
            "sub_total = \"quantity\"",
            "sub_total (from quantity)",
            "line 2, column 13",
            "DECIMAL(18,2)",
            "INT32",
            "give the column scale in the job file (2 for cents), or cast it to DECIMAL(18,2) in the export",
        ),
        (
            "buyer_id = { from = \"sku_id\", text_id = true }",
            "buyer_id (from sku_id)",
            "line 2, column 12",
            "STRING",
            "INT64",
            "leave text_id out of the mapping of this column: its values need no change",
        ),
        (
            "buyer_id = \"channel\"",
            "buyer_id (from channel)",
            "line 2, column 12",
            "INT64",
            "STRING",
            "give the column text_id in the job file, or cast it to INT64 in the export",
        ),
        (
            "order_id = \"order_it\"",
            "order_id (from order_it)",
            "line 2, column 12",
            "INT64",
            "no such column, but \"order_id\"",
            "map it from a column of the files in the job file, or add the column to the export",
        ),
        (
            "order_id = \"Order_ID\"",
            "order_id (from Order_ID)",
            "line 2, column 12",
            "INT64",
            "order_id: names are compared exactly",
            "map it from the column as the files spell it in the job file, or write lower case in the export",
        ),
        (
            "paid_at = { time_zone = \"UTC\" }",
            "paid_at",
            "line 2, column 11",
            "a TIMESTAMP without a zone, or STRING",
            "TIMESTAMP with a zone",
            "leave time_zone out of the mapping: these instants need none",
        ),
        (
            "paid_at = \"channel\"",
            "paid_at (from channel)",
            "line 2, column 11",
            "TIMESTAMP(us, UTC)",
            "STRING",
            "give the column time_zone in the job file, or write instants adjusted to UTC: \
             Spark TIMESTAMP (not TIMESTAMP_NTZ), DuckDB TIMESTAMPTZ, Arrow timestamp('us', 'UTC')",
        ),
    ] {
        fs::write(
            &config,
            format!("[source.order_lines.columns]\n{mapping}\n"),
        )
        .unwrap();
        let of_day = ["validate", "--day", DAY, "--format", "json"];
        let places = ["--config", &config, "--exports", &exports];
        let done = etl(&[&of_day[..], &places].concat());
        assert_eq!(done.code, 65, "{mapping}\n{}", done.stderr);
        let told: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let issue = &told["days"][0]["defects"][0]["issues"][0];
        let parts = ["column", "mapped_at", "expected", "found", "remedy"];
        let parts = parts.map(|part| issue[part].as_str());
        let at = format!("job file: {at}");
        let right = [column, &at, expected, found, remedy].map(Some);
        assert_eq!(parts, right, "{mapping}");
    }
}

/// A path that leads nowhere is no day that comes later.
#[test]
fn a_path_without_files_is_named_and_doctor_warns() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("job.toml");
    fs::write(
        &config,
        "[source.order_lines]\npath = \"raw/{day:%Y%m%d}\"\n",
    )
    .unwrap();
    let at = |command: &[&str]| {
        let results = folder.path().join("results");
        let places = ["--config", config.to_str().unwrap(), "--exports", SAMPLE];
        let places = [&places[..], &["--results", results.to_str().unwrap()]].concat();
        etl(&[command, &places].concat())
    };
    let done = at(&["validate", "--day", "2026-03-14"]);
    assert_eq!(done.code, 75, "{}", done.stderr);
    let waits = "waiting for order_lines (nothing in raw/20260314)";
    assert!(done.stdout.contains(waits), "{}", done.stdout);
    let done = at(&["doctor"]);
    let waits = "2026-03-14 waits for order_lines (nothing in raw/20260314)";
    assert!(done.stdout.contains(waits), "{}", done.stdout);
    assert!(
        done.stdout
            .contains("correct their path or mark under [source]"),
        "{}",
        done.stdout
    );
}
