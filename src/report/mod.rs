//! Reports for people and programs: JSON documents, text pages.

pub(crate) mod diff;
pub mod documents;
pub mod metrics_file;
pub(crate) mod page;
pub mod run;
pub(crate) mod status;
pub(crate) mod verdict;
pub(crate) mod versions;

/// A number with its noun: `1 table`, `2 tables`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
