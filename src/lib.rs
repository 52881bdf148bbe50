//! campaign-etl: finalized exports of a marketplace in, the Campaign Dashboard's tables out.
pub mod contracts;
pub mod generate;
