//! The row rules of SPEC.md section 2: which rows are used, and the reason of each that is not.

use std::collections::BTreeMap;

use anyhow::Result;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};

use hashbrown::HashSet;

use super::batch::Batch;
use super::contract::OpenExport;
use super::quarantine::{Accounting, Quarantined};
use crate::config::QuarantineBudget;
use crate::contracts::datasets::{AD_HOURS, ORDER_LINES};
use crate::contracts::{Column, Dataset, Kind, Reason, Rule};
use crate::days::calendar::CivilDay;

/// Rows in quarantine that are kept to be written, at least; far beyond what a person reads, and a bound on memory.
const KEPT_AT_LEAST: u64 = 100_000;

/// The keys seen so far, as whole numbers: every key column of the contracts is one, or an instant. Of two sizes, because
/// order lines are many and their key is short.
enum Keys {
    UpToTwo(HashSet<[i64; 2]>),
    Three(HashSet<[i64; 3]>),
}

impl Keys {
    fn of(dataset: &Dataset) -> Keys {
        match dataset.key.len() {
            ..=2 => Keys::UpToTwo(HashSet::default()),
            3 => Keys::Three(HashSet::default()),
            more => unreachable!("{} has a key of {more} columns", dataset.name),
        }
    }

    /// Whether the row's key is seen for the first time.
    fn insert(&mut self, columns: &[&Int64Array], row: usize) -> bool {
        match self {
            Keys::UpToTwo(seen) => seen.insert(key(columns, row)),
            Keys::Three(seen) => seen.insert(key(columns, row)),
        }
    }
}

/// Unused places are 0.
fn key<const N: usize>(columns: &[&Int64Array], row: usize) -> [i64; N] {
    let mut key = [0; N];
    for (place, column) in key.iter_mut().zip(columns) {
        *place = column.value(row);
    }
    key
}

/// Passes rows on that keep the rules, in reading order, and remembers the others.
pub struct Sieve {
    dataset: &'static Dataset,
    civil: CivilDay,
    file_names: Vec<String>,
    /// Rows of the current file that have been seen, per file.
    rows_seen: Vec<u64>,
    keys: Keys,
    pub quarantined: Vec<Quarantined>,
    reasons: BTreeMap<Reason, u64>,
    rows_read: u64,
    rows_kept_at_most: u64,
    /// All money of the rows passed on, in cents, where the dataset's money is added up.
    pub money_cents: i128,
}

/// Datasets whose money is added up in results: no sum of theirs may outgrow `DECIMAL(18,2)`.
const SUMMED: [&str; 2] = [ORDER_LINES.name, AD_HOURS.name];

impl Sieve {
    pub fn new(export: &OpenExport, civil: &CivilDay, budget: QuarantineBudget) -> Sieve {
        let allowed_ratio = i128::from(export.rows()) * budget.max_ratio.numerator / budget.max_ratio.denominator;
        Sieve {
            dataset: export.dataset,
            civil: *civil,
            file_names: export.files.iter().map(|f| f.name.clone()).collect(),
            rows_seen: vec![0; export.files.len()],
            keys: Keys::of(export.dataset),
            quarantined: Vec::new(),
            reasons: BTreeMap::new(),
            rows_read: 0,
            rows_kept_at_most: KEPT_AT_LEAST.max(budget.max_rows).max(allowed_ratio as u64),
            money_cents: 0,
        }
    }

    /// The rows of the batch that keep the rules. `file` is the position of the batch's file.
    pub fn pass(&mut self, file: usize, batch: Batch) -> Result<Batch> {
        let mut verdicts = vec![None; batch.rows];
        mark_nulls(&batch, &mut verdicts);
        for rule in self.dataset.rules {
            mark_rule(rule, &batch, &self.civil, &mut verdicts);
        }
        self.mark_duplicates(&batch, &mut verdicts);
        let first_row = self.rows_seen[file];
        self.rows_seen[file] += batch.rows as u64;
        self.rows_read += batch.rows as u64;
        self.set_aside(file, first_row, &batch, &verdicts);
        let kept = keep(batch, &verdicts)?;
        if SUMMED.contains(&self.dataset.name) {
            let is_money = |column: &&Column| column.kind == Kind::Money;
            let of_column = |column: &Column| kept.money(column.name).values().iter().sum::<i128>();
            self.money_cents += self.dataset.columns.iter().filter(is_money).map(of_column).sum::<i128>();
        }
        Ok(kept)
    }

    fn mark_duplicates(&mut self, batch: &Batch, verdicts: &mut [Option<Reason>]) {
        if self.dataset.key.is_empty() {
            return;
        }
        let columns: Vec<_> = self.dataset.key.iter().map(|name| batch.ints(name)).collect();
        for (row, verdict) in verdicts.iter_mut().enumerate().filter(|(_, verdict)| verdict.is_none()) {
            if !self.keys.insert(&columns, row) {
                *verdict = Some(Reason::DuplicateKey);
            }
        }
    }

    fn set_aside(&mut self, file: usize, first_row: u64, batch: &Batch, verdicts: &[Option<Reason>]) {
        for (row, reason) in verdicts.iter().enumerate().filter_map(|(row, verdict)| Some((row, (*verdict)?))) {
            *self.reasons.entry(reason).or_default() += 1;
            if (self.quarantined.len() as u64) < self.rows_kept_at_most {
                self.quarantined.push(Quarantined {
                    reason,
                    file: self.file_names[file].clone(),
                    row_number: (first_row + row as u64) as i64,
                    key: show_key(batch, row),
                });
            }
        }
    }

    /// The account of the rows read; `rows_out_of_scope` of those passed on are used in no table.
    pub fn accounting(&self, rows_out_of_scope: u64) -> Accounting {
        let rows_quarantined = self.reasons.values().sum();
        Accounting {
            dataset: self.dataset.name.into(),
            rows_read: self.rows_read,
            rows_used: self.rows_read - rows_quarantined - rows_out_of_scope,
            rows_quarantined,
            rows_out_of_scope,
            reasons: self.reasons.iter().map(|(reason, rows)| (reason.code().into(), *rows)).collect(),
        }
    }
}

fn mark(verdicts: &mut [Option<Reason>], reason: Reason, breaks: impl Fn(usize) -> bool) {
    for (row, verdict) in verdicts.iter_mut().enumerate() {
        if verdict.is_none() && breaks(row) {
            *verdict = Some(reason);
        }
    }
}

fn mark_nulls(batch: &Batch, verdicts: &mut [Option<Reason>]) {
    for (column, values) in batch.dataset.columns.iter().zip(&batch.columns) {
        if column.null.is_none() && values.null_count() > 0 {
            mark(verdicts, Reason::NullValue, |row| values.is_null(row));
        }
    }
}

fn mark_rule(rule: &Rule, batch: &Batch, civil: &CivilDay, verdicts: &mut [Option<Reason>]) {
    let reason = rule.reason();
    match rule {
        Rule::AtLeast { columns, least, .. } => {
            for name in *columns {
                let values = batch.column(name);
                if is_money(batch, name) {
                    let cents = batch.money(name).values();
                    mark(verdicts, reason, |row| cents[row] < i128::from(*least) && values.is_valid(row));
                } else {
                    let ints = batch.ints(name).values();
                    mark(verdicts, reason, |row| ints[row] < *least && values.is_valid(row));
                }
            }
        }
        Rule::InsideDay { column } => {
            let instants = batch.ints(column).values();
            mark(verdicts, reason, |row| !civil.contains(instants[row]));
        }
        Rule::NotEmpty { column, .. } => {
            let texts = batch.texts(column);
            mark(verdicts, reason, |row| texts.value_length(row) == 0);
        }
        Rule::OneOf { column, values } => {
            let texts = batch.texts(column);
            mark(verdicts, reason, |row| !values.contains(&texts.value(row)));
        }
        Rule::Ordered { first, last } => {
            let (first, last) = (batch.dates(first).values(), batch.dates(last).values());
            mark(verdicts, reason, |row| last[row] < first[row]);
        }
    }
}

fn is_money(batch: &Batch, name: &str) -> bool {
    batch.dataset.columns[batch.dataset.position(name)].kind == Kind::Money
}

/// The rows without a verdict.
fn keep(batch: Batch, verdicts: &[Option<Reason>]) -> Result<Batch> {
    if verdicts.iter().all(Option::is_none) {
        return Ok(batch);
    }
    let mask: BooleanArray = verdicts.iter().map(|verdict| Some(verdict.is_none())).collect();
    let filter = arrow_select::filter::FilterBuilder::new(&mask).optimize().build();
    let columns: Vec<ArrayRef> =
        batch.columns.iter().map(|column| filter.filter(column.as_ref())).collect::<Result<_, _>>()?;
    Ok(Batch { dataset: batch.dataset, columns, rows: mask.true_count() })
}

/// The key's columns joined by `|`, null as nothing; `None` for a dataset without a key.
fn show_key(batch: &Batch, row: usize) -> Option<String> {
    if batch.dataset.key.is_empty() {
        return None;
    }
    let parts = batch.dataset.key.iter().map(|name| {
        let values = batch.ints(name);
        if values.is_null(row) {
            return String::new();
        }
        match batch.dataset.columns[batch.dataset.position(name)].kind {
            Kind::Instant => show_instant(values.value(row)),
            _ => values.value(row).to_string(),
        }
    });
    Some(parts.collect::<Vec<_>>().join("|"))
}

/// RFC 3339 in UTC, as short as it is exact; the bare number where no calendar reaches.
fn show_instant(us: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(us) {
        Some(at) => at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => us.to_string(),
    }
}
