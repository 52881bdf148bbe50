//! The pass over `product_traffic` beside its limit, the bare decoding of the same columns by the
//! Parquet library.
//!
//! `cargo bench --bench kernel`. One day of 4 million rows and 8 000 shops in memory, with its rows
//! as `generate` writes them (shop by shop) and in any order. Rows for each second are what to
//! compare; both use all cores.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use arrow_array::{RecordBatch, UInt64Array};
use bytes::Bytes;
use campaign_etl::config::Config;
use campaign_etl::contracts::datasets::PRODUCT_TRAFFIC;
use campaign_etl::days::readiness::{DayExports, Readiness, check_day};
use campaign_etl::exports::{Unused, read_day};
use campaign_etl::generate::{World, generate};
use campaign_etl::resources::Resources;
use campaign_etl::rollups::Rows;
use campaign_etl::stop::Stop;
use campaign_etl::store::Store;
use divan::Bencher;
use divan::counter::ItemsCount;
use object_store::memory::InMemory;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

#[derive(Clone, Copy, Debug)]
enum Order {
    ByShop,
    Mixed,
}

const ORDERS: [Order; 2] = [Order::ByShop, Order::Mixed];

/// A day's exports in memory.
struct Day {
    store: Store,
    exports: DayExports,
    traffic: Vec<Bytes>,
    rows: usize,
    resources: Resources,
    _runtime: Runtime,
}

static BY_SHOP: LazyLock<Day> = LazyLock::new(|| Day::new(Order::ByShop));
static MIXED: LazyLock<Day> = LazyLock::new(|| Day::new(Order::Mixed));

fn day(order: Order) -> &'static Day {
    match order {
        Order::ByShop => &BY_SHOP,
        Order::Mixed => &MIXED,
    }
}

impl Day {
    fn new(order: Order) -> Day {
        let config = Config::parse("").unwrap();
        let world = World {
            shops: 8_000,
            days: 1,
            rows_per_day: 4_000_000,
            seed: 7,
            first_day: "2026-03-01".parse().unwrap(),
            time_zone: config.time_zone,
            awkward: false,
        };
        let folder = tempfile::tempdir().unwrap();
        generate(&world, folder.path(), &mut |_| ()).unwrap();
        let runtime = Runtime::new().unwrap();
        let store = Store::new(
            Arc::new(InMemory::new()),
            "memory",
            runtime.handle().clone(),
        );
        let (mut traffic, mut rows) = (Vec::new(), 0);
        for dataset in folder
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = dataset.file_name().unwrap().to_str().unwrap();
            for file in dataset
                .join("dt=2026-03-01")
                .read_dir()
                .unwrap()
                .map(|entry| entry.unwrap().path())
            {
                let mut bytes = Bytes::from(std::fs::read(&file).unwrap());
                if name == PRODUCT_TRAFFIC.name && file.extension().is_some() {
                    let table = read(&file);
                    rows += table.num_rows();
                    if matches!(order, Order::Mixed) {
                        bytes = mixed(&table);
                    }
                    traffic.push(bytes.clone());
                }
                let file = file.file_name().unwrap().to_str().unwrap();
                store
                    .write(&format!("{name}/dt=2026-03-01/{file}"), bytes)
                    .unwrap();
            }
        }
        let ready = check_day(
            &store,
            world.first_day,
            &config,
            chrono::DateTime::default(),
        )
        .unwrap();
        let Readiness::Ready(exports) = ready else {
            panic!("every export is final")
        };
        let resources = Resources {
            threads: thread::available_parallelism().unwrap().get(),
            memory_bytes: 8 << 30,
            spill_folder: std::env::temp_dir(),
            spilled_bytes: Arc::default(),
            counts: Arc::default(),
            stop: Stop::default(),
        };
        Day {
            store,
            exports,
            traffic,
            rows,
            resources,
            _runtime: runtime,
        }
    }

    fn read(&self, sink: &mut dyn campaign_etl::exports::RowSink) {
        let config = Config::parse("").unwrap();
        let is_traffic =
            |dataset: &campaign_etl::contracts::Dataset| dataset.name == PRODUCT_TRAFFIC.name;
        let read = read_day(
            &self.store,
            &self.exports,
            &config,
            &self.resources,
            &is_traffic,
            sink,
        )
        .unwrap();
        assert_eq!(read.accounts[0].rows_used, self.rows as u64);
    }
}

fn read(file: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// The rows in a random order, in row groups of the same size.
fn mixed(table: &RecordBatch) -> Bytes {
    let mut random = Pcg64Mcg::new(7);
    let mut positions: Vec<u64> = (0..table.num_rows() as u64).collect();
    positions.sort_by_cached_key(|_| random.next_u64());
    let table =
        arrow_select::take::take_record_batch(table, &UInt64Array::from(positions)).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_max_row_group_row_count(Some(131_072))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    writer.into_inner().unwrap().into()
}

/// Row groups decoded in parallel, as the library decodes them by itself.
#[divan::bench(args = ORDERS)]
fn decode(bencher: Bencher, order: Order) {
    let day = day(order);
    let builder = |file: &Bytes| ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let groups: Vec<(&Bytes, usize)> = day
        .traffic
        .iter()
        .flat_map(|file| {
            (0..builder(file).metadata().num_row_groups()).map(move |group| (file, group))
        })
        .collect();
    bencher.counter(ItemsCount::new(day.rows)).bench_local(|| {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut rows = 0;
            while let Some((file, group)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let reader = builder(file)
                    .with_row_groups(vec![*group])
                    .with_batch_size(8 * 1024)
                    .build()
                    .unwrap();
                rows += reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
            }
            rows
        };
        let rows: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..day.resources.threads)
                .map(|_| scope.spawn(work))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(rows, day.rows);
    });
}

/// Decoded, cast and checked against the row rules; nothing is done with the rows.
#[divan::bench(args = ORDERS)]
fn check(bencher: Bencher, order: Order) {
    let day = day(order);
    bencher
        .counter(ItemsCount::new(day.rows))
        .bench_local(|| day.read(&mut Unused));
}

/// The whole pass: decoded, checked, split by shop, added up.
#[divan::bench(args = ORDERS)]
fn roll_up(bencher: Bencher, order: Order) {
    let day = day(order);
    bencher
        .counter(ItemsCount::new(day.rows))
        .bench_local(|| day.read(&mut Rows::new(&day.resources)));
}

/// The same with so little memory that most rows are spilled.
#[divan::bench(args = ORDERS)]
fn roll_up_spilling(bencher: Bencher, order: Order) {
    let day = day(order);
    let resources = Resources {
        memory_bytes: 64 << 20,
        ..day.resources.clone()
    };
    bencher
        .counter(ItemsCount::new(day.rows))
        .bench_local(|| day.read(&mut Rows::new(&resources)));
}
