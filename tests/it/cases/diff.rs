//! A readable difference of two sets of rows: expected rows as `-`, found rows as `+`.

use std::collections::BTreeMap;
use std::iter::zip;

use campaign_etl::contracts::Kind;
use comfy_table::presets::NOTHING;

use crate::world::{Cells, parse_cents, parse_micros};

const RELATIVE_TOLERANCE: f64 = 1e-12;

/// A column that is compared.
pub struct Column<'a> {
    pub name: &'a str,
    pub kind: Kind,
    /// Rows are matched by the columns of the key, and by their order where none is of the key.
    pub is_key: bool,
}

/// The rows that differ, as lines of a table; `None` where none does.
///
/// Under two rows of the same key, `^` marks the cells that differ.
pub fn diff(columns: &[Column], expected: &[Cells], found: &[Cells]) -> Option<String> {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING);
    let names = columns.iter().map(|c| c.name.to_owned()).collect();
    table.add_row(line(" ", names));

    let mut unmatched = by_key(columns, found);
    for (key, expected) in by_key(columns, expected) {
        let found = unmatched.remove(&key);
        let marks = found.map_or_else(Vec::new, |found| marks(columns, expected, found));
        if found.is_some() && marks.iter().all(String::is_empty) {
            continue;
        }
        table.add_row(line("-", shown(expected)));
        if let Some(found) = found {
            table.add_row(line("+", shown(found)));
            table.add_row(line(" ", marks));
        }
    }
    for found in unmatched.values() {
        table.add_row(line("+", shown(found)));
    }
    if table.row_count() == 1 {
        return None;
    }
    let mut text = String::new();
    for line in table.lines() {
        // Without the padding of the first column.
        text += line.trim_end().strip_prefix(' ').unwrap_or_default();
        text.push('\n');
    }
    Some(text)
}

/// Whether a found cell is the expected one: `*` is any value, and a double may be a quotient.
fn is_same(kind: Kind, expected: Option<&str>, found: Option<&str>) -> bool {
    let (Some(expected), Some(found)) = (expected, found) else {
        return expected == found || expected == Some("*");
    };
    match kind {
        _ if expected == "*" => true,
        Kind::Double => {
            let (over, under) = expected.split_once('/').unwrap_or((expected, "1"));
            let expected = over.parse::<f64>().unwrap() / under.parse::<f64>().unwrap();
            let found: f64 = found.parse().unwrap();
            (expected - found).abs() <= RELATIVE_TOLERANCE * expected.abs().max(found.abs())
        }
        Kind::Money => parse_cents(expected) == parse_cents(found),
        Kind::Instant => parse_micros(expected) == parse_micros(found),
        _ => expected == found,
    }
}

/// The cells of a row's key, and the number of rows before it that have the same.
type Key = (Cells, usize);

fn by_key<'a>(columns: &[Column], rows: &'a [Cells]) -> BTreeMap<Key, &'a Cells> {
    let mut seen: BTreeMap<Cells, usize> = BTreeMap::new();
    let mut by_key = BTreeMap::new();
    for row in rows {
        let of_key = zip(columns, row).filter(|(column, _)| column.is_key);
        let key: Cells = of_key.map(|(_, cell)| cell.clone()).collect();
        let count = seen.entry(key.clone()).or_default();
        by_key.insert((key, *count), row);
        *count += 1;
    }
    by_key
}

/// `^` as wide as the found cell where it differs, else nothing.
fn marks(columns: &[Column], expected: &Cells, found: &Cells) -> Vec<String> {
    let mut marks = Vec::new();
    for (column, (expected, found)) in zip(columns, zip(expected, found)) {
        let (expected, found) = (expected.as_deref(), found.as_deref());
        let is_same = is_same(column.kind, expected, found);
        let width = if is_same {
            0
        } else {
            show(found).chars().count()
        };
        marks.push("^".repeat(width));
    }
    marks
}

fn line(sign: &str, mut cells: Vec<String>) -> Vec<String> {
    cells[0] = format!("{sign} {}", cells[0]);
    cells
}

fn shown(cells: &Cells) -> Vec<String> {
    cells.iter().map(|cell| show(cell.as_deref())).collect()
}

fn show(cell: Option<&str>) -> String {
    match cell {
        None => "null".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(text) => text.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[&str]) -> Vec<Cells> {
        let cell = |cell: &str| Some(cell.to_owned()).filter(|c| c != "null");
        text.iter()
            .map(|row| row.split('|').map(cell).collect())
            .collect()
    }

    const COLUMNS: [Column; 4] = [
        Column {
            name: "shop_id",
            kind: Kind::Int64,
            is_key: true,
        },
        Column {
            name: "gmv",
            kind: Kind::Money,
            is_key: false,
        },
        Column {
            name: "click_rate",
            kind: Kind::Double,
            is_key: false,
        },
        Column {
            name: "category",
            kind: Kind::Text,
            is_key: false,
        },
    ];

    #[test]
    fn rows_that_differ_are_shown_side_by_side_in_columns() {
        let expected = rows(&["1|10.00|2/3|Books", "2|7|*|", "3|5.00|null|Toys", "4|0|0|x"]);
        let found = rows(&[
            "4|0.00|0.0|x",
            "1|12.00|0.5|Books",
            "2|7.00|0.1|",
            "40|1.00|1.0|null",
        ]);
        insta::assert_snapshot!(diff(&COLUMNS, &expected, &found).unwrap(), @r"
          shop_id  gmv    click_rate  category
        - 1        10.00  2/3         Books
        + 1        12.00  0.5         Books
                   ^^^^^  ^^^
        - 3        5.00   null        Toys
        + 40       1.00   1.0         null
        ");
    }

    #[test]
    fn rows_without_a_key_are_matched_by_their_order_and_a_repeated_key_is_a_difference() {
        let without_key = &COLUMNS[1..];
        let row = rows(&["7.00|0.1|x"]);
        let other = rows(&["8.00|0.1|x"]);
        let both = [row.clone(), other.clone()].concat();
        assert_eq!(diff(without_key, &both, &both), None);
        assert!(diff(without_key, &both, &[other, row].concat()).is_some());

        let one = rows(&["1|7.00|0.1|x"]);
        assert!(diff(&COLUMNS, &one, &[one.clone(), one.clone()].concat()).is_some());
    }

    #[test]
    fn doubles_differ_beyond_rounding_and_nulls_are_no_value() {
        let same = |expected, found| is_same(Kind::Double, expected, found);
        assert!(same(Some("3/10"), Some("0.30000000000000004")));
        assert!(!same(Some("0.3"), Some("0.30000000003")));
        assert!(!same(Some("0.3"), None) && !same(None, Some("0.3")) && same(None, None));
    }
}
