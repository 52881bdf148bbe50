//! The parts of published files that are read: only needed ones, and only as they were published.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use campaign_etl::catalog::state::State;
use campaign_etl::contracts::tables::SHOP_DAILY;
use campaign_etl::publish::reader::DayTables;
use campaign_etl::store::Store;
use campaign_etl::windows::{PublishedTables, Rows};
use object_store::local::LocalFileSystem;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::faults::{Faults, Faulty};
use crate::scene::walk;
use crate::world::{Outcome, etl};

const PART: &str = "shop_daily/dt=2026-03-13/part-0.parquet";

/// Results of 2026-03-13, with those of the days before it.
struct Results(TempDir);

impl Results {
    fn new() -> Results {
        static PUBLISHED: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
        let results = Results(TempDir::new().unwrap());
        // The run is the same for every test, so only the first one pays for it.
        let published = PUBLISHED.get_or_init(|| {
            let results = Results(TempDir::new().unwrap());
            assert_eq!(results.run("2026-03-13").code, 0);
            let read =
                |path: String| (path.clone(), fs::read(results.0.path().join(path)).unwrap());
            walk(results.0.path()).into_iter().map(read).collect()
        });
        for (path, bytes) in published {
            let path = results.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        results
    }

    fn run(&self, day: &str) -> Outcome {
        let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports");
        let [exports, results] = [&exports, self.0.path()].map(|path| path.to_str().unwrap());
        etl(&[
            "run",
            "--day",
            day,
            "--exports",
            exports,
            "--results",
            results,
            "--format",
            "json",
        ])
    }

    fn part(&self) -> PathBuf {
        self.0.path().join(PART)
    }

    /// Flips a bit in the middle of the range.
    fn damage(&self, range: Range<u64>) {
        let mut bytes = fs::read(self.part()).unwrap();
        bytes[(range.start + range.end) as usize / 2] ^= 1;
        fs::write(self.part(), bytes).unwrap();
    }
}

fn metadata(file: &Path) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .parse_and_finish(&fs::File::open(file).unwrap())
        .unwrap()
}

/// The byte range of the only chunk of a column.
fn chunk(file: &Path, column: &str) -> Range<u64> {
    let metadata = metadata(file);
    let [group] = metadata.row_groups() else {
        panic!("one row group")
    };
    let (start, length) = group
        .columns()
        .iter()
        .find(|chunk| chunk.column_descr().name() == column)
        .unwrap()
        .byte_range();
    start..start + length
}

/// The footer with the eight bytes that end the file.
fn footer(file: &Path) -> Range<u64> {
    let bytes = fs::read(file).unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
    bytes.len() as u64 - u64::from(length) - 8..bytes.len() as u64
}

#[test]
fn of_a_published_file_the_footer_is_read_once_and_then_the_chunks_that_are_needed() {
    let results = Results::new();
    let (runtime, faults) = (Runtime::new().unwrap(), Faults::new(None));
    let inner = Arc::new(LocalFileSystem::new_with_prefix(results.0.path()).unwrap());
    let faulty = Faulty {
        inner,
        faults: faults.clone(),
    };
    let store = Store::new(Arc::new(faulty), "results", runtime.handle().clone());
    let (state, day) = (State::load(&store).unwrap(), "2026-03-13".parse().unwrap());
    let tables = DayTables::new(&store, &state, "2026-03-14".parse().unwrap());
    let read = |names: &[&str], shops: Option<&[i64]>| {
        let rows = tables
            .read_all(
                &SHOP_DAILY,
                day,
                names,
                Rows {
                    campaign_id: None,
                    shops,
                },
            )
            .unwrap();
        assert_eq!(rows.get_column_names(), names);
        (
            rows.column(names[0])
                .unwrap()
                .i64()
                .unwrap()
                .iter()
                .flatten()
                .collect::<Vec<_>>(),
            faults.take_parts(PART),
        )
    };
    let range = |column: &str| chunk(&results.part(), column);

    let (shops, parts) = read(&["shop_id", "gmv"], None);
    assert_eq!(
        parts,
        [footer(&results.part()), range("shop_id"), range("gmv")]
    );
    assert_eq!(read(&["orders"], None).1, [range("orders")]);
    let (found, parts) = read(&["shop_id"], Some(&shops[1..3]));
    assert_eq!(
        (found.as_slice(), parts),
        (&shops[1..3], vec![range("shop_id")])
    );
    // By its statistics, the row group has no such shop.
    assert_eq!(read(&["shop_id"], Some(&[0])), (vec![], vec![]));
}

#[test]
fn a_file_whose_footer_or_a_column_that_is_read_was_exchanged_is_refused() {
    let ranges: [fn(&Path) -> Range<u64>; 2] = [|file| chunk(file, "gmv"), footer];
    for range in ranges {
        let results = Results::new();
        results.damage(range(&results.part()));
        let ended = results.run("2026-03-14");
        assert_eq!(ended.code, 74, "{}", ended.stderr);
        let says = [
            PART,
            "is not the file that its manifest lists",
            "backfill --from 2026-03-13 --to 2026-03-13",
        ];
        assert!(
            says.iter().all(|text| ended.stderr.contains(text)),
            "{}",
            ended.stderr
        );
    }
    // No table is computed from this column.
    let results = Results::new();
    results.damage(chunk(&results.part(), "ctor"));
    assert_eq!(results.run("2026-03-14").code, 0);
}

#[test]
fn files_of_earlier_versions_without_hashes_of_their_columns_are_read_whole() {
    let results = Results::new();
    let undisturbed = Results::new();
    for day in fs::read_dir(results.0.path().join("_runs"))
        .unwrap()
        .map(|day| day.unwrap().path())
    {
        for path in fs::read_dir(day).unwrap().map(|file| file.unwrap().path()) {
            let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let Some(tables) = manifest.get_mut("tables").and_then(Value::as_object_mut) else {
                continue;
            };
            for table in tables.values_mut() {
                table.as_object_mut().unwrap().remove("footer").unwrap();
            }
            fs::write(&path, manifest.to_string()).unwrap();
        }
    }
    let file = results.part();
    let whole = fs::read(&file).unwrap();
    // A chunk of another file is not used.
    results.damage(chunk(&file, "ctor"));
    assert_eq!(results.run("2026-03-14").code, 74);
    fs::write(&file, whole).unwrap();
    for each in [&results, &undisturbed] {
        assert_eq!(each.run("2026-03-14").code, 0);
    }
    let period = |results: &Results| {
        fs::read(
            results
                .0
                .path()
                .join("shop_period/dt=2026-03-14/part-0.parquet"),
        )
        .unwrap()
    };
    assert!(period(&results) == period(&undisturbed));
}

#[test]
fn a_published_file_of_another_contract_is_named_with_what_to_do() {
    let results = Results::new();
    let bytes = fs::read(
        results
            .0
            .path()
            .join("sku_daily/dt=2026-03-13/part-0.parquet"),
    )
    .unwrap();
    fs::write(results.part(), &bytes).unwrap();
    let runs = results.0.path().join("_runs/dt=2026-03-13");
    let path = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // The manifest as a version of this program with other columns writes it.
    let shop_daily = &mut manifest["tables"]["shop_daily"];
    shop_daily
        .as_object_mut()
        .unwrap()
        .remove("footer")
        .unwrap();
    shop_daily["bytes"] = bytes.len().into();
    shop_daily["sha256"] = campaign_etl::fingerprint::sha256(&bytes).into();
    fs::write(&path, manifest.to_string()).unwrap();
    let ended = results.run("2026-03-14");
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    let says = [
        PART,
        "does not match its contract",
        "backfill --from 2026-03-13 --to 2026-03-13",
    ];
    assert!(
        says.iter().all(|text| ended.stderr.contains(text)),
        "{}",
        ended.stderr
    );
    // The remedy of the message.
    fs::remove_file(results.part()).unwrap();
    assert_eq!(results.run("2026-03-14").code, 0);
}
