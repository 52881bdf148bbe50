//! Rows of a result table by column, with values as text.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::sums::{RATIOS, Sums};
use crate::contracts::arrow::show_cents;
use crate::contracts::{Kind, Table};

/// A row: the value of each column as text, in the form of `TableRows::shown`. `None`: null.
pub(crate) type Cells = BTreeMap<&'static str, Option<String>>;

/// A row that is being put together.
pub(super) struct Line {
    table: &'static Table,
    cells: Cells,
}

impl Line {
    pub(super) fn new(table: &'static Table) -> Line {
        Line {
            table,
            cells: Cells::new(),
        }
    }

    pub(super) fn cell(mut self, column: &'static str, value: Option<String>) -> Line {
        self.cells.insert(column, value);
        self
    }

    pub(super) fn is(self, column: &'static str, value: impl ToString) -> Line {
        self.cell(column, Some(value.to_string()))
    }

    pub(super) fn double(self, column: &'static str, value: Option<f64>) -> Line {
        self.cell(column, value.map(|value| value.to_string()))
    }

    pub(super) fn cents(self, column: &'static str, value: Option<i128>) -> Line {
        self.cell(column, value.map(show_cents))
    }

    /// Every sum that is a column of the table, and the ratios of these sums.
    pub(super) fn sums(mut self, sums: &Sums) -> Line {
        for (name, value) in sums.iter() {
            if let Some(column) = self.column(name) {
                let show = match column.kind {
                    Kind::Money => show_cents,
                    _ => |value: i128| value.to_string(),
                };
                self = self.cell(name, value.map(show));
            }
        }
        for name in RATIOS {
            if self.column(name).is_some() {
                self = self.double(name, sums.ratio(name));
            }
        }
        self
    }

    fn column(&self, name: &str) -> Option<&'static crate::contracts::Column> {
        self.table.columns.iter().find(|column| column.name == name)
    }

    pub(super) fn done(self) -> Cells {
        self.cells
    }
}

/// The sums of a published row: its columns of money and counts, not its ids and ranks.
pub(super) fn sums_of(table: &Table, cells: &Cells) -> Sums {
    let mut sums = Sums::default();
    for column in table.columns {
        let is_number = matches!(column.kind, Kind::Money | Kind::Int64);
        if is_number && !column.unit.is_empty() && column.unit != "rank" {
            sums.set(column.name, whole(cells, column.name));
        }
    }
    sums
}

/// A whole number, or money in cents; `None`: null.
pub(super) fn whole(cells: &Cells, column: &str) -> Option<i128> {
    let text = text(cells, column)?;
    text.replace('.', "").parse().ok()
}

pub(super) fn text<'a>(cells: &'a Cells, column: &str) -> Option<&'a str> {
    cells.get(column)?.as_deref()
}

pub(super) fn double(cells: &Cells, column: &str) -> Option<f64> {
    text(cells, column)?.parse().ok()
}

/// Ranks from 1 for the highest gmv within a group; ties by the smaller id. Each member: group, id,
/// gmv.
pub(super) fn ranks<G: Ord>(members: &[(G, i64, i128)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|at| {
        let (group, id, gmv) = &members[*at];
        (group, Reverse(*gmv), *id)
    });
    let mut ranks = vec![0; members.len()];
    for (place, at) in order.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| order[place]);
        ranks[*at] = match before {
            Some(before) if members[before].0 == members[*at].0 => ranks[before] + 1,
            _ => 1,
        };
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::SKU_DAILY;

    #[test]
    fn amounts_are_read_in_cents() {
        let row = Line::new(&SKU_DAILY)
            .is("shop_id", 7)
            .cents("gmv", Some(-150))
            .is("items_sold", 3)
            .done();
        assert_eq!(whole(&row, "gmv"), Some(-150));
        let sums = sums_of(&SKU_DAILY, &row);
        let known = ["gmv", "items_sold", "shop_id"].map(|name| sums.get(name));
        assert_eq!(known, [Some(-150), Some(3), None]);
    }

    #[test]
    fn ranks_run_within_a_group_and_ties_are_decided_by_the_smaller_id() {
        let members = [("a", 7, 100), ("a", 3, 100), ("b", 1, 5), ("a", 1, 200)];
        assert_eq!(ranks(&members), [3, 2, 1, 1]);
    }
}
