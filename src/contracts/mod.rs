//! Stage 1: the contracts of all exports and result tables; the one definition of each column.
//!
//! | file | holds |
//! | --- | --- |
//! | `ids` | the ids of datasets and tables |
//! | `column`, `dataset`, `table` | the form of a contract |
//! | `datasets`, `tables/` | the contracts |
//! | `field_ids` | the Parquet field id of each column |
//! | `quarantine` | the columns of quarantined rows |
//! | `metrics` | the metrics of the benchmarks |
//! | `lineage` | the inputs of a column, up to the exports, and its users |
//! | `arrow`, `conform`, `sums` | tables in memory and in files, in the contract's form |
//! | `fingerprint` | the part of a contract that decides whether published files are stale |
//! | `metadata`, `markdown` | contracts as metadata of a file, and as `docs/tables.md` |

pub mod arrow;
pub mod column;
pub(crate) mod conform;
pub mod dataset;
pub mod datasets;
pub mod field_ids;
pub mod fingerprint;
pub mod ids;
pub(crate) mod lineage;
pub(crate) mod markdown;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub mod quarantine;
pub(crate) mod sums;
pub mod table;
pub mod tables;

pub use column::{Column, Kind};
pub use dataset::{Dataset, Follows, MOST_AMOUNT, Reason, Rule, WithoutRows};
pub use ids::{BenchmarkId, DatasetId, RollupId, SnapshotId, StreamId, TableId, WindowId};
pub use table::{Read, Span, Table, Total};

/// The file with a partition's rows. The name is fixed, so that a glob reads exactly one version.
pub const PART_FILE: &str = "part-0.parquet";
/// Hadoop's mark of a complete folder. In results it has zero bytes, because a folder scan of
/// Polars fails on a longer one.
pub const SUCCESS_FILE: &str = "_SUCCESS";
