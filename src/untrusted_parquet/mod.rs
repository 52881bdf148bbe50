//! Parquet files of unknown writers: every claim of their bytes is checked before it is used.
//!
//! A decoder reserves memory for sizes and counts that a file claims, and it may panic or loop on
//! damaged bytes. So a file is read in this order:
//!
//! 1. `footer`: the footer is small enough, not encrypted, and valid Thrift (`thrift`); its byte
//!    ranges and row counts fit the file.
//! 2. `projection`: all columns but those that the caller wants are removed from the metadata.
//! 3. `row_group`: the chunks of a row group are fetched; `pages` checks each page, and only then
//!    the values are decoded.
//!
//! `failure` separates a store that fails from a file that is damaged. `statistics` reads the
//! minimum and maximum of a column. This room knows no dataset and no contract.

pub(crate) mod failure;
pub(crate) mod footer;
mod pages;
pub(crate) mod projection;
pub(crate) mod row_group;
pub(crate) mod statistics;
mod thrift;
