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
    let mut files = walk(&results);
    files.retain(|file| file.contains("/dt=") && file.ends_with(".parquet"));
    let bytes = |file: String| (file.clone(), fs::read(results.join(&file)).unwrap());
    files.into_iter().map(bytes).collect()
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

const DAY: &str = "2026-03-10";

/// Runs one day with this `[source]` section. Returns the folder with exports, job file and results, and stderr.
fn run(world: &World, source: &str, code: i32) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    world.write(&folder.path().join("exports"), 1);
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
    (folder, done.stderr)
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

/// A query over the files would need the same changes of values.
#[test]
fn explain_refuses_a_query_over_a_mapped_export() {
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
    let refused = explain(&["--sql"]);
    assert_eq!(refused.code, 78, "{}", refused.stderr);
    let says = "order_lines: a query cannot express the mapping of its columns";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
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

/// The way to get it wrong, the line and column of it, and what the message says.
const WRONG: [(&str, &str, &str); 23] = [
    (
        "[source]\npaht = \"{dataset}/{day}\"",
        "line 2, column 1",
        "\"paht\" is not a dataset or path; the nearest is \"path\"",
    ),
    (
        "[source.order_line]",
        "line 1, column 9",
        "\"order_line\" is not a dataset or path; the nearest is \"order_lines\"",
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
        "[source.order_lines.columns]\norder_id = { absent = true }",
        "line 2, column 14",
        "it is never null",
    ),
    (
        "[source.order_lines.columns]\nsub_total = { constant = 0.5 }",
        "line 2, column 26",
        "0.5 is not an amount in quotes",
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

/// The type of a mapped column is told with both names, and what to do.
#[test]
fn a_type_that_a_verb_is_not_for_is_told_with_both_names() {
    let of = |column: &str| format!("[source.order_lines.columns]\n{column}\n");
    for (column, says) in [
        (
            "sub_total = { from = \"channel\", scale = 2 }",
            "sub_total (from channel) ┆ a whole number of minor units ┆ STRING",
        ),
        (
            "paid_at = { time_zone = \"UTC\" }",
            "leave time_zone out of the mapping",
        ),
        (
            "buyer_id = { from = \"sku_id\", text_id = true }",
            "buyer_id (from sku_id) ┆ STRING   ┆ INT64",
        ),
        ("order_id = \"orderId\"", "order_id (from orderId) ┆ INT64"),
    ] {
        let (_, said) = run(&crate::places::one_day(), &of(column), 65);
        assert!(said.contains(says), "{column}\n{said}");
    }
}
