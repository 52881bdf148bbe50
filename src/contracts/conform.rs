//! A computed table brought into its contract's form: columns, types, nulls, order of rows, unique key.

use anyhow::{Result, anyhow, bail, ensure};
use polars::prelude::*;

use super::Table;
use super::arrow::memory_type;

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
        self.check_unique(&rows)?;
        Ok(rows)
    }

    /// `rows` are sorted by the key, so a repeated key stands in neighbouring rows.
    fn check_unique(&self, rows: &DataFrame) -> Result<()> {
        if rows.height() < 2 {
            return Ok(());
        }
        let keys = rows.select(self.key.iter().copied())?;
        let (head, tail) = (keys.slice(0, keys.height() - 1), keys.slice(1, keys.height() - 1));
        let mut same = BooleanChunked::full("same".into(), true, head.height());
        for (a, b) in head.columns().iter().zip(tail.columns()) {
            same = &same & &a.equal_missing(b)?;
        }
        ensure!(!same.any(), "table {}: a key is repeated", self.name);
        Ok(())
    }
}
