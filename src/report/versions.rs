//! The differences between two versions of a table's file: rows by key, cells, totals.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contracts::arrow::show_cents;
use crate::contracts::{Column, Kind, Table};
use crate::exports::show::{show_day, show_instant};

/// A cell of one row in two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct CellDifference {
    /// The key's columns, as text.
    pub key: BTreeMap<&'static str, Option<String>>,
    pub column: &'static str,
    /// `None`: null, or the row or column did not exist.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// The differences of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ColumnDifference {
    pub column: &'static str,
    /// Rows of both versions with other values.
    pub rows_changed: u64,
    /// The sum over all rows, of a column of money or counts.
    pub total_before: Option<String>,
    pub total_after: Option<String>,
    /// The difference of the totals; cents or a count.
    #[serde(skip)]
    pub change: i128,
}

/// The differences of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Differences {
    pub rows_before: u64,
    pub rows_after: u64,
    pub rows_added: u64,
    pub rows_removed: u64,
    /// Rows of both versions with another value in any column.
    pub rows_changed: u64,
    /// Columns with changed rows or another total; the greatest change of a total first.
    pub columns: Vec<ColumnDifference>,
    /// The changed cells of the wanted shop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<CellDifference>,
}

/// Compares two versions of a table; both are sorted by its key. `None`: there is no file.
///
/// `shop_id`: only the rows of this shop, cell by cell.
pub(crate) fn compare(
    table: &'static Table,
    before: Option<RecordBatch>,
    after: Option<RecordBatch>,
    shop_id: Option<i64>,
) -> Result<Differences> {
    let before = TableRows::new(table, before, shop_id)?;
    let after = TableRows::new(table, after, shop_id)?;
    let values: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| !table.key.contains(&column.name))
        .collect();
    let mut found = Differences {
        rows_before: before.rows.len() as u64,
        rows_after: after.rows.len() as u64,
        ..Differences::default()
    };
    let mut changed: BTreeMap<&str, u64> = BTreeMap::new();
    for (old, new) in pairs(&before, &after) {
        let is_in_both = old.is_some() && new.is_some();
        found.rows_added += u64::from(old.is_none());
        found.rows_removed += u64::from(new.is_none());
        let mut is_changed = false;
        for column in &values {
            let (was, is) = (before.cell(column.name, old), after.cell(column.name, new));
            if was == is {
                continue;
            }
            is_changed = true;
            *changed.entry(column.name).or_default() += u64::from(is_in_both);
            if shop_id.is_some() {
                found.cells.push(CellDifference {
                    key: if old.is_some() {
                        before.key(old)
                    } else {
                        after.key(new)
                    },
                    column: column.name,
                    before: was.shown(column),
                    after: is.shown(column),
                });
            }
        }
        found.rows_changed += u64::from(is_changed && is_in_both);
    }
    for column in values {
        let rows_changed = changed.remove(column.name).unwrap_or_default();
        let totals = is_added_up(column)
            .then(|| Some((before.total(column)?, after.total(column)?)))
            .flatten();
        let change = totals.map_or(0, |(before, after)| after - before);
        if rows_changed > 0 || change != 0 {
            found.columns.push(ColumnDifference {
                column: column.name,
                rows_changed,
                total_before: totals.map(|(before, _)| show_whole(column.kind, before)),
                total_after: totals.map(|(_, after)| show_whole(column.kind, after)),
                change,
            });
        }
    }
    found
        .columns
        .sort_by_key(|column| std::cmp::Reverse((column.change.abs(), column.rows_changed)));
    Ok(found)
}

/// The rows of two versions side by side, in the order of their keys; `None`: only the other has it.
fn pairs(before: &TableRows, after: &TableRows) -> Vec<(Option<usize>, Option<usize>)> {
    let (mut old, mut new) = (before.rows.iter().peekable(), after.rows.iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => before.compare_keys(**old, after, **new),
        };
        let from_old = if order == Ordering::Greater {
            None
        } else {
            old.next()
        };
        let from_new = if order == Ordering::Less {
            None
        } else {
            new.next()
        };
        pairs.push((from_old.copied(), from_new.copied()));
    }
}

/// Whether the sum of a column over rows means something.
fn is_added_up(column: &Column) -> bool {
    let is_identifier = column.unit.is_empty();
    matches!(column.kind, Kind::Money | Kind::Int64) && !is_identifier && column.unit != "rank"
}

/// The difference of two values of a column, as they are shown; `None`: the column is not added up.
pub(crate) fn change(column: &Column, before: &str, after: &str) -> Option<String> {
    let whole = |shown: &str| shown.replace('.', "").parse::<i128>().ok();
    let change = whole(after)? - whole(before)?;
    is_added_up(column).then(|| show_whole(column.kind, change))
}

pub(crate) fn show_whole(kind: Kind, value: i128) -> String {
    match kind {
        Kind::Money => show_cents(value),
        _ => value.to_string(),
    }
}

/// A value that is compared exactly.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Cell<'a> {
    Null,
    Flag(bool),
    Whole(i128),
    Double(f64),
    Text(&'a str),
}

impl Cell<'_> {
    /// `None`: null.
    fn shown(self, column: &Column) -> Option<String> {
        Some(match self {
            Cell::Null => return None,
            Cell::Flag(value) => value.to_string(),
            Cell::Double(value) => value.to_string(),
            Cell::Text(value) => value.to_owned(),
            Cell::Whole(value) => match column.kind {
                Kind::Date => show_day(value as i32),
                Kind::Instant => show_instant(value as i64),
                kind => show_whole(kind, value),
            },
        })
    }
}

/// Rows of one version of a table.
pub(crate) struct TableRows {
    table: &'static Table,
    columns: BTreeMap<&'static str, ArrayRef>,
    /// The positions of the wanted rows.
    rows: Vec<usize>,
}

impl TableRows {
    /// `rows`: `None` where there is no file. `shop_id`: only the rows of this shop.
    ///
    /// # Errors
    /// When a column of the key is missing.
    pub(crate) fn new(
        table: &'static Table,
        rows: Option<RecordBatch>,
        shop_id: Option<i64>,
    ) -> Result<TableRows> {
        let Some(batch) = rows else {
            return Ok(TableRows {
                table,
                columns: BTreeMap::new(),
                rows: vec![],
            });
        };
        let names = table.columns.iter().map(|column| column.name);
        let columns: BTreeMap<&str, ArrayRef> = names
            .filter_map(|name| Some((name, batch.column_by_name(name)?.clone())))
            .collect();
        for name in table.key {
            columns
                .get(name)
                .with_context(|| format!("{} has no column {name}", table.name))?;
        }
        let mut found = TableRows {
            table,
            columns,
            rows: vec![],
        };
        let is_wanted = |row: &usize| match shop_id {
            Some(shop) => found.cell("shop_id", Some(*row)) == Cell::Whole(shop.into()),
            None => true,
        };
        found.rows = (0..batch.num_rows()).filter(is_wanted).collect();
        Ok(found)
    }

    /// The positions of the rows.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().copied()
    }

    /// A cell as text; `None`: null.
    pub(crate) fn shown(&self, column: &Column, row: usize) -> Option<String> {
        self.cell(column.name, Some(row)).shown(column)
    }

    /// Whether a cell has this value, as text.
    pub(crate) fn is(&self, column: &Column, row: usize, value: &str) -> bool {
        match self.cell(column.name, Some(row)) {
            Cell::Text(text) => text == value,
            cell => cell.shown(column).as_deref() == Some(value),
        }
    }

    /// A whole number, money in cents, or a date or instant as a number; `None`: null.
    pub(crate) fn whole(&self, column: &str, row: usize) -> Option<i128> {
        match self.cell(column, Some(row)) {
            Cell::Whole(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn double(&self, column: &str, row: usize) -> Option<f64> {
        match self.cell(column, Some(row)) {
            Cell::Double(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn text(&self, column: &str, row: usize) -> Option<&str> {
        match self.cell(column, Some(row)) {
            Cell::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Null where the version has no such row or column.
    fn cell(&self, column: &str, row: Option<usize>) -> Cell<'_> {
        let (Some(array), Some(row)) = (self.columns.get(column), row) else {
            return Cell::Null;
        };
        if array.is_null(row) {
            return Cell::Null;
        }
        match array.data_type() {
            DataType::Int64 => Cell::Whole(array.as_primitive::<Int64Type>().value(row).into()),
            DataType::Decimal128(..) => {
                Cell::Whole(array.as_primitive::<Decimal128Type>().value(row))
            }
            DataType::Date32 => Cell::Whole(array.as_primitive::<Date32Type>().value(row).into()),
            DataType::Timestamp(..) => Cell::Whole(
                array
                    .as_primitive::<TimestampMicrosecondType>()
                    .value(row)
                    .into(),
            ),
            DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => Cell::Flag(array.as_boolean().value(row)),
            DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row)),
            _ => Cell::Null,
        }
    }

    fn compare_keys(&self, row: usize, other: &TableRows, other_row: usize) -> Ordering {
        let of_column = |name: &&str| {
            let (mine, theirs) = (
                self.cell(name, Some(row)),
                other.cell(name, Some(other_row)),
            );
            mine.partial_cmp(&theirs).unwrap_or(Ordering::Equal)
        };
        let mut orders = self.table.key.iter().map(of_column);
        orders
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }

    /// The key's columns of a row, as text.
    pub(crate) fn key(&self, row: Option<usize>) -> BTreeMap<&'static str, Option<String>> {
        let columns = self.table.key.iter().map(|name| self.table.column(name));
        columns
            .map(|column| (column.name, self.cell(column.name, row).shown(column)))
            .collect()
    }

    /// The sum of a column that is added up; `None`: the version has no such column.
    fn total(&self, column: &Column) -> Option<i128> {
        if self.rows.is_empty() {
            return Some(0);
        }
        self.columns.get(column.name)?;
        let cells = self
            .rows
            .iter()
            .map(|row| self.cell(column.name, Some(*row)));
        Some(
            cells
                .map(|cell| match cell {
                    Cell::Whole(value) => value,
                    _ => 0,
                })
                .sum(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Decimal128Array, Int64Array};

    use super::*;
    use crate::contracts::tables::SKU_DAILY;

    /// Rows of sku_daily: product, SKU, GMV in cents, items.
    fn rows(rows: &[(i64, i64, i128, Option<i64>)]) -> RecordBatch {
        let ints = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let gmv = Decimal128Array::from_iter_values(rows.iter().map(|row| row.2));
        RecordBatch::try_from_iter([
            ("shop_id", ints(vec![Some(1); rows.len()])),
            (
                "product_id",
                ints(rows.iter().map(|row| Some(row.0)).collect()),
            ),
            ("sku_id", ints(rows.iter().map(|row| Some(row.1)).collect())),
            (
                "gmv",
                Arc::new(gmv.with_precision_and_scale(18, 2).unwrap()) as ArrayRef,
            ),
            ("items_sold", ints(rows.iter().map(|row| row.3).collect())),
        ])
        .unwrap()
    }

    #[test]
    fn rows_are_matched_by_key_and_totals_are_exact() {
        let before = rows(&[
            (7, 1, 1000, Some(2)),
            (7, 2, 550, Some(1)),
            (9, 1, 10, Some(1)),
        ]);
        let after = rows(&[
            (7, 1, 1000, Some(2)),
            (7, 2, 551, Some(1)),
            (8, 5, 1, Some(1)),
        ]);
        let found = compare(&SKU_DAILY, Some(before), Some(after), None).unwrap();
        let counts = (found.rows_added, found.rows_removed, found.rows_changed);
        assert_eq!(counts, (1, 1, 1));
        // 10.00 + 5.50 + 0.10 = 15.60; 10.00 + 5.51 + 0.01 = 15.52. The items add up to 4 in both.
        let [gmv] = &found.columns[..] else {
            panic!("{:?}", found.columns);
        };
        assert_eq!((gmv.column, gmv.rows_changed, gmv.change), ("gmv", 1, -8));
        assert_eq!(gmv.total_before.as_deref(), Some("15.60"));
        assert_eq!(gmv.total_after.as_deref(), Some("15.52"));
        assert_eq!(found.cells, []);
    }

    #[test]
    fn the_cells_of_a_shop_tell_null_from_zero() {
        let before = rows(&[(7, 1, 1000, None)]);
        let after = rows(&[(7, 1, 1000, Some(0))]);
        let found = compare(
            &SKU_DAILY,
            Some(before.clone()),
            Some(after.clone()),
            Some(1),
        )
        .unwrap();
        let [cell] = &found.cells[..] else {
            panic!("{:?}", found.cells);
        };
        let shown = (cell.column, cell.before.as_deref(), cell.after.as_deref());
        assert_eq!(shown, ("items_sold", None, Some("0")));
        assert_eq!(cell.key["product_id"].as_deref(), Some("7"));
        let other = compare(
            &SKU_DAILY,
            Some(before.clone()),
            Some(after.clone()),
            Some(2),
        )
        .unwrap();
        assert_eq!(other, Differences::default());
    }

    #[test]
    fn a_table_that_is_not_there_has_no_rows() {
        let after = rows(&[(7, 1, 1000, Some(2))]);
        let found = compare(&SKU_DAILY, None, Some(after), None).unwrap();
        assert_eq!((found.rows_before, found.rows_added), (0, 1));
        assert_eq!(found.columns[0].total_before.as_deref(), Some("0.00"));
    }
}
