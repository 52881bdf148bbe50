//! campaign-etl: from the exports of a marketplace to the tables of the Campaign Dashboard.
//!
//! ```text
//!   exports/<dataset>/dt=D/*.parquet                 contracts  (1) the definition of every column
//!         |
//!       days        (2) is the day final?
//!         |
//!       exports     (3) open, check, quarantine; all threads decode
//!         |
//!       rollups     (4) one pass, split by shop -> the daily tables
//!         |
//!       windows     (5) periods, tiers, baselines, stock, benchmarks over published rollups
//!         |
//!       publish     (6) one writer: stage, verify, commit, move into place
//!         |
//!       catalog         manifests, commit log, published state
//!         |
//!   results/<table>/dt=D/part-0.parquet
//! ```

pub mod bug;
pub mod catalog;
pub mod cli;
pub mod columns;
pub mod commands;
pub mod config;
pub mod contracts;
pub mod days;
pub mod environment;
pub mod exports;
pub mod fingerprint;
pub mod generate;
pub mod messages;
pub mod metrics;
pub mod pipeline;
pub mod plan;
pub mod progress;
pub mod publish;
pub mod redact;
pub mod report;
pub mod resources;
pub mod rollups;
pub mod shuffle;
pub mod stop;
pub mod store;
#[cfg(test)]
mod testing;
mod threads;
mod untrusted_parquet;
pub mod windows;
