//! Brings a computed table into its contract's form, and checks it.
//!
//! The form is columns, types, nulls, order of rows and a unique key.

use anyhow::{Result, anyhow, bail, ensure};
use polars::prelude::{self as pl, DataFrame, DataType, SortMultipleOptions};

use super::arrow::memory_type;
use super::column::{Column, Kind};
use super::sums::SumTooLarge;
use super::table::Table;
use crate::columns;

impl Table {
    /// The rows in contract form: the contract's columns in file order, sorted by the key.
    ///
    /// # Errors
    /// When a column is missing, has another type or has a forbidden null, and when a key repeats.
    /// All of these are bugs of this program. `SumTooLarge` when a sum of counts does not fit its
    /// column; absurd exports are the cause.
    pub fn conform(&self, rows: DataFrame) -> Result<DataFrame> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let values = rows
                .column(column.name)
                .map_err(|e| anyhow!(e).context(format!("table {}", self.name)))?;
            let values = narrowed(self, column, values, &rows)?;
            ensure!(
                *values.dtype() == memory_type(column.kind),
                "table {}, column {}: expected {}, computed {}",
                self.name,
                column.name,
                memory_type(column.kind),
                values.dtype()
            );
            if column.null.is_none() && values.null_count() > 0 {
                bail!(
                    "table {}, column {}: null in a column that is never null",
                    self.name,
                    column.name
                );
            }
            columns.push(values);
        }
        let rows = DataFrame::new(rows.height(), columns)?;
        if columns::ascends(&rows, self.key)? {
            return Ok(rows);
        }
        let rows = rows.sort(self.key.iter().copied(), SortMultipleOptions::default())?;
        ensure!(
            columns::ascends(&rows, self.key)?,
            "table {}: a key is repeated",
            self.name
        );
        Ok(rows)
    }
}

/// Narrows counts that were summed in 128 bits to the 64 bits of their column.
fn narrowed(
    table: &Table,
    column: &Column,
    values: &pl::Column,
    rows: &DataFrame,
) -> Result<pl::Column> {
    if column.kind != Kind::Int64 || *values.dtype() != DataType::Int128 {
        return Ok(values.clone());
    }
    let sums = values.i128()?;
    let mut narrow = Vec::with_capacity(sums.len());
    for (row, sum) in sums.iter().enumerate() {
        narrow.push(match sum.map(|sum| (sum, i64::try_from(sum))) {
            Some((_, Ok(sum))) => Some(sum),
            Some((sum, Err(_))) => {
                return Err(SumTooLarge::new(table, column, rows, row, sum.to_string()).into());
            }
            None => None,
        });
    }
    Ok(columns::ints(column.name, narrow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::SKU_DAILY;

    fn conformed(items_sold: i128) -> Result<DataFrame> {
        let ids = ["shop_id", "product_id", "sku_id"].map(|name| columns::ints(name, [1]));
        let sums = [
            columns::money("items_sold", [items_sold]),
            columns::money("gmv", [0]),
        ];
        SKU_DAILY.conform(DataFrame::new(1, ids.into_iter().chain(sums).collect())?)
    }

    #[test]
    fn a_sum_beyond_int64_is_an_error_that_names_its_column() {
        let greatest = conformed(i64::MAX.into()).unwrap();
        assert_eq!(
            greatest.column("items_sold").unwrap().i64().unwrap().get(0),
            Some(i64::MAX)
        );
        let error = format!("{:#}", conformed(i128::from(i64::MAX) + 1).unwrap_err());
        assert_eq!(
            error,
            "sku_daily: items_sold of shop 1 adds up to 9223372036854775808, more than INT64 holds"
        );
    }
}
