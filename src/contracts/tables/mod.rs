//! The result tables, each described once (SPEC.md sections 3, 4 and 5).

mod benchmarks;
mod rollups;
mod shared;
mod windows;

use super::ids::{BenchmarkId, RollupId, WindowId};
use super::table::Table;
pub use benchmarks::{CATEGORY_BENCHMARK, GMV_GAP, SHOP_BENCHMARK};
pub use rollups::{
    AD_HOURLY, CHANNEL_DAILY, CONTENT_DAILY, PRODUCT_DAILY, SHOP_DAILY, SKU_DAILY,
    SUB_CAMPAIGN_DAILY,
};
pub use windows::{
    CHANNEL_PERIOD, CONTENT_PERIOD, FUNNEL_PERIOD, GMV_BASELINE, LONG_WINDOW_DAYS, PRODUCT_PERIOD,
    SHOP_PERIOD, SHOP_TIER, SHORT_WINDOW_DAYS, STOCK_STATUS, SUB_CAMPAIGN_PERIOD,
};

/// The tables computed from one day's exports.
pub static ROLLUPS: [&Table; RollupId::ALL.len()] = [
    &SHOP_DAILY,
    &CHANNEL_DAILY,
    &PRODUCT_DAILY,
    &SKU_DAILY,
    &CONTENT_DAILY,
    &SUB_CAMPAIGN_DAILY,
    &AD_HOURLY,
];

/// The tables over published rollups, in the order in which they are computed.
pub static WINDOWS: [&Table; WindowId::ALL.len()] = [
    &SHOP_PERIOD,
    &FUNNEL_PERIOD,
    &CHANNEL_PERIOD,
    &PRODUCT_PERIOD,
    &CONTENT_PERIOD,
    &SUB_CAMPAIGN_PERIOD,
    &GMV_BASELINE,
    &STOCK_STATUS,
    &SHOP_TIER,
];

/// The tables of the benchmark day.
pub static BENCHMARKS: [&Table; BenchmarkId::ALL.len()] =
    [&CATEGORY_BENCHMARK, &SHOP_BENCHMARK, &GMV_GAP];

/// The contract of a rollup.
pub fn rollup(id: RollupId) -> &'static Table {
    ROLLUPS[id as usize]
}

/// The contract of a window table.
pub fn window(id: WindowId) -> &'static Table {
    WINDOWS[id as usize]
}

/// The contract of a benchmark table.
pub fn benchmark(id: BenchmarkId) -> &'static Table {
    BENCHMARKS[id as usize]
}

/// All tables, in the order in which they are computed.
pub fn all() -> impl Iterator<Item = &'static Table> + Clone {
    ROLLUPS.into_iter().chain(WINDOWS).chain(BENCHMARKS)
}

/// The tables that are computed from published tables, in the order in which they are computed.
pub fn over_published() -> impl Iterator<Item = &'static Table> + Clone {
    WINDOWS.into_iter().chain(BENCHMARKS)
}

/// The table with this name; `None` when there is none.
pub fn table(name: &str) -> Option<&'static Table> {
    all().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::column::{Column, Lineage, Source};
    use crate::contracts::datasets::{DATASETS, dataset};
    use crate::contracts::ids::{DatasetId, SnapshotId, StreamId, TableId};
    use crate::contracts::metrics::METRICS;
    use crate::contracts::table::Span;

    #[test]
    fn tables_and_datasets_are_in_the_order_of_their_ids() {
        let rollups = RollupId::ALL.iter().map(|id| TableId::Rollup(*id));
        let windows = WindowId::ALL.iter().map(|id| TableId::Window(*id));
        let benchmarks = BenchmarkId::ALL.iter().map(|id| TableId::Benchmark(*id));
        assert!(
            all()
                .map(|table| table.id)
                .eq(rollups.chain(windows).chain(benchmarks))
        );
        let streams = StreamId::ALL.iter().map(|id| DatasetId::Stream(*id));
        let snapshots = SnapshotId::ALL.iter().map(|id| DatasetId::Snapshot(*id));
        assert!(
            DATASETS
                .iter()
                .map(|dataset| dataset.id)
                .eq(streams.chain(snapshots))
        );
    }

    #[test]
    fn the_order_of_tables_is_an_order_of_dependencies() {
        for (position, table) in all().enumerate() {
            for read in table.reads {
                let is_before = all()
                    .take(position)
                    .any(|before| before.id == read.table.id);
                assert!(is_before, "{} reads {}", table.name, read.table.name);
            }
            assert_eq!(table.reads.is_empty(), table.is_rollup(), "{}", table.name);
            // The day before may stand in. It does not know the campaigns of the report day.
            let is_of_the_day = table.reads.iter().all(|read| read.span == Span::Day);
            assert!(!table.is_benchmark() || is_of_the_day, "{}", table.name);
        }
    }

    #[test]
    fn a_key_is_never_null_and_its_columns_exist() {
        for table in all() {
            assert!(!table.key.is_empty(), "{}", table.name);
            for name in table.key {
                assert!(
                    table.column(name).null.is_none(),
                    "{}.{name} is part of the key",
                    table.name
                );
            }
            table.reconciled.iter().for_each(|total| {
                table.column(total.column());
            });
        }
    }

    #[test]
    fn an_export_that_a_table_or_column_needs_is_among_what_it_reads() {
        for table in all() {
            let columns = table.columns.iter().filter_map(|column| column.needs);
            for needed in table.needs.iter().copied().chain(columns) {
                let is_read = table.snapshots.contains(&needed);
                assert!(
                    is_read,
                    "{} needs {}: a change of it would not make the table stale",
                    table.name,
                    needed.name()
                );
            }
        }
    }

    /// The lineage of a column names only existing columns of declared tables and snapshots. Every
    /// declared table and snapshot is in the lineage of a column.
    #[test]
    fn lineage_and_declared_reads_are_the_same() {
        for table in all() {
            let mut read_tables = Vec::new();
            let mut snapshots = Vec::new();
            for column in table.columns {
                check_lineage(table, column, &mut read_tables, &mut snapshots);
            }
            // Benchmarks are computed together from the same cohorts.
            let of_cohorts = |id: &TableId| table.is_benchmark() && is_benchmark(*id);
            read_tables.retain(|id| !of_cohorts(id));
            for id in &read_tables {
                let is_declared = table.reads.iter().any(|read| read.table.id == *id);
                assert!(is_declared, "{}: lineage names {}", table.name, id.name());
            }
            for read in table.reads.iter().filter(|_| !table.is_benchmark()) {
                let is_named = read_tables.contains(&read.table.id);
                assert!(
                    is_named,
                    "{}: no lineage names {}",
                    table.name, read.table.name
                );
            }
            for id in &snapshots {
                assert!(
                    table.snapshots.contains(id),
                    "{}: lineage names {}",
                    table.name,
                    id.name()
                );
            }
            for id in table.snapshots {
                assert!(
                    snapshots.contains(id),
                    "{}: no lineage names {}",
                    table.name,
                    id.name()
                );
            }
        }
    }

    fn is_benchmark(id: TableId) -> bool {
        matches!(id, TableId::Benchmark(_))
    }

    fn check_lineage(
        table: &Table,
        column: &Column,
        read_tables: &mut Vec<TableId>,
        snapshots: &mut Vec<SnapshotId>,
    ) {
        let sources = match column.lineage {
            Lineage::SameColumnOf(id) => {
                read_tables.push(id);
                super::table(id.name()).unwrap().column(column.name);
                return;
            }
            Lineage::From(sources) => sources,
        };
        assert!(
            !sources.is_empty(),
            "{}.{} has no lineage",
            table.name,
            column.name
        );
        for source in sources {
            match *source {
                Source::Export(id, columns) => {
                    let dataset = dataset(id.name()).unwrap();
                    columns.iter().for_each(|name| {
                        dataset.position(name);
                    });
                    if let DatasetId::Snapshot(id) = id {
                        snapshots.push(id);
                    } else {
                        assert!(table.is_rollup(), "{} reads {}", table.name, id.name());
                    }
                }
                Source::Published(id, columns) => {
                    read_tables.push(id);
                    let read = super::table(id.name()).unwrap();
                    columns.iter().for_each(|name| {
                        read.column(name);
                    });
                }
                Source::Metrics(id) => {
                    read_tables.push(id);
                    let read = super::table(id.name()).unwrap();
                    for name in METRICS.iter().filter_map(|metric| metric.column_of(id)) {
                        read.column(name);
                    }
                }
                Source::Own(columns) => columns.iter().for_each(|name| {
                    assert!(
                        *name != column.name,
                        "{}.{name} is its own source",
                        table.name
                    );
                    table.column(name);
                }),
                Source::Setting(keys) => assert!(!keys.is_empty()),
                Source::Run(what) => assert!(!what.is_empty()),
            }
        }
    }
}
