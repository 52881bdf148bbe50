//! What people and programs are told: exit codes, JSON documents, text pages.

pub mod exit_code;
pub mod page;
pub mod run;
pub mod status;
