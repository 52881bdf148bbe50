//! Checks before publishing: real kinds of trouble in generated exports; a failed check warns or blocks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{Outcome, copy_folder, etl, etl_in};

const FIRST_DAY: &str = "2026-03-01";
/// The last day before the trouble.
const DAY_BEFORE: &str = "2026-03-30";
/// A day without a campaign; 24 published days before it have none either.
const DAY: &str = "2026-03-31";

/// Exports and results of a generated marketplace.
struct Marketplace {
    folder: TempDir,
}

/// All days but the last, published, in eight files for each large export. It is made once.
static PUBLISHED: LazyLock<Marketplace> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("exports");
    let generated = etl(&[
        "generate",
        "--days",
        "31",
        "--shops",
        "60",
        "--rows-per-day",
        "6000",
        "--quiet",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(generated.code, 0, "{}", generated.stderr);
    let marketplace = Marketplace { folder };
    for dataset in ["order_lines", "product_traffic"] {
        for day in fs::read_dir(out.join(dataset)).unwrap() {
            split(&day.unwrap().path(), 8);
        }
    }
    let ended = marketplace.etl(
        &format!("backfill --from {FIRST_DAY} --to {DAY_BEFORE}"),
        "",
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for day in ended.json["days"].as_array().unwrap() {
        assert_eq!(failed(day), BTreeMap::new(), "{}", day["day"]);
    }
    marketplace
});

impl Marketplace {
    /// A copy of the published marketplace.
    fn new() -> Marketplace {
        let folder = TempDir::new().unwrap();
        copy_folder(PUBLISHED.folder.path(), folder.path());
        Marketplace { folder }
    }

    fn etl(&self, command: &str, job: &str) -> Outcome {
        let command = format!("{command} --quiet");
        etl_in(self.folder.path(), &command, "results", job)
    }

    fn run(&self, job: &str) -> Outcome {
        self.etl(&format!("run --day {DAY}"), job)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn export(&self, dataset: &str) -> PathBuf {
        self.export_of(DAY, dataset)
    }

    fn export_of(&self, day: &str, dataset: &str) -> PathBuf {
        self.path("exports").join(dataset).join(format!("dt={day}"))
    }

    /// Changes every data file of an export of the day.
    fn change(&self, dataset: &str, change: impl Fn(RecordBatch) -> RecordBatch) {
        self.change_of(DAY, dataset, change);
    }

    fn change_of(&self, day: &str, dataset: &str, change: impl Fn(RecordBatch) -> RecordBatch) {
        for file in data_files(&self.export_of(day, dataset)) {
            write(&file, &change(read(&file)));
        }
    }

    /// The newest manifest of the day.
    fn manifest(&self) -> Value {
        let folder = self.path("results/_runs").join(format!("dt={DAY}"));
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        serde_json::from_slice(&fs::read(files.last().unwrap()).unwrap()).unwrap()
    }
}

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| !file.ends_with("_SUCCESS")).collect();
    files.sort();
    files
}

fn read(file: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn write(file: &Path, rows: &RecordBatch) {
    let mut writer =
        ArrowWriter::try_new(File::create(file).unwrap(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// Splits the one file of a folder, whose `_SUCCESS` is empty then.
fn split(folder: &Path, files: usize) {
    let whole = data_files(folder).remove(0);
    let rows = read(&whole);
    fs::remove_file(whole).unwrap();
    let each = rows.num_rows().div_ceil(files);
    for file in 0..files {
        let first = (file * each).min(rows.num_rows());
        let part = rows.slice(first, each.min(rows.num_rows() - first));
        write(&folder.join(format!("part-{file}.parquet")), &part);
    }
    File::create(folder.join("_SUCCESS")).unwrap();
}

fn with_column(rows: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let position = rows.schema().index_of(name).unwrap();
    let mut columns = rows.columns().to_vec();
    columns[position] = column;
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

fn renamed(rows: &RecordBatch, from: &str, to: &str) -> RecordBatch {
    let column = rows.column_by_name("channel").unwrap();
    let texts = arrow_select::concat::concat(&[column.as_ref()]).unwrap();
    assert_eq!(texts.data_type(), &DataType::Utf8);
    let names = texts.as_string::<i32>().iter();
    let names = names.map(|name| name.map(|name| if name == from { to } else { name }));
    with_column(rows, "channel", Arc::new(StringArray::from_iter(names)))
}

/// The first numbers of each failed check of a report, by its name.
fn failed(report: &Value) -> BTreeMap<String, Value> {
    let days = report["checks"].as_array().unwrap().iter();
    let checks = days.flat_map(|day| day["checks"].as_array().unwrap());
    checks
        .filter(|check| check["outcome"] == "failed")
        .map(|check| {
            (
                check["name"].as_str().unwrap().to_owned(),
                check["found"][0].clone(),
            )
        })
        .collect()
}

fn outcomes(report: &Value) -> BTreeMap<String, String> {
    let checks = report["checks"][0]["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            (
                check["name"].as_str().unwrap().to_owned(),
                check["outcome"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn names(failed: &BTreeMap<String, Value>) -> Vec<&str> {
    failed.keys().map(String::as_str).collect()
}

#[test]
fn an_ordinary_day_passes_and_a_check_of_an_absent_export_does_not() {
    let marketplace = Marketplace::new();
    for dataset in ["contents", "ad_hours"] {
        fs::remove_dir_all(marketplace.export(dataset)).unwrap();
    }
    let ended = marketplace.run("");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let outcomes = outcomes(&ended.json);
    for (name, outcome) in [
        ("gmv", "passed"),
        ("rows.order_lines", "passed"),
        ("files.product_traffic", "passed"),
        ("nulls.shops.category", "passed"),
        ("channels.order_lines", "passed"),
        ("shops.present", "passed"),
        // The export is absent; no day has the same campaigns, namely none with registrations.
        ("rows.contents", "nothing_to_compare_with"),
        ("nulls.contents.views", "nothing_to_compare_with"),
        ("rows.ad_hours", "nothing_to_compare_with"),
    ] {
        assert_eq!(outcomes[name], outcome, "{name}");
    }
    let counts = &ended.json["checks"][0];
    let count = |word: &str| outcomes.values().filter(|outcome| *outcome == word).count();
    for word in ["passed", "failed", "nothing_to_compare_with"] {
        assert_eq!(counts[word], count(word), "{word}");
    }
    assert_eq!(counts["failed"], 0);
}

#[test]
fn a_first_day_has_nothing_to_compare_with_and_says_so() {
    let marketplace = Marketplace::new();
    fs::remove_dir_all(marketplace.path("results")).unwrap();
    let ended = marketplace.etl(&format!("backfill --from {DAY} --to {DAY}"), "");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let outcomes = outcomes(&ended.json["days"][0]);
    assert!(outcomes.len() > 35, "{outcomes:?}");
    assert!(
        outcomes
            .values()
            .all(|outcome| outcome == "nothing_to_compare_with")
    );
    let status = marketplace.etl(&format!("status --day {DAY}"), "");
    let day = &status.json["days"].as_array().unwrap().last().unwrap()["checks"];
    assert_eq!(
        (&day["passed"], &day["nothing_to_compare_with"]),
        (&0.into(), &outcomes.len().into())
    );
}

#[test]
fn a_file_missing_of_eight_is_found() {
    let marketplace = Marketplace::new();
    for dataset in ["order_lines", "product_traffic"] {
        fs::remove_file(data_files(&marketplace.export(dataset)).pop().unwrap()).unwrap();
    }
    let ended = marketplace.run("");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let failed = failed(&ended.json);
    for name in ["files.order_lines", "files.product_traffic"] {
        assert_eq!(failed[name]["value"], "7", "{failed:?}");
        assert_eq!(failed[name]["lowest"], "8");
    }
    let told = "files.order_lines 7 (expected 8; at least 8)";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn more_files_are_no_trouble() {
    let marketplace = Marketplace::new();
    let file = data_files(&marketplace.export("order_lines")).remove(0);
    let rows = read(&file);
    write(&file, &rows.slice(0, 1));
    write(
        &file.with_file_name("more.parquet"),
        &rows.slice(1, rows.num_rows() - 1),
    );
    assert_eq!(failed(&marketplace.run("").json), BTreeMap::new());
}

#[test]
fn a_day_exported_twice_under_other_order_ids_is_found() {
    let marketplace = Marketplace::new();
    marketplace.change("order_lines", |rows| with_other_orders(&rows, &rows));
    let ended = marketplace.run("");
    let failed = failed(&ended.json);
    let of_shops = "shops.orders_per_100_customers";
    for name in ["gmv", "orders", "rows.order_lines", of_shops] {
        assert!(failed.contains_key(name), "{name}: {failed:?}");
    }
    // Each buyer bought twice.
    assert!(!failed.contains_key("customers"), "{failed:?}");
}

#[test]
fn amounts_in_cents_instead_of_units_are_found() {
    let marketplace = Marketplace::new();
    write_cents(&marketplace);
    let ended = marketplace.run("");
    assert_eq!(names(&failed(&ended.json)), IN_CENTS);
}

/// The checks that fail on amounts in cents.
const IN_CENTS: [&str; 3] = ["gmv", "shops.gmv", "shops.gmv_per_order"];

/// The shop with most lines on the day; it has more than ten orders on every day.
fn largest_shop(marketplace: &Marketplace) -> i64 {
    let mut lines: BTreeMap<i64, usize> = BTreeMap::new();
    for file in data_files(&marketplace.export("order_lines")) {
        for shop in ints(&read(&file), "shop_id") {
            *lines.entry(shop).or_default() += 1;
        }
    }
    lines.into_iter().max_by_key(|(_, lines)| *lines).unwrap().0
}

#[test]
fn one_shop_whose_orders_are_exported_twice_is_found_and_named() {
    let marketplace = Marketplace::new();
    let shop = largest_shop(&marketplace);
    marketplace.change("order_lines", |rows| {
        let is_own = ints(&rows, "shop_id").map(|id| Some(id == shop)).collect();
        let own = arrow_select::filter::filter_record_batch(&rows, &is_own).unwrap();
        with_other_orders(&rows, &own)
    });
    let failed = failed(&marketplace.run("").json);
    let found = &failed["shops.orders_per_100_customers"];
    assert_eq!(found["of"], format!("shop {shop}"), "{failed:?}");
}

#[test]
fn one_shop_with_amounts_in_another_unit_is_found_and_named() {
    for by_100 in [|cents: i128| cents * 100, |cents: i128| cents / 100] {
        let marketplace = Marketplace::new();
        let shop = largest_shop(&marketplace);
        change_amounts(&marketplace, |id, cents| match id == shop {
            true => by_100(cents),
            false => cents,
        });
        let failed = failed(&marketplace.run("").json);
        let found = &failed["shops.gmv_per_order"];
        assert_eq!(found["of"], format!("shop {shop}"), "{failed:?}");
    }
}

#[test]
fn an_export_that_is_whole_in_fewer_files_is_no_trouble() {
    let marketplace = Marketplace::new();
    let files = data_files(&marketplace.export("order_lines"));
    let parts: Vec<RecordBatch> = files.iter().map(|file| read(file)).collect();
    let whole = arrow_select::concat::concat_batches(&parts[0].schema(), &parts).unwrap();
    files[1..]
        .iter()
        .for_each(|file| fs::remove_file(file).unwrap());
    write(&files[0], &whole);
    let ended = marketplace.run("");
    assert_eq!(failed(&ended.json), BTreeMap::new());
    let checks = ended.json["checks"][0]["checks"].as_array().unwrap().iter();
    let mut of_files = checks.filter(|check| check["name"] == "files.order_lines");
    let found = &of_files.next().unwrap()["found"][0];
    assert_eq!([&found["value"], &found["lowest"]], ["1", "8"]);
}

#[test]
fn a_renamed_channel_is_found_and_named() {
    let marketplace = Marketplace::new();
    for dataset in ["order_lines", "product_traffic"] {
        marketplace.change(dataset, |rows| renamed(&rows, "LIVE", "Live"));
    }
    let ended = marketplace.run("");
    let failed = failed(&ended.json);
    assert_eq!(
        names(&failed),
        ["channels.order_lines", "channels.product_traffic"]
    );
    for found in failed.values() {
        let of = found["of"].as_str().unwrap();
        assert!(
            ["channel \"LIVE\"", "channel \"Live\""].contains(&of),
            "{of}"
        );
    }
    assert!(
        ended.stderr.contains("2 of 6 out of range"),
        "{}",
        ended.stderr
    );
}

/// Multiplies the amounts of the day by 100.
fn write_cents(marketplace: &Marketplace) {
    change_amounts(marketplace, |_, cents| cents * 100);
}

/// A day before the last one, with amounts in cents, among days that are stale by a setting: a check
/// blocks it after its tables were computed.
fn with_a_blocked_day(flags: &str) -> (i32, BTreeMap<PathBuf, Vec<u8>>) {
    let marketplace = Marketplace::new();
    marketplace.change_of(DAY_BEFORE, "order_lines", |rows| {
        amounts(&rows, |_, cents| cents * 100)
    });
    let stale = format!("{BLOCK}[quarantine]\nmax_rows = 11\n");
    let ended = marketplace.etl(
        &format!("backfill --from 2026-03-28 --to {DAY}{flags}"),
        &stale,
    );
    let told: Vec<&str> = ended.json["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["outcome"].as_str().unwrap())
        .collect();
    // The bytes of the first days stay the same.
    let expected = ["up_to_date", "up_to_date", "blocked", "published"];
    assert_eq!(told, expected, "{}", ended.stderr);
    (ended.code, tables(&marketplace))
}

#[test]
fn days_computed_beside_one_that_a_check_blocks_read_its_published_tables() {
    let (code, in_turn) = with_a_blocked_day("");
    assert_eq!(code, 65);
    for flags in [" --parallel 2", " --parallel 4"] {
        let (code, tables) = with_a_blocked_day(flags);
        assert!((code, &tables) == (65, &in_turn), "{flags}");
    }
}

/// Changes each `sub_total` of the day, in cents, of a shop.
fn change_amounts(marketplace: &Marketplace, change: impl Fn(i64, i128) -> i128) {
    marketplace.change("order_lines", |rows| amounts(&rows, &change));
}

/// Order lines whose amounts, in cents, are changed.
fn amounts(rows: &RecordBatch, change: impl Fn(i64, i128) -> i128) -> RecordBatch {
    let amounts = rows.column_by_name("sub_total").unwrap();
    let amounts = amounts.as_primitive::<Decimal128Type>().values().iter();
    let changed = ints(rows, "shop_id").zip(amounts);
    let changed = changed.map(|(shop, cents)| change(shop, *cents));
    let changed = Decimal128Array::from_iter_values(changed);
    let changed = changed.with_precision_and_scale(18, 2).unwrap();
    with_column(rows, "sub_total", Arc::new(changed))
}

fn ints(rows: &RecordBatch, column: &str) -> impl Iterator<Item = i64> {
    let column = rows.column_by_name(column).unwrap();
    column
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
        .into_iter()
}

/// The rows, and these lines again under other order ids.
fn with_other_orders(rows: &RecordBatch, again: &RecordBatch) -> RecordBatch {
    let ids = ints(again, "order_id").map(|id| id + 1_000_000_000_000);
    let again = with_column(
        again,
        "order_id",
        Arc::new(Int64Array::from_iter_values(ids)),
    );
    arrow_select::concat::concat_batches(&rows.schema(), [rows, &again]).unwrap()
}

/// The bytes of every table, by path.
fn tables(marketplace: &Marketplace) -> BTreeMap<PathBuf, Vec<u8>> {
    fn add(folder: &Path, tables: &mut BTreeMap<PathBuf, Vec<u8>>, root: &Path) {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                add(&path, tables, root);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                tables.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let (root, mut tables) = (marketplace.path("results"), BTreeMap::new());
    add(&root, &mut tables, &root);
    tables.retain(|path, _| !path.to_str().unwrap().starts_with('_'));
    tables
}

const BLOCK: &str = "[checks]\nseverities = { gmv = \"block\" }\n";

#[test]
fn a_check_that_blocks_leaves_the_tables_and_accept_checks_publishes_with_its_name() {
    let marketplace = Marketplace::new();
    assert_eq!(marketplace.run(BLOCK).code, 0);
    let published = tables(&marketplace);
    write_cents(&marketplace);

    let held = marketplace.run(BLOCK);
    assert_eq!(
        (held.code, held.json["outcome"].as_str()),
        (65, Some("blocked"))
    );
    let blocked = &held.json["blocked"][0];
    assert_eq!(blocked["dataset"], "order_lines");
    let reason = blocked["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("is not like earlier days: gmv "),
        "{reason}"
    );
    let remedy = blocked["remedy"].as_str().unwrap();
    assert!(
        remedy.contains(&format!("backfill --from {DAY} --to {DAY} --accept-checks")),
        "{remedy}"
    );
    assert_eq!(tables(&marketplace), published);

    // Nothing is read a second time, and the plan and the status say so.
    let again = marketplace.run(BLOCK);
    assert_eq!(
        (again.code, &again.json["datasets"]),
        (65, &serde_json::json!([]))
    );
    assert_eq!(names(&failed(&again.json)), IN_CENTS);
    let plan = marketplace.etl(&format!("plan --day {DAY}"), BLOCK);
    let planned = plan.json["days"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&planned["action"], &planned["tables"]),
        (&"blocked".into(), &serde_json::json!([]))
    );
    let status = marketplace.etl(&format!("status --day {DAY}"), BLOCK);
    let day = status.json["days"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&day["is_blocked"], &day["checks"]["failed"]),
        (&true.into(), &IN_CENTS.len().into())
    );

    let backfill = format!("backfill --from {DAY} --to {DAY} --accept-checks");
    let dry = marketplace.etl(&format!("{backfill} --dry-run"), BLOCK);
    let planned = &dry.json["days"][0];
    assert_eq!(
        (&planned["action"], &planned["why"]),
        (&"compute".into(), &"its failed checks are accepted".into())
    );
    let accepted = marketplace.etl(&backfill, BLOCK);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    assert!(
        accepted.stderr.contains("; accepted: gmv"),
        "{}",
        accepted.stderr
    );
    assert_ne!(tables(&marketplace), published);
    let manifest = marketplace.manifest();
    assert_eq!(manifest["checks"]["accepted"], serde_json::json!(["gmv"]));
    assert_eq!(manifest["blocked"], Value::Null);

    // The acceptance holds for these exports, also where all is computed again, and for no others.
    let settings = format!("{BLOCK}[quarantine]\nmax_rows = 11\n");
    assert_eq!(marketplace.run(&settings).code, 0);
    assert_eq!(
        marketplace.manifest()["checks"]["accepted"],
        serde_json::json!(["gmv"])
    );
    write_cents(&marketplace);
    assert_eq!(marketplace.run(&settings).code, 65);
}

#[test]
fn benchmarks_of_the_day_before_stand_in_for_a_day_that_a_check_blocks_before_its_first_version() {
    let marketplace = Marketplace::new();
    write_cents(&marketplace);
    let held = marketplace.run(BLOCK);
    assert_eq!(held.code, 65, "{}", held.stderr);
    assert_eq!(
        (&held.json["is_fallback"], &held.json["benchmark_day"]),
        (&true.into(), &DAY_BEFORE.into())
    );
    assert_eq!(
        marketplace.manifest()["benchmark"]["fallback_reason"],
        "order_lines"
    );
    assert!(
        !marketplace
            .path("results/shop_daily")
            .join(format!("dt={DAY}"))
            .exists()
    );
}

#[test]
fn a_day_that_a_check_blocks_is_checked_again_when_the_settings_change() {
    let marketplace = Marketplace::new();
    write_cents(&marketplace);
    assert_eq!(marketplace.run(BLOCK).code, 65);
    let plan = marketplace.etl(&format!("plan --day {DAY}"), "");
    let planned = plan.json["days"].as_array().unwrap().last().unwrap();
    assert_eq!(planned["why"], "its checks have other days or settings");
    let ended = marketplace.run("");
    assert_eq!(
        (ended.code, ended.json["outcome"].as_str()),
        (0, Some("published"))
    );
}

#[test]
fn a_day_that_a_check_blocks_is_checked_again_when_a_compared_day_changes() {
    let marketplace = Marketplace::new();
    write_cents(&marketplace);
    assert_eq!(marketplace.run(BLOCK).code, 65);
    let before = marketplace.export("order_lines");
    let before = before.with_file_name(format!("dt={DAY_BEFORE}"));
    fs::remove_file(data_files(&before).remove(0)).unwrap();
    let plan = marketplace.etl(&format!("plan --day {DAY}"), BLOCK);
    let planned = plan.json["days"].as_array().unwrap().last().unwrap();
    assert_eq!(planned["why"], "its checks have other days or settings");
    let again = marketplace.run(BLOCK);
    let is_read = |read: &Value| read["day"] == DAY && read["dataset"] == "order_lines";
    let read = again.json["datasets"].as_array().unwrap();
    assert_eq!((again.code, read.iter().any(is_read)), (65, true));
}

#[test]
fn checks_change_no_table_and_their_settings_make_none_stale() {
    let (with, without) = (Marketplace::new(), Marketplace::new());
    assert_eq!(with.run("").code, 0);
    let off = without.run("[checks]\nseverity = \"off\"\n");
    assert_eq!(
        off.json["checks"],
        serde_json::json!([{
            "day": DAY, "passed": 0, "failed": 0, "nothing_to_compare_with": 0, "checks": []
        }])
    );
    assert_eq!(tables(&with), tables(&without));
    let plan = with.etl(
        &format!("plan --day {DAY}"),
        "[checks]\nweeks = 3\nmin_days = 4\n",
    );
    let days = plan.json["days"].as_array().unwrap();
    assert!(
        days.iter().all(|day| day["action"] == "nothing"),
        "{days:?}"
    );
}

#[test]
fn the_manifest_keeps_the_outcomes_and_the_numbers_that_later_days_compare_with() {
    let marketplace = Marketplace::new();
    let ended = marketplace.run("");
    let manifest = marketplace.manifest();
    assert_eq!(
        manifest["checks"]["checks"],
        ended.json["checks"][0]["checks"]
    );
    let values = &manifest["measures"]["values"];
    let rows = |dataset: &str| {
        let files = data_files(&marketplace.export(dataset));
        files
            .iter()
            .map(|file| read(file).num_rows())
            .sum::<usize>()
    };
    for dataset in ["order_lines", "product_traffic", "shops", "inventory"] {
        assert_eq!(
            values[format!("rows.{dataset}")],
            rows(dataset),
            "{dataset}"
        );
    }
    let (mut gmv, mut nulls) = (0, 0);
    for file in data_files(&marketplace.export("order_lines")) {
        let lines = read(&file);
        for name in ["sub_total", "shipping_fee"] {
            let amounts = lines
                .column_by_name(name)
                .unwrap()
                .as_primitive::<Decimal128Type>();
            gmv += amounts.values().iter().sum::<i128>();
        }
        nulls += lines.column_by_name("content_id").unwrap().null_count();
    }
    assert_eq!(values["gmv"], gmv as i64);
    assert_eq!(
        values["nulls.order_lines.content_id"],
        nulls * 1_000_000 / rows("order_lines")
    );
    assert_eq!(values["files.order_lines"], 8);
    assert_eq!(manifest["measures"]["kind"], "ordinary");
}

#[test]
fn shops_that_vanish_are_counted_and_named() {
    let marketplace = Marketplace::new();
    let shops = data_files(&marketplace.export("shops")).remove(0);
    let ids: Vec<i64> = ints(&read(&shops), "shop_id").collect();
    let least_kept = ids[20.min(ids.len() - 1)];
    for dataset in [
        "shops",
        "order_lines",
        "product_traffic",
        "contents",
        "ad_hours",
        "inventory",
    ] {
        marketplace.change(dataset, |rows| {
            let kept = ints(&rows, "shop_id").map(|id| Some(id >= least_kept));
            arrow_select::filter::filter_record_batch(&rows, &kept.collect()).unwrap()
        });
    }
    let ended = marketplace.run("");
    let failed = failed(&ended.json);
    let found = &failed["shops.present"];
    assert_eq!(found["value"], "20", "{failed:?}");
    let of = found["of"].as_str().unwrap();
    assert!(
        of.starts_with("shops vanished (") && of.ends_with(", ...)"),
        "{of}"
    );
    // 60 to 40 shops.
    assert_eq!(failed["rows.shops"]["expected"], "60");
}

#[test]
fn a_column_that_becomes_null_is_found() {
    // An empty category is null.
    for category in [None, Some("")] {
        let marketplace = Marketplace::new();
        marketplace.change("shops", |rows| {
            let same = StringArray::from(vec![category; rows.num_rows()]);
            with_column(&rows, "category", Arc::new(same))
        });
        let failed = failed(&marketplace.run("").json);
        assert_eq!(
            failed["nulls.shops.category"]["value"], "100.0000 %",
            "{category:?}: {failed:?}"
        );
    }
}
