//! The CSV files of a case: exports that are written, and rows that are expected.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chrono::NaiveDate;

use crate::world::Cells;

/// A file's column names after `dt`, its `# rows:` directive, and its rows with their day.
#[derive(Default)]
pub struct Csv {
    pub columns: Vec<String>,
    /// Only rows are compared whose column has one of the values.
    pub rows_where: Vec<(String, Vec<String>)>,
    pub rows: Vec<(NaiveDate, Cells)>,
}

impl Csv {
    /// An empty cell is null, `""` is the empty text; `a..b` stands for one row for each day or
    /// number of the range.
    pub fn read(path: &Path) -> Csv {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut csv = Csv::default();
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            if let Some(condition) = line.strip_prefix("# rows: ") {
                let (column, values) = condition.split_once('=').unwrap();
                let values = values.split('|').map(str::to_owned).collect();
                csv.rows_where.push((column.to_owned(), values));
            } else if line.starts_with('#') {
            } else if csv.columns.is_empty() {
                csv.columns = line.split(',').skip(1).map(str::to_owned).collect();
                assert!(
                    line.starts_with("dt,"),
                    "{}: the first column is dt",
                    path.display()
                );
            } else {
                csv.push_rows(line, path);
            }
        }
        csv
    }

    fn push_rows(&mut self, line: &str, path: &Path) {
        for cells in expand_ranges(&split(line)) {
            let day = cells[0].as_deref().unwrap().parse().unwrap();
            let is_special = cells[1].as_deref().is_some_and(|c| c.starts_with('('));
            assert!(
                cells.len() == self.columns.len() + 1 || is_special,
                "{}: {} cells for {} columns: {line}",
                path.display(),
                cells.len() - 1,
                self.columns.len()
            );
            self.rows.push((day, cells[1..].to_vec()));
        }
    }

    pub fn days(&self) -> BTreeSet<NaiveDate> {
        self.rows.iter().map(|(day, _)| *day).collect()
    }

    pub fn rows_of(&self, day: NaiveDate) -> impl Iterator<Item = &Cells> {
        self.rows
            .iter()
            .filter(move |(of, _)| *of == day)
            .map(|(_, cells)| cells)
    }
}

fn split(line: &str) -> Cells {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, tail) = split_first(rest);
        cells.push(cell);
        let Some(tail) = tail else { return cells };
        rest = tail;
    }
}

/// The first cell, and the line behind its comma.
fn split_first(line: &str) -> (Option<String>, Option<&str>) {
    if let Some(quoted) = line.strip_prefix('"') {
        let (text, tail) = quoted.split_once('"').expect("a closing quote");
        return (Some(text.to_owned()), tail.strip_prefix(','));
    }
    let (text, tail) = match line.split_once(',') {
        Some((text, tail)) => (text, Some(tail)),
        None => (line, None),
    };
    (Some(text.to_owned()).filter(|t| !t.is_empty()), tail)
}

fn expand_ranges(cells: &Cells) -> Vec<Cells> {
    let Some(at) = cells
        .iter()
        .position(|c| c.as_deref().is_some_and(|c| c.contains("..")))
    else {
        return vec![cells.clone()];
    };
    let (first, last) = cells[at].as_deref().unwrap().split_once("..").unwrap();
    let mut rows = Vec::new();
    for value in values_of_range(first, last) {
        let mut row = cells.clone();
        row[at] = Some(value);
        rows.extend(expand_ranges(&row));
    }
    rows
}

fn values_of_range(first: &str, last: &str) -> Vec<String> {
    if let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) {
        return (first..=last).map(|n| n.to_string()).collect();
    }
    let (first, last): (NaiveDate, NaiveDate) = (first.parse().unwrap(), last.parse().unwrap());
    first
        .iter_days()
        .take_while(|d| *d <= last)
        .map(|d| d.to_string())
        .collect()
}
