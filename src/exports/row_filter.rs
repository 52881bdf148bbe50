//! The rows of one export that keep the row rules; the others are counted and set aside.

use std::collections::BTreeMap;

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array};
use arrow_select::filter::FilterBuilder;
use hashbrown::HashSet;

use super::batch::Batch;
use super::open_export::OpenExport;
use super::quarantine::{Accounting, Example, Quarantined};
use super::repeats::{Repeat, Repeats};
use super::rules::{Breach, Verdicts, judge};
use super::set_aside::SetAside;
use super::show::{show_key, show_value};
use crate::config::QuarantineBudget;
use crate::contracts::datasets::DATASETS;
use crate::contracts::{Dataset, Reason};
use crate::days::calendar::CivilDay;

/// Quarantined rows that are kept to be written, at least: far more than a person reads, and a bound
/// on memory.
const KEPT_AT_LEAST: u64 = 100_000;

/// Passes on the rows that keep the rules, and remembers the others. Each thread has its own. The
/// repeated keys of a large dataset are found at its end (`repeats`).
#[derive(Clone)]
pub(super) struct RowFilter {
    civil: CivilDay,
    /// `None` in a large dataset and in one without a key.
    keys: Option<SeenKeys>,
    pub(super) report: FilterReport,
}

impl RowFilter {
    pub(super) fn new(
        export: &OpenExport,
        civil: &CivilDay,
        budget: QuarantineBudget,
    ) -> RowFilter {
        let dataset = export.dataset;
        let has_keys = !dataset.key.is_empty() && !dataset.is_streamed();
        RowFilter {
            civil: *civil,
            keys: has_keys.then(|| SeenKeys::of(dataset)),
            report: FilterReport::new(export, budget),
        }
    }

    /// The rows of the batch that keep the rules. The batch starts at row `first_row` of the file
    /// at position `file`.
    pub(super) fn pass(&mut self, file: usize, first_row: u64, batch: Batch) -> Result<Batch> {
        let mut verdicts = judge(&batch, &self.civil);
        if let Some(keys) = &mut self.keys {
            keys.mark_repeats(&batch, &mut verdicts);
        }
        self.report.rows_read += batch.rows as u64;
        for (row, breach) in verdicts.breaches() {
            let value = |column| show_value(&batch, column, row);
            self.report.add(Quarantined {
                reason: breach.reason,
                column: breach.column,
                value: breach.column.and_then(value),
                file: file as u32,
                row_number: (first_row + row as u64) as i64,
                key: show_key(&batch, row),
            })?;
        }
        used_rows(batch, &verdicts)
    }
}

/// The rows of a batch that break no rule.
fn used_rows(batch: Batch, verdicts: &Verdicts) -> Result<Batch> {
    if verdicts.breaches().next().is_none() {
        return Ok(batch);
    }
    let is_used = (0..batch.rows).map(|row| Some(verdicts.is_used(row)));
    let mask: BooleanArray = is_used.collect();
    let filter = FilterBuilder::new(&mask).optimize().build();
    let columns: Vec<ArrayRef> = batch
        .columns
        .iter()
        .map(|column| filter.filter(column.as_ref()))
        .collect::<Result<_, _>>()?;
    let positions = batch.positions.map(|positions| filter.filter(&positions));
    Ok(Batch {
        dataset: batch.dataset,
        columns,
        rows: mask.true_count(),
        positions: positions
            .transpose()?
            .map(|positions| positions.as_primitive::<Int64Type>().clone()),
    })
}

/// The keys of a small dataset seen so far. Every key column of the contracts is a whole number or
/// an instant.
#[derive(Clone)]
enum SeenKeys {
    UpToTwo(HashSet<[i64; 2]>),
    Three(HashSet<[i64; 3]>),
}

// `SeenKeys` holds no longer keys.
const _: () = {
    let mut position = 0;
    while position < DATASETS.len() {
        assert!(DATASETS[position].is_streamed() || DATASETS[position].key.len() <= 3);
        position += 1;
    }
};

impl SeenKeys {
    fn of(dataset: &Dataset) -> SeenKeys {
        if dataset.key.len() <= 2 {
            SeenKeys::UpToTwo(HashSet::default())
        } else {
            SeenKeys::Three(HashSet::default())
        }
    }

    /// Marks the rows whose key an earlier used row has.
    fn mark_repeats(&mut self, batch: &Batch, verdicts: &mut Verdicts) {
        let columns: Vec<_> = batch
            .dataset
            .key
            .iter()
            .map(|name| batch.ints(name))
            .collect();
        for row in 0..batch.rows {
            if verdicts.is_used(row) && !self.insert(&columns, row) {
                verdicts.set(
                    row,
                    Breach {
                        reason: Reason::DuplicateKey,
                        column: None,
                    },
                );
            }
        }
    }

    /// Whether the row's key is seen for the first time.
    fn insert(&mut self, columns: &[&Int64Array], row: usize) -> bool {
        match self {
            SeenKeys::UpToTwo(seen) => seen.insert(key(columns, row)),
            SeenKeys::Three(seen) => seen.insert(key(columns, row)),
        }
    }
}

/// A row's key, filled up with zeros.
fn key<const N: usize>(columns: &[&Int64Array], row: usize) -> [i64; N] {
    let mut key = [0; N];
    for (part, column) in key.iter_mut().zip(columns) {
        *part = column.value(row);
    }
    key
}

/// The rows that were read, and those of them that were set aside.
#[derive(Clone)]
pub(super) struct FilterReport {
    dataset: &'static Dataset,
    pub(super) set_aside: SetAside,
    reasons: BTreeMap<Reason, RowsOfReason>,
    rows_read: u64,
    /// Rows that keep the rules, but are used in no table.
    pub(super) rows_out_of_scope: u64,
}

/// The number of rows with one reason, and the first of them.
#[derive(Clone)]
struct RowsOfReason {
    rows: u64,
    first: Quarantined,
}

impl FilterReport {
    fn new(export: &OpenExport, budget: QuarantineBudget) -> FilterReport {
        let allowed = budget.most_allowed(export.rows());
        let names = export.files.iter().map(|file| file.name.clone()).collect();
        let most = KEPT_AT_LEAST.max(allowed) as usize;
        FilterReport {
            dataset: export.dataset,
            set_aside: SetAside::new(export.dataset, names, most),
            reasons: BTreeMap::new(),
            rows_read: 0,
            rows_out_of_scope: 0,
        }
    }

    fn add(&mut self, row: Quarantined) -> Result<()> {
        self.count(&row, 1);
        self.set_aside.add(row)
    }

    /// Counts `rows` more with the reason of `first`, which is the first of them.
    fn count(&mut self, first: &Quarantined, rows: u64) {
        let found = self
            .reasons
            .entry(first.reason)
            .or_insert_with(|| RowsOfReason {
                rows: 0,
                first: first.clone(),
            });
        found.rows += rows;
        if (first.file, first.row_number) < (found.first.file, found.first.row_number) {
            found.first = first.clone();
        }
    }

    /// Adds the report of another thread.
    pub(super) fn merge(&mut self, other: FilterReport) -> Result<()> {
        for found in other.reasons.values() {
            self.count(&found.first, found.rows);
        }
        self.rows_read += other.rows_read;
        self.rows_out_of_scope += other.rows_out_of_scope;
        self.set_aside.merge(other.set_aside)
    }

    /// Sets rows aside that were passed on before it was known that they repeat a key.
    pub(super) fn add_repeats(&mut self, export: &OpenExport, repeats: &Repeats) -> Result<()> {
        let row = |repeat: &Repeat| {
            let (file, row) = export.place(repeat.position);
            Quarantined {
                reason: Reason::DuplicateKey,
                column: None,
                value: None,
                file: file as u32,
                row_number: row as i64,
                key: Some(repeat.key.map(|part| part.to_string()).join("|")),
            }
        };
        if let Some(first) = repeats.first.first() {
            self.count(&row(first), repeats.rows);
        }
        self.set_aside.add_repeats(repeats.first.iter().map(row))
    }

    /// The account of the rows read.
    pub(super) fn accounting(&self, export: &OpenExport) -> Accounting {
        let rows_quarantined = self.reasons.values().map(|found| found.rows).sum();
        let reasons = self.reasons.iter();
        Accounting {
            dataset: self.dataset.name.into(),
            rows_read: self.rows_read,
            rows_used: self.rows_read - rows_quarantined - self.rows_out_of_scope,
            rows_quarantined,
            rows_out_of_scope: self.rows_out_of_scope,
            reasons: reasons
                .map(|(reason, found)| (reason.code().into(), found.rows))
                .collect(),
            examples: self
                .reasons
                .values()
                .map(|found| example(&found.first, export))
                .collect(),
        }
    }
}

fn example(first: &Quarantined, export: &OpenExport) -> Example {
    Example {
        reason: first.reason.code().into(),
        column: first.column.map(str::to_owned),
        value: first.value.clone(),
        file: export.files[first.file as usize].name.clone(),
        row_number: first.row_number,
        key: first.key.clone(),
    }
}
