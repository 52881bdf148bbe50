//! A computed table brought into its contract's form: columns, types, nulls, order of rows, unique key.

use anyhow::{Context, Result, anyhow, bail, ensure};
use polars::prelude::{self as pl, DataFrame, DataType, SortMultipleOptions};

use super::arrow::memory_type;
use super::{Column, Kind, Table};
use crate::columns;

impl Table {
    /// The rows in contract form: the contract's columns in file order, sorted by the key.
    ///
    /// # Errors
    /// When a column is missing, has another type, is null where the contract says never, or when a key repeats; each
    /// is a bug of this program. And when a sum of counts does not fit its column, which absurd exports can bring about.
    pub fn conform(&self, rows: DataFrame) -> Result<DataFrame> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let values = rows.column(column.name).map_err(|e| anyhow!(e).context(format!("table {}", self.name)))?;
            let values = narrowed(column, values).with_context(|| format!("table {}", self.name))?;
            ensure!(
                *values.dtype() == memory_type(column.kind),
                "table {}, column {}: expected {}, computed {}",
                self.name,
                column.name,
                memory_type(column.kind),
                values.dtype()
            );
            if column.null.is_none() && values.null_count() > 0 {
                bail!("table {}, column {}: null in a column that is never null", self.name, column.name);
            }
            columns.push(values);
        }
        let rows = DataFrame::new(rows.height(), columns)?;
        if columns::ascends(&rows, self.key)? {
            return Ok(rows);
        }
        let rows = rows.sort(self.key.iter().copied(), SortMultipleOptions::default())?;
        ensure!(columns::ascends(&rows, self.key)?, "table {}: a key is repeated", self.name);
        Ok(rows)
    }
}

/// Counts that were summed in 128 bits, in the 64 of their column.
fn narrowed(column: &Column, values: &pl::Column) -> Result<pl::Column> {
    if column.kind != Kind::Int64 || *values.dtype() != DataType::Int128 {
        return Ok(values.clone());
    }
    let exact = values.i128()?.iter();
    let narrow: Vec<Option<i64>> = exact
        .map(|sum| {
            sum.map(|sum| i64::try_from(sum).ok().with_context(|| format!("{sum} does not fit INT64"))).transpose()
        })
        .collect::<Result<_>>()
        .with_context(|| format!("column {}", column.name))?;
    Ok(columns::ints(column.name, narrow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::SKU_DAILY;

    fn conformed(items_sold: i128) -> Result<DataFrame> {
        let ids = ["shop_id", "product_id", "sku_id"].map(|name| columns::ints(name, [1]));
        let sums = [columns::money("items_sold", [items_sold]), columns::money("gmv", [0])];
        SKU_DAILY.conform(DataFrame::new(1, ids.into_iter().chain(sums).collect())?)
    }

    #[test]
    fn a_sum_beyond_int64_is_an_error_that_names_its_column() {
        let greatest = conformed(i64::MAX.into()).unwrap();
        assert_eq!(greatest.column("items_sold").unwrap().i64().unwrap().get(0), Some(i64::MAX));
        let error = format!("{:#}", conformed(i128::from(i64::MAX) + 1).unwrap_err());
        assert_eq!(error, "table sku_daily: column items_sold: 9223372036854775808 does not fit INT64");
    }
}
