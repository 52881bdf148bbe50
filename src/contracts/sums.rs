//! The error of a sum that does not fit its column.

use std::fmt;

use polars::prelude::DataFrame;

use super::column::{Column, Kind};
use super::table::Table;

/// A sum that does not fit its column. The table is not written for the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumTooLarge {
    pub table: &'static str,
    pub column: &'static str,
    pub kind: Kind,
    pub shop_id: Option<i64>,
    /// In the column's unit.
    pub sum: String,
}

impl fmt::Display for SumTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SumTooLarge {
            table,
            column,
            kind,
            shop_id,
            sum,
        } = self;
        let shop = shop_id
            .map(|id| format!(" of shop {id}"))
            .unwrap_or_default();
        write!(
            f,
            "{table}: {column}{shop} adds up to {sum}, more than {} holds",
            kind.sql()
        )
    }
}

impl std::error::Error for SumTooLarge {}

impl SumTooLarge {
    pub fn new(
        table: &Table,
        column: &Column,
        rows: &DataFrame,
        row: usize,
        sum: String,
    ) -> SumTooLarge {
        let shop_id = rows
            .column("shop_id")
            .ok()
            .and_then(|ids| ids.i64().ok()?.get(row));
        SumTooLarge {
            table: table.name,
            column: column.name,
            kind: column.kind,
            shop_id,
            sum,
        }
    }
}
