//! Stage 7: what a run read, decided and wrote.

pub mod fingerprint;
pub mod manifest;
pub mod page;
pub mod report;
pub mod state;
pub mod status;
