//! Daily rows added up over days: of as many shops at a time as fit into memory, a few days at a
//! time.
//!
//! 1. Rows are read day by day and kept until there are as many as may be in memory; then they
//!    become sums, and those of later days are added to these.
//! 2. Where the sums themselves are too many, those of the latter half of the shops go; these shops
//!    have their turn later.
//!
//! So memory is bounded by rows, whatever the days, and no day is read twice unless the result does
//! not fit.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::*;

use super::inputs::{Rows, WindowInputs};
use super::periods::keys;
use crate::contracts::Table;

/// How the daily values of a column become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adds {
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

/// What is added up of a daily table.
pub struct DailyRows<'a> {
    pub table: &'static Table,
    /// Oldest first.
    pub days: &'a [NaiveDate],
    /// Only rows of this campaign, of a table that has campaigns.
    pub campaign_id: Option<i64>,
    /// What is told apart, beginning with `shop_id`.
    pub key: &'a [&'static str],
    pub columns: &'a [(&'static str, Adds)],
}

impl DailyRows<'_> {
    /// Adds up the rows of `shops`, which ascend, and gives `finish` the sums of as many shops as
    /// fit, and these shops; then those of the next, to the last. Shops without any row are not
    /// among the sums.
    pub fn add_up<'s>(
        &self,
        inputs: &WindowInputs,
        mut shops: &'s [i64],
        finish: &mut dyn FnMut(LazyFrame, &'s [i64]) -> Result<()>,
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
                finish(sums.lazy(), done)?;
            }
            shops = &shops[done.len()..];
        }
        Ok(())
    }

    fn summed(&self, rows: LazyFrame) -> LazyFrame {
        let value = |(name, adds): &(&str, Adds)| match adds {
            Adds::Sum => exact_sum(name),
            Adds::SumIfKnown => when(col(*name).count().gt(lit(0)))
                .then(exact_sum(name))
                .otherwise(lit(NULL))
                .alias(*name),
            Adds::Latest => col(*name).last(),
            Adds::LatestIfKnown => col(*name).filter(col(*name).is_not_null()).last(),
        };
        rows.group_by(keys(self.key))
            .agg(self.columns.iter().map(value).collect::<Vec<_>>())
    }
}

fn exact_sum(name: &str) -> Expr {
    col(name).cast(DataType::Int128).sum()
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

    /// Adds what waits to the sums, and lets shops go until what is left fits.
    fn settle(&mut self) -> Result<()> {
        let Some(waiting) = self.waiting.take() else {
            return Ok(());
        };
        let waiting = self.of.summed(waiting.lazy()).collect()?;
        let sums = match self.sums.take() {
            None => waiting,
            // The older row of a key comes first.
            Some(sums) => self.of.summed(sums.vstack(&waiting)?.lazy()).collect()?,
        };
        self.sums = Some(self.fitting(sums)?);
        Ok(())
    }

    fn fitting(&mut self, mut sums: DataFrame) -> Result<DataFrame> {
        loop {
            // Rows of shops that went may also have come since, with the rest of their day.
            if let Some(last) = self.last_shop {
                sums = sums
                    .lazy()
                    .filter(col("shop_id").lt_eq(lit(last)))
                    .collect()?;
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
