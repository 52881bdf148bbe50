//! The rows of one export that keep the row rules; the others are counted and set aside.

use std::collections::BTreeMap;

use anyhow::Result;
#[cfg(feature = "spark")]
use anyhow::{Context, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};
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

/// Quarantined rows that are kept to be written, at least: far more than a person reads, and a
/// bound on memory.
const KEPT_AT_LEAST: u64 = 100_000;

/// Passes on the rows that keep the rules, and remembers the others. Each thread has its own. The
/// repeated keys of a large dataset are found at its end (`repeats`).
#[derive(Clone)]
pub(crate) struct RowFilter {
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
        self.report.count_nulls(&batch);
        for (row, breach) in verdicts.breaches() {
            self.report.add(Quarantined {
                reason: breach.reason,
                column: breach.column,
                value: breach
                    .column
                    .and_then(|column| value_in_file(&batch, column, row)),
                file: file as u32,
                row_number: (first_row + row as u64) as i64,
                key: show_key(&batch, row),
            })?;
        }
        used_rows(batch, &verdicts)
    }
}

/// Rows that another engine did not use.
#[cfg(feature = "spark")]
impl RowFilter {
    /// Sets rows aside, each with its file, its row number and the reason that the engine found.
    ///
    /// # Errors
    /// When the row rules of this program find another reason.
    pub(crate) fn set_aside(
        &mut self,
        batch: &Batch,
        places: &[(u32, i64)],
        reasons: &[Reason],
    ) -> Result<()> {
        let verdicts = judge(batch, &self.civil);
        let mut breaches = vec![None; batch.rows];
        for (row, breach) in verdicts.breaches() {
            breaches[row] = Some(breach);
        }
        for (row, ((file, row_number), reason)) in places.iter().zip(reasons).enumerate() {
            let column = match (breaches[row], reason) {
                (None, Reason::DuplicateKey) => None,
                (Some(breach), _) if breach.reason == *reason => breach.column,
                (found, _) => bail!(
                    "{}: row {row_number} of file {file} is {reason:?} to the engine, and {found:?} here",
                    batch.dataset.name
                ),
            };
            self.report.add(Quarantined {
                reason: *reason,
                column,
                value: column.and_then(|column| value_in_file(batch, column, row)),
                file: *file,
                row_number: *row_number,
                key: show_key(batch, row),
            })?;
        }
        Ok(())
    }

    /// The report, with the number of all rows, of those with each reason, and of nulls by column. At
    /// least the first row of each reason was set aside.
    pub(crate) fn into_report(
        self,
        rows_read: u64,
        reasons: &BTreeMap<Reason, u64>,
        nulls: BTreeMap<&'static str, u64>,
    ) -> Result<FilterReport> {
        let mut report = self.report;
        report.rows_read = rows_read;
        report.nulls = nulls;
        for (reason, rows) in reasons {
            let found = report.reasons.get_mut(reason);
            found.context("the first row of each reason")?.rows = *rows;
        }
        report.set_aside.keep_first()?;
        Ok(report)
    }

    /// The most rows that are set aside.
    pub(crate) fn most(&self) -> usize {
        self.report.set_aside.most()
    }

    pub(crate) fn civil(&self) -> &CivilDay {
        &self.civil
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
        unfit: vec![],
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
pub(crate) struct FilterReport {
    dataset: &'static Dataset,
    pub(super) set_aside: SetAside,
    reasons: BTreeMap<Reason, RowsOfReason>,
    /// Of all rows read, by column that may be null.
    nulls: BTreeMap<&'static str, u64>,
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
            nulls: BTreeMap::new(),
            rows_read: 0,
            rows_out_of_scope: 0,
        }
    }

    /// Counts the nulls of each column that may be null.
    fn count_nulls(&mut self, batch: &Batch) {
        let columns = batch.dataset.columns.iter().zip(&batch.columns);
        for (column, values) in columns.filter(|(column, _)| column.null.is_some()) {
            let unfit = batch
                .unfit
                .iter()
                .filter(|unfit| unfit.column == column.name);
            *self.nulls.entry(column.name).or_default() +=
                (values.null_count() - unfit.count()) as u64;
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
        for (column, rows) in other.nulls {
            *self.nulls.entry(column).or_default() += rows;
        }
        self.rows_read += other.rows_read;
        self.rows_out_of_scope += other.rows_out_of_scope;
        self.set_aside.merge(other.set_aside)
    }

    /// Sets rows aside that were passed on before it was known that they repeat a key.
    pub(super) fn add_repeats(&mut self, export: &OpenExport, repeats: &Repeats) -> Result<()> {
        if let Some(first) = repeats.first.first() {
            self.count(&repeated_row(export, first), repeats.rows);
        }
        let rows = repeats.first.iter();
        self.set_aside
            .add_repeats(rows.map(|repeat| repeated_row(export, repeat)))
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
            nulls: self
                .nulls
                .iter()
                .map(|(column, rows)| ((*column).into(), *rows))
                .collect(),
            examples: self
                .reasons
                .values()
                .map(|found| example(&found.first, export))
                .collect(),
        }
    }
}

fn repeated_row(export: &OpenExport, repeat: &Repeat) -> Quarantined {
    let (file, row) = export.place(repeat.position);
    Quarantined {
        reason: Reason::DuplicateKey,
        column: None,
        value: None,
        file: file as u32,
        row_number: row as i64,
        key: Some(repeat.key.map(|part| part.to_string()).join("|")),
    }
}

fn example(first: &Quarantined, export: &OpenExport) -> Example {
    let name_in_file = |column| export.mapped.as_ref()?.name_in_file(export.dataset, column);
    let mapped_from = first.column.and_then(name_in_file);
    Example {
        reason: first.reason.code().into(),
        column: first.column.map(str::to_owned),
        mapped_from: mapped_from
            .filter(|name| first.column != Some(name))
            .map(str::to_owned),
        value: first.value.clone(),
        file: export.files[first.file as usize].name.clone(),
        row_number: first.row_number,
        key: first.key.clone(),
    }
}

/// A value for a person, as it is in the file.
fn value_in_file(batch: &Batch, column: &str, row: usize) -> Option<String> {
    let unfit = batch.unfit_value(column, row);
    unfit.or_else(|| show_value(batch, column, row))
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{Date32Array, Decimal128Array, DictionaryArray, StringArray};

    use super::super::text_ids::TextIds;
    use super::*;
    use crate::config::Config;
    use crate::contracts::datasets::{DATASETS, SHOPS};
    use crate::contracts::{Column, Kind, MOST_AMOUNT, Rule};

    /// 2026-03-09T12:00:00Z, within the day of the tests.
    const NOON_US: i64 = 1_773_057_600_000_000;

    static COLUMNS: [Column; 8] = [
        Column::new("id", Kind::Int64, ""),
        Column::new("required", Kind::Int64, ""),
        Column::new("count", Kind::Int64, "").null("unknown"),
        Column::new("money", Kind::Money, "").null("unknown"),
        Column::new("at", Kind::Instant, "").null("unknown"),
        Column::new("text", Kind::Text, "").null("unknown"),
        Column::new("first", Kind::Date, "").null("unknown"),
        Column::new("last", Kind::Date, "").null("unknown"),
    ];

    /// A rule and three rows: with a null, with a value that passes and with one that breaks it.
    struct Case {
        rule: Rule,
        column: &'static str,
        /// The columns of the rule: null, passing, breaking.
        cells: Vec<(&'static str, [Cell; 3])>,
        reason: Reason,
        /// The breaking value, as the quarantine file shows it.
        value: &'static str,
    }

    #[derive(Clone, Copy)]
    enum Cell {
        Null,
        Number(i128),
        Text(&'static str),
    }
    use Cell::{Null, Number, Text};

    fn case(
        rule: Rule,
        column: &'static str,
        [passes, breaks]: [Cell; 2],
        reason: Reason,
        value: &'static str,
    ) -> Case {
        Case {
            rule,
            column,
            cells: vec![(column, [Null, passes, breaks])],
            reason,
            value,
        }
    }

    /// One or more for each kind of rule.
    fn cases() -> Vec<Case> {
        let number = |value: i64| Number(value.into());
        let reason = Reason::BadChannel;
        let at_least = |column, least| Rule::AtLeast {
            columns: column,
            least,
            reason: Reason::BadQuantity,
        };
        let cases = vec![
            case(
                Rule::NotTooLarge {
                    columns: &["count"],
                },
                "count",
                [number(MOST_AMOUNT), number(MOST_AMOUNT + 1)],
                Reason::TooLarge,
                "1000000000001",
            ),
            case(
                Rule::NotTooLarge {
                    columns: &["money"],
                },
                "money",
                [number(100 * MOST_AMOUNT), number(100 * MOST_AMOUNT + 1)],
                Reason::TooLarge,
                "1000000000000.01",
            ),
            case(
                at_least(&["count"], 1),
                "count",
                [Number(1), Number(0)],
                Reason::BadQuantity,
                "0",
            ),
            case(
                at_least(&["money"], 0),
                "money",
                [Number(0), Number(-1)],
                Reason::BadQuantity,
                "-0.01",
            ),
            case(
                Rule::InsideDay { column: "at" },
                "at",
                [number(NOON_US), Number(0)],
                Reason::OutsideDay,
                "1970-01-01T00:00:00Z",
            ),
            case(
                Rule::NotEmpty {
                    column: "text",
                    reason,
                },
                "text",
                [Text("LIVE"), Text("")],
                reason,
                "",
            ),
            case(
                Rule::OneOf {
                    column: "text",
                    values: &["LIVE", "VIDEO"],
                },
                "text",
                [Text("VIDEO"), Text("live")],
                Reason::BadEnum,
                "live",
            ),
            Case {
                rule: Rule::Ordered {
                    first: "first",
                    last: "last",
                },
                column: "last",
                cells: vec![
                    ("first", [Number(5), Number(5), Number(5)]),
                    ("last", [Null, Number(5), Number(4)]),
                ],
                reason: Reason::BadRange,
                value: "1970-01-05",
            },
            Case {
                rule: Rule::Ordered {
                    first: "first",
                    last: "last",
                },
                column: "last",
                cells: vec![
                    ("first", [Null, Number(-3), Number(-2)]),
                    ("last", [Number(-3), Number(-3), Number(-3)]),
                ],
                reason: Reason::BadRange,
                value: "1969-12-29",
            },
        ];
        let kinds: HashSet<_> = cases.iter().map(|case| discriminant(&case.rule)).collect();
        for rule in DATASETS.iter().flat_map(|dataset| dataset.rules) {
            assert!(kinds.contains(&discriminant(rule)), "no case for {rule:?}");
        }
        cases
    }

    fn dataset(rules: Vec<Rule>, key: &'static [&'static str]) -> &'static Dataset {
        Box::leak(Box::new(Dataset {
            columns: &COLUMNS,
            key,
            rules: rules.leak(),
            ..SHOPS
        }))
    }

    /// Three rows; columns that are not given hold nulls, but for the two that are never null.
    fn batch(
        dataset: &'static Dataset,
        cells: &[(&'static str, [Cell; 3])],
        has_dictionaries: bool,
    ) -> Batch {
        let columns = COLUMNS.iter().map(|column| {
            let given = cells.iter().find(|(name, _)| *name == column.name);
            let cells = match (given, column.name) {
                (Some((_, cells)), _) => *cells,
                (None, "id") => [Number(7), Number(8), Number(9)],
                (None, "required") => [Number(1); 3],
                (None, _) => [Null; 3],
            };
            array(column.kind, &cells, has_dictionaries)
        });
        Batch {
            dataset,
            columns: columns.collect(),
            rows: 3,
            positions: None,
            unfit: vec![],
        }
    }

    fn array(kind: Kind, cells: &[Cell], has_dictionaries: bool) -> ArrayRef {
        let numbers = cells.iter().map(|cell| match cell {
            Number(number) => Some(*number),
            _ => None,
        });
        let texts = cells.iter().map(|cell| match cell {
            Text(text) => Some(*text),
            _ => None,
        });
        match kind {
            Kind::Money => Arc::new(Decimal128Array::from_iter(numbers)),
            Kind::Date => Arc::new(Date32Array::from_iter(numbers.map(|n| Some(n? as i32)))),
            Kind::Text if has_dictionaries => {
                Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
            }
            Kind::Text => Arc::new(StringArray::from_iter(texts)),
            _ => Arc::new(Int64Array::from_iter(numbers.map(|n| Some(n? as i64)))),
        }
    }

    fn filter(dataset: &'static Dataset) -> RowFilter {
        let export = OpenExport {
            dataset,
            path: String::new(),
            mapped: None,
            files: vec![],
            ids: Arc::new(TextIds::known()),
        };
        let civil = CivilDay::new("2026-03-09".parse().unwrap(), chrono_tz::UTC);
        RowFilter::new(&export, &civil, Config::parse("").unwrap().quarantine)
    }

    fn ids(batch: &Batch) -> Vec<i64> {
        batch.ints("id").values().to_vec()
    }

    fn set_aside(filter: &RowFilter) -> Vec<Quarantined> {
        let rows = filter.report.set_aside.in_order();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn nulls_pass_every_rule_and_breaking_values_are_set_aside() {
        for case in cases() {
            for has_dictionaries in [false, true] {
                let dataset = dataset(vec![case.rule], &["id"]);
                let mut filter = filter(dataset);
                let rows = batch(dataset, &case.cells, has_dictionaries);
                let used = filter.pass(2, 100, rows).unwrap();
                filter.report.set_aside.keep_first().unwrap();
                let told = format!("{:?}, dictionaries: {has_dictionaries}", case.rule);
                assert_eq!(ids(&used), [7, 8], "{told}");
                let expected = Quarantined {
                    reason: case.reason,
                    column: Some(case.column),
                    value: Some(case.value.into()),
                    file: 2,
                    row_number: 102,
                    key: Some("9".into()),
                };
                assert_eq!(set_aside(&filter), [expected], "{told}");
                assert_eq!(filter.report.rows_read, 3, "{told}");
            }
        }
    }

    #[test]
    fn a_column_of_nulls_passes_every_rule() {
        for case in cases() {
            for has_dictionaries in [false, true] {
                let dataset = dataset(vec![case.rule], &[]);
                let mut filter = filter(dataset);
                let used = filter
                    .pass(0, 0, batch(dataset, &[], has_dictionaries))
                    .unwrap();
                assert_eq!(ids(&used), [7, 8, 9], "{:?}", case.rule);
                assert!(filter.report.set_aside.is_empty(), "{:?}", case.rule);
            }
        }
    }

    #[test]
    fn the_first_rule_that_a_row_breaks_is_its_reason() {
        let rules = vec![
            Rule::AtLeast {
                columns: &["count"],
                least: 0,
                reason: Reason::NegativeCount,
            },
            Rule::InsideDay { column: "at" },
        ];
        let dataset = dataset(rules, &[]);
        let mut filter = filter(dataset);
        let cells = [
            ("required", [Null, Number(1), Number(1)]),
            ("count", [Number(-1), Number(-1), Number(1)]),
            ("at", [Number(0), Number(0), Number(0)]),
        ];
        let used = filter.pass(0, 0, batch(dataset, &cells, false)).unwrap();
        assert_eq!(used.rows, 0);
        filter.report.set_aside.keep_first().unwrap();
        let found: Vec<_> = set_aside(&filter)
            .into_iter()
            .map(|row| (row.reason, row.column, row.value))
            .collect();
        assert_eq!(
            found,
            [
                (Reason::NullValue, Some("required"), None),
                (Reason::NegativeCount, Some("count"), Some("-1".into())),
                (
                    Reason::OutsideDay,
                    Some("at"),
                    Some("1970-01-01T00:00:00Z".into())
                ),
            ]
        );
    }

    #[test]
    fn the_first_used_row_of_a_key_stays() {
        let dataset = dataset(vec![Rule::InsideDay { column: "at" }], &["id", "required"]);
        let mut filter = filter(dataset);
        let cells = [
            ("id", [Number(7), Number(7), Number(7)]),
            ("required", [Number(1); 3]),
            ("at", [Number(0), Number(NOON_US.into()), Null]),
        ];
        let used = filter.pass(0, 0, batch(dataset, &cells, false)).unwrap();
        assert_eq!(used.ints("at").values(), &[NOON_US]);
        // The next batch knows the keys of the one before.
        let used = filter
            .pass(0, 3, batch(dataset, &cells[..1], false))
            .unwrap();
        assert_eq!(used.rows, 0);
        filter.report.set_aside.keep_first().unwrap();
        let found: Vec<_> = set_aside(&filter)
            .into_iter()
            .map(|row| (row.row_number, row.reason, row.column, row.key.unwrap()))
            .collect();
        let repeated = |row| (row, Reason::DuplicateKey, None, "7|1".to_owned());
        assert_eq!(found[0], (0, Reason::OutsideDay, Some("at"), "7|1".into()));
        assert_eq!(found[1..], [2, 3, 4, 5].map(repeated));
    }

    #[test]
    fn every_key_column_is_a_whole_number_or_an_instant() {
        for dataset in DATASETS {
            for column in dataset.key {
                let column = dataset.columns[dataset.position(column)];
                assert!(
                    matches!(column.kind, Kind::Int64 | Kind::Int32 | Kind::Instant),
                    "{} of {}",
                    column.name,
                    dataset.name
                );
                assert!(column.null.is_none(), "{} of {}", column.name, dataset.name);
            }
        }
    }
}
