//! Reports for people and programs: exit codes, JSON documents, text pages.

pub mod exit_code;
pub(crate) mod page;
pub mod run;
pub(crate) mod status;
