//! `init` on foreign exports: after a few corrected lines, its job file gives the same bytes as the contract.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use campaign_etl::contracts::{Dataset, Kind};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::mapping::{
    Foreign, JOB, SAMPLE, SPARK, TIKTOK, TRINO, are_the_same, camel_case, local_times, minor_units,
    published, replaced, texts_of, write_foreign,
};
use crate::world::{Outcome, copy_folder, etl};

/// As a marketplace's export could be: folders and columns of other names, columns that no contract has,
/// texts as ids, local times, minor units.
const MARKET: Foreign = Foreign {
    path: "",
    folder: |dataset, day| format!("raw/{}/date={}", folder(dataset), day.replace('-', "")),
    file: |number| format!("export_{number}.parquet"),
    success: "",
    column: |dataset, column, array| {
        let array = match column.kind {
            Kind::Int64 if column.unit.is_empty() => texts_of(&array),
            Kind::Money => minor_units(&array),
            Kind::Instant => local_times(&array, dataset.name == "order_lines"),
            Kind::Text if column.name == "channel" => {
                replaced(&array, &[("LIVE", "live"), ("VIDEO", "short_video")])
            }
            Kind::Text if column.name == "content_type" => {
                replaced(&array, &[("LIVE", "live"), ("VIDEO", "video")])
            }
            _ => array,
        };
        (name(dataset, column.name), array, String::new())
    },
    extra: |dataset, rows| match dataset.name {
        "order_lines" => {
            let amounts: ArrayRef = Arc::new(Int64Array::from_value(5, rows));
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(vec!["PAID"; rows]));
            vec![
                ("sellerDiscountMinor".into(), amounts.clone()),
                ("taxMinor".into(), amounts),
                ("orderStatus".into(), texts),
            ]
        }
        _ => vec![],
    },
};

fn folder(dataset: &str) -> &str {
    match dataset {
        "order_lines" => "orders",
        "product_traffic" => "product_funnel",
        "ad_hours" => "ads_hourly",
        "shops" => "sellers",
        "inventory" => "stock",
        "campaign_shops" => "campaign_sellers",
        same => same,
    }
}

/// The names of a marketplace: sellers, buyers and minor units.
fn name(dataset: &Dataset, column: &str) -> String {
    let name = match (dataset.name, column) {
        (_, "shop_id") => "sellerId",
        (_, "shop_name") => "sellerName",
        (_, "buyer_id" | "user_id") => "buyerUid",
        (_, "paid_at") => "paidTime",
        (_, "quantity") => "qty",
        (_, "sub_total") => "subTotalMinor",
        (_, "shipping_fee") => "shippingFeeMinor",
        (_, "platform_discount") => "platformDiscountMinor",
        (_, "shipping_platform_discount") => "shippingFeePlatformDiscountMinor",
        (_, "channel") => "trafficSrc",
        (_, "impressions") => "exposures",
        (_, "add_to_carts") => "atc",
        (_, "page_views") => "pv",
        (_, "creator_handle") => "creatorUsername",
        (_, "published_at") => "postTime",
        (_, "ad_account_id") => "advertiserId",
        (_, "primary_ad_account_id") => "primaryAdvertiserId",
        (_, "spend") => "costMinor",
        (_, "gross_revenue") => "grossRevenueMinor",
        (_, "available_quantity") => "availableQty",
        (_, "first_day") => "startDate",
        (_, "last_day") => "endDate",
        (_, "target_gmv") => "targetGmvMinor",
        _ => return camel_case(column),
    };
    name.to_owned()
}

/// An export location, and the place of its first job file.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("exports")).unwrap();
        Place { folder }
    }

    fn of(foreign: &Foreign) -> Place {
        let place = Place::new();
        write_foreign(foreign, &place.exports());
        place
    }

    fn exports(&self) -> PathBuf {
        self.folder.path().join("exports")
    }

    fn job(&self) -> PathBuf {
        self.folder.path().join("job.toml")
    }

    fn init(&self, more: &[&str]) -> Outcome {
        let (exports, job) = (self.exports(), self.job());
        let arguments = [
            "init",
            "--exports",
            exports.to_str().unwrap(),
            "--out",
            job.to_str().unwrap(),
        ];
        etl(&[&arguments, more].concat())
    }

    /// The job file, which `init` wrote.
    fn initialized(&self) -> String {
        let done = self.init(&[]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        fs::read_to_string(self.job()).unwrap()
    }
}

/// The number of lines that differ.
fn changed_lines(before: &str, after: &str) -> usize {
    assert_eq!(before.lines().count(), after.lines().count());
    before
        .lines()
        .zip(after.lines())
        .filter(|(a, b)| a != b)
        .count()
}

/// Texts to replace everywhere.
type Corrections<'a> = &'a [(&'a str, &'a str)];

const ZONES: Corrections = &[("time_zone = \"UTC\"", "time_zone = \"America/Los_Angeles\"")];

/// Runs the job file of `init` after these corrections, and compares every result.
fn runs_after(foreign: &Foreign, corrections: Corrections) {
    let place = Place::of(foreign);
    let first = place.initialized();
    let mut job = first.clone();
    for (from, to) in corrections {
        assert!(job.contains(from), "{from}\n{job}");
        job = job.replace(from, to);
    }
    assert!(changed_lines(&first, &job) <= 5, "{first}");
    fs::write(place.job(), &job).unwrap();
    let config = place.job();
    let config = config.to_str().unwrap();
    let valid = etl(&["validate", "--config", config, "--day", "2026-03-14"]);
    assert_eq!(valid.code, 0, "{}\n{}\n{job}", valid.stdout, valid.stderr);
    are_the_same(
        &published(&place.exports(), &job),
        &published(Path::new(SAMPLE), JOB),
    );
}

#[test]
fn text_ids_local_times_and_minor_units_need_only_their_zone() {
    runs_after(&TIKTOK, ZONES);
}

#[test]
fn exports_by_spark_need_no_correction() {
    runs_after(&SPARK, &[]);
}

#[test]
fn exports_by_trino_need_no_correction() {
    runs_after(&TRINO, &[]);
}

#[test]
fn exports_of_other_names_need_only_their_zone() {
    runs_after(&MARKET, ZONES);
}

/// The blocks of a page between ``` and ```, with the language of each.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fences = page.split("\n```").skip(1).step_by(2);
    fences
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

/// Every command of the page is run, and every line of the output that it shows is compared, except `...`.
#[test]
fn the_page_shows_each_command_from_init_to_the_first_results() {
    let page = include_str!("../../docs/your-own-exports.md");
    let (walk, _) = page.split_once("\n## The mapping").unwrap();
    let place = Place::of(&MARKET);
    let program = Path::new(env!("CARGO_BIN_EXE_campaign-etl"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let (mut said, mut first, mut commands) = (String::new(), None, 0);
    for (language, text) in blocks(walk) {
        match language {
            "sh" => {
                let mut shell = Command::new("sh");
                let shell = shell.args(["-e", "-c", text]).env("PATH", &path);
                let done = Outcome::of(shell.current_dir(place.folder.path()).output().unwrap());
                assert_eq!(done.code, 0, "{text}\n{}{}", done.stdout, done.stderr);
                said = done.stdout + &done.stderr;
                commands += text.lines().count();
                first = first.or(fs::read_to_string(place.job()).ok());
            }
            "text" => {
                for line in text.lines().filter(|line| line.trim() != "...") {
                    let shown = line.trim_end_matches("...").trim();
                    assert!(said.contains(shown), "{shown}\n{said}");
                }
            }
            "toml" => {
                let job = fs::read_to_string(place.job()).unwrap();
                for line in text.lines().filter(|line| line.trim() != "...") {
                    let shown = line.trim_end_matches("...").trim();
                    assert!(job.contains(shown), "{shown}\n{job}");
                }
            }
            other => panic!("a block of {other}"),
        }
    }
    assert!(commands >= 4, "{commands}");
    let job = fs::read_to_string(place.job()).unwrap();
    assert!(changed_lines(&first.unwrap(), &job) <= 5);
    are_the_same(
        &published(&place.exports(), &job),
        &published(Path::new(SAMPLE), JOB),
    );
}

#[test]
fn exports_by_the_contract_need_no_mapping() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("job.toml");
    let done = etl(&["init", "--exports", SAMPLE, "--out", out.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.contains("they need no mapping"),
        "{}",
        done.stdout
    );
    let job = fs::read_to_string(out).unwrap();
    assert!(!job.contains("[source"), "{job}");
    // The clock changed on 2026-03-08.
    assert!(
        job.contains("\ntime_zone = \"America/Los_Angeles\"\n"),
        "{job}"
    );
}

#[test]
fn a_file_is_never_overwritten() {
    let place = Place::new();
    fs::write(place.job(), "mine").unwrap();
    let done = place.init(&[]);
    assert_eq!(done.code, 78, "{}", done.stderr);
    for told in ["job.toml exists\n", "next: name another file with --out"] {
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    assert_eq!(fs::read_to_string(place.job()).unwrap(), "mine");
}

#[test]
fn a_location_without_days_is_told_with_what_is_there() {
    let place = Place::new();
    let said = |place: &Place| {
        let done = place.init(&[]);
        assert_eq!(done.code, 78, "{}", done.stderr);
        assert!(!place.job().exists());
        done.stderr
    };
    assert!(said(&place).contains("no folder that is named by a day; found: nothing"));
    fs::create_dir_all(place.exports().join("logs/app")).unwrap();
    assert!(said(&place).contains("found: logs\n"));
    fs::write(place.exports().join("README"), "").unwrap();
    assert!(said(&place).contains("found: logs, and files (README)\n"));
    write(
        &place.exports().join("weather/dt=2026-03-14/a.parquet"),
        &[("rain", floats(&[0.5]))],
    );
    assert!(
        said(&place).contains("found: weather/dt={day}: its columns are those of no dataset\n")
    );
    let without = etl(&["init", "--format", "json"]);
    assert_eq!(without.code, 2);
    assert!(
        without.stderr.contains("init needs --exports"),
        "{}",
        without.stderr
    );
    assert_eq!(without.json["exit_code"], 2);
}

#[test]
fn a_location_within_one_day_is_told() {
    let place = Place::new();
    let day = place.exports().join("order_lines/dt=2026-03-14");
    write(&day.join("a.parquet"), &[("order_id", ints(&[1]))]);
    fs::create_dir_all(place.exports().join("2026/03/14/order_lines")).unwrap();
    for (location, told) in [
        (
            "order_lines/dt=2026-03-14",
            "found: only files (a.parquet); The location above may be meant: ",
        ),
        (
            "2026/03/14",
            "found: order_lines; The location above may be meant: ",
        ),
    ] {
        let location = place.exports().join(location);
        let job = place.job();
        let arguments = [
            "init",
            "--exports",
            location.to_str().unwrap(),
            "--out",
            job.to_str().unwrap(),
        ];
        let done = etl(&arguments);
        assert_eq!(done.code, 78, "{}", done.stderr);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
}

#[test]
fn files_that_are_too_small_for_parquet_are_told() {
    let place = Place::new();
    let day = place.exports().join("orders/dt=2026-03-14");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join("a.csv"), "a,b\n").unwrap();
    let done = place.init(&[]);
    assert_eq!(done.code, 78, "{}", done.stderr);
    let told = "orders/dt={day}: no Parquet file in the newest 1 folder: orders/dt=2026-03-14/a.csv has 4 bytes";
    assert!(done.stderr.contains(told), "{}", done.stderr);
}

#[test]
fn links_to_folders_above_are_not_followed_and_are_one_line() {
    let place = Place::new();
    copy_folder(Path::new(SAMPLE), &place.exports());
    std::os::unix::fs::symlink(".", place.exports().join("loop")).unwrap();
    std::os::unix::fs::symlink("..", place.exports().join("shops/again")).unwrap();
    let job = place.initialized();
    let lines = job
        .lines()
        .filter(|line| line.contains("loop") || line.contains("again"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["# Not followed, because each is a link to a folder that holds it: loop, shops/again."]
    );
    is_valid(&place);
}

#[test]
fn no_job_file_is_written_to_stdout() {
    let folder = TempDir::new().unwrap();
    let mut init = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    init.args(["init", "--exports", SAMPLE, "--out", "-"]);
    let done = Outcome::of(init.current_dir(folder.path()).output().unwrap());
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("init writes no job file to stdout"),
        "{}",
        done.stderr
    );
    assert!(!folder.path().join("-").exists());
}

/// The folder of a day.
type Renamed = fn(&str) -> String;

/// The newest days of the sample, each in a folder of another name.
fn renamed(folder: Renamed) -> Place {
    let place = Place::new();
    for dataset in fs::read_dir(SAMPLE).unwrap() {
        let dataset = dataset.unwrap();
        for day in 10..=14 {
            let from = dataset.path().join(format!("dt=2026-03-{day}"));
            let to = place.exports().join(dataset.file_name());
            if from.exists() {
                copy_folder(&from, &to.join(folder(&format!("2026-03-{day}"))));
            }
        }
    }
    place
}

#[test]
fn days_in_other_folders_need_one_path() {
    let cases: [(Renamed, &str); 2] = [
        (
            |day| day.replace("2026-03-", "y=2026/m=3/d="),
            "y={day:%Y}/m={day:%-m}/d={day:%-d}",
        ),
        (|day| format!("dt={day} 00:00:00"), "dt={day} 00:00:00"),
    ];
    for (folder, path) in cases {
        let place = renamed(folder);
        let job = place.initialized();
        let line = format!("\n[source]\npath = \"{{dataset}}/{path}\"  # ");
        assert!(job.contains(&line), "{line}\n{job}");
        is_valid(&place);
    }
}

/// Hours are folders in each day, which no mapping can name.
#[test]
fn the_reasons_are_told_where_no_dataset_is_found() {
    let place = Place::new();
    let hour = "order_lines/dt=2026-03-10/hour=00/a.parquet";
    write(&place.exports().join(hour), &[("order_id", ints(&[1]))]);
    let done = place.init(&[]);
    assert_eq!(done.code, 78, "{}", done.stderr);
    for told in [
        "found: order_lines/dt={day}: no file in the newest 1 folder; order_lines/dt={day} has folders ",
        "order_lines/dt={day} has folders in each day (hour=...): a dataset and day must be one folder",
    ] {
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
}

/// The location and 4999 of its folders are listed.
#[test]
fn a_search_that_ended_early_is_told_where_nothing_is_found() {
    let place = Place::new();
    for number in 0..5_000 {
        fs::create_dir(place.exports().join(format!("shop-{number}"))).unwrap();
    }
    let done = place.init(&[]);
    assert_eq!(done.code, 78, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("; The search ended after 5000 folders: name a folder within the location"),
        "{}",
        done.stderr
    );
}

/// A copy of the sample with another mark, or none.
fn marked(mark: Option<&str>) -> Place {
    let place = Place::new();
    copy_folder(Path::new(SAMPLE), &place.exports());
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for dataset in fs::read_dir(place.exports()).unwrap() {
        for day in fs::read_dir(dataset.unwrap().path()).unwrap() {
            let day = day.unwrap().path();
            match mark {
                Some(mark) => fs::rename(day.join("_SUCCESS"), day.join(mark)).unwrap(),
                None => fs::remove_file(day.join("_SUCCESS")).unwrap(),
            }
            for file in fs::read_dir(&day).unwrap() {
                let file = fs::File::options().append(true).open(file.unwrap().path());
                file.unwrap().set_modified(old).unwrap();
            }
            fs::File::open(day).unwrap().set_modified(old).unwrap();
        }
    }
    place
}

/// Checks the day with the job file of `init`.
fn is_valid(place: &Place) {
    let config = place.job();
    let config = config.to_str().unwrap();
    let valid = etl(&["validate", "--config", config, "--day", "2026-03-14"]);
    assert_eq!(valid.code, 0, "{}\n{}", valid.stdout, valid.stderr);
}

#[test]
fn another_mark_is_found_and_its_days_are_final() {
    let place = marked(Some("_DONE"));
    let done = place.init(&[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stdout.contains("no mapping"), "{}", done.stdout);
    assert!(
        done.stdout.contains("\n  success = \"_DONE\": likely: "),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.ends_with(" --day 2026-03-14\n"),
        "{}",
        done.stdout
    );
    let job = fs::read_to_string(place.job()).unwrap();
    assert!(
        job.contains("\n[source]\nsuccess = \"_DONE\"  # likely: "),
        "{job}"
    );
    is_valid(&place);
}

#[test]
fn exports_without_a_mark_need_one_block_to_be_taken() {
    let place = marked(None);
    let done = place.init(&[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stdout.contains("no mapping"), "{}", done.stdout);
    assert_eq!(
        done.stdout.matches("no file marks").count(),
        1,
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("\nNext: complete success in "),
        "{}",
        done.stdout
    );
    let job = fs::read_to_string(place.job()).unwrap();
    let mut taken = job.clone();
    for line in ["success = \"none\"\n", "settle_minutes = 30\n"] {
        assert_eq!(job.matches(&format!("\n# {line}")).count(), 1, "{job}");
        taken = taken.replace(&format!("\n# {line}"), &format!("\n{line}"));
    }
    fs::write(place.job(), taken).unwrap();
    is_valid(&place);
}

/// 2026-03-12 is the newest day that is final in both.
#[test]
fn the_day_to_check_is_final_in_all_required_datasets() {
    let place = Place::new();
    copy_folder(Path::new(SAMPLE), &place.exports());
    for mark in [
        "shops/dt=2026-03-14/_SUCCESS",
        "order_lines/dt=2026-03-13/_SUCCESS",
    ] {
        fs::remove_file(place.exports().join(mark)).unwrap();
    }
    let done = place.init(&[]);
    assert!(
        done.stdout.ends_with(" --day 2026-03-12\n"),
        "{}",
        done.stdout
    );
}

#[test]
fn results_are_no_exports() {
    let place = Place::new();
    copy_folder(Path::new(SAMPLE), &place.exports());
    let (exports, results) = (place.exports(), place.exports().join("results"));
    let run = etl(&[
        "run",
        "--day",
        "2026-03-14",
        "--exports",
        exports.to_str().unwrap(),
        "--results",
        results.to_str().unwrap(),
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let job = place.initialized();
    let lines = job.lines().filter(|line| line.contains("results/"));
    let lines: Vec<&str> = lines.collect();
    let [line] = lines[..] else {
        panic!("{job}");
    };
    assert!(
        line.starts_with("# Not used, because this program wrote them as results: results/"),
        "{line}"
    );
    assert!(!job.contains("[source"), "{job}");
}

/// Half an hour from the zone of India, which few rows tell apart.
#[test]
fn the_zone_of_the_days_is_found_among_all() {
    let place = Place::new();
    let exports = place.exports();
    let arguments = [
        "generate",
        "--time-zone",
        "Asia/Karachi",
        "--out",
        exports.to_str().unwrap(),
    ];
    fs::remove_dir(&exports).unwrap();
    assert_eq!(etl(&arguments).code, 0);
    let job = place.initialized();
    assert!(job.contains("\ntime_zone = \"Asia/Karachi\"\n"), "{job}");
}

#[test]
fn the_environment_gives_exports_and_zone_and_the_next_command_is_quoted() {
    let place = Place::new();
    copy_folder(Path::new(SAMPLE), &place.exports());
    let program = env!("CARGO_BIN_EXE_campaign-etl");
    let mut init = Command::new(program);
    init.args(["init", "--out", "my job.toml"])
        .env("CAMPAIGN_ETL_EXPORTS", "exports")
        .env("CAMPAIGN_ETL_TIME_ZONE", "Asia/Tokyo")
        .current_dir(place.folder.path());
    let done = Outcome::of(init.output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let next = "\nNext: campaign-etl validate --config 'my job.toml' --day 2026-03-14\n";
    assert!(done.stdout.ends_with(next), "{}", done.stdout);
    let job = fs::read_to_string(place.folder.path().join("my job.toml")).unwrap();
    assert!(job.contains("\nexports = \"exports\"\n"), "{job}");
    assert!(
        job.contains("\n# unsure: CAMPAIGN_ETL_TIME_ZONE gives it; "),
        "{job}"
    );
    assert!(job.contains("\ntime_zone = \"Asia/Tokyo\"\n"), "{job}");
    // An empty variable gives nothing.
    let without = Command::new(program)
        .args(["init", "--out", "other.toml"])
        .env("CAMPAIGN_ETL_EXPORTS", "")
        .current_dir(place.folder.path())
        .output();
    assert_eq!(Outcome::of(without.unwrap()).code, 2);
}

fn write(path: &Path, columns: &[(&str, ArrayRef)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let columns = columns
        .iter()
        .map(|(name, array)| (*name, array.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// A location as people keep them: two groups that fit, other data, no Parquet, nothing, and types that no
/// mapping reads.
#[test]
fn what_does_not_fit_is_told_and_stays_a_comment() {
    let place = Place::new();
    let at = |path: &str| place.exports().join(path);
    let shops = [
        ("store_no", texts(&["A-1", "A-2"])),
        ("store_name", texts(&["Ada", "Bob"])),
        ("category", texts(&["Books", ""])),
    ];
    write(&at("stores/dt=2026-03-14/a.parquet"), &shops);
    fs::create_dir_all(at("stores/dt=2026-03-15")).unwrap();
    write(&at("stores_old/dt=2025-12-31/a.parquet"), &shops);
    let registrations = [
        ("campaign_id", ints(&[1, 1])),
        ("shop_id", ints(&[5, 6])),
        ("target_gmv", floats(&[10.5, 3.25])),
    ];
    write(
        &at("campaign_shops/dt=2026-03-14/a.parquet"),
        &registrations,
    );
    fs::write(at("campaign_shops/dt=2026-03-14/_SUCCESS"), "").unwrap();
    write(
        &at("weather/dt=2026-03-14/a.parquet"),
        &[("rain", floats(&[0.5]))],
    );
    fs::create_dir_all(at("events/dt=2026-03-14")).unwrap();
    fs::write(at("events/dt=2026-03-14/a.csv"), "a,b,c,d,e,f,g\n").unwrap();
    fs::create_dir_all(at("logs/app/_temporary/0")).unwrap();
    let job = place.initialized();
    for line in [
        "# unsure: stores_old/dt={day} fits too; this one fits better or is newer\n",
        "[source.shops]\npath = \"stores/dt={day}\"\n# missing: no file marks a folder of shops as final: have _SUCCESS written last, or take success = \"none\" with settle_minutes\n# success = \"none\"\n# settle_minutes = 30\n",
        "\nshop_id = { from = \"store_no\", text_id = true }  # ",
        "texts, of which some are no numbers: those have ids by their hash; ",
        "\nshop_name = \"store_name\"  # likely: ",
        "# primary_ad_account_id = { absent = true }  # missing: no column is like it; every row would be: has no ad account\n",
        "# target_gmv = \"target_gmv\"  # missing: target_gmv is DOUBLE, which cannot hold cents exactly; write DECIMAL(18,2), or whole minor units",
        "# missing: order_lines (required): no folder has its columns order_id, sku_id,",
        "# not used: weather/dt={day}: its columns are those of no dataset\n",
        "# not used: events/dt={day}: events/dt=2026-03-14/a.csv is no Parquet file: ",
        "# not used: logs: no folder in it is named by a day\n",
    ] {
        assert!(job.contains(line), "{line}\n{job}");
    }
}

/// An old copy of the order lines has all columns of an inventory, and one of the registrations most of those
/// of campaign products.
#[test]
fn a_second_group_of_a_dataset_is_told_and_becomes_no_other_dataset() {
    let place = Place::new();
    crate::places::one_day().write(&place.exports(), 1);
    let at = |path: &str| place.exports().join(path);
    copy_folder(&at("order_lines"), &at("orders_old"));
    copy_folder(&at("campaign_shops"), &at("registrations_old"));
    let job = place.initialized();
    for line in [
        "# unsure: orders_old/dt={day} fits too; this one fits better or is newer\n",
        "# unsure: registrations_old/dt={day} fits too; this one fits better or is newer\n",
        "# missing: inventory (optional): ",
        "# missing: campaign_products (optional): ",
    ] {
        assert!(job.contains(line), "{line}\n{job}");
    }
    assert!(!job.contains("[source"), "{job}");
}

/// The names of columns and folders are somebody else's texts.
#[test]
fn names_with_any_character_make_a_job_file_that_can_be_read() {
    let place = Place::new();
    let folder = place.exports().join("shops \"x\" \\ é/dt=2026-03-14");
    let shops = [
        ("shop\n\"id\"", ints(&[5, 6])),
        ("shop'name\u{7f}", texts(&["Ada", "Bob"])),
    ];
    write(&folder.join("a.parquet"), &shops);
    fs::write(folder.join("_SUCCESS"), "").unwrap();
    let job = place.initialized();
    assert!(
        job.contains("shop_id = \"shop\\n\\\"id\\\"\"  # sure"),
        "{job}"
    );
    let config = place.job();
    let status = etl(&[
        "status",
        "--config",
        config.to_str().unwrap(),
        "--day",
        "2026-03-14",
    ]);
    assert_eq!(status.code, 0, "{}", status.stderr);
}

#[test]
fn the_guesses_are_one_document_too() {
    let place = Place::of(&SPARK);
    let done = place.init(&["--format", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let datasets = done.json["datasets"].as_array().unwrap();
    assert_eq!(datasets.len(), 10);
    let orders = &datasets[0];
    assert_eq!(orders["path"], "order_lines/date={day:%Y%m%d}");
    assert_eq!(
        (&orders["days"], &orders["final_days"]),
        (&14.into(), &14.into())
    );
    assert_eq!(orders["columns"][0]["from"], "order_id_");
    assert_eq!(orders["columns"][0]["confidence"], "sure");
    assert_eq!(done.json["time_zone"]["zone"], "America/Los_Angeles");
    assert_eq!(done.json["day"], "2026-03-14");
}
