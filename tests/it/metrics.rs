//! The metrics file: its values after each outcome of a run, and a run whose file cannot be written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use crate::scene::walk;
use crate::world::{Outcome, etl};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample_data/exports");

/// Results of the sample, and the metrics of the last command.
struct Night(TempDir);

impl Night {
    fn new() -> Night {
        let night = Night(TempDir::new().unwrap());
        fs::write(night.path("job.toml"), "lookback_days = 0\n").unwrap();
        night
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn etl(&self, command: &str, exports: &str, metrics: &Path) -> Outcome {
        let (config, results) = (self.path("job.toml"), self.path("results"));
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(["--config", config.to_str().unwrap(), "--exports", exports]);
        args.extend(["--results", results.to_str().unwrap()]);
        args.extend(["--metrics-file", metrics.to_str().unwrap()]);
        etl(&args)
    }

    /// The values by name and by the labels beside those of all samples.
    fn metrics_after(&self, code: i32, command: &str, exports: &str) -> BTreeMap<String, f64> {
        let file = self.path("job.prom");
        let ended = self.etl(command, exports, &file);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(!ended.stderr.contains("metrics"), "{}", ended.stderr);
        let text = fs::read_to_string(&file).unwrap();
        let common = format!(
            "command=\"{}\",job_file=\"{}\"",
            command.split(' ').next().unwrap(),
            self.path("job.toml").display()
        );
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| {
                let (name, rest) = line.split_once('{').unwrap();
                let (labels, value) = rest.split_once("} ").unwrap();
                let labels = labels.strip_prefix(&common).unwrap();
                let name = name.strip_prefix("campaign_etl_").unwrap();
                (format!("{name}{labels}"), value.parse().unwrap())
            })
            .collect()
    }
}

/// The data files of the sample's exports of a day.
fn export_files(dataset: &str, day: &str) -> Vec<PathBuf> {
    let folder = Path::new(SAMPLE).join(dataset).join(format!("dt={day}"));
    let files = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    files
        .filter(|f| f.extension().is_some_and(|e| e == "parquet"))
        .collect()
}

fn rows(file: &Path) -> f64 {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    reader.metadata().file_metadata().num_rows() as f64
}

/// 00:00 of the next day in Los Angeles, which is 07:00Z in March after the 8th.
fn end_of(day: &str) -> f64 {
    let next = day
        .parse::<chrono::NaiveDate>()
        .unwrap()
        .succ_opt()
        .unwrap();
    next.and_hms_opt(7, 0, 0).unwrap().and_utc().timestamp() as f64
}

#[test]
fn a_published_day_is_told_with_its_rows_bytes_and_times() {
    let night = Night::new();
    let metrics = night.metrics_after(0, "run --day 2026-03-14", SAMPLE);
    assert_eq!(metrics["last_run_exit_code"], 0.0);
    assert_eq!(metrics["last_run_outcomes,outcome=\"published\""], 1.0);
    assert_eq!(metrics["last_run_outcomes,outcome=\"failed\""], 0.0);
    let lines: f64 = export_files("order_lines", "2026-03-14")
        .iter()
        .map(|file| rows(file))
        .sum();
    assert!(lines > 0.0);
    assert_eq!(metrics["last_run_rows_read,dataset=\"order_lines\""], lines);
    let datasets = fs::read_dir(SAMPLE).unwrap();
    let sizes = datasets.flat_map(|dataset| {
        let name = dataset.unwrap().file_name();
        export_files(name.to_str().unwrap(), "2026-03-14")
    });
    let sizes = sizes.map(|file| fs::metadata(file).unwrap().len() as f64);
    assert_eq!(metrics["last_run_read_bytes"], sizes.sum::<f64>());
    let results = night.path("results");
    let is_table = |path: &String| path.ends_with("part-0.parquet") && !path.starts_with('_');
    let tables: Vec<PathBuf> = walk(&results)
        .into_iter()
        .filter(is_table)
        .map(|path| results.join(path))
        .collect();
    let sum = |of: &dyn Fn(&PathBuf) -> f64| tables.iter().map(of).sum::<f64>();
    assert_eq!(metrics["last_run_written_tables"], tables.len() as f64);
    let bytes = |file: &PathBuf| fs::metadata(file).unwrap().len() as f64;
    assert_eq!(metrics["last_run_written_bytes"], sum(&bytes));
    assert_eq!(metrics["last_run_written_rows"], sum(&|file| rows(file)));
    let end = end_of("2026-03-14");
    assert_eq!(metrics["published_day_end_timestamp_seconds"], end);
    assert_eq!(metrics["benchmark_day_end_timestamp_seconds"], end);
    assert_eq!(metrics["benchmark_is_fallback"], 0.0);
    let [start, published, ended] = [
        "last_run_start_timestamp_seconds",
        "published_timestamp_seconds",
        "last_run_end_timestamp_seconds",
    ]
    .map(|name| metrics[name]);
    assert!(start <= published && published <= ended);
    // The stages are a part of the run.
    let stages = metrics.iter().filter(|(name, _)| name.contains("stage="));
    let stages: f64 = stages.map(|(_, seconds)| seconds).sum();
    assert!(stages <= metrics["last_run_duration_seconds"] + 0.01);
}

#[test]
fn a_failed_run_keeps_the_published_day_and_its_time() {
    let night = Night::new();
    let before = night.metrics_after(0, "run --day 2026-03-13", SAMPLE);
    fs::create_dir(night.path("nothing")).unwrap();
    for exports in ["nothing", "nowhere"] {
        let exports = night.path(exports);
        let after = night.metrics_after(74, "run --day 2026-03-14", exports.to_str().unwrap());
        assert_eq!(after["last_run_exit_code"], 74.0);
        assert_eq!(after["last_run_outcomes,outcome=\"failed\""], 1.0);
        for name in [
            "published_day_end_timestamp_seconds",
            "published_timestamp_seconds",
        ] {
            assert_eq!(after[name], before[name], "{name}");
        }
    }
}

#[test]
fn a_day_that_waits_has_benchmarks_of_the_day_before() {
    let night = Night::new();
    night.metrics_after(0, "run --day 2026-03-14", SAMPLE);
    let metrics = night.metrics_after(75, "run --day 2026-03-15", SAMPLE);
    assert_eq!(metrics["last_run_outcomes,outcome=\"fallback\""], 1.0);
    assert_eq!(metrics["benchmark_is_fallback"], 1.0);
    let end = end_of("2026-03-14");
    assert_eq!(metrics["benchmark_day_end_timestamp_seconds"], end);
    assert_eq!(metrics["published_day_end_timestamp_seconds"], end);
}

#[test]
fn a_command_that_ends_before_any_day_counts_as_failed_once() {
    let night = Night::new();
    fs::write(night.path("job.toml"), "lokback_days = 0\n").unwrap();
    for command in [
        "run",
        "run --day 2026-03-14",
        "backfill --from 2026-03-13 --to 2026-03-14",
    ] {
        let metrics = night.metrics_after(78, command, SAMPLE);
        assert_eq!(metrics["last_run_exit_code"], 78.0, "{command}");
        let of_all = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("last_run_outcomes"));
        assert_eq!(of_all.map(|(_, days)| days).sum::<f64>(), 1.0, "{command}");
        let failed = metrics["last_run_outcomes,outcome=\"failed\""];
        assert_eq!(failed, 1.0, "{command}");
        assert!(!metrics.contains_key("published_timestamp_seconds"));
    }
}

#[test]
fn results_that_cannot_be_reached_have_no_published_day() {
    let night = Night::new();
    night.metrics_after(0, "run --day 2026-03-14", SAMPLE);
    let results = night.path("results");
    fs::rename(&results, night.path("elsewhere")).unwrap();
    fs::write(&results, "no folder").unwrap();
    let file = night.path("job.prom");
    let ended = night.etl("run --day 2026-03-14", SAMPLE, &file);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("campaign_etl_last_run_exit_code{"), "{text}");
    assert!(!text.contains("campaign_etl_published_"), "{text}");
}

#[test]
fn a_wrong_command_line_leaves_the_file_of_the_run_before() {
    let night = Night::new();
    night.metrics_after(0, "run --day 2026-03-14", SAMPLE);
    let file = night.path("job.prom");
    let before = fs::read(&file).unwrap();
    let ended = night.etl("run --day 2026-03-32", SAMPLE, &file);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_backfill_counts_its_days() {
    let night = Night::new();
    let command = "backfill --from 2026-03-13 --to 2026-03-15";
    let metrics = night.metrics_after(75, command, SAMPLE);
    assert_eq!(metrics["last_run_outcomes,outcome=\"published\""], 2.0);
    assert_eq!(metrics["last_run_outcomes,outcome=\"fallback\""], 1.0);
    let lines = ["2026-03-13", "2026-03-14"].map(|day| export_files("order_lines", day));
    let lines: f64 = lines.iter().flatten().map(|file| rows(file)).sum();
    assert_eq!(metrics["last_run_rows_read,dataset=\"order_lines\""], lines);
}

#[test]
fn the_file_is_whole_readable_and_alone() {
    let night = Night::new();
    let folder = night.path("collector");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("campaign.prom");
    fs::write(&file, "old").unwrap();
    let ended = night.etl("run --day 2026-03-14", SAMPLE, &file);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(walk(&folder), ["campaign.prom"]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert!(!fs::read_to_string(&file).unwrap().starts_with("old"));
}

#[test]
fn a_file_that_cannot_be_written_is_one_warning_and_changes_nothing() {
    let (night, other) = (Night::new(), Night::new());
    other.metrics_after(0, "run --day 2026-03-14", SAMPLE);
    let file = night.path("no/such/folder/job.prom");
    let ended = night.etl("run --day 2026-03-14", SAMPLE, &file);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let warnings: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("metrics file"))
        .collect();
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    assert!(warnings[0].contains(file.to_str().unwrap()), "{warnings:?}");
    let tables = |night: &Night| {
        let root = night.path("results");
        let files = walk(&root).into_iter().filter(|f| !f.starts_with('_'));
        files
            .map(|f| (f.clone(), fs::read(root.join(f)).unwrap()))
            .collect::<Vec<_>>()
    };
    assert!(tables(&night) == tables(&other));
}
