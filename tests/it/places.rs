//! Places of exports, results and output: names of files, URLs, streams that cannot be written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use campaign_etl::contracts::datasets;
use tempfile::TempDir;

use crate::world::{Cells, World, etl, read_table, write_file};

const DAY: &str = "2026-03-10";
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/daily.toml");

/// Rows of cells between bars; an empty cell is null.
pub fn rows(text: &[&str]) -> Vec<Cells> {
    let cell = |cell: &str| Some(cell.trim().to_owned()).filter(|c| !c.is_empty());
    text.iter()
        .map(|row| row.split('|').map(cell).collect())
        .collect()
}

/// One shop's day in one campaign; the optional exports are not final.
pub fn one_day() -> World {
    let mut world = World::default();
    for (dataset, text) in [
        (
            "order_lines",
            vec![
                "1|11|21|5|31|2026-03-10T20:00:00Z|2|10.00|1.50|0|0|LIVE||",
                "2|11|21|5|32|2026-03-10T21:00:00Z|1|5.00|0|0|0|VIDEO||",
            ],
        ),
        ("product_traffic", vec!["5|21|31|LIVE||9|3|2|1"]),
        ("shops", vec!["5|Ada|Books|"]),
        ("campaigns", vec!["7|Spring|2026-03-09|2026-03-12"]),
        ("campaign_shops", vec!["7|5|100"]),
    ] {
        world
            .exports
            .insert((dataset.into(), DAY.parse().unwrap()), rows(&text));
    }
    world
}

fn run(exports: &str, results: &str) -> crate::world::Outcome {
    etl(&[
        "run",
        "--day",
        DAY,
        "--quiet",
        "--config",
        CONFIG,
        "--exports",
        exports,
        "--results",
        results,
    ])
}

fn export(root: &Path, dataset: &str) -> PathBuf {
    root.join("exports").join(dataset).join(format!("dt={DAY}"))
}

/// Every published file by its path in the results.
fn published(results: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![results.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() && !path.ends_with("_runs") && !path.ends_with("_locks") {
                folders.push(path);
            } else if path.is_file() {
                files.insert(
                    path.strip_prefix(results).unwrap().into(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

#[test]
fn export_files_may_have_any_name() {
    let names = [
        "é.parquet",
        "a#b.parquet",
        "a~1.parquet",
        "a[1].parquet",
        "a%20b.parquet",
        "a*b.parquet",
        "a b?.parquet",
    ];
    let folder = TempDir::new().unwrap();
    one_day().write(&folder.path().join("exports"), 1);
    let order_lines = export(folder.path(), "order_lines");
    fs::remove_file(order_lines.join("part-00000.parquet")).unwrap();
    for (i, name) in names.iter().enumerate() {
        let row = format!("{i}|11|21|5|31|2026-03-10T20:00:00Z|1|10.00|0|0|0|LIVE||");
        write_file(
            &order_lines.join(name),
            datasets::ORDER_LINES.columns,
            &rows(&[&row]),
        );
    }
    let results = folder.path().join("results");
    let ended = run(
        folder.path().join("exports").to_str().unwrap(),
        results.to_str().unwrap(),
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // One order of 10.00 in each file.
    let shop = &read_table(&results, "shop_daily", DAY.parse().unwrap()).unwrap()[0];
    assert!(shop.contains(&Some("70.00".into())), "{shop:?}");
}

#[test]
fn a_file_url_is_the_same_place_as_its_path() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("a b");
    one_day().write(&root.join("exports"), 1);
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    assert_eq!(run(&path("exports"), &path("of_path")).code, 0);
    let expected = published(&root.join("of_path"));
    assert!(expected.len() > 20);
    for (results, slash) in [("of_url", ""), ("of_url_with_slash", "/")] {
        let url = |name: &str| format!("file://{}{slash}", path(name).replace(' ', "%20"));
        let ended = run(&url("exports"), &url(results));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(published(&root.join(results)) == expected, "{results}");
    }
}

#[test]
fn a_location_that_cannot_be_meant_is_a_wrong_configuration() {
    let folder = TempDir::new().unwrap();
    let results = folder.path().join("results");
    for (location, says) in [
        ("", "error: --exports: exports is empty\n"),
        ("foo://bar", "give a path or a file:, s3:, gs: or az: URL"),
        ("s3:/bucket/x", "write s3://bucket/folder"),
        (
            "file:relative",
            "write file:///absolute/folder, or a relative path without file:",
        ),
    ] {
        let ended = run(location, results.to_str().unwrap());
        assert_eq!(ended.code, 78, "{location}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
        assert_eq!(
            etl(&["status", "--config", CONFIG, "--results", location]).code,
            78
        );
    }
    assert!(!results.exists());
}

fn with_streams(args: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    program
        .args(args)
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap()
}

/// A stream to a full disk: writing fails.
#[cfg(target_os = "linux")]
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn stderr_that_cannot_be_written_changes_nothing() {
    let folder = TempDir::new().unwrap();
    one_day().write(&folder.path().join("exports"), 1);
    let (exports, results) = (folder.path().join("exports"), folder.path().join("results"));
    let places = [
        "--exports",
        exports.to_str().unwrap(),
        "--results",
        results.to_str().unwrap(),
        "--config",
        CONFIG,
    ];
    for (more, code) in [
        (&["run", "--day", DAY][..], 0),
        (&["run", "--day", DAY, "--log-format", "json"], 0),
        (&["run", "--day", "2026-03-12"], 75),
        (&["status", "--results", ""], 78),
        (&["status", "--results", "", "--log-format", "json"], 78),
        (&["walk"], 2),
    ] {
        let places = if more.contains(&"--results") {
            &places[4..]
        } else {
            &places[..]
        };
        let ended = with_streams(&[more, places].concat(), Stdio::null(), full());
        assert_eq!(ended.status.code(), Some(code), "{more:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn stdout_that_cannot_be_written_is_a_failed_store_unless_its_reader_left() {
    for (args, code) in [
        (&["--help"][..], 74),
        (&["docs"], 74),
        (&["walk", "--format", "json"], 2),
    ] {
        let ended = with_streams(args, full(), Stdio::piped());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        assert!(
            said.contains("error: cannot write to stdout: No space left on device"),
            "{said}"
        );
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = with_streams(&["docs"], writer, Stdio::piped());
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

#[test]
fn an_open_ended_campaign_is_published_or_told() {
    let folder = TempDir::new().unwrap();
    let mut world = one_day();
    let at = ("campaigns".to_owned(), DAY.parse().unwrap());
    world
        .exports
        .insert(at, rows(&["7|Always|0001-01-01|9999-12-31"]));
    let (exports, results) = (folder.path().join("exports"), folder.path().join("results"));
    world.write(&exports, 1);
    let (exports, results) = (exports.to_str().unwrap(), results.to_str().unwrap());
    let ended = run(exports, results);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let shop = &read_table(results.as_ref(), "shop_period", DAY.parse().unwrap()).unwrap()[0];
    // first_day, through_day, days, missing_days: 2026-03-10 is day 739 685 of the calendar that
    // starts with 0001-01-01.
    let period = ["0001-01-01", DAY, "1", "739684"].map(|cell| Some(cell.to_owned()));
    assert_eq!(shop[2..6], period);

    let file = export(folder.path(), "campaigns").join("part-00000.parquet");
    // DuckDB writes 'infinity'::DATE as the greatest number and '-infinity' as its opposite.
    for (first, last) in [
        (20_000, i32::MAX),
        (-i32::MAX, 30_000),
        (i32::MIN, 30_000),
        (20_000, 2_932_897),
        (-719_163, 30_000),
    ] {
        write_campaign(&file, first, last);
        let ended = run(exports, results);
        assert_eq!(ended.code, 65, "{}", ended.stderr);
        let column = if first == 20_000 {
            "last_day"
        } else {
            "first_day"
        };
        for says in [
            "part-00000.parquet",
            column,
            "a DATE of years 1 to 9999",
            "write an open end as 9999-12-31",
        ] {
            assert!(
                ended.stderr.contains(says),
                "{says:?} is not in {}",
                ended.stderr
            );
        }
    }
}

/// Days as numbers since 1970-01-01, outside the years of the calendar.
fn write_campaign(path: &Path, first_day: i32, last_day: i32) {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
    let batch = RecordBatch::try_from_iter([
        (
            "campaign_id",
            Arc::new(Int64Array::from(vec![7])) as ArrayRef,
        ),
        ("campaign_name", Arc::new(StringArray::from(vec!["Always"]))),
        ("first_day", Arc::new(Date32Array::from(vec![first_day]))),
        ("last_day", Arc::new(Date32Array::from(vec![last_day]))),
    ])
    .unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None)
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn generating_where_nothing_can_be_written_fails() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let args = [
        "generate",
        "--days",
        "1",
        "--shops",
        "5",
        "--rows-per-day",
        "50",
        "--out",
    ];
    let inside = file.join("exports");
    assert_eq!(
        etl(&[&args[..], &[inside.to_str().unwrap()]].concat()).code,
        74
    );
    let out = folder.path().join("exports");
    assert_eq!(etl(&[&args[..], &[out.to_str().unwrap()]].concat()).code, 0);
    let again = etl(&[&args[..], &[out.to_str().unwrap()]].concat());
    assert_eq!(again.code, 78);
    assert!(
        again.stderr.contains("exists already\n"),
        "{}",
        again.stderr
    );
}

/// A day whose tables can be published, and a folder for results with an obstacle.
struct Obstructed {
    folder: TempDir,
}

impl Obstructed {
    fn new() -> Obstructed {
        let folder = TempDir::new().unwrap();
        one_day().write(&folder.path().join("exports"), 1);
        fs::create_dir(folder.path().join("results")).unwrap();
        Obstructed { folder }
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    fn run(&self) -> crate::world::Outcome {
        run(
            self.folder.path().join("exports").to_str().unwrap(),
            self.results().to_str().unwrap(),
        )
    }

    /// The run exits with 74, prints this, and commits nothing. Without the obstacle the next run
    /// publishes.
    #[track_caller]
    fn is_seen_before_the_commit(&self, says: &[&str], mend: impl FnOnce()) {
        let ended = self.run();
        assert_eq!(ended.code, 74, "{}", ended.stderr);
        for text in says {
            assert!(
                ended.stderr.contains(text),
                "{text:?} is not in {}",
                ended.stderr
            );
        }
        for record in fs::read_dir(self.results().join("_runs/commit_log")).unwrap() {
            let record = fs::read_to_string(record.unwrap().path()).unwrap();
            assert!(record.contains("\"commit\": null"), "committed: {record}");
        }
        mend();
        let ended = self.run();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_table_folder_on_another_file_system_is_found_before_the_commit() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let day = Obstructed::new();
    let Ok(elsewhere) = TempDir::new_in("/dev/shm") else {
        return;
    };
    if fs::metadata(elsewhere.path()).unwrap().dev() == fs::metadata(day.results()).unwrap().dev() {
        return;
    }
    let link = day.results().join("shop_tier");
    symlink(elsewhere.path(), &link).unwrap();
    let says = [
        "is on another file system than",
        "keep all results on one file system",
        "/shop_tier",
    ];
    day.is_seen_before_the_commit(&says, || fs::remove_file(&link).unwrap());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
#[cfg(unix)]
fn what_lies_where_a_table_belongs_is_found_before_the_commit() {
    let partition = format!("shop_tier/dt={DAY}");
    type Obstruct = fn(&Path);
    let cases: [(&str, &str, Obstruct); 4] = [
        ("shop_tier", "is a file where a folder belongs", |at| {
            fs::write(at, "").unwrap()
        }),
        (&partition, "is a file where a folder belongs", |at| {
            fs::write(at, "").unwrap()
        }),
        ("shop_tier", "is a link to nothing", |at| {
            std::os::unix::fs::symlink("/nowhere", at).unwrap()
        }),
        ("part", "is a folder where a file belongs", |at| {
            fs::create_dir(at).unwrap()
        }),
    ];
    for (at, says, obstruct) in cases {
        let day = Obstructed::new();
        let at = if at == "part" {
            format!("{partition}/part-0.parquet")
        } else {
            at.to_owned()
        };
        let at = day.results().join(at);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        obstruct(&at);
        let remove = || {
            if at.is_dir() {
                fs::remove_dir(&at).unwrap()
            } else {
                fs::remove_file(&at).unwrap()
            }
        };
        day.is_seen_before_the_commit(
            &[says, "move it away, then run again", at.to_str().unwrap()],
            remove,
        );
    }
}

/// Immutable folders answer EPERM, as file systems without hard links do; only root can make them,
/// on some file systems.
#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_cannot_be_written_is_a_failed_store_with_what_to_do() {
    let day = Obstructed::new();
    let chattr = |change: &str| {
        let results = day.results();
        Command::new("chattr")
            .arg(change)
            .arg(results)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    if !chattr("+i") {
        return;
    }
    let ended = day.run();
    assert!(chattr("-i"));
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("give the account of the job that right"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("single_writer"), "{}", ended.stderr);
}

/// As on FAT, and on some FUSE and SMB mounts: files can be created and renamed, but not linked.
const NO_LINKS: &str = "#include <errno.h>
int link(const char *from, const char *to) { errno = ANSWER; return -1; }
int linkat(int a, const char *from, int b, const char *to, int flags) { errno = ANSWER; return -1; }
";

#[test]
#[cfg(target_os = "linux")]
fn a_file_system_without_hard_links_is_named_as_such() {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("no_links.c");
    fs::write(&source, NO_LINKS).unwrap();
    for answer in ["EPERM", "EOPNOTSUPP", "ENOSYS"] {
        let day = Obstructed::new();
        let library = folder.path().join(answer);
        let mut compiler = Command::new("cc");
        let compiler = compiler
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source]);
        assert!(
            compiler
                .arg(format!("-DANSWER={answer}"))
                .status()
                .unwrap()
                .success()
        );
        let run = |job: &str| {
            let config = day.folder.path().join("job.toml");
            fs::write(&config, job).unwrap();
            let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
            program
                .args(["run", "--quiet", "--day", DAY, "--config"])
                .arg(config);
            program
                .arg("--exports")
                .arg(day.folder.path().join("exports"))
                .arg("--results")
                .arg(day.results());
            crate::world::Outcome::of(program.env("LD_PRELOAD", &library).output().unwrap())
        };
        let ended = run("");
        assert_eq!(ended.code, 78, "{answer}: {}", ended.stderr);
        for says in [
            "its file system has no hard links",
            "set single_writer = true in the job file",
        ] {
            assert!(ended.stderr.contains(says), "{answer}: {}", ended.stderr);
        }
        assert!(
            !ended.stderr.contains("the same object twice"),
            "{}",
            ended.stderr
        );
        let promised = run("single_writer = true\n");
        assert_eq!(promised.code, 0, "{answer}: {}", promised.stderr);
    }
}
