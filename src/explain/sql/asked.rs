//! The question of a query: table, column, and the known part of the row.

use chrono::NaiveDate;

use super::query::sql_type;
use super::query::text;
use crate::contracts::{Column, Kind, Table};
use crate::explain::RowKey;
use crate::explain::row::Row;

/// The question: table, column, and the known part of the row.
pub(super) struct Asked<'a> {
    pub table: &'static Table,
    /// `None`: every column of the shop's rows.
    pub column: Option<&'static Column>,
    /// The known columns of the key, as text.
    pub key: RowKey,
    /// `None`: the table has no such row, or rows are asked for.
    pub row: Option<&'a Row>,
    pub campaign_id: Option<i64>,
    /// The first day of the campaign, where the question names one.
    pub first_day: Option<NaiveDate>,
    pub baseline_day: Option<NaiveDate>,
    /// The day whose data the benchmarks use.
    pub benchmark_day: NaiveDate,
    pub fallback_reason: Option<String>,
    /// The tier of the shop, or of the cohort that is asked for.
    pub tier: Option<String>,
    /// Set when the published file of the table has other bytes than were published.
    pub damage: Option<String>,
}

impl Asked<'_> {
    pub(super) fn key(&self, name: &str) -> Option<String> {
        self.key.get(name).cloned().flatten()
    }

    /// The key of the row as literals; `None`: the query has to find the rows.
    pub(super) fn row_key(&self) -> Option<Vec<(&'static str, String)>> {
        self.row?;
        let of_table = self.table.key.iter();
        let literals = of_table.map(|name| {
            let column = self.table.column(name);
            let literal = literal(column, &self.key(name)?);
            Some((
                *name,
                format!("CAST({literal} AS {})", sql_type(column.kind)),
            ))
        });
        literals.collect()
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &'static Column> {
        let asked = self.column.map(|column| column.name);
        let columns = self.table.columns.iter();
        columns.filter(move |column| asked.is_none_or(|asked| column.name == asked))
    }
}

/// A value of the key as a literal.
pub(super) fn literal(column: &Column, value: &str) -> String {
    match column.kind {
        Kind::Int64 | Kind::Int32 => value.to_owned(),
        Kind::Date => format!("DATE {}", text(value)),
        Kind::Instant => format!(
            "TIMESTAMPTZ {}",
            text(&value.replace('T', " ").replace('Z', "+00"))
        ),
        Kind::Money | Kind::Double | Kind::Text | Kind::Boolean => text(value),
    }
}
