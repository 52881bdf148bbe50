//! Published rows beside the rows that were computed again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::recompute::{Cells, is_same};
use super::row::RowKey;
use crate::contracts::{Column, Table};
use crate::report::versions::TableRows;

/// A row that only one of both has, or with cells that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct DifferingRow {
    /// The key's columns, as text.
    pub key: RowKey,
    pub is_published: bool,
    pub is_computed: bool,
    /// Empty where only one of both has the row.
    pub cells: Vec<DifferingCell>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct DifferingCell {
    pub column: &'static str,
    /// `None`: null.
    pub published: Option<String>,
    /// `None`: null, or a value that is not told for the privacy of other shops.
    pub computed: Option<String>,
}

/// A value that was computed again, as far as it may be told. A number of a benchmark that is not
/// published stays unknown: it could be that of a suppressed cohort.
pub(super) fn told(
    table: &Table,
    published: Option<&str>,
    computed: Option<String>,
) -> Option<String> {
    computed.filter(|_| !(table.is_benchmark() && published.is_none()))
}

/// The differences of some rows of a published file from rows that were computed again.
/// `numbers`: the positions of the published rows.
pub(super) fn compare(
    table: &'static Table,
    published: &TableRows,
    numbers: &[usize],
    computed: &[Cells],
) -> Vec<DifferingRow> {
    let key_of = |cells: &Cells| -> RowKey {
        let names = table.key.iter();
        names
            .map(|name| (*name, cells.get(name).cloned().flatten()))
            .collect()
    };
    let mut unmatched: BTreeMap<RowKey, &Cells> =
        computed.iter().map(|row| (key_of(row), row)).collect();
    let mut found = Vec::new();
    for number in numbers {
        let key = published.key(Some(*number));
        let row = unmatched.remove(&key);
        let shown = |column: &Column| published.shown(column, *number);
        let cells = row.map_or(vec![], |row| differing_cells(table, &shown, row));
        if row.is_none() || !cells.is_empty() {
            found.push(DifferingRow {
                key,
                is_published: true,
                is_computed: row.is_some(),
                cells,
            });
        }
    }
    found.extend(unmatched.into_keys().map(|key| DifferingRow {
        key,
        is_published: false,
        is_computed: true,
        cells: vec![],
    }));
    found
}

fn differing_cells(
    table: &'static Table,
    published: &dyn Fn(&Column) -> Option<String>,
    computed: &Cells,
) -> Vec<DifferingCell> {
    let mut found = Vec::new();
    for column in table.columns {
        let published = published(column);
        if !is_same(table, column.name, published.as_deref(), computed) {
            let computed = computed.get(column.name).cloned().flatten();
            found.push(DifferingCell {
                column: column.name,
                computed: told(table, published.as_deref(), computed),
                published,
            });
        }
    }
    found
}
