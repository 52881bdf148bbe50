//! Bad exports and wrong commands: one screen names the file and the remedy.
//!
//! Published files stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::{Outcome, etl};

const DAY: &str = "2026-03-14";
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The sample's last two days, already published, so that a later run could damage something.
pub struct Published {
    pub folder: TempDir,
    pub before: BTreeMap<PathBuf, Vec<u8>>,
}

impl Published {
    pub fn new() -> Published {
        let folder = TempDir::new().unwrap();
        let exports = Path::new(REPOSITORY).join("sample_data/exports");
        for dataset in fs::read_dir(&exports)
            .unwrap()
            .map(|d| d.unwrap().file_name())
        {
            for day in ["dt=2026-03-13", "dt=2026-03-14"] {
                let (from, to) = (
                    exports.join(&dataset).join(day),
                    folder.path().join("exports").join(&dataset).join(day),
                );
                if !from.exists() {
                    continue;
                }
                fs::create_dir_all(&to).unwrap();
                for file in fs::read_dir(from).unwrap().map(|f| f.unwrap().path()) {
                    fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
        let mut published = Published {
            folder,
            before: BTreeMap::new(),
        };
        assert_eq!(published.run("run", &[]).code, 0);
        published.before = published.tables();
        published
    }

    pub fn export(&self, dataset: &str) -> PathBuf {
        self.folder
            .path()
            .join("exports")
            .join(dataset)
            .join("dt=2026-03-14")
    }

    pub fn part(&self, dataset: &str) -> PathBuf {
        self.export(dataset).join("part-0.parquet")
    }

    /// `more` may name another job file, and other exports and results.
    pub fn run(&self, command: &str, more: &[&str]) -> Outcome {
        let (exports, results) = (
            self.folder.path().join("exports"),
            self.folder.path().join("results"),
        );
        let config = format!("{REPOSITORY}/jobs/daily.toml");
        let places = [
            "--config",
            &config,
            "--exports",
            exports.to_str().unwrap(),
            "--results",
            results.to_str().unwrap(),
        ];
        let mut args = vec![command, "--day", DAY, "--quiet"];
        args.extend(
            places
                .chunks(2)
                .filter(|place| !more.contains(&place[0]))
                .flatten(),
        );
        args.extend(more);
        etl(&args)
    }

    /// Every file of every table. Manifests and the quarantine are left out: a failed run adds to
    /// them.
    pub fn tables(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().join("results")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if path.is_dir() && !name.starts_with('_') {
                    folders.push(path);
                } else if path.is_file() {
                    files.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// A run blocks the day with 65 and prints all of `says`, and the results are as before.
    #[track_caller]
    pub fn is_blocked(&self, says: &[&str]) -> Outcome {
        let ended = self.run("run", &[]);
        assert_eq!(ended.code, 65, "{}", ended.stderr);
        for text in says {
            assert!(
                ended.stderr.contains(text),
                "{text:?} is not in:\n{}",
                ended.stderr
            );
        }
        assert!(
            ended.stderr.lines().count() <= 24,
            "more than one screen:\n{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert!(self.tables() == self.before, "a published file was touched");
        let again = self.run("run", &["--format", "json"]);
        assert_eq!(
            (again.code, again.json["outcome"].as_str()),
            (65, Some("blocked"))
        );
        assert_eq!(
            again.json["benchmark_day"], DAY,
            "benchmarks that the day made itself stay"
        );
        ended
    }
}

#[test]
fn a_truncated_file_blocks_the_day() {
    let day = Published::new();
    let bytes = fs::read(day.part("order_lines")).unwrap();
    for length in [
        0,
        4,
        11,
        12,
        100,
        bytes.len() / 2,
        bytes.len() - 9,
        bytes.len() - 1,
    ] {
        fs::write(day.part("order_lines"), &bytes[..length]).unwrap();
        day.is_blocked(&[
            "order_lines",
            "part-0.parquet",
            "a Parquet file",
            "export the file again",
        ]);
    }
}

#[test]
fn flipped_bytes_never_end_in_a_panic() {
    let day = Published::new();
    let bytes = fs::read(day.part("shops")).unwrap();
    for position in (4..bytes.len() - 8).step_by(bytes.len() / 60) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0xff;
        fs::write(day.part("shops"), damaged).unwrap();
        let ended = day.run("validate", &[]);
        assert!(
            [0, 65].contains(&ended.code),
            "byte {position}: exit {} {}",
            ended.code,
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("panicked"),
            "byte {position}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_file_that_is_not_parquet_blocks_the_day() {
    let day = Published::new();
    fs::write(day.part("shops"), "shop_id,shop_name\n1,Ada\n").unwrap();
    day.is_blocked(&["shops", "part-0.parquet", "a Parquet file"]);
}

#[test]
fn a_dataset_without_rows_that_must_have_some_blocks_the_day() {
    let day = Published::new();
    fs::remove_file(day.part("order_lines")).unwrap();
    day.is_blocked(&["order_lines", "has no row to use"]);
}

#[test]
fn a_lying_success_list_blocks_the_day() {
    let day = Published::new();
    let size = fs::metadata(day.part("shops")).unwrap().len();
    for (list, says) in [
        (
            success_list("part-0.parquet", size + 1, 59),
            "bytes, as _SUCCESS lists it",
        ),
        (
            success_list("part-0.parquet", size, 60),
            "60 rows, as _SUCCESS lists it",
        ),
        (
            success_list("part-1.parquet", size, 59),
            "a file, as _SUCCESS lists it",
        ),
        (r#"{"files":[]}"#.to_owned(), "a file that it does not list"),
        ("done".to_owned(), "write _SUCCESS empty or with its list"),
    ] {
        fs::write(day.export("shops").join("_SUCCESS"), list).unwrap();
        day.is_blocked(&["shops", says]);
    }
}

fn success_list(name: &str, size: u64, rows: u64) -> String {
    format!(r#"{{"files":[{{"name":"{name}","size_bytes":{size},"row_count":{rows}}}]}}"#)
}

/// The datasets that `validate` counts rows of.
fn counted(ended: &Outcome) -> Vec<String> {
    let datasets = ended.json["days"][0]["datasets"].as_array().unwrap();
    datasets
        .iter()
        .map(|d| d["dataset"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn rows_whose_scope_a_broken_export_decides_are_not_called_out_of_scope() {
    let day = Published::new();
    let all = counted(&day.run("validate", &["--format", "json"]));
    assert_eq!(all.len(), 10);
    for (broken, unknown) in [
        ("shops", &["shops", "ad_hours"][..]),
        (
            "campaigns",
            &["campaigns", "campaign_shops", "campaign_products"],
        ),
    ] {
        let whole = fs::read(day.part(broken)).unwrap();
        fs::write(day.part(broken), "nothing").unwrap();
        let text = day.run("validate", &[]);
        assert_eq!(text.code, 65);
        assert!(
            text.stdout
                .contains("blocked; a run would publish no tables of the day itself"),
            "{}",
            text.stdout
        );
        let expected: Vec<&String> = all
            .iter()
            .filter(|name| !unknown.contains(&name.as_str()))
            .collect();
        assert_eq!(
            counted(&day.run("validate", &["--format", "json"]))
                .iter()
                .collect::<Vec<_>>(),
            expected
        );
        fs::write(day.part(broken), whole).unwrap();
    }
}

#[test]
fn a_blocked_day_fits_a_terminal() {
    let day = Published::new();
    fs::copy(day.part("campaigns"), day.part("shops")).unwrap();
    fs::copy(day.part("order_lines"), day.part("campaigns")).unwrap();
    assert_eq!(day.run("run", &[]).code, 65);
    for command in ["status", "plan", "validate"] {
        let shown = day.run(command, &[]).stdout;
        let widest = shown
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        assert!(widest <= 100, "{widest} columns:\n{shown}");
        assert!(
            shown.contains("2026-03-14"),
            "a day is never broken over lines:\n{shown}"
        );
    }
}

#[test]
fn cron_has_nothing_to_mail_while_exports_are_not_final() {
    let day = Published::new();
    fs::remove_file(day.export("shops").join("_SUCCESS")).unwrap();
    let waiting = day.run("run", &[]);
    assert_eq!((waiting.code, waiting.stderr.as_str()), (75, ""));
}

#[test]
fn an_optional_export_that_is_damaged_is_left_out_and_told() {
    let day = Published::new();
    fs::write(day.part("contents"), "nothing").unwrap();
    let ended = day.run("run", &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("contents")
            && ended
                .stderr
                .contains("readers see everything but the tables and columns that need it"),
        "{}",
        ended.stderr
    );
    assert!(
        !day.folder
            .path()
            .join("results/content_daily/dt=2026-03-14/part-0.parquet")
            .exists()
    );
    let strict = day.run("run", &["--strict", "--format", "json"]);
    assert_eq!(
        (strict.code, strict.json["outcome"].as_str()),
        (65, Some("up_to_date"))
    );
    assert_eq!(strict.json["skipped"][1]["table"], "content_daily");
}

#[test]
fn exports_that_do_not_exist_are_a_failed_store() {
    let folder = TempDir::new().unwrap();
    let config = format!("{REPOSITORY}/jobs/daily.toml");
    let missing = folder.path().join("nowhere");
    let results = folder.path().join("results");
    let args = [
        "run",
        "--day",
        DAY,
        "--config",
        &config,
        "--exports",
        missing.to_str().unwrap(),
        "--results",
    ];
    let ended = etl(&[&args[..], &[results.to_str().unwrap(), "--format", "json"]].concat());
    assert_eq!(ended.code, 74);
    assert_eq!(ended.json["exit_code"], 74);
    assert!(ended.stderr.contains("nowhere"), "{}", ended.stderr);
}

#[test]
fn a_wrong_job_file_is_named_with_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("job.toml");
    fs::write(&config, "time_zone = \"Mars/Olympus\"\n").unwrap();
    let ended = etl(&[
        "status",
        "--config",
        config.to_str().unwrap(),
        "--format",
        "json",
    ]);
    assert_eq!(ended.code, 78);
    assert!(
        ended.stderr.contains("job.toml") && ended.stderr.contains("not an IANA name"),
        "{}",
        ended.stderr
    );
    let ended = etl(&["status", "--config", "no/such/file.toml"]);
    assert_eq!(ended.code, 78);
    assert!(
        ended.stderr.contains("no/such/file.toml"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_what_would_be_right() {
    for args in [
        &["run", "--day", "14.3.2026"][..],
        &["walk"],
        &["backfill", "--from", "2026-03-01"],
        &["run", "--threads", "0"],
        &["run", "--day", "1969-12-31"],
        &["run", "--day", "9999-01-01"],
        &["backfill", "--from", "2026-03-02", "--to", "2026-03-01"],
        &["plan", "--from", "2026-03-02", "--to", "2026-03-01"],
        &["status", "--from", "2026-03-02", "--to", "2026-03-01"],
        &["validate", "--from", "2026-03-02", "--to", "2026-03-01"],
    ] {
        let ended = etl(args);
        assert_eq!(ended.code, 2, "{args:?}");
    }
    for (args, text) in [
        (
            &["run", "--day", "9999-01-01"][..],
            "its year is not from 1970 to 9998",
        ),
        (
            &["plan", "--from", "2026-03-02", "--to", "2026-03-01"],
            "--from 2026-03-02 is after --to 2026-03-01: give the first day and then the last",
        ),
        (
            &["run", "--day", "14.3.2026"],
            "not a day such as 2026-03-14",
        ),
    ] {
        let ended = etl(args);
        assert!(
            ended.stderr.contains(text),
            "{args:?} does not say {text:?}: {}",
            ended.stderr
        );
    }
    assert_eq!(etl(&["walk", "--format", "json"]).json["exit_code"], 2);
}

#[test]
fn a_breach_is_told_as_a_table_with_a_remedy() {
    let day = Published::new();
    fs::copy(day.part("campaigns"), day.part("shops")).unwrap();
    let ended = day.is_blocked(&[]);
    insta::assert_snapshot!(ended.stderr, @r"
    warning: 2026-03-14 blocked: shops breaks its contract:
    ┌─────────┬────────────────┬───────────────────────┬──────────┬────────────────┐
    │ dataset ┆ file           ┆ column                ┆ expected ┆ found          │
    ╞═════════╪════════════════╪═══════════════════════╪══════════╪════════════════╡
    │ shops   ┆ part-0.parquet ┆ shop_id               ┆ INT64    ┆ no such column │
    │ shops   ┆ part-0.parquet ┆ shop_name             ┆ STRING   ┆ no such column │
    │ shops   ┆ part-0.parquet ┆ category              ┆ STRING   ┆ no such column │
    │ shops   ┆ part-0.parquet ┆ primary_ad_account_id ┆ INT64    ┆ no such column │
    └─────────┴────────────────┴───────────────────────┴──────────┴────────────────┘
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: map it from a column of the files in the job file, or add the column to the export
    ");
}
