//! Threads, memory and the order of rows change no byte; spilled files are removed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, UInt64Array};
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

use crate::world::{Outcome, copy_folder, etl};

const DAY: &str = "2026-03-06";
/// So little that nearly every row of `Day` is spilled, and that partitions are read in several
/// rounds.
const LITTLE: &str = "1MB";

/// The files of a large dataset, bytewise.
const FILES: [&str; 3] = ["part-10.parquet", "part-2.parquet", "part-3.parquet"];

/// Exports of a day with about 160 000 traffic rows, enough for a dozen partitions.
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
            awkward: false,
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
        for (option, name) in [
            ("--config", "job.toml"),
            ("--exports", exports),
            ("--results", results),
        ] {
            args.extend([
                option.to_owned(),
                self.path(name).to_str().unwrap().to_owned(),
            ]);
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }

    fn run(&self, exports: &str, results: &str, more: &[&str]) -> Outcome {
        etl(&self
            .args(exports, results, more)
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>())
    }

    /// Writes the exports again; `arrange` changes the rows of the two large datasets, which are
    /// written in small row groups.
    fn rewrite(&self, name: &str, arrange: impl Fn(RecordBatch) -> RecordBatch) {
        copy_folder(&self.path("exports"), &self.path(name));
        for dataset in [&ORDER_LINES, &PRODUCT_TRAFFIC] {
            let folder = self
                .path(name)
                .join(dataset.partition(DAY.parse().unwrap()));
            let files = |folder: &Path| {
                folder
                    .read_dir()
                    .unwrap()
                    .map(|e| e.unwrap().path())
                    .filter(|p| p.extension().is_some())
            };
            let batches: Vec<RecordBatch> = files(&folder).flat_map(|file| read(&file)).collect();
            files(&folder).for_each(|file| fs::remove_file(file).unwrap());
            let rows = arrange(concat_batches(&batches[0].schema(), &batches).unwrap());
            let part = rows.num_rows().div_ceil(FILES.len());
            for (n, file) in FILES.iter().enumerate() {
                let length = part.min(rows.num_rows() - n * part);
                write(&folder.join(file), dataset, &rows.slice(n * part, length));
            }
            fs::write(folder.join("_SUCCESS"), "").unwrap();
        }
    }

    fn is_spill_folder_empty(&self) -> bool {
        self.path("spill").read_dir().unwrap().next().is_none()
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

/// Writes row groups of 2 048 rows, so that there are many.
fn write(file: &Path, dataset: &Dataset, rows: &RecordBatch) {
    assert_eq!(rows.num_columns(), dataset.columns.len());
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2_048))
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(file).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn taken(rows: &RecordBatch, positions: Vec<u64>) -> RecordBatch {
    take_record_batch(rows, &UInt64Array::from(positions)).unwrap()
}

/// The rows in a random order.
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
        if !table
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with('_')
        {
            let file = table.join(format!("dt={DAY}/part-0.parquet"));
            files.push((
                file.strip_prefix(results).unwrap().to_owned(),
                fs::read(&file).unwrap(),
            ));
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
                let limit: Vec<&str> = memory
                    .iter()
                    .flat_map(|memory| ["--memory-limit", memory])
                    .collect();
                let ended = day.run(
                    exports,
                    &results,
                    &[["--threads", threads].as_slice(), &limit].concat(),
                );
                assert_eq!(ended.code, 0, "{results}: {}", ended.stderr);
                assert_eq!(
                    ended.stderr.contains("spilled to"),
                    memory.is_some(),
                    "{results}: {}",
                    ended.stderr
                );
                assert!(tables(&day.path(&results)) == first, "{results} differs");
            }
        }
    }
    assert!(day.is_spill_folder_empty());
}

#[test]
fn repeated_lines_far_apart_are_found_whatever_the_memory() {
    let day = Day::new();
    // The first 40 lines are repeated at the end. 40 lines of the middle are repeated at the start,
    // so that there the original is the second.
    let again = |rows: RecordBatch| {
        let count = rows.num_rows() as u64;
        taken(
            &rows,
            (count / 2..count / 2 + 40)
                .chain(0..count)
                .chain(0..40)
                .collect(),
        )
    };
    day.rewrite("repeats", |rows| {
        if rows.num_columns() == ORDER_LINES.columns.len() {
            again(rows)
        } else {
            rows
        }
    });
    let job = fs::read_to_string(day.path("job.toml")).unwrap() + "[quarantine]\nmax_rows = 100\n";
    fs::write(day.path("job.toml"), job).unwrap();
    let runs = [
        ("exports", "none", [].as_slice()),
        ("repeats", "much", &[]),
        ("repeats", "little", &["--memory-limit", LITTLE]),
    ];
    for (exports, results, more) in runs {
        let ended = day.run(exports, results, more);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            tables(&day.path(results)) == tables(&day.path("none")),
            "{results}"
        );
    }

    // The places of the second lines. Files are in the order of their names, and of the same length
    // except the last.
    let folder = day.path("repeats").join(format!("order_lines/dt={DAY}"));
    let rows_of = FILES.map(|name| {
        read(&folder.join(name))
            .iter()
            .map(|b| b.num_rows() as u64)
            .sum::<u64>()
    });
    let lines = rows_of.iter().sum::<u64>() - 80;
    let place = |position: u64| match position.checked_sub(rows_of[0]) {
        None => (FILES[0].to_owned(), position as i64),
        Some(rest) if rest < rows_of[1] => (FILES[1].to_owned(), rest as i64),
        Some(rest) => (FILES[2].to_owned(), (rest - rows_of[1]) as i64),
    };
    let expected: Vec<_> = (40 + lines / 2..80 + lines / 2)
        .chain(40 + lines..80 + lines)
        .map(place)
        .collect();
    for results in ["much", "little"] {
        let file = day
            .path(results)
            .join(format!("_quarantine/order_lines/dt={DAY}/part-0.parquet"));
        let found: Vec<_> = read(&file).iter().flat_map(places).collect();
        assert_eq!(found, expected, "{results}");
    }
}

/// File and row of quarantined rows; the reason of each is a repeated key.
fn places(rows: &RecordBatch) -> Vec<(String, i64)> {
    let text = |name: &str| {
        rows.column_by_name(name)
            .unwrap()
            .as_string::<i32>()
            .clone()
    };
    let numbers = rows
        .column_by_name("row_number")
        .unwrap()
        .as_primitive::<Int64Type>()
        .clone();
    let (reasons, files) = (text("reason"), text("file"));
    assert!(reasons.iter().all(|reason| reason == Some("DUPLICATE_KEY")));
    files
        .iter()
        .zip(&numbers)
        .map(|(file, row)| (file.unwrap().to_owned(), row.unwrap()))
        .collect()
}

#[test]
fn a_giant_shop_is_the_same_with_little_memory() {
    let day = Day::new();
    // Some 160 000 rows of traffic and 7 000 lines, all of the first shop.
    day.rewrite("giant", |rows| {
        let at = rows.schema().index_of("shop_id").unwrap();
        let shop = rows.column(at).as_primitive::<Int64Type>().value(0);
        let mut columns = rows.columns().to_vec();
        columns[at] = Arc::new(Int64Array::from(vec![shop; rows.num_rows()]));
        mixed(RecordBatch::try_new(rows.schema(), columns).unwrap())
    });
    assert_eq!(day.run("giant", "much", &[]).code, 0);
    for threads in ["1", "4"] {
        for memory in [LITTLE, "64KiB"] {
            let results = format!("{threads}_{memory}");
            let ended = day.run(
                "giant",
                &results,
                &["--threads", threads, "--memory-limit", memory],
            );
            assert_eq!(ended.code, 0, "{results}: {}", ended.stderr);
            assert!(
                tables(&day.path(&results)) == tables(&day.path("much")),
                "{results} differs"
            );
        }
    }
    assert!(day.is_spill_folder_empty());
}

/// All rows of the first shop, and every other one of its first product; those of traffic so many times.
fn of_one_shop(rows: &RecordBatch, times: usize) -> RecordBatch {
    let ids = |column| {
        let at = rows.schema().index_of(column).unwrap();
        (at, rows.column(at).as_primitive::<Int64Type>().clone())
    };
    let ((of_shop, shops), (of_product, products)) = (ids("shop_id"), ids("product_id"));
    let product = |n| products.value(if n % 2 == 0 { 0 } else { n });
    let mut columns = rows.columns().to_vec();
    columns[of_shop] = Arc::new(Int64Array::from(vec![shops.value(0); rows.num_rows()]));
    columns[of_product] = Arc::new((0..rows.num_rows()).map(product).collect::<Int64Array>());
    let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
    let is_traffic = rows.schema().index_of("impressions").is_ok();
    let copies = vec![&rows; if is_traffic { times } else { 1 }];
    mixed(concat_batches(&rows.schema(), copies).unwrap())
}

/// Users do not become more when each of their rows comes eight times. So many rows of one shop are split
/// by product, and those of the first product by user as well; fewer rows are not.
#[test]
fn users_of_a_shop_with_more_rows_than_a_thread_adds_up_are_those_of_its_distinct_rows() {
    const TIMES: usize = 8;
    let day = Day::new();
    day.rewrite("once", |rows| of_one_shop(&rows, 1));
    day.rewrite("often", |rows| of_one_shop(&rows, TIMES));
    assert_eq!(day.run("once", "once_results", &[]).code, 0);
    for (results, memory) in [("much", "1GiB"), ("little", LITTLE)] {
        let ended = day.run("often", results, &["--memory-limit", memory]);
        assert_eq!(ended.code, 0, "{results}: {}", ended.stderr);
        for table in ["shop_daily", "product_daily"] {
            let rows = |results: &str| {
                let file = format!("{results}/{table}/dt={DAY}/part-0.parquet");
                let batches = read(&day.path(&file));
                concat_batches(&batches[0].schema(), &batches).unwrap()
            };
            let (once, often) = (rows("once_results"), rows(results));
            let ints = |rows: &RecordBatch, column: &str| {
                let column = rows.column_by_name(column).unwrap();
                column.as_primitive::<Int64Type>().values().to_vec()
            };
            let viewers = "unique_page_viewers";
            assert!(ints(&once, viewers).iter().max().unwrap() > &10_000);
            let distinct = [
                "unique_reach",
                "unique_clicks",
                viewers,
                "unique_cart_adders",
            ];
            for column in distinct.into_iter().chain(["product_id"]) {
                if once.column_by_name(column).is_some() {
                    assert_eq!(
                        ints(&often, column),
                        ints(&once, column),
                        "{table} {column}"
                    );
                }
            }
            let times = |views: &i64| views * TIMES as i64;
            let expected: Vec<i64> = ints(&once, "page_views").iter().map(times).collect();
            assert_eq!(ints(&often, "page_views"), expected);
        }
    }
}

/// The threads and CPU time of a process, from Linux's /proc.
#[derive(Default)]
struct Seen {
    most_threads: usize,
    /// Clock ticks of the system.
    cpu: u64,
}

impl Seen {
    fn look(&mut self, process: u32) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
        self.most_threads = self.most_threads.max(threads);
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name is in brackets. The 12th and 13th field behind it are the time in the program
        // and in the kernel.
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split(' ')
            .skip(12)
            .take(2)
            .filter_map(|n| n.parse().ok())
            .collect();
        self.cpu = self.cpu.max(fields.iter().sum());
    }
}

#[test]
fn with_one_thread_few_threads_exist_and_one_works_at_a_time() {
    let day = Day::new();
    let started = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"))
        .args(day.args("exports", "results", &["--threads", "1"]))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = Seen::default();
    let ended = loop {
        seen.look(program.id());
        if let Some(ended) = program.try_wait().unwrap() {
            break ended;
        }
    };
    assert!(ended.success());
    // README.md: at most 8.
    assert!(
        (2..=8).contains(&seen.most_threads),
        "{} threads",
        seen.most_threads
    );
    // A hundred ticks are a second on every Linux. Two busy threads would use nearly twice the
    // time.
    let (cpu, wall) = (seen.cpu as f64 / 100.0, started.elapsed().as_secs_f64());
    assert!(cpu <= 1.25 * wall + 0.05, "{cpu} s of CPU in {wall} s");
}

#[test]
fn a_killed_run_leaves_nothing_where_it_spilled() {
    let day = Day::new();
    let mut kills = 0;
    for number in 0..20 {
        let args = day.args(
            "exports",
            &format!("killed_{number}"),
            &["--memory-limit", LITTLE],
        );
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        let program = program
            .args(args)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let mut program = program.unwrap();
        // The open files of the process, from Linux's /proc.
        let files = PathBuf::from(format!("/proc/{}/fd", program.id()));
        let is_spilling = || {
            let open = files.read_dir().into_iter().flatten().flatten();
            open.filter_map(|e| fs::read_link(e.path()).ok())
                .any(|file| file.starts_with(day.path("spill")))
        };
        while program.try_wait().unwrap().is_none() {
            if is_spilling() {
                program.kill().unwrap();
                program.wait().unwrap();
                kills += 1;
                break;
            }
            std::thread::yield_now();
        }
        assert!(day.is_spill_folder_empty());
    }
    assert!(kills > 0, "no run was seen to spill");
}

#[test]
fn a_spill_folder_that_cannot_be_written_is_an_error_with_a_remedy() {
    let day = Day::new();
    fs::remove_dir(day.path("spill")).unwrap();
    let ended = day.run("exports", "results", &["--memory-limit", LITTLE]);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    for says in [
        "cannot spill to",
        "spill: No such file",
        "name a folder with room in spill_folder, or raise memory_limit",
    ] {
        assert!(
            ended.stderr.contains(says),
            "{says:?} is not in:\n{}",
            ended.stderr
        );
    }
}
