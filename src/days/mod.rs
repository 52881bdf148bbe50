//! Stage 2: the calendar, whether a day is final, and which day the benchmark uses.

pub(crate) mod calendar;
pub mod readiness;
pub(crate) mod spans;
