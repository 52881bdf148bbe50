//! A computed table brought into its contract's form: columns, types, nulls, order of rows, unique key.

use anyhow::{Result, anyhow, bail, ensure};
use polars::prelude::*;

use super::Table;
use super::arrow::memory_type;
use crate::metrics::continues_group;

impl Table {
    /// The rows in contract form: the contract's columns in file order, sorted by the key.
    ///
    /// # Errors
    /// When a column is missing, has another type, is null where the contract says never, or when a key repeats.
    /// Each is a bug of this program: nothing that an export holds may lead here.
    pub fn conform(&self, rows: DataFrame) -> Result<DataFrame> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let values = rows.column(column.name).map_err(|e| anyhow!(e).context(format!("table {}", self.name)))?;
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
            columns.push(values.clone());
        }
        let rows = DataFrame::new(rows.height(), columns)?;
        let rows = rows.sort(self.key.iter().copied(), SortMultipleOptions::default())?;
        ensure!(!continues_group(&rows, self.key)?.contains(&true), "table {}: a key is repeated", self.name);
        Ok(rows)
    }
}
