//! campaign-etl: from the exports of a marketplace to the tables of the Campaign Dashboard.
//!
//! ```text
//!   exports/<dataset>/dt=D/*.parquet                 contracts  (1) every column of every table
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
//!   results/<table>/dt=D/part-0.parquet              catalog    the files under the results
//! ```
//!
//! `pipeline` walks over days and hands each to these stages. `plan` decides. `report` describes
//! the outcome, `explain` one number of it, `pages` draws it, and `dictionary` describes the contracts.
//! `init` guesses a first job file. A module uses the modules below it, never those above.

pub mod cli;

pub mod commands;

pub mod pipeline;

mod lineage_events;

mod pages;

mod explain;

mod dictionary;

mod doctor;
mod init;

pub mod report;

mod plan;

mod checks;

pub mod publish;

pub mod windows;

pub mod rollups;

pub mod catalog;

pub mod exports;

pub mod days;

mod shuffle;

mod untrusted_parquet;

pub mod store;

pub mod config;

pub mod mapping;

pub mod contracts;

pub mod generate;

pub mod bug;
mod columns;
pub mod control_group;
pub mod environment;
pub mod exit_code;
pub mod failure;
pub mod fingerprint;
pub mod job_text;
pub mod messages;
mod metrics;
mod nearest;
pub mod progress;
pub mod redact;
pub mod resources;
pub mod stop;
#[cfg(test)]
mod testing;
mod threads;
