//! The files under the results: layout, manifests, commit log, published state.
//!
//! 1. `layout`: every path and file name beside and inside the tables.
//! 2. `manifest`: the published files of one day, and their inputs.
//! 3. `checked`: the checks of one day, as its manifest keeps them.
//! 4. `commit_log`: the numbered records that order all actions of writers.
//! 5. `state`: the commits of each day, and its newest manifest less the files that are lost.
//! 6. `history`: the tables of a day as they were at an earlier commit.
//! 7. `small_files`: small published files in memory.
//! 8. `files`: the files of all tables that readers see now, or saw after a commit.
//! 9. `newest`: the newest published days, for metrics.

pub mod checked;
pub mod commit_log;
pub(crate) mod decoded;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod layout;
pub mod manifest;
pub mod newest;
pub(crate) mod small_files;
pub mod state;
