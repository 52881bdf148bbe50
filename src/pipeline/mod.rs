//! One walk over days: its hands announce a plan or do a run.
//!
//! ```text
//!   night, backfill      which days, in which order
//!         |
//!       walk             each day once: decide (plan.rs), hand over, continue after a failure
//!         |
//!     Hands ------------ announce: a plan         doing: a run
//!                                                   |
//!                                     engine: exports -> daily tables
//!                                     tables, day: windows and benchmarks -> a change
//!                                     publish
//! ```
//!
//! `ahead` computes several days at once, before the walk takes them in order. `lineage` sends events of the days that a run works
//! on. `out_of_reach` checks the days before the lookback.

mod ahead;
pub(crate) mod announce;
pub mod backfill;
mod day;
mod doing;
pub mod engine;
pub mod job;
mod lineage;
pub mod night;
pub(crate) mod out_of_reach;
#[cfg(feature = "spark")]
mod spark;
mod tables;
mod walk;
