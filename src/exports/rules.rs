//! The row rules of SPEC.md section 2: which rows are used, and the reason of each that is not.

use std::collections::BTreeMap;

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};

use hashbrown::HashSet;

use super::batch::Batch;
use super::contract::OpenExport;
use super::is_streamed;
use super::quarantine::{Accounting, Example, Quarantined};
use super::repeats::{Repeat, Repeats};
use super::set_aside::SetAside;
use crate::config::QuarantineBudget;
use crate::contracts::arrow::show_cents;
use crate::contracts::{Column, Dataset, Kind, MOST_AMOUNT, Reason, Rule};
use crate::days::calendar::CivilDay;

/// Rows in quarantine that are kept to be written, at least; far beyond what a person reads, and a
/// bound on memory.
const KEPT_AT_LEAST: u64 = 100_000;

/// The keys of a small dataset seen so far, as whole numbers: every key column of the contracts is
/// one, or an instant.
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

/// Passes rows on that keep the rules, and remembers the others. One thread's; the keys of a large
/// dataset are looked at apart (`repeats`).
#[derive(Clone)]
pub struct Sieve {
    dataset: &'static Dataset,
    civil: CivilDay,
    keys: Option<SeenKeys>,
    pub sifted: Sifted,
}

/// What was read, and what of it was set aside.
#[derive(Clone)]
pub struct Sifted {
    dataset: &'static Dataset,
    pub set_aside: SetAside,
    reasons: BTreeMap<Reason, Found>,
    rows_read: u64,
}

/// The rows of one reason, and the first of them.
#[derive(Clone)]
struct Found {
    rows: u64,
    first: Quarantined,
}

impl Sieve {
    pub fn new(export: &OpenExport, civil: &CivilDay, budget: QuarantineBudget) -> Sieve {
        let dataset = export.dataset;
        let keys =
            (!dataset.key.is_empty() && !is_streamed(dataset)).then(|| SeenKeys::of(dataset));
        Sieve {
            dataset,
            civil: *civil,
            keys,
            sifted: Sifted::new(export, budget),
        }
    }

    /// The rows of the batch that keep the rules. The batch starts at row `first_row` of the file
    /// at position `file`.
    pub fn pass(&mut self, file: usize, first_row: u64, batch: Batch) -> Result<Batch> {
        let mut verdicts = judge(&batch, &self.civil);
        self.mark_duplicates(&batch, &mut verdicts);
        self.sifted.rows_read += batch.rows as u64;
        for (row, breach) in verdicts
            .iter()
            .enumerate()
            .filter_map(|(row, verdict)| Some((row, (*verdict)?)))
        {
            self.sifted.set_aside(Quarantined {
                reason: breach.reason,
                column: breach.column,
                value: breach
                    .column
                    .and_then(|column| show_value(&batch, column, row)),
                file: file as u32,
                row_number: (first_row + row as u64) as i64,
                key: show_key(&batch, row),
            })?;
        }
        keep(batch, &verdicts)
    }

    fn mark_duplicates(&mut self, batch: &Batch, verdicts: &mut Verdicts) {
        let Some(keys) = &mut self.keys else { return };
        let columns: Vec<_> = self
            .dataset
            .key
            .iter()
            .map(|name| batch.ints(name))
            .collect();
        verdicts.resize(batch.rows, None);
        for (row, verdict) in verdicts
            .iter_mut()
            .enumerate()
            .filter(|(_, verdict)| verdict.is_none())
        {
            if !keys.insert(&columns, row) {
                *verdict = Some(Breach {
                    reason: Reason::DuplicateKey,
                    column: None,
                });
            }
        }
    }
}

/// All amounts of each row, in cents.
pub fn money_of_rows(batch: &Batch) -> impl Iterator<Item = i128> {
    let is_money = |column: &&Column| column.kind == Kind::Money;
    let columns: Vec<_> = batch
        .dataset
        .columns
        .iter()
        .filter(is_money)
        .map(|c| batch.money(c.name))
        .collect();
    (0..batch.rows).map(move |row| columns.iter().map(|cents| cents.value(row)).sum())
}

impl Sifted {
    pub fn new(export: &OpenExport, budget: QuarantineBudget) -> Sifted {
        let allowed = budget.most_allowed(export.rows());
        let names = export.files.iter().map(|file| file.name.clone()).collect();
        Sifted {
            dataset: export.dataset,
            set_aside: SetAside::new(export.dataset, names, KEPT_AT_LEAST.max(allowed) as usize),
            reasons: BTreeMap::new(),
            rows_read: 0,
        }
    }

    fn set_aside(&mut self, row: Quarantined) -> Result<()> {
        self.count(&row, 1);
        self.set_aside.add(row)
    }

    /// Counts rows of a reason, of which this is the first.
    fn count(&mut self, first: &Quarantined, rows: u64) {
        let found = self.reasons.entry(first.reason).or_insert_with(|| Found {
            rows: 0,
            first: first.clone(),
        });
        found.rows += rows;
        if (first.file, first.row_number) < (found.first.file, found.first.row_number) {
            found.first = first.clone();
        }
    }

    /// Takes what another thread set aside.
    pub fn merge(&mut self, other: Sifted) -> Result<()> {
        other
            .reasons
            .values()
            .for_each(|found| self.count(&found.first, found.rows));
        self.rows_read += other.rows_read;
        self.set_aside.merge(other.set_aside)
    }

    /// Takes rows back that were passed on before it was known that they repeat a key.
    pub fn set_repeats_aside(&mut self, export: &OpenExport, repeats: &Repeats) -> Result<()> {
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

    /// The account of the rows read; `rows_out_of_scope` of those passed on are used in no table.
    pub fn accounting(&self, export: &OpenExport, rows_out_of_scope: u64) -> Accounting {
        let rows_quarantined = self.reasons.values().map(|found| found.rows).sum();
        let example = |first: &Quarantined| Example {
            reason: first.reason.code().into(),
            column: first.column.map(str::to_owned),
            value: first.value.clone(),
            file: export.files[first.file as usize].name.clone(),
            row_number: first.row_number,
            key: first.key.clone(),
        };
        Accounting {
            dataset: self.dataset.name.into(),
            rows_read: self.rows_read,
            rows_used: self.rows_read - rows_quarantined - rows_out_of_scope,
            rows_quarantined,
            rows_out_of_scope,
            reasons: self
                .reasons
                .iter()
                .map(|(reason, found)| (reason.code().into(), found.rows))
                .collect(),
            examples: self
                .reasons
                .values()
                .map(|found| example(&found.first))
                .collect(),
        }
    }
}

/// The rule that a row breaks.
#[derive(Clone, Copy, Debug)]
struct Breach {
    reason: Reason,
    /// The first column that breaks it; `None` for a repeated key.
    column: Option<&'static str>,
}

/// What each row that is not used breaks; empty while all rows keep the rules.
type Verdicts = Vec<Option<Breach>>;

/// The first rule that each row breaks, but for repeated keys.
fn judge(batch: &Batch, civil: &CivilDay) -> Verdicts {
    let mut verdicts = Vec::new();
    mark_nulls(batch, &mut verdicts);
    for rule in batch.dataset.rules {
        mark_rule(rule, batch, civil, &mut verdicts);
    }
    verdicts
}

/// Marks the rows without a verdict that break a rule in a column. Nearly always none does, so that
/// is looked for first, in a way that a processor does quickly.
fn mark(
    rows: usize,
    verdicts: &mut Verdicts,
    reason: Reason,
    column: &'static str,
    breaks: impl Fn(usize) -> bool,
) {
    if (0..rows).fold(false, |any, row| any | breaks(row)) {
        verdicts.resize(rows, None);
        for (row, verdict) in verdicts.iter_mut().enumerate() {
            if verdict.is_none() && breaks(row) {
                *verdict = Some(Breach {
                    reason,
                    column: Some(column),
                });
            }
        }
    }
}

fn mark_nulls(batch: &Batch, verdicts: &mut Verdicts) {
    for (column, values) in batch.dataset.columns.iter().zip(&batch.columns) {
        if column.null.is_none() && values.null_count() > 0 {
            mark(
                batch.rows,
                verdicts,
                Reason::NullValue,
                column.name,
                |row| values.is_null(row),
            );
        }
    }
}

/// Marks rows whose number in a column, money in cents, is not within bounds; null is.
fn mark_outside(
    batch: &Batch,
    column: &'static str,
    bounds: impl Fn(i128) -> bool,
    reason: Reason,
    verdicts: &mut Verdicts,
) {
    let values = batch.column(column);
    if is_money(batch, column) {
        let cents = &batch.money(column).values()[..batch.rows];
        mark(batch.rows, verdicts, reason, column, |row| {
            !bounds(cents[row]) && values.is_valid(row)
        });
    } else {
        let ints = batch.ints(column).values();
        mark(batch.rows, verdicts, reason, column, |row| {
            !bounds(ints[row].into()) && values.is_valid(row)
        });
    }
}

fn mark_rule(rule: &Rule, batch: &Batch, civil: &CivilDay, verdicts: &mut Verdicts) {
    let reason = rule.reason();
    match rule {
        Rule::NotTooLarge { columns } => {
            for column in *columns {
                let per_unit = if is_money(batch, column) { 100 } else { 1 };
                let most = i128::from(MOST_AMOUNT) * per_unit;
                mark_outside(batch, column, |value| value <= most, reason, verdicts);
            }
        }
        Rule::AtLeast { columns, least, .. } => {
            for column in *columns {
                mark_outside(
                    batch,
                    column,
                    |value| value >= i128::from(*least),
                    reason,
                    verdicts,
                );
            }
        }
        Rule::InsideDay { column } => {
            let instants = batch.ints(column).values();
            mark(batch.rows, verdicts, reason, column, |row| {
                !civil.contains(instants[row])
            });
        }
        Rule::NotEmpty { column, .. } => {
            let (codes, texts) = (
                batch.codes(column).keys(),
                batch.codes(column).values().as_string::<i32>(),
            );
            if (0..texts.len()).any(|code| texts.is_valid(code) && texts.value_length(code) == 0) {
                let is_empty = |row| texts.value_length(codes.value(row) as usize) == 0;
                mark(batch.rows, verdicts, reason, column, |row| {
                    codes.is_valid(row) && is_empty(row)
                });
            }
        }
        Rule::OneOf { column, values } => {
            let texts = batch.texts(column);
            mark(batch.rows, verdicts, reason, column, |row| {
                !values.contains(&texts.value(row))
            });
        }
        Rule::Ordered { first, last } => {
            let (firsts, lasts) = (batch.dates(first).values(), batch.dates(last).values());
            mark(batch.rows, verdicts, reason, last, |row| {
                lasts[row] < firsts[row]
            });
        }
    }
}

fn is_money(batch: &Batch, name: &str) -> bool {
    batch.dataset.columns[batch.dataset.position(name)].kind == Kind::Money
}

/// The rows without a verdict.
fn keep(batch: Batch, verdicts: &[Option<Breach>]) -> Result<Batch> {
    if verdicts.iter().all(Option::is_none) {
        return Ok(batch);
    }
    let mask: BooleanArray = verdicts
        .iter()
        .map(|verdict| Some(verdict.is_none()))
        .collect();
    let filter = arrow_select::filter::FilterBuilder::new(&mask)
        .optimize()
        .build();
    let columns: Vec<ArrayRef> = batch
        .columns
        .iter()
        .map(|column| filter.filter(column.as_ref()))
        .collect::<Result<_, _>>()?;
    let filtered = |positions: Int64Array| {
        Ok(filter
            .filter(&positions)?
            .as_primitive::<Int64Type>()
            .clone())
    };
    let positions: Result<_> = batch.positions.map(filtered).transpose();
    Ok(Batch {
        dataset: batch.dataset,
        columns,
        rows: mask.true_count(),
        positions: positions?,
    })
}

/// The key's columns joined by `|`, null as nothing; `None` for a dataset without a key.
fn show_key(batch: &Batch, row: usize) -> Option<String> {
    if batch.dataset.key.is_empty() {
        return None;
    }
    let parts = batch
        .dataset
        .key
        .iter()
        .map(|name| show_value(batch, name, row).unwrap_or_default());
    Some(parts.collect::<Vec<_>>().join("|"))
}

/// A cell as text: whole numbers and texts as they are, money with two decimals, instants as RFC
/// 3339 in UTC.
fn show_value(batch: &Batch, column: &str, row: usize) -> Option<String> {
    let position = batch.dataset.position(column);
    let values = &batch.columns[position];
    values
        .is_valid(row)
        .then(|| match batch.dataset.columns[position].kind {
            Kind::Int64 | Kind::Int32 => batch.ints(column).value(row).to_string(),
            Kind::Instant => show_instant(batch.ints(column).value(row)),
            Kind::Money => show_cents(batch.money(column).value(row)),
            Kind::Date => show_day(batch.dates(column).value(row)),
            Kind::Boolean => batch.flags(column).value(row).to_string(),
            Kind::Double => values.as_primitive::<Float64Type>().value(row).to_string(),
            Kind::Text if is_streamed(batch.dataset) => {
                let codes = batch.codes(column);
                codes
                    .values()
                    .as_string::<i32>()
                    .value(codes.keys().value(row) as usize)
                    .to_owned()
            }
            Kind::Text => batch.texts(column).value(row).to_owned(),
        })
}

/// RFC 3339 in UTC with as many decimals as needed; the bare number where no calendar reaches.
pub fn show_instant(us: i64) -> String {
    let Some(at) = chrono::DateTime::from_timestamp_micros(us) else {
        return us.to_string();
    };
    let text = at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    match text.trim_end_matches('Z').split_once('.') {
        Some((seconds, decimals)) => format!("{seconds}.{}Z", decimals.trim_end_matches('0')),
        None => text,
    }
}

/// A day number as a date; the bare number where no calendar reaches.
pub fn show_day(number: i32) -> String {
    let days = chrono::TimeDelta::try_days(number.into());
    let day = days.and_then(|days| chrono::NaiveDate::default().checked_add_signed(days));
    day.map_or_else(|| number.to_string(), |day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_as_many_decimals_as_it_needs() {
        let shown = [0, 500_000, 120_000, 1, 999_999].map(show_instant);
        let expected = ["00Z", "00.5Z", "00.12Z", "00.000001Z", "00.999999Z"];
        assert_eq!(shown, expected.map(|end| format!("1970-01-01T00:00:{end}")));
        assert_eq!(show_instant(i64::MAX), i64::MAX.to_string());
    }
}
