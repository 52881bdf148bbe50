//! Stage 2: the calendar, and whether a day is final.

pub(crate) mod calendar;
pub mod readiness;
pub(crate) mod spans;
