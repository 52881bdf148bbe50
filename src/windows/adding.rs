//! Daily rows added up over days, in bounded memory.
//!
//! 1. Rows are read day by day and kept until there are as many as may be in memory. Then they
//!    become sums, and the rows of later days are added to them.
//! 2. Where the sums themselves are too many, those of the latter half of the shops are dropped.
//!    These shops are added up later.
//!
//! So memory is bounded for any number of days, and no day is read twice unless the result does not
//! fit.

use std::hash::Hash;

use anyhow::Result;
use chrono::NaiveDate;
use hashbrown::HashMap;
use polars::prelude::*;

use super::inputs::{Rows, WindowInputs};
use crate::columns;
use crate::contracts::Table;

/// How the daily values of a column become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adds {
    /// Their sum. Counts are added in 128 bits, as money is, and cannot wrap; `Table::conform`
    /// brings them back to INT64.
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
    /// Only rows of this campaign, of a table that has campaigns.
    pub campaign_id: Option<i64>,
    /// Columns that identify a sum, beginning with `shop_id`.
    pub key: &'a [&'static str],
    pub columns: &'a [(&'static str, Adds)],
}

impl DailyRows<'_> {
    /// Adds up the rows of `shops`, which ascend. Gives `finish` the sums of as many shops as fit,
    /// then those of the next ones, to the last. Shops without any row are not among the sums.
    pub(super) fn add_up(
        &self,
        inputs: &WindowInputs,
        mut shops: &[i64],
        finish: &mut dyn FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        let read: Vec<&str> = self
            .key
            .iter()
            .copied()
            .chain(self.columns.iter().map(|(name, _)| *name))
            .collect();
        while !shops.is_empty() {
            let mut sums = Sums::new(self, shops, inputs.rows_at_once);
            for day in self.days {
                let rows = Rows {
                    campaign_id: self.campaign_id,
                    shops: Some(sums.shops),
                };
                inputs
                    .published
                    .read(self.table, *day, &read, rows, &mut |rows| sums.add(rows))?;
            }
            sums.settle()?;
            let done = sums.shops;
            if let Some(sums) = sums.sums {
                finish(sums)?;
            }
            shops = &shops[done.len()..];
        }
        Ok(())
    }

    /// One row for each key, in the order of first occurrence.
    fn summed(&self, rows: &DataFrame) -> Result<DataFrame> {
        let groups = Groups::of(rows, self.key)?;
        let mut columns = Vec::with_capacity(self.key.len() + self.columns.len());
        for name in self.key {
            columns.push(groups.latest(rows.column(name)?)?);
        }
        for (name, adds) in self.columns {
            let values = rows.column(name)?;
            columns.push(match adds {
                Adds::Sum => groups.sums(values)?,
                Adds::SumIfKnown => groups.known_sums(values)?,
                Adds::Latest => groups.latest(values)?,
                Adds::LatestIfKnown => groups.latest_known(values)?,
            });
        }
        Ok(DataFrame::new(groups.count, columns)?)
    }
}

/// Rows with equal keys.
struct Groups {
    /// For each row its group. Groups are numbered by their first rows.
    of_rows: Vec<u32>,
    count: usize,
}

impl Groups {
    fn of(rows: &DataFrame, key: &[&str]) -> Result<Groups> {
        let mut groups = Groups {
            of_rows: vec![0; rows.height()],
            count: 1,
        };
        for name in key {
            let column = rows.column(name)?;
            groups = match column.dtype() {
                DataType::String => groups.divided_by(column.str()?.iter()),
                _ => groups.divided_by(column.i64()?.iter()),
            };
        }
        Ok(groups)
    }

    /// The groups of rows that have equal values too.
    fn divided_by<V: Hash + Eq>(&self, values: impl Iterator<Item = V>) -> Groups {
        let mut numbers = HashMap::new();
        let of_rows = self.of_rows.iter().zip(values).map(|key| {
            let next = numbers.len() as u32;
            *numbers.entry(key).or_insert(next)
        });
        Groups {
            of_rows: of_rows.collect(),
            count: numbers.len(),
        }
    }

    fn sums(&self, values: &Column) -> Result<Column> {
        let mut sums = vec![0_i128; self.count];
        for (group, value) in self.of_rows.iter().zip(columns::whole_numbers(values)?) {
            sums[*group as usize] += value.unwrap_or(0);
        }
        Ok(columns::money(values.name(), sums))
    }

    fn known_sums(&self, values: &Column) -> Result<Column> {
        let mut sums = vec![None; self.count];
        for (group, value) in self.of_rows.iter().zip(columns::whole_numbers(values)?) {
            if let Some(value) = value {
                *sums[*group as usize].get_or_insert(0_i128) += value;
            }
        }
        Ok(columns::money(values.name(), sums))
    }

    fn latest(&self, values: &Column) -> Result<Column> {
        self.latest_where(values, |_| true)
    }

    fn latest_known(&self, values: &Column) -> Result<Column> {
        let is_known = values.is_not_null();
        self.latest_where(values, |row| is_known.get(row) == Some(true))
    }

    /// The value of each group's last wanted row, or of its first row where none is wanted.
    fn latest_where(&self, values: &Column, is_wanted: impl Fn(usize) -> bool) -> Result<Column> {
        let mut latest: Vec<Option<IdxSize>> = vec![None; self.count];
        for (row, group) in self.of_rows.iter().enumerate() {
            let latest = &mut latest[*group as usize];
            if latest.is_none() || is_wanted(row) {
                *latest = Some(row as IdxSize);
            }
        }
        let latest: Vec<IdxSize> = latest.into_iter().flatten().collect();
        Ok(values.take_slice(&latest)?)
    }
}

/// The sums on their way.
struct Sums<'a, 's> {
    of: &'a DailyRows<'a>,
    /// Those that fit.
    shops: &'s [i64],
    /// The last of them, once some went.
    last_shop: Option<i64>,
    most_rows: usize,
    /// Rows that are not added yet, oldest first.
    waiting: Option<DataFrame>,
    sums: Option<DataFrame>,
}

impl<'a, 's> Sums<'a, 's> {
    fn new(of: &'a DailyRows<'a>, shops: &'s [i64], most_rows: usize) -> Self {
        Sums {
            of,
            shops,
            last_shop: None,
            most_rows,
            waiting: None,
            sums: None,
        }
    }

    fn add(&mut self, rows: DataFrame) -> Result<()> {
        match &mut self.waiting {
            None => self.waiting = Some(rows),
            Some(waiting) => {
                waiting.vstack_mut_owned(rows)?;
            }
        }
        if self
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.height() >= self.most_rows)
        {
            self.settle()?;
        }
        Ok(())
    }

    /// Adds the waiting rows to the sums, and drops shops until the others fit.
    fn settle(&mut self) -> Result<()> {
        let Some(waiting) = self.waiting.take() else {
            return Ok(());
        };
        let waiting = self.of.summed(&waiting)?;
        let sums = match self.sums.take() {
            None => waiting,
            // The older row of a key comes first.
            Some(sums) => self.of.summed(&sums.vstack(&waiting)?)?,
        };
        self.sums = Some(self.fitting(sums)?);
        Ok(())
    }

    fn fitting(&mut self, mut sums: DataFrame) -> Result<DataFrame> {
        loop {
            // Rows of shops that went may also have come since, with the rest of their day.
            if let Some(last) = self.last_shop {
                let shops = sums.column("shop_id")?.i64()?;
                let stays = shops.iter().map(|shop| shop.map(|shop| shop <= last));
                sums = sums.filter(&stays.collect())?;
            }
            if sums.height() <= self.most_rows {
                return Ok(sums);
            }
            let mut shops: Vec<i64> = sums.column("shop_id")?.i64()?.iter().flatten().collect();
            let (_, median, _) = shops.select_nth_unstable(sums.height() / 2);
            let before = self.shops.partition_point(|shop| *shop < *median);
            // The median may be the first shop, which stays.
            let half = if before > 0 {
                before
            } else {
                self.shops.partition_point(|shop| *shop <= *median)
            };
            if half == self.shops.len() {
                return Ok(sums);
            }
            self.shops = &self.shops[..half];
            self.last_shop = self.shops.last().copied();
        }
    }
}
