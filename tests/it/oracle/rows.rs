//! Rows of text cells: an export's read by column name, a table's built by column name.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use campaign_etl::contracts::{Column, Kind, Table, datasets, tables};
use chrono::NaiveDate;

use super::numbers::{Measures, get, ratio, times};
use crate::world::{Cells, parse_cents, parse_micros, show_cents, show_double};

/// One row of an export.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    dataset: &'a str,
    cells: &'a Cells,
}

impl<'a> Row<'a> {
    pub fn new(dataset: &'a str, cells: &'a Cells) -> Row<'a> {
        Row { dataset, cells }
    }

    pub fn cell(&self, column: &str) -> Option<&'a str> {
        self.cells[datasets::dataset(self.dataset).unwrap().position(column)].as_deref()
    }

    pub fn text(&self, column: &str) -> &'a str {
        self.cell(column)
            .unwrap_or_else(|| panic!("{}.{column} is null", self.dataset))
    }

    pub fn int(&self, column: &str) -> i64 {
        self.text(column).parse().unwrap()
    }

    pub fn int_or_null(&self, column: &str) -> Option<i64> {
        self.cell(column).map(|c| c.parse().unwrap())
    }

    pub fn count(&self, column: &str) -> i128 {
        self.int(column).into()
    }

    pub fn cents(&self, column: &str) -> i128 {
        parse_cents(self.text(column))
    }

    pub fn micros(&self, column: &str) -> i64 {
        parse_micros(self.text(column))
    }

    pub fn day(&self, column: &str) -> NaiveDate {
        self.text(column).parse().unwrap()
    }
}

/// One row of a table under construction.
pub struct Line {
    table: &'static Table,
    cells: BTreeMap<&'static str, Option<String>>,
}

impl Line {
    pub fn new(table: &str) -> Line {
        Line {
            table: tables::table(table).unwrap(),
            cells: BTreeMap::new(),
        }
    }

    fn has(&self, column: &str) -> bool {
        self.table.columns.iter().any(|c| c.name == column)
    }

    pub fn cell(mut self, column: &'static str, value: Option<String>) -> Line {
        assert!(
            self.has(column),
            "{} has no column {column}",
            self.table.name
        );
        assert!(
            self.cells.insert(column, value).is_none(),
            "{}.{column} is given twice",
            self.table.name
        );
        self
    }

    pub fn is(self, column: &'static str, value: impl ToString) -> Line {
        self.cell(column, Some(value.to_string()))
    }

    pub fn text(self, column: &'static str, value: Option<&str>) -> Line {
        self.cell(column, value.map(String::from))
    }

    pub fn double(self, column: &'static str, value: Option<f64>) -> Line {
        self.cell(column, value.map(show_double))
    }

    pub fn cents(self, column: &'static str, value: Option<i128>) -> Line {
        self.cell(column, value.map(show_cents))
    }

    /// Every measure that is a column of the table, and the ratios that have the same formula in
    /// every table.
    pub fn measures(mut self, measures: &Measures) -> Line {
        for (name, value) in measures {
            if let Some(column) = self.table.columns.iter().find(|c| c.name == *name) {
                let show = if column.kind == Kind::Money {
                    show_cents
                } else {
                    |v: i128| v.to_string()
                };
                self = self.cell(column.name, value.map(show));
            }
        }
        for name in [
            "avg_order_value",
            "ctr",
            "ctor",
            "add_to_cart_rate",
            "ad_roi",
        ] {
            if self.has(name) {
                self = self.double(name, known_ratio(measures, name));
            }
        }
        self
    }

    /// The cells in contract order.
    pub fn done(mut self) -> Cells {
        let table = self.table.name;
        let mut take = |c: &Column| {
            self.cells
                .remove(c.name)
                .unwrap_or_else(|| panic!("{table}.{} not given", c.name))
        };
        self.table.columns.iter().map(&mut take).collect()
    }
}

/// The ratios that are formed alike from daily values and from their sums over a period.
pub fn known_ratio(m: &Measures, name: &str) -> Option<f64> {
    match name {
        // Cents over orders, in whole money.
        "avg_order_value" => ratio(get(m, "gmv"), times(get(m, "orders"), 100)),
        "ctr" => ratio(get(m, "product_clicks"), get(m, "product_impressions")),
        "ctor" => ratio(get(m, "sku_orders"), get(m, "product_clicks")),
        "add_to_cart_rate" => ratio(get(m, "unique_cart_adders"), get(m, "unique_page_viewers")),
        "ad_roi" => ratio(get(m, "ad_gross_revenue"), get(m, "ad_spend")),
        _ => panic!("no ratio {name}"),
    }
}

/// The tables written so far.
#[derive(Default)]
pub struct Tables(BTreeMap<(String, NaiveDate), Vec<Cells>>);

impl Tables {
    pub fn write(&mut self, table: &str, day: NaiveDate, rows: Vec<Cells>) {
        assert!(
            self.0.insert((table.to_owned(), day), rows).is_none(),
            "{table} of {day} is written twice"
        );
    }

    /// With the rows of each in the order of its key.
    pub fn sorted(mut self) -> BTreeMap<(String, NaiveDate), Vec<Cells>> {
        for ((name, _), rows) in &mut self.0 {
            let table = tables::table(name).unwrap();
            rows.sort_by(|a, b| compare_keys(table, a, b));
        }
        self.0
    }
}

/// The order of two rows of a table.
pub fn compare_keys(table: &Table, a: &Cells, b: &Cells) -> Ordering {
    for key in table.key {
        let at = table.columns.iter().position(|c| c.name == *key).unwrap();
        let (a, b) = (a[at].as_deref().unwrap(), b[at].as_deref().unwrap());
        let order = match table.columns[at].kind {
            Kind::Int64 | Kind::Int32 => a.parse::<i64>().unwrap().cmp(&b.parse().unwrap()),
            Kind::Instant => parse_micros(a).cmp(&parse_micros(b)),
            _ => a.as_bytes().cmp(b.as_bytes()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Ranks from 1 for the highest gmv, within groups; ties by the smaller id.
pub fn ranks<G: PartialEq>(members: &[(G, i64, i128)]) -> Vec<usize> {
    let better = |(group, id, gmv): &(G, i64, i128), other: &(G, i64, i128)| {
        other.0 == *group && (other.2 > *gmv || (other.2 == *gmv && other.1 < *id))
    };
    members
        .iter()
        .map(|own| 1 + members.iter().filter(|other| better(own, other)).count())
        .collect()
}

#[test]
fn ranks_run_within_a_group_and_ties_go_to_the_smaller_id() {
    let members = [("a", 7, 100), ("a", 3, 100), ("b", 1, 5), ("a", 1, 200)];
    assert_eq!(ranks(&members), [3, 2, 1, 1]);
}
