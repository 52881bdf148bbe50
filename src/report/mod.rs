//! Reports for people and programs: exit codes, JSON documents, text pages.

pub mod exit_code;
pub mod page;
pub mod run;
pub mod status;
