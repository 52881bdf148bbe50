//! Daily rows added up over periods that end on the same day, in bounded memory.
//!
//! 1. Days are read once, from the newest back. When the first day of a period was added, the sums
//!    are those of this period ([`Pass`]).
//! 2. The sums of a key are found by its hash, or right behind those of the key before: two days have
//!    mostly the same keys, in the same order ([`Sums`]).
//! 3. Where the sums do not fit, the latter half of the periods is dropped, or of one period the
//!    latter half of its shops. These are added up later.
//!
//! So memory is bounded for any number of days, periods and keys, and no day is read twice unless
//! the sums do not fit.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::*;

use super::inputs::{Rows, WindowInputs};
use super::sums::Sums;
use crate::contracts::Table;

/// Bytes of sums for each row that may be in memory: half of its memory.
const BYTES_OF_SUMS: usize = (super::BYTES_PER_ROW / 2) as usize;
/// Rows that are finished at a time where memory allows more.
const ROWS_AT_ONCE: usize = 65_536;

/// How the daily values of a column become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adds {
    /// Their sum; null counts 0.
    Sum,
    /// The sum that leaves null days out and is null where every day is.
    SumIfKnown,
    /// That of the latest day with a row.
    Latest,
    /// That of the latest day on which it is not null.
    LatestIfKnown,
}

/// The rows and columns of a daily table to add up.
pub(super) struct DailyRows<'a> {
    pub table: &'static Table,
    /// Oldest first.
    pub days: &'a [NaiveDate],
    /// Columns that identify a sum: `shop_id`, and at most one more; after `campaign_id` where each
    /// period takes only the rows of its own campaign.
    pub key: &'a [&'static str],
    pub columns: &'a [(&'static str, Adds)],
}

/// The sums that are wanted: those of some shops from a day on.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Only of rows with this campaign, where the key has campaigns.
    pub campaign_id: i64,
    pub first_day: NaiveDate,
    /// Ascending.
    pub shops: &'a [i64],
}

impl DailyRows<'_> {
    /// Gives `finish` the sums of each period, some shops at a time, with the position of the period:
    /// in the order of `periods`, then in that of the key. A shop's sums come together. Keys without
    /// any row are not among them.
    ///
    /// Shape: the columns of the key, except `campaign_id`, and the columns that are added up. Counts
    /// beyond INT64 are Int128, as money is.
    pub(super) fn add_up(
        &self,
        inputs: &WindowInputs,
        periods: &[Wanted],
        finish: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
    ) -> Result<()> {
        let mut waiting = periods.to_vec();
        while !waiting.is_empty() {
            let first = periods.len() - waiting.len();
            let mut pass = Pass::new(self, inputs, &waiting);
            pass.read(inputs, &mut |period, sums| finish(first + period, sums))?;
            // Of the last period, perhaps not all shops.
            let done = pass.periods;
            let last = done.len() - 1;
            waiting[last].shops = &waiting[last].shops[done[last].shops.len()..];
            let is_whole = waiting[last].shops.is_empty();
            waiting.drain(..last + usize::from(is_whole));
        }
        Ok(())
    }

    fn names(&self) -> Vec<&'static str> {
        let columns = self.columns.iter().map(|(name, _)| *name);
        self.key.iter().copied().chain(columns).collect()
    }
}

/// One reading of the days.
struct Pass<'a> {
    of: &'a DailyRows<'a>,
    /// Those that fit so far.
    periods: Vec<Wanted<'a>>,
    /// Their shops.
    shops: Vec<i64>,
    /// Whether some periods or shops were dropped.
    is_cut: bool,
    sums: Sums<'a>,
    /// Whether each period is finished.
    is_finished: Vec<bool>,
    /// Sums of finished periods that wait for the periods before them.
    kept: BTreeMap<usize, Vec<DataFrame>>,
    kept_bytes: usize,
    /// The next period that `finish` takes.
    next: usize,
    most_bytes: usize,
    rows_at_once: usize,
}

/// Takes the sums of a period.
type Finish<'f> = &'f mut dyn FnMut(usize, DataFrame) -> Result<()>;

impl<'a> Pass<'a> {
    fn new(of: &'a DailyRows<'a>, inputs: &WindowInputs, periods: &[Wanted<'a>]) -> Pass<'a> {
        Pass {
            of,
            periods: periods.to_vec(),
            shops: union(periods),
            is_cut: false,
            sums: Sums::new(of),
            is_finished: vec![false; periods.len()],
            kept: BTreeMap::new(),
            kept_bytes: 0,
            next: 0,
            most_bytes: inputs.rows_at_once.saturating_mul(BYTES_OF_SUMS),
            rows_at_once: inputs.rows_at_once.min(ROWS_AT_ONCE),
        }
    }

    fn read(&mut self, inputs: &WindowInputs, finish: Finish) -> Result<()> {
        let oldest = self.periods.iter().map(|period| period.first_day).min();
        let days = self.of.days.iter().rev().copied();
        let days: Vec<NaiveDate> = days.take_while(|day| Some(*day) >= oldest).collect();
        let shops = self.shops.clone();
        let rows = Rows {
            campaign_id: None,
            shops: Some(&shops),
        };
        let names = self.of.names();
        inputs
            .published
            .read_days(self.of.table, &days, &names, rows, &mut |day, rows| {
                self.finish_after(Some(day), finish)?;
                if self.is_finished.contains(&false) {
                    self.add(rows)?;
                }
                Ok(())
            })?;
        self.finish_after(None, finish)
    }

    fn add(&mut self, rows: DataFrame) -> Result<()> {
        let rows = if self.is_cut {
            let shops = rows.column("shop_id")?.i64()?;
            let stays = shops.iter().map(|shop| shop.map(|shop| self.has(shop)));
            rows.filter(&stays.collect())?
        } else {
            rows
        };
        self.sums.add(&rows)?;
        while self.sums.bytes() + self.kept_bytes > self.most_bytes && self.drop_half()? {}
        Ok(())
    }

    fn has(&self, shop: i64) -> bool {
        self.shops.binary_search(&shop).is_ok()
    }

    /// Drops the latter half of what is still wanted. `false`: that is one shop of one period.
    fn drop_half(&mut self) -> Result<bool> {
        let half = self.next + (self.periods.len() - self.next) / 2;
        if half > self.next {
            self.periods.truncate(half);
            self.is_finished.truncate(half);
            let dropped = self.kept.split_off(&half);
            let dropped = dropped.values().flatten();
            self.kept_bytes -= dropped.map(DataFrame::estimated_size).sum::<usize>();
        } else {
            let period = &mut self.periods[self.next];
            let half = self.sums.half_of(period.shops);
            if half == period.shops.len() {
                return Ok(false);
            }
            period.shops = &period.shops[..half];
        }
        self.is_cut = true;
        self.shops = union(&self.periods[self.next..]);
        let shops = &self.shops;
        self.sums
            .retain(|shop| shops.binary_search(&shop).is_ok())?;
        Ok(true)
    }

    /// Finishes the periods that begin after a day; `None`: all of them.
    fn finish_after(&mut self, day: Option<NaiveDate>, finish: Finish) -> Result<()> {
        for position in 0..self.periods.len() {
            let period = self.periods[position];
            if self.is_finished[position] || day.is_some_and(|day| period.first_day <= day) {
                continue;
            }
            self.is_finished[position] = true;
            self.sums.sort();
            for rows in self.sums.of(&period, self.rows_at_once) {
                let sums = self.sums.gather(&rows)?;
                if position == self.next {
                    finish(position, sums)?;
                } else {
                    self.kept_bytes += sums.estimated_size();
                    self.kept.entry(position).or_default().push(sums);
                }
            }
            while self.is_finished.get(self.next) == Some(&true) {
                for sums in self.kept.remove(&self.next).unwrap_or_default() {
                    self.kept_bytes -= sums.estimated_size();
                    finish(self.next, sums)?;
                }
                self.next += 1;
            }
        }
        Ok(())
    }
}

/// The shops of any period, ascending.
fn union(periods: &[Wanted]) -> Vec<i64> {
    let mut shops: Vec<i64> = Vec::new();
    let mut distinct = 0;
    for period in periods {
        shops.extend(period.shops);
        // Periods have mostly the same shops.
        if shops.len() > 2 * (distinct + period.shops.len()) {
            shops.sort_unstable();
            shops.dedup();
            distinct = shops.len();
        }
    }
    shops.sort_unstable();
    shops.dedup();
    shops
}
