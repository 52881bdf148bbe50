//! The row rules of SPEC.md section 2: which rows are used, and the reason of each that is not.

use std::collections::BTreeMap;

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};

use hashbrown::HashSet;

use super::batch::Batch;
use super::contract::OpenExport;
use super::is_streamed;
use super::quarantine::{Accounting, Quarantined};
use super::repeats::Repeats;
use crate::config::QuarantineBudget;
use crate::contracts::datasets::{AD_HOURS, ORDER_LINES};
use crate::contracts::{Column, Dataset, Kind, Reason, Rule};
use crate::days::calendar::CivilDay;

/// Rows in quarantine that are kept to be written, at least; far beyond what a person reads, and a bound on memory.
const KEPT_AT_LEAST: u64 = 100_000;

/// The keys of a small dataset seen so far, as whole numbers: every key column of the contracts is one, or an instant.
#[derive(Clone)]
enum SeenKeys {
    UpToTwo(HashSet<[i64; 2]>),
    Three(HashSet<[i64; 3]>),
}

impl SeenKeys {
    fn of(dataset: &Dataset) -> SeenKeys {
        match dataset.key.len() {
            ..=2 => SeenKeys::UpToTwo(HashSet::default()),
            3 => SeenKeys::Three(HashSet::default()),
            more => unreachable!("{} has a key of {more} columns", dataset.name),
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

/// Unused places are 0.
fn key<const N: usize>(columns: &[&Int64Array], row: usize) -> [i64; N] {
    let mut key = [0; N];
    for (place, column) in key.iter_mut().zip(columns) {
        *place = column.value(row);
    }
    key
}

/// Passes rows on that keep the rules, and remembers the others. One thread's; the keys of a large dataset are looked at
/// apart (`repeats`).
#[derive(Clone)]
pub struct Sieve {
    dataset: &'static Dataset,
    civil: CivilDay,
    file_names: Vec<String>,
    keys: Option<SeenKeys>,
    pub sifted: Sifted,
}

/// What was read, and what of it was set aside.
#[derive(Clone)]
pub struct Sifted {
    dataset: &'static Dataset,
    pub quarantined: Vec<Quarantined>,
    reasons: BTreeMap<Reason, u64>,
    rows_read: u64,
    /// At least as many as the budget allows.
    pub rows_kept_at_most: u64,
    /// All money of the rows passed on, in cents, where the dataset's money is added up.
    pub money_cents: i128,
}

/// Datasets whose money is added up in results: no sum of theirs may outgrow `DECIMAL(18,2)`.
const SUMMED: [&str; 2] = [ORDER_LINES.name, AD_HOURS.name];

impl Sieve {
    pub fn new(export: &OpenExport, civil: &CivilDay, budget: QuarantineBudget) -> Sieve {
        let dataset = export.dataset;
        let keys = (!dataset.key.is_empty() && !is_streamed(dataset)).then(|| SeenKeys::of(dataset));
        let file_names = export.files.iter().map(|f| f.name.clone()).collect();
        Sieve { dataset, civil: *civil, file_names, keys, sifted: Sifted::new(export, budget) }
    }

    /// The rows of the batch that keep the rules. The batch starts at row `first_row` of the file at position `file`.
    pub fn pass(&mut self, file: usize, first_row: u64, batch: Batch) -> Result<Batch> {
        let mut verdicts = judge(&batch, &self.civil);
        self.mark_duplicates(&batch, &mut verdicts);
        self.sifted.rows_read += batch.rows as u64;
        for (row, reason) in verdicts.iter().enumerate().filter_map(|(row, verdict)| Some((row, (*verdict)?))) {
            self.sifted.set_aside(
                || Quarantined {
                    reason,
                    file: self.file_names[file].clone(),
                    row_number: (first_row + row as u64) as i64,
                    key: show_key(&batch, row),
                },
                reason,
            );
        }
        let kept = keep(batch, &verdicts)?;
        if SUMMED.contains(&self.dataset.name) {
            self.sifted.money_cents += money_of_rows(&kept).sum::<i128>();
        }
        Ok(kept)
    }

    fn mark_duplicates(&mut self, batch: &Batch, verdicts: &mut Verdicts) {
        let Some(keys) = &mut self.keys else { return };
        let columns: Vec<_> = self.dataset.key.iter().map(|name| batch.ints(name)).collect();
        verdicts.resize(batch.rows, None);
        for (row, verdict) in verdicts.iter_mut().enumerate().filter(|(_, verdict)| verdict.is_none()) {
            if !keys.insert(&columns, row) {
                *verdict = Some(Reason::DuplicateKey);
            }
        }
    }
}

/// All amounts of each row, in cents.
pub fn money_of_rows(batch: &Batch) -> impl Iterator<Item = i128> {
    let is_money = |column: &&Column| column.kind == Kind::Money;
    let columns: Vec<_> = batch.dataset.columns.iter().filter(is_money).map(|c| batch.money(c.name)).collect();
    (0..batch.rows).map(move |row| columns.iter().map(|cents| cents.value(row)).sum())
}

impl Sifted {
    pub fn new(export: &OpenExport, budget: QuarantineBudget) -> Sifted {
        let allowed_ratio = i128::from(export.rows()) * budget.max_ratio.numerator / budget.max_ratio.denominator;
        Sifted {
            dataset: export.dataset,
            quarantined: Vec::new(),
            reasons: BTreeMap::new(),
            rows_read: 0,
            rows_kept_at_most: KEPT_AT_LEAST.max(budget.max_rows).max(allowed_ratio as u64),
            money_cents: 0,
        }
    }

    /// Counts a row that is not used, and keeps it if it may be among the first.
    pub fn set_aside(&mut self, row: impl FnOnce() -> Quarantined, reason: Reason) {
        *self.reasons.entry(reason).or_default() += 1;
        self.quarantined.push(row());
        if self.quarantined.len() as u64 >= 2 * self.rows_kept_at_most {
            self.keep_first();
        }
    }

    /// Takes what another thread set aside.
    pub fn merge(&mut self, other: Sifted) {
        for (reason, rows) in other.reasons {
            *self.reasons.entry(reason).or_default() += rows;
        }
        self.rows_read += other.rows_read;
        self.money_cents += other.money_cents;
        self.quarantined.extend(other.quarantined);
        self.keep_first();
    }

    /// Takes rows back that were passed on before it was known that they repeat a key.
    pub fn set_repeats_aside(&mut self, export: &OpenExport, repeats: &Repeats) {
        if repeats.rows > 0 {
            *self.reasons.entry(Reason::DuplicateKey).or_default() += repeats.rows;
        }
        self.money_cents -= repeats.money_cents;
        self.quarantined.extend(repeats.first.iter().map(|repeat| {
            let (file, row) = export.place(repeat.position);
            Quarantined {
                reason: Reason::DuplicateKey,
                file: file.to_owned(),
                row_number: row as i64,
                key: Some(repeat.key.map(|part| part.to_string()).join("|")),
            }
        }));
        self.keep_first();
    }

    /// Sorts by file and row, and forgets what is beyond what is kept.
    pub fn keep_first(&mut self) {
        self.quarantined.sort_by(|a, b| (&a.file, a.row_number).cmp(&(&b.file, b.row_number)));
        self.quarantined.truncate(self.rows_kept_at_most as usize);
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

/// The reason of each row that is not used; empty while all rows keep the rules.
type Verdicts = Vec<Option<Reason>>;

/// The first rule that each row breaks, but for repeated keys.
fn judge(batch: &Batch, civil: &CivilDay) -> Verdicts {
    let mut verdicts = Vec::new();
    mark_nulls(batch, &mut verdicts);
    for rule in batch.dataset.rules {
        mark_rule(rule, batch, civil, &mut verdicts);
    }
    verdicts
}

/// Marks the rows without a verdict that break a rule. Nearly always none does, so that is looked for first, in a way that
/// a processor does quickly.
fn mark(rows: usize, verdicts: &mut Verdicts, reason: Reason, breaks: impl Fn(usize) -> bool) {
    if (0..rows).fold(false, |any, row| any | breaks(row)) {
        verdicts.resize(rows, None);
        for (row, verdict) in verdicts.iter_mut().enumerate() {
            if verdict.is_none() && breaks(row) {
                *verdict = Some(reason);
            }
        }
    }
}

fn mark_nulls(batch: &Batch, verdicts: &mut Verdicts) {
    for (column, values) in batch.dataset.columns.iter().zip(&batch.columns) {
        if column.null.is_none() && values.null_count() > 0 {
            mark(batch.rows, verdicts, Reason::NullValue, |row| values.is_null(row));
        }
    }
}

fn mark_rule(rule: &Rule, batch: &Batch, civil: &CivilDay, verdicts: &mut Verdicts) {
    let reason = rule.reason();
    match rule {
        Rule::AtLeast { columns, least, .. } => {
            for name in *columns {
                let values = batch.column(name);
                if is_money(batch, name) {
                    let cents = &batch.money(name).values()[..batch.rows];
                    mark(batch.rows, verdicts, reason, |row| cents[row] < i128::from(*least) && values.is_valid(row));
                } else {
                    let ints = batch.ints(name).values();
                    mark(batch.rows, verdicts, reason, |row| ints[row] < *least && values.is_valid(row));
                }
            }
        }
        Rule::InsideDay { column } => {
            let instants = batch.ints(column).values();
            mark(batch.rows, verdicts, reason, |row| !civil.contains(instants[row]));
        }
        Rule::NotEmpty { column, .. } => {
            let (codes, texts) = (batch.codes(column).keys(), batch.codes(column).values().as_string::<i32>());
            if (0..texts.len()).any(|code| texts.is_valid(code) && texts.value_length(code) == 0) {
                let is_empty = |row| texts.value_length(codes.value(row) as usize) == 0;
                mark(batch.rows, verdicts, reason, |row| codes.is_valid(row) && is_empty(row));
            }
        }
        Rule::OneOf { column, values } => {
            let texts = batch.texts(column);
            mark(batch.rows, verdicts, reason, |row| !values.contains(&texts.value(row)));
        }
        Rule::Ordered { first, last } => {
            let (first, last) = (batch.dates(first).values(), batch.dates(last).values());
            mark(batch.rows, verdicts, reason, |row| last[row] < first[row]);
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
    let filtered = |positions: Int64Array| Ok(filter.filter(&positions)?.as_primitive::<Int64Type>().clone());
    let positions: Result<_> = batch.positions.map(filtered).transpose();
    Ok(Batch { dataset: batch.dataset, columns, rows: mask.true_count(), positions: positions? })
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
