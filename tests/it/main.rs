//! The one integration test binary.
//!
//! Its tests drive the program through its command line, or put a store with faults under the
//! library.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod bad_input;
mod bad_nights;
mod bucket;
mod cases;
mod catalog;
mod checks;
mod command_line;
mod crash;
mod describe;
mod docs;
mod doctor;
mod duckdb;
mod explain;
mod explain_privacy;
mod faults;
mod field_ids;
mod fuzzed;
mod help;
mod history;
mod init;
mod int96;
mod kill;
mod lineage;
mod mapping;
mod metrics;
mod operations;
mod oracle;
mod places;
mod properties;
mod random_worlds;
mod reads;
mod report;
mod resources;
mod sampling;
mod scene;
mod schemas;
mod secrets;
mod staleness;
mod stores;
mod summary;
mod together;
mod versions;
mod world;
