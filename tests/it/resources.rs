//! Threads, memory and the order of rows change no byte; what does not fit into memory goes to a disk and is gone after.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use arrow_array::{RecordBatch, UInt64Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use campaign_etl::config::Config;
use campaign_etl::contracts::Dataset;
use campaign_etl::contracts::datasets::{ORDER_LINES, PRODUCT_TRAFFIC};
use campaign_etl::generate::{World, generate};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use tempfile::TempDir;

use crate::world::{Outcome, etl};

const DAY: &str = "2026-03-06";
/// So small that nearly every row of the day below is spilled, and that partitions are read in several rounds.
const LITTLE: &str = "1MB";

/// A day of some 160 000 traffic rows, which makes a dozen partitions, in `exports`.
struct Day {
    folder: TempDir,
}

impl Day {
    fn new() -> Day {
        let folder = tempfile::tempdir().unwrap();
        let world = World {
            shops: 300,
            days: 1,
            rows_per_day: 120_000,
            seed: 3,
            first_day: DAY.parse().unwrap(),
            time_zone: Config::parse("").unwrap().time_zone,
            awkward: true,
        };
        generate(&world, &folder.path().join("exports"), &mut |_| ()).unwrap();
        fs::create_dir(folder.path().join("spill")).unwrap();
        let job = format!("spill_folder = {:?}\n", folder.path().join("spill"));
        fs::write(folder.path().join("job.toml"), job).unwrap();
        Day { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn args(&self, exports: &str, results: &str, more: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = ["run", "--day", DAY].map(String::from).to_vec();
        for (option, name) in [("--config", "job.toml"), ("--exports", exports), ("--results", results)] {
            args.extend([option.to_owned(), self.path(name).to_str().unwrap().to_owned()]);
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }

    fn run(&self, exports: &str, results: &str, more: &[&str]) -> Outcome {
        etl(&self.args(exports, results, more).iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Writes the exports again with the rows of the two large datasets in small row groups, of which `arrange` decides.
    fn rewrite(&self, name: &str, arrange: impl Fn(RecordBatch) -> RecordBatch) {
        copy(&self.path("exports"), &self.path(name));
        for dataset in [&ORDER_LINES, &PRODUCT_TRAFFIC] {
            let folder = self.path(name).join(dataset.partition(DAY.parse().unwrap()));
            let files = |folder: &Path| {
                folder.read_dir().unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some())
            };
            let batches: Vec<RecordBatch> = files(&folder).flat_map(|file| read(&file)).collect();
            files(&folder).for_each(|file| fs::remove_file(file).unwrap());
            write(
                &folder.join("part-0.parquet"),
                dataset,
                &arrange(concat_batches(&batches[0].schema(), &batches).unwrap()),
            );
            fs::write(folder.join("_SUCCESS"), "").unwrap();
        }
    }

    fn is_spill_folder_empty(&self) -> bool {
        self.path("spill").read_dir().unwrap().next().is_none()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(|e| e.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn read(file: &Path) -> Vec<RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap())
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// In row groups of 2 048 rows, so that there are many.
fn write(file: &Path, dataset: &Dataset, rows: &RecordBatch) {
    assert_eq!(rows.num_columns(), dataset.columns.len());
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2_048)).build();
    let mut writer = ArrowWriter::try_new(File::create(file).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn taken(rows: &RecordBatch, positions: Vec<u64>) -> RecordBatch {
    take_record_batch(rows, &UInt64Array::from(positions)).unwrap()
}

/// In any order.
fn mixed(rows: RecordBatch) -> RecordBatch {
    let mut random = Pcg64Mcg::new(11);
    let mut positions: Vec<u64> = (0..rows.num_rows() as u64).collect();
    positions.sort_by_cached_key(|_| random.next_u64());
    taken(&rows, positions)
}

/// The files of every table, by path.
fn tables(results: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for table in results.read_dir().unwrap().map(|e| e.unwrap().path()) {
        if !table.file_name().unwrap().to_str().unwrap().starts_with('_') {
            let file = table.join(format!("dt={DAY}/part-0.parquet"));
            files.push((file.strip_prefix(results).unwrap().to_owned(), fs::read(&file).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn threads_spilling_and_the_order_of_rows_change_no_byte() {
    let day = Day::new();
    day.rewrite("by_shop", |rows| rows);
    day.rewrite("mixed", mixed);
    assert_eq!(day.run("exports", "first", &[]).code, 0);
    let first = tables(&day.path("first"));
    assert!(first.len() >= 14, "{} tables", first.len());
    for exports in ["by_shop", "mixed"] {
        for threads in ["1", "2", "8"] {
            for memory in [None, Some(LITTLE)] {
                let results = format!("{exports}_{threads}_{memory:?}");
                let limit: Vec<&str> = memory.iter().flat_map(|memory| ["--memory-limit", memory]).collect();
                let ended = day.run(exports, &results, &[["--threads", threads].as_slice(), &limit].concat());
                assert_eq!(ended.code, 0, "{results}: {}", ended.stderr);
                assert_eq!(ended.stderr.contains("spilled to"), memory.is_some(), "{results}: {}", ended.stderr);
                assert!(tables(&day.path(&results)) == first, "{results} differs");
            }
        }
    }
    assert!(day.is_spill_folder_empty());
}

#[test]
fn repeated_lines_far_apart_are_found_whatever_the_memory() {
    let day = Day::new();
    // The first 40 lines come again at the end, and 40 of the middle at the start, where they are the first.
    day.rewrite("repeats", |rows| {
        let count = rows.num_rows() as u64;
        let repeated = (count / 2..count / 2 + 40).chain(0..count).chain(0..40);
        if rows.num_columns() == ORDER_LINES.columns.len() { taken(&rows, repeated.collect()) } else { rows }
    });
    fs::write(
        day.path("job.toml"),
        fs::read_to_string(day.path("job.toml")).unwrap() + "[quarantine]\nmax_rows = 100\n",
    )
    .unwrap();
    let quarantine = |results: &str| {
        let file = day.path(results).join(format!("_quarantine/order_lines/dt={DAY}/part-0.parquet"));
        concat_batches(&read(&file)[0].schema(), &read(&file)).unwrap()
    };
    for (results, more) in [("much", [].as_slice()), ("little", &["--memory-limit", LITTLE])] {
        let ended = day.run("repeats", results, more);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    assert!(tables(&day.path("much")) == tables(&day.path("little")));
    assert_eq!(quarantine("much"), quarantine("little"));
    assert!(quarantine("much").num_rows() >= 80, "{} rows", quarantine("much").num_rows());
}

#[test]
fn a_killed_run_leaves_nothing_where_it_spilled() {
    let day = Day::new();
    let mut was_spilling = false;
    for pause_ms in (20..400).step_by(40) {
        let args = day.args("exports", &format!("killed_{pause_ms}"), &["--memory-limit", LITTLE]);
        let program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"))
            .args(args)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let mut program = program.unwrap();
        sleep(Duration::from_millis(pause_ms));
        let files = format!("/proc/{}/fd", program.id());
        let open = Path::new(&files).read_dir().into_iter().flatten().flatten();
        was_spilling |=
            open.filter_map(|e| fs::read_link(e.path()).ok()).any(|file| file.starts_with(day.path("spill")));
        program.kill().unwrap();
        program.wait().unwrap();
        assert!(day.is_spill_folder_empty());
    }
    assert!(was_spilling, "no run was killed while it spilled");
}

#[test]
fn a_spill_folder_that_cannot_be_written_is_an_error_with_a_remedy() {
    let day = Day::new();
    fs::remove_dir(day.path("spill")).unwrap();
    let ended = day.run("exports", "results", &["--memory-limit", LITTLE]);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    for says in
        ["cannot spill to", "spill: No such file", "name a folder with room in spill_folder, or raise memory_limit"]
    {
        assert!(ended.stderr.contains(says), "{says:?} is not in:\n{}", ended.stderr);
    }
}
