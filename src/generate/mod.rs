//! A synthetic marketplace: all ten exports, of any size, from a seed.
//!
//! Every number comes from a stream of (seed, subject, day, shop), so days are independent of each
//! other, and two calls write the same bytes. A day is written shop by shop; memory grows with the
//! number of shops, not of rows.

mod ads;
mod awkward;
mod calendar;
mod campaigns;
mod contents;
mod folder;
mod market;
mod snapshots;
mod stream;
mod visits;
mod world;

use std::path::Path;

use anyhow::{Result, ensure};
use chrono::NaiveDate;

use crate::contracts::Dataset;
use crate::contracts::datasets::{
    AD_HOURS, CAMPAIGN_PRODUCTS, CAMPAIGN_SHOPS, CAMPAIGNS, CONTENTS, INVENTORY, ORDER_LINES,
    PRODUCT_TRAFFIC, SHOPS, SUB_CAMPAIGNS,
};
use awkward::OrderLineFault;
use calendar::Day;
use folder::Folder;
use market::Market;
use visits::Folders;
pub use world::World;

/// Traffic rows per file of a large day.
const ROWS_PER_FILE: u64 = 2_500_000;
const MOST_FILES: u64 = 16;
/// The ids of shops have room for so many.
const MOST_SHOPS: u32 = 1_000_000;

/// Writes the exports of every day of `world` under `out`, and calls `on_day` after each.
///
/// # Errors
/// When a folder to write exists already, when the store fails, or when the world is larger than
/// its ids allow.
pub fn generate(world: &World, out: &Path, on_day: &mut dyn FnMut(NaiveDate)) -> Result<()> {
    ensure!(
        (1..=MOST_SHOPS).contains(&world.shops),
        "shops: expected 1 to {MOST_SHOPS}, found {}",
        world.shops
    );
    let market = Market::of(world);
    for date in world.first_day.iter_days().take(world.days as usize) {
        generate_day(world, &market, &Day::of(date, world.time_zone), out)?;
        on_day(date);
    }
    Ok(())
}

fn generate_day(world: &World, market: &Market, day: &Day, out: &Path) -> Result<()> {
    let mut folders = Folders {
        traffic: open(world, &PRODUCT_TRAFFIC, day, out)?,
        order_lines: open(world, &ORDER_LINES, day, out)?,
    };
    visits::write_visits(world, market, day, &mut folders)?;
    close(world, &PRODUCT_TRAFFIC, day, folders.traffic)?;
    close(world, &ORDER_LINES, day, folders.order_lines)?;
    write(world, &CONTENTS, day, out, |folder| {
        contents::write_contents(world, market, day, folder)
    })?;
    write(world, &AD_HOURS, day, out, |folder| {
        ads::write_ad_hours(world, market, day, folder)
    })?;
    write(world, &SHOPS, day, out, |folder| {
        snapshots::write_shops(world, market, folder)
    })?;
    write(world, &INVENTORY, day, out, |folder| {
        snapshots::write_inventory(world, market, day, folder)
    })?;
    write(world, &CAMPAIGNS, day, out, |folder| {
        snapshots::write_campaigns(world, day, folder)
    })?;
    write(world, &CAMPAIGN_SHOPS, day, out, |folder| {
        snapshots::write_campaign_shops(world, market, day, folder)
    })?;
    write(world, &CAMPAIGN_PRODUCTS, day, out, |f| {
        snapshots::write_campaign_products(world, market, day, f)
    })?;
    write(world, &SUB_CAMPAIGNS, day, out, |folder| {
        snapshots::write_sub_campaigns(world, day, folder)
    })
}

fn write(
    world: &World,
    dataset: &'static Dataset,
    day: &Day,
    out: &Path,
    rows: impl FnOnce(&mut Folder) -> Result<()>,
) -> Result<()> {
    if awkward::is_missing(world, dataset.name, day.date) {
        return Ok(());
    }
    let mut folder = open(world, dataset, day, out)?;
    rows(&mut folder)?;
    close(world, dataset, day, folder)
}

fn open(world: &World, dataset: &'static Dataset, day: &Day, out: &Path) -> Result<Folder> {
    let large = match dataset.name {
        name if name == PRODUCT_TRAFFIC.name => world
            .rows_per_day
            .div_ceil(ROWS_PER_FILE)
            .clamp(1, MOST_FILES),
        name if name == ORDER_LINES.name => world
            .rows_per_day
            .div_ceil(4 * ROWS_PER_FILE)
            .clamp(1, MOST_FILES),
        _ => 1,
    };
    let parts = if awkward::is_split(world, dataset.name, day.date) {
        large.max(2)
    } else {
        large
    };
    let has_nulls = dataset.name == ORDER_LINES.name
        && awkward::order_line_fault(world, day.date) == Some(OrderLineFault::NullBuyer);
    Folder::create(out, dataset, day.date, parts as u32, has_nulls)
}

fn close(world: &World, dataset: &'static Dataset, day: &Day, folder: Folder) -> Result<()> {
    folder.finish(awkward::lists_files(world, dataset.name, day.date))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::fs::{self, File};

    use arrow_array::RecordBatch;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMicrosecondType};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::contracts::datasets::DATASETS;

    fn small() -> World {
        World {
            shops: 30,
            rows_per_day: 2_000,
            ..World::sample()
        }
    }

    fn generated(world: &World) -> tempfile::TempDir {
        let out = tempfile::tempdir().unwrap();
        generate(world, out.path(), &mut |_| ()).unwrap();
        out
    }

    /// Every file below a folder, by its path from there.
    fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path
                        .strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('\\', "/");
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        found
    }

    fn batches(out: &Path, dataset: &Dataset, day: NaiveDate) -> Vec<RecordBatch> {
        let mut read = Vec::new();
        for entry in fs::read_dir(out.join(dataset.partition(day))).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "parquet") {
                let reader =
                    ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
                read.extend(reader.build().unwrap().map(Result::unwrap));
            }
        }
        read
    }

    fn days(world: &World) -> Vec<NaiveDate> {
        world
            .first_day
            .iter_days()
            .take(world.days as usize)
            .collect()
    }

    #[test]
    fn two_calls_write_the_same_bytes() {
        assert!(files(generated(&small()).path()) == files(generated(&small()).path()));
    }

    #[test]
    fn days_do_not_depend_on_the_number_of_days_and_follow_from_the_seed() {
        let short = files(generated(&World { days: 3, ..small() }).path());
        let long = files(generated(&World { days: 4, ..small() }).path());
        assert!(
            short
                .iter()
                .all(|(name, bytes)| long.get(name) == Some(bytes))
        );
        let other = files(
            generated(&World {
                days: 3,
                seed: 8,
                ..small()
            })
            .path(),
        );
        assert!(short.keys().eq(other.keys()) && short != other);
    }

    #[test]
    fn regenerating_the_sample_gives_the_committed_bytes() {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports");
        let (expected, found) = (files(&committed), files(generated(&World::sample()).path()));
        assert!(expected.keys().eq(found.keys()));
        let different: Vec<&String> = expected
            .keys()
            .filter(|name| expected[*name] != found[*name])
            .collect();
        assert!(different.is_empty(), "differ: {different:?}");
        assert!(found.values().map(Vec::len).sum::<usize>() < 4_000_000);
    }

    #[test]
    fn a_tidy_world_has_every_export_and_keeps_every_column_of_its_contract() {
        let world = World {
            days: 12,
            awkward: false,
            ..small()
        };
        let out = generated(&world);
        for day in days(&world) {
            for dataset in DATASETS {
                assert_eq!(
                    fs::read(out.path().join(dataset.partition(day)).join("_SUCCESS")).unwrap(),
                    b""
                );
                let batches = batches(out.path(), dataset, day);
                assert!(!batches.is_empty(), "{} of {day}", dataset.name);
                for batch in batches {
                    let names: Vec<&str> = batch
                        .schema_ref()
                        .fields()
                        .iter()
                        .map(|f| f.name().as_str())
                        .collect();
                    assert!(names.into_iter().eq(dataset.columns.iter().map(|c| c.name)));
                }
            }
        }
    }

    /// Rows of a day's order lines that break a rule, by hand: null buyers, rows outside the day,
    /// repeated keys.
    fn bad_order_lines(world: &World, out: &Path, date: NaiveDate) -> [usize; 3] {
        let day = Day::of(date, world.time_zone);
        let (mut null_buyers, mut outside, mut repeated, mut keys) = (0, 0, 0, HashSet::new());
        for batch in batches(out, &ORDER_LINES, date) {
            null_buyers += batch.column_by_name("buyer_id").unwrap().null_count();
            let ids = |name: &str| {
                batch
                    .column_by_name(name)
                    .unwrap()
                    .as_primitive::<Int64Type>()
                    .clone()
            };
            let (orders, skus) = (ids("order_id"), ids("sku_id"));
            let paid = batch
                .column_by_name("paid_at")
                .unwrap()
                .as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                outside += usize::from(!(day.first_us..day.end_us).contains(&paid.value(row)));
                repeated += usize::from(!keys.insert((orders.value(row), skus.value(row))));
            }
        }
        [null_buyers, outside, repeated]
    }

    #[test]
    fn an_awkward_fortnight_has_one_bad_order_line_on_three_days_and_none_elsewhere() {
        let world = small();
        let out = generated(&world);
        for (position, date) in days(&world).into_iter().enumerate() {
            let expected = match position + 1 {
                2 => [0, 0, 1],
                4 => [1, 0, 0],
                6 => [0, 1, 0],
                _ => [0, 0, 0],
            };
            assert_eq!(
                bad_order_lines(&world, out.path(), date),
                expected,
                "{date}"
            );
        }
    }

    #[test]
    fn an_awkward_fortnight_lists_files_misses_and_splits_an_export_on_its_days() {
        let world = small();
        let out = generated(&world);
        let exists = |path: &str| out.path().join(path).exists();
        let mark =
            fs::read_to_string(out.path().join("order_lines/dt=2026-03-10/_SUCCESS")).unwrap();
        let listed: serde_json::Value = serde_json::from_str(&mark).unwrap();
        let size = fs::metadata(out.path().join("order_lines/dt=2026-03-10/part-0.parquet"))
            .unwrap()
            .len();
        let rows: usize = batches(out.path(), &ORDER_LINES, "2026-03-10".parse().unwrap())
            .iter()
            .map(|b| b.num_rows())
            .sum();
        assert_eq!(
            listed,
            serde_json::json!({"files": [{"name": "part-0.parquet", "size_bytes": size, "row_count": rows}]})
        );
        assert!(!exists("ad_hours/dt=2026-03-11") && exists("ad_hours/dt=2026-03-12"));
        assert!(exists("product_traffic/dt=2026-03-12/part-1.parquet"));
        assert!(!exists("product_traffic/dt=2026-03-11/part-1.parquet"));
    }

    #[test]
    fn buyers_had_clicks_or_page_views_of_what_they_bought() {
        let world = World {
            days: 1,
            awkward: false,
            ..small()
        };
        let out = generated(&world);
        let ids = |batch: &RecordBatch, name: &str| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_primitive::<Int64Type>()
                .clone()
        };
        let mut seen: HashSet<(i64, i64, i64)> = HashSet::new();
        for batch in batches(out.path(), &PRODUCT_TRAFFIC, world.first_day) {
            let (shops, products, users) = (
                ids(&batch, "shop_id"),
                ids(&batch, "product_id"),
                ids(&batch, "user_id"),
            );
            for row in 0..batch.num_rows() {
                seen.insert((shops.value(row), products.value(row), users.value(row)));
            }
        }
        for batch in batches(out.path(), &ORDER_LINES, world.first_day) {
            let (shops, products, users) = (
                ids(&batch, "shop_id"),
                ids(&batch, "product_id"),
                ids(&batch, "buyer_id"),
            );
            for row in 0..batch.num_rows() {
                assert!(seen.contains(&(shops.value(row), products.value(row), users.value(row))));
            }
        }
    }

    #[test]
    fn an_export_is_never_written_over_another() {
        let out = generated(&World { days: 1, ..small() });
        let error = generate(&World { days: 1, ..small() }, out.path(), &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
    }
}
