//! The row rules of SPEC.md section 2: the first rule that each row of a batch breaks.

use std::ops::RangeInclusive;

use arrow_array::{Array, ArrayRef};

use super::batch::Batch;
use crate::contracts::{Kind, MOST_AMOUNT, Reason, Rule};
use crate::days::calendar::CivilDay;

/// The rule that a row breaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breach {
    pub(super) reason: Reason,
    /// The first column that breaks it; `None` for a repeated key.
    pub(super) column: Option<&'static str>,
}

/// The rows of a batch that are not used.
#[derive(Debug)]
pub(super) struct Verdicts {
    rows: usize,
    /// One entry for each row; empty while all rows keep the rules, which is nearly always so.
    breaches: Vec<Option<Breach>>,
}

/// The first rule that each row breaks. Repeated keys are found elsewhere.
pub(super) fn judge(batch: &Batch, civil: &CivilDay) -> Verdicts {
    let mut verdicts = Verdicts {
        rows: batch.rows,
        breaches: vec![],
    };
    for unfit in &batch.unfit {
        let breach = Breach {
            reason: unfit.reason,
            column: Some(unfit.column),
        };
        verdicts.set(unfit.row, breach);
    }
    verdicts.mark_nulls(batch);
    for rule in batch.dataset.rules {
        verdicts.mark_rule(rule, batch, civil);
    }
    verdicts
}

impl Verdicts {
    /// The rows that break a rule, in order.
    pub(super) fn breaches(&self) -> impl Iterator<Item = (usize, Breach)> + '_ {
        let breaches = self.breaches.iter().enumerate();
        breaches.filter_map(|(row, breach)| Some((row, (*breach)?)))
    }

    /// Whether no rule is known yet that the row breaks.
    pub(super) fn is_used(&self, row: usize) -> bool {
        self.breaches.get(row).is_none_or(Option::is_none)
    }

    /// The row is not used; of several breaches the first one counts.
    pub(super) fn set(&mut self, row: usize, breach: Breach) {
        self.breaches.resize(self.rows, None);
        self.breaches[row].get_or_insert(breach);
    }

    /// Marks rows with a null in a column that is never null.
    fn mark_nulls(&mut self, batch: &Batch) {
        for (column, values) in batch.dataset.columns.iter().zip(&batch.columns) {
            if column.null.is_none() && values.null_count() > 0 {
                let breach = Breach {
                    reason: Reason::NullValue,
                    column: Some(column.name),
                };
                for row in (0..batch.rows).filter(|row| values.is_null(*row)) {
                    self.set(row, breach);
                }
            }
        }
    }

    fn mark_rule(&mut self, rule: &Rule, batch: &Batch, civil: &CivilDay) {
        let breach = |column| Breach {
            reason: rule.reason(),
            column: Some(column),
        };
        match rule {
            Rule::NotTooLarge { columns } => {
                for column in *columns {
                    let most = MOST_AMOUNT * units_of(batch, column);
                    self.mark_outside(batch, column, breach(column), i64::MIN..=most);
                }
            }
            Rule::AtLeast { columns, least, .. } => {
                for column in *columns {
                    self.mark_outside(batch, column, breach(column), *least..=i64::MAX);
                }
            }
            Rule::InsideDay { column } => {
                let instants = batch.ints(column).values();
                self.mark(breach(column), &[batch.column(column)], |row| {
                    !civil.contains(instants[row])
                });
            }
            Rule::NotEmpty { column, .. } => {
                self.mark_texts(batch, column, breach(column), str::is_empty);
            }
            Rule::OneOf { column, values } => {
                self.mark_texts(batch, column, breach(column), |text| {
                    !values.contains(&text)
                });
            }
            Rule::Ordered { first, last } => {
                let (firsts, lasts) = (batch.dates(first).values(), batch.dates(last).values());
                let columns = [batch.column(first), batch.column(last)];
                self.mark(breach(last), &columns, |row| lasts[row] < firsts[row]);
            }
        }
    }

    /// Marks rows whose whole number, or money in cents, is not within bounds.
    fn mark_outside(
        &mut self,
        batch: &Batch,
        column: &str,
        breach: Breach,
        bounds: RangeInclusive<i64>,
    ) {
        let values = batch.column(column);
        let (least, most) = bounds.into_inner();
        if kind_of(batch, column) == Kind::Money {
            let (least, most) = (i128::from(least), i128::from(most));
            let cents = &batch.money(column).values()[..batch.rows];
            let is_outside = |row: usize| (cents[row] < least) | (cents[row] > most);
            self.mark(breach, &[values], is_outside);
        } else {
            let ints = &batch.ints(column).values()[..batch.rows];
            self.mark(breach, &[values], |row| {
                (ints[row] < least) | (ints[row] > most)
            });
        }
    }

    /// Marks rows whose text breaks a rule.
    fn mark_texts(
        &mut self,
        batch: &Batch,
        column: &str,
        breach: Breach,
        breaks: impl Fn(&str) -> bool,
    ) {
        if let Some(flags) = batch.text_column(column).rows_where(breaks) {
            self.mark(breach, &[batch.column(column)], |row| flags[row]);
        }
    }

    /// Marks rows that break a rule. All rules go through here, so that a null in one of `values`
    /// passes every rule. `breaks` may see any value for a null.
    fn mark(&mut self, breach: Breach, values: &[&ArrayRef], breaks: impl Fn(usize) -> bool) {
        // Nearly always no row breaks the rule. This loop sees that without branches, which the
        // compiler turns into SIMD instructions.
        if !(0..self.rows).fold(false, |any, row| any | breaks(row)) {
            return;
        }
        for row in (0..self.rows).filter(|row| breaks(*row)) {
            if values.iter().all(|values| values.is_valid(row)) {
                self.set(row, breach);
            }
        }
    }
}

fn kind_of(batch: &Batch, column: &str) -> Kind {
    batch.dataset.columns[batch.dataset.position(column)].kind
}

/// What one unit of the contract is in memory: money is kept in cents.
fn units_of(batch: &Batch, column: &str) -> i64 {
    match kind_of(batch, column) {
        Kind::Money => 100,
        _ => 1,
    }
}
