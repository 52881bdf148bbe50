//! Published rows beside the rows that were computed again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::recompute::{Cells, is_same};
use super::row::RowKey;
use crate::contracts::{Column, Kind, Table};
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
    /// `None`: null, or not told.
    pub computed: Option<String>,
    /// The computed value is not told, for the privacy of other shops.
    pub is_withheld: bool,
}

/// Whether a number is computed from the values of several shops. Two such numbers of one cohort may
/// be told only where they are equal: their difference would be the value of a shop that came between
/// them.
pub(super) fn is_over_peers(table: &Table, column: &Column) -> bool {
    table.is_benchmark() && column.kind == Kind::Double
}

/// Whether a computed number is not told, for the privacy of other shops: its cohort is suppressed, or
/// was published from other inputs.
pub(super) fn is_withheld(
    table: &Table,
    column: &Column,
    published: Option<&str>,
    has_other_inputs: bool,
) -> bool {
    let is_suppressed = table.is_benchmark() && published.is_none();
    is_suppressed || (has_other_inputs && is_over_peers(table, column))
}

/// The differences of some rows of a published file from rows that were computed again.
/// `numbers`: the positions of the published rows. `has_other_inputs`: the computed rows come from other
/// inputs than the published ones.
pub(super) fn compare(
    table: &'static Table,
    published: &TableRows,
    numbers: &[usize],
    computed: &[Cells],
    has_other_inputs: bool,
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
        let cells = row.map_or(vec![], |row| {
            differing_cells(table, &shown, row, has_other_inputs)
        });
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
    has_other_inputs: bool,
) -> Vec<DifferingCell> {
    let mut found = Vec::new();
    for column in table.columns {
        let published = published(column);
        if !is_same(table, column.name, published.as_deref(), computed) {
            let computed = computed.get(column.name).cloned().flatten();
            let is_private = is_withheld(table, column, published.as_deref(), has_other_inputs);
            found.push(DifferingCell {
                column: column.name,
                is_withheld: is_private && computed.is_some(),
                computed: computed.filter(|_| !is_private),
                published,
            });
        }
    }
    found
}
