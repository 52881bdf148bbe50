//! Daily rows added up over periods that end on the same day, in bounded memory.
//!
//! 1. Days are read once, from the newest back. When the first day of a period was added, the sums
//!    are those of this period ([`Pass`]).
//! 2. The sums of a key are found by its hash, or right behind those of the key before: two days have
//!    mostly the same keys, in the same order ([`Sums`]).
//! 3. Where the sums, with those of finished periods that wait for their turn, do not fit, the latter
//!    half of the periods is dropped. Where one period is left, the latter half of its shops is
//!    dropped. What was dropped is added up in another pass.
//!
//! So memory is bounded for any number of days, periods and keys, and no day is read twice unless
//! these sums do not fit.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::*;

use super::inputs::{Rows, WindowInputs};
use super::sums::Sums;
use crate::contracts::Table;
use crate::threads::in_order;

/// Bytes of sums for each row that may be in memory: half of its memory.
const BYTES_OF_SUMS: usize = (super::BYTES_PER_ROW / 2) as usize;
/// Rows that a thread finishes at a time where memory allows more.
const ROWS_AT_ONCE: usize = 16_384;

/// How the daily values of a column become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adds {
    /// Their sum; null counts 0.
    Sum,
    /// The sum that leaves null days out and is null where every day is.
    SumIfKnown,
    /// The value of the latest day with a row.
    Latest,
    /// The value of the latest day on which it is not null.
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
    /// Adds up the rows of each period. `finish` turns the sums of some shops into rows of a table, on
    /// several threads; `emit` takes these rows: in the order of `periods`, then in that of the key.
    /// Both are told the position of the period. A shop's sums come together. Keys without any row
    /// are not among them.
    ///
    /// Shape of the sums: the columns of the key, except `campaign_id`, and the columns that are added
    /// up. Counts beyond INT64 are Int128, as money is.
    pub(super) fn add_up(
        &self,
        inputs: &WindowInputs,
        periods: &[Wanted],
        finish: Finish,
        emit: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
    ) -> Result<()> {
        let mut waiting = periods.to_vec();
        while !waiting.is_empty() {
            let first = periods.len() - waiting.len();
            let finish = |period: usize, sums| finish(first + period, sums);
            let mut pass = Pass::new(self, inputs, &waiting, &finish);
            pass.run(inputs, &mut |period, rows| emit(first + period, rows))?;
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

/// One pass over the days.
struct Pass<'a> {
    of: &'a DailyRows<'a>,
    /// Those that fit so far.
    periods: Vec<Wanted<'a>>,
    /// Whether each period is finished.
    is_finished: Vec<bool>,
    /// The first period that was not emitted.
    next: usize,
    /// The shops of any period, ascending, and from which day on each of them is wanted.
    wanted: Vec<(i64, NaiveDate)>,
    /// The first day of the unfinished period that begins latest.
    first_day: NaiveDate,
    /// Shops of unfinished periods, ascending.
    shops: Vec<i64>,
    sums: Sums<'a>,
    /// Whether there may be sums of other shops.
    has_others: bool,
    /// Sums of finished periods that wait for the periods before them.
    kept: BTreeMap<usize, Vec<DataFrame>>,
    kept_bytes: usize,
    most_bytes: usize,
    rows_at_once: usize,
    threads: usize,
    finish: Finish<'a>,
}

/// Makes rows of a table from sums of the period at this position.
type Finish<'f> = &'f (dyn Fn(usize, DataFrame) -> Result<DataFrame> + Sync);

/// Takes rows of a period.
type EmitOf<'e> = &'e mut dyn FnMut(usize, DataFrame) -> Result<()>;

impl<'a> Pass<'a> {
    fn new(
        of: &'a DailyRows<'a>,
        inputs: &WindowInputs,
        periods: &[Wanted<'a>],
        finish: Finish<'a>,
    ) -> Pass<'a> {
        Pass {
            of,
            periods: periods.to_vec(),
            is_finished: vec![false; periods.len()],
            next: 0,
            wanted: wanted(periods),
            first_day: inputs.day,
            shops: vec![],
            sums: Sums::new(of),
            has_others: false,
            kept: BTreeMap::new(),
            kept_bytes: 0,
            most_bytes: inputs.rows_at_once.saturating_mul(BYTES_OF_SUMS),
            // Each thread has rows, and some are emitted.
            rows_at_once: (inputs.rows_at_once / (inputs.threads + 1)).min(ROWS_AT_ONCE),
            threads: inputs.threads,
            finish,
        }
    }

    /// Reads the days back to the first day of an unfinished period, and finishes it; until there is
    /// none.
    fn run(&mut self, inputs: &WindowInputs, emit: EmitOf) -> Result<()> {
        let mut older = self.of.days;
        while let Some(first_day) = self.unfinished().map(|period| period.first_day).max() {
            let (before, days) = older.split_at(older.partition_point(|day| *day < first_day));
            older = before;
            let days: Vec<NaiveDate> = days.iter().rev().copied().collect();
            self.first_day = first_day;
            self.shops = self.shops_wanted_on(first_day);
            if !self.shops.is_empty() {
                self.read(inputs, &days)?;
            }
            self.finish_from(first_day, emit)?;
        }
        Ok(())
    }

    /// The shops of the periods that begin on this day or before it.
    fn shops_wanted_on(&self, day: NaiveDate) -> Vec<i64> {
        let wanted = self.wanted.iter().filter(|(_, first)| *first <= day);
        wanted.map(|(shop, _)| *shop).collect()
    }

    fn unfinished(&self) -> impl Iterator<Item = &Wanted<'a>> {
        let periods = self.periods.iter().zip(&self.is_finished);
        periods
            .filter(|(_, is_finished)| !**is_finished)
            .map(|(period, _)| period)
    }

    /// Adds up days, newest first.
    fn read(&mut self, inputs: &WindowInputs, days: &[NaiveDate]) -> Result<()> {
        let (names, shops) = (self.of.names(), self.shops.clone());
        let rows = Rows {
            campaign_id: None,
            shops: Some(&shops),
        };
        inputs
            .published
            .read_days(self.of.table, days, &names, rows, &mut |_, rows| {
                // Some of the shops may have been dropped since.
                let rows = if self.shops.len() < shops.len() {
                    let of_rows = rows.column("shop_id")?.i64()?;
                    let stays = of_rows.iter().map(|shop| shop.map(|shop| self.has(shop)));
                    rows.filter(&stays.collect())?
                } else {
                    rows
                };
                self.sums.add(&rows)?;
                while self.is_too_large() && self.shrink()? {}
                Ok(())
            })
    }

    fn has(&self, shop: i64) -> bool {
        self.shops.binary_search(&shop).is_ok()
    }

    fn is_too_large(&self) -> bool {
        self.sums.bytes() + self.kept_bytes > self.most_bytes
    }

    /// Drops sums. `false`: all sums are those of one shop of one period.
    fn shrink(&mut self) -> Result<bool> {
        let (next, count) = (self.next, self.periods.len());
        if !self.has_others {
            if count - next > 1 {
                self.drop_from(next + (count - next) / 2);
            } else {
                let period = &mut self.periods[next];
                let half = self.sums.half_of(period.shops);
                if half == period.shops.len() {
                    return Ok(false);
                }
                period.shops = &period.shops[..half];
                self.wanted = wanted(&self.periods);
            }
            self.shops = self.shops_wanted_on(self.first_day);
        }
        self.has_others = false;
        let shops = &self.shops;
        self.sums
            .retain(|shop| shops.binary_search(&shop).is_ok())?;
        Ok(true)
    }

    /// Leaves the periods from this position on to another pass.
    fn drop_from(&mut self, position: usize) {
        self.periods.truncate(position);
        self.is_finished.truncate(position);
        let dropped = self.kept.split_off(&position);
        self.kept_bytes -= bytes_of(dropped.values().flatten());
        self.wanted = wanted(&self.periods);
    }

    /// Finishes the periods that begin on this day or later.
    fn finish_from(&mut self, day: NaiveDate, emit: EmitOf) -> Result<()> {
        self.sums.sort();
        let mut position = 0;
        while position < self.periods.len() {
            if !self.is_finished[position] && self.periods[position].first_day >= day {
                self.is_finished[position] = true;
                self.has_others = true;
                self.take(position, emit)?;
            }
            position += 1;
        }
        Ok(())
    }

    /// Emits the sums of a period, or keeps them for its turn.
    fn take(&mut self, position: usize, emit: EmitOf) -> Result<()> {
        let (sums, finish) = (&self.sums, self.finish);
        let parts = sums.of(&self.periods[position], self.rows_at_once);
        if position == self.next {
            let finished = |rows: Vec<u32>| finish(position, sums.gather(&rows)?);
            in_order(self.threads, parts, finished, |rows| emit(position, rows?))?;
        } else {
            for rows in parts {
                let sums = self.sums.gather(&rows)?;
                self.kept_bytes += sums.estimated_size();
                self.kept.entry(position).or_default().push(sums);
                if self.is_too_large() {
                    self.drop_from(position);
                    return Ok(());
                }
            }
        }
        while self.is_finished.get(self.next) == Some(&true) {
            let kept = self.kept.remove(&self.next).unwrap_or_default();
            self.kept_bytes -= bytes_of(&kept);
            let finished = |sums| finish(self.next, sums);
            in_order(self.threads, kept, finished, |rows| emit(self.next, rows?))?;
            self.next += 1;
        }
        Ok(())
    }
}

fn bytes_of<'d>(rows: impl IntoIterator<Item = &'d DataFrame>) -> usize {
    rows.into_iter().map(DataFrame::estimated_size).sum()
}

/// The shops of any period, ascending, and the oldest first day of their periods.
fn wanted(periods: &[Wanted]) -> Vec<(i64, NaiveDate)> {
    fn distinct(shops: &mut Vec<(i64, NaiveDate)>) -> usize {
        shops.sort_unstable();
        shops.dedup_by_key(|(shop, _)| *shop);
        shops.len()
    }
    let mut shops = Vec::new();
    let mut count = 0;
    for period in periods {
        shops.extend(period.shops.iter().map(|shop| (*shop, period.first_day)));
        // Periods have mostly the same shops.
        if shops.len() > 2 * (count + period.shops.len()) {
            count = distinct(&mut shops);
        }
    }
    distinct(&mut shops);
    shops
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::columns;
    use crate::config::Config;
    use crate::contracts::tables::{CHANNEL_DAILY, SHOP_DAILY, SUB_CAMPAIGN_DAILY};
    use crate::exports::snapshots::Snapshots;
    use crate::stop::Stop;
    use crate::testing::march;
    use crate::windows::{DaySnapshots, PublishedTables};

    /// Days of a table, each in key order, given a row at a time.
    struct Published {
        days: Vec<(NaiveDate, DataFrame)>,
        /// Rows that were read.
        read: Cell<usize>,
    }

    impl PublishedTables for Published {
        fn published_days(&self, _: &Table, _: NaiveDate, _: NaiveDate) -> Result<Vec<NaiveDate>> {
            Ok(self.days.iter().map(|(day, _)| *day).collect())
        }

        fn read_days(
            &self,
            _: &'static Table,
            days: &[NaiveDate],
            names: &[&str],
            rows: Rows,
            consume: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
        ) -> Result<()> {
            let is_wanted = |shop| rows.shops.is_none_or(|shops| shops.contains(&shop));
            for (of_day, wanted) in days.iter().enumerate() {
                let (_, table) = self.days.iter().find(|(day, _)| day == wanted).unwrap();
                let shops = table.column("shop_id")?.i64()?.iter().flatten();
                for (row, _) in shops.enumerate().filter(|(_, shop)| is_wanted(*shop)) {
                    self.read.set(self.read.get() + 1);
                    let row = table.slice(row as i64, 1);
                    consume(of_day, row.select(names.iter().copied())?)?;
                }
            }
            Ok(())
        }
    }

    /// The sums of the periods `(campaign, first day in March, shops)` through the last day, as text:
    /// the position of the period and its sums, and how many rows were read.
    fn added(
        (table, key): (&'static Table, &[&'static str]),
        columns: &[(&'static str, Adds)],
        days: &[(u32, DataFrame)],
        periods: &[(i64, u32, &[i64])],
        rows_at_once: usize,
    ) -> (Vec<String>, usize) {
        let published = Published {
            days: days
                .iter()
                .map(|(day, rows)| (march(*day), rows.clone()))
                .collect(),
            read: Cell::new(0),
        };
        let (config, snapshots) = (Config::parse("").unwrap(), Snapshots::default());
        let inputs = WindowInputs {
            day: march(31),
            config: &config,
            snapshots: DaySnapshots::new(&snapshots),
            published: &published,
            rows_at_once,
            threads: 2,
            stop: &Stop::default(),
        };
        let daily = DailyRows {
            table,
            days: &published
                .days
                .iter()
                .map(|(day, _)| *day)
                .collect::<Vec<_>>(),
            key,
            columns,
        };
        let wanted: Vec<Wanted> = periods
            .iter()
            .map(|(campaign_id, first, shops)| Wanted {
                campaign_id: *campaign_id,
                first_day: march(*first),
                shops,
            })
            .collect();
        let mut sums = Vec::new();
        let emit = &mut |period: usize, rows: DataFrame| {
            for row in 0..rows.height() {
                let values = rows.columns().iter().map(|column| column.get(row).unwrap());
                let values: Vec<String> = values.map(|value| value.to_string()).collect();
                sums.push(format!("{period}: {}", values.join(" ")));
            }
            Ok(())
        };
        daily
            .add_up(&inputs, &wanted, &|_, sums| Ok(sums), emit)
            .unwrap();
        (sums, published.read.get())
    }

    fn shops(rows: &[(i64, i64, Option<i64>, Option<&str>)]) -> DataFrame {
        let columns = vec![
            columns::ints("shop_id", rows.iter().map(|row| row.0)),
            columns::money("gmv", rows.iter().map(|row| i128::from(row.1))),
            columns::ints("creator_new_videos", rows.iter().map(|row| row.2)),
            columns::texts("category", rows.iter().map(|row| row.3)),
        ];
        DataFrame::new(rows.len(), columns).unwrap()
    }

    const OF_SHOPS: [(&str, Adds); 3] = [
        ("gmv", Adds::Sum),
        ("creator_new_videos", Adds::SumIfKnown),
        ("category", Adds::LatestIfKnown),
    ];

    #[test]
    fn every_period_has_its_sums_however_few_of_them_fit_into_memory() {
        /// The GMV of a shop on a day; `None`: it has no row.
        fn gmv(shop: i64, day: u32) -> Option<i64> {
            ((shop + i64::from(day)) % 3 > 0).then(|| shop * 100 + i64::from(day))
        }
        let all: Vec<i64> = (1..=200).collect();
        let odd: Vec<i64> = all.iter().copied().filter(|shop| shop % 2 == 1).collect();
        // The second period begins latest; the last shop of the third one has no row.
        let periods: [(i64, u32, &[i64]); 5] = [
            (9, 1, &all),
            (10, 4, &odd),
            (11, 2, &[2, 3, 999]),
            (12, 2, &[]),
            (13, 2, &all),
        ];
        let days = [1, 2, 4].map(|day| {
            let videos = (day == 2).then_some(7);
            let category = format!("day {day}");
            let row = |shop: &i64| Some((*shop, gmv(*shop, day)?, videos, Some(&*category)));
            (day, shops(&all.iter().filter_map(row).collect::<Vec<_>>()))
        });
        let mut expected = Vec::new();
        for (position, (_, first, of_period)) in periods.iter().enumerate() {
            for shop in of_period.iter().filter(|shop| **shop <= 200) {
                let mut days = vec![1, 2, 4];
                days.retain(|day| day >= first && gmv(*shop, *day).is_some());
                if let Some(latest) = days.last() {
                    let sum: i64 = days.iter().filter_map(|day| gmv(*shop, *day)).sum();
                    let videos = if days.contains(&2) { "7" } else { "null" };
                    expected.push(format!(
                        "{position}: {shop} {sum} {videos} \"day {latest}\""
                    ));
                }
            }
        }
        let all_rows = days.iter().map(|(_, rows)| rows.height()).sum::<usize>();
        for rows_at_once in [1, 2, 3, 5, 1000] {
            let key = (&SHOP_DAILY, &["shop_id"][..]);
            let (sums, read) = added(key, &OF_SHOPS, &days, &periods, rows_at_once);
            assert_eq!(sums, expected, "{rows_at_once} rows at once");
            let is_once = read == all_rows;
            assert_eq!(
                is_once,
                rows_at_once == 1000,
                "{read} of {all_rows} rows read"
            );
        }
    }

    #[test]
    fn rows_of_a_finished_period_and_days_before_the_first_one_are_not_read() {
        let days = [1, 2, 3].map(|day| {
            let rows = [1, 2, 3].map(|shop| (shop, 1, None, None));
            (day, shops(&rows))
        });
        let key = (&SHOP_DAILY, &["shop_id"][..]);
        let periods: [(i64, u32, &[i64]); 2] = [(1, 2, &[3]), (2, 3, &[1, 2, 3])];
        let (sums, read) = added(key, &OF_SHOPS[..1], &days, &periods, 1000);
        assert_eq!(sums, ["0: 3 2", "1: 1 1", "1: 2 1", "1: 3 1"]);
        assert_eq!(
            read, 4,
            "three shops of the last day, one of the day before"
        );
    }

    #[test]
    fn many_finished_periods_that_wait_are_left_to_another_pass() {
        let all: Vec<i64> = (1..=20).collect();
        let days = [1, 2].map(|day| {
            let rows = all.iter().map(|shop| (*shop, i64::from(day), None, None));
            (day, shops(&rows.collect::<Vec<_>>()))
        });
        // The first period is finished last.
        let mut periods: Vec<(i64, u32, &[i64])> = vec![(0, 1, &all)];
        periods.extend((1..40).map(|campaign| (campaign, 2, &all[..])));
        let key = (&SHOP_DAILY, &["shop_id"][..]);
        for rows_at_once in [1000, 3] {
            let (sums, read) = added(key, &OF_SHOPS[..1], &days, &periods, rows_at_once);
            let expected = (0..40).flat_map(|period| {
                let gmv = if period == 0 { 3 } else { 2 };
                (1..=20).map(move |shop| format!("{period}: {shop} {gmv}"))
            });
            assert_eq!(sums, expected.collect::<Vec<_>>());
            let is_once = read == 40;
            assert_eq!(is_once, rows_at_once == 1000, "{read} rows read");
        }
    }

    #[test]
    fn a_column_is_that_of_the_latest_day_with_a_row_or_with_a_value() {
        let days = [
            (
                1,
                shops(&[(1, 0, Some(1), Some("a")), (2, 0, Some(2), Some("b"))]),
            ),
            (2, shops(&[(1, 0, None, None)])),
        ];
        let columns = [
            ("creator_new_videos", Adds::Latest),
            ("category", Adds::LatestIfKnown),
        ];
        let key = (&SHOP_DAILY, &["shop_id"][..]);
        let (found, _) = added(key, &columns, &days, &[(0, 1, &[1, 2])], 9);
        assert_eq!(found, [r#"0: 1 null "a""#, r#"0: 2 2 "b""#]);
    }

    #[test]
    fn sums_beyond_64_bits_are_exact() {
        let (most, days) = (i64::MAX, [1, 2, 3]);
        let days = days.map(|day| (day, shops(&[(1, most, Some(most), None)])));
        let columns = &OF_SHOPS[..2];
        let key = (&SHOP_DAILY, &["shop_id"][..]);
        let (found, _) = added(key, columns, &days, &[(0, 1, &[1])], 9);
        // 3 * (2^63 - 1)
        assert_eq!(found, ["0: 1 27670116110564327421 27670116110564327421"]);
    }

    #[test]
    fn sums_come_in_the_order_of_texts_and_a_shop_comes_as_a_whole() {
        let channels = |rows: &[(i64, &str, i64)]| {
            let columns = vec![
                columns::ints("shop_id", rows.iter().map(|row| row.0)),
                columns::texts("channel", rows.iter().map(|row| row.1)),
                columns::ints("sku_orders", rows.iter().map(|row| row.2)),
            ];
            DataFrame::new(rows.len(), columns).unwrap()
        };
        let days = [
            (1, channels(&[(1, "A", 1), (1, "M", 2), (2, "M", 5)])),
            (2, channels(&[(1, "B", 3), (1, "Z", 4), (2, "Z", 6)])),
        ];
        let key = (&CHANNEL_DAILY, &["shop_id", "channel"][..]);
        let columns = [("sku_orders", Adds::Sum)];
        let (found, _) = added(key, &columns, &days, &[(0, 1, &[1, 2])], 3);
        let expected = [
            r#"0: 1 "A" 1"#,
            r#"0: 1 "B" 3"#,
            r#"0: 1 "M" 2"#,
            r#"0: 1 "Z" 4"#,
            r#"0: 2 "M" 5"#,
            r#"0: 2 "Z" 6"#,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_period_has_only_rows_of_its_own_campaign_where_rows_have_campaigns() {
        let rows = |rows: &[(i64, i64, i64, i64)]| {
            let columns = vec![
                columns::ints("campaign_id", rows.iter().map(|row| row.0)),
                columns::ints("shop_id", rows.iter().map(|row| row.1)),
                columns::ints("sub_campaign_id", rows.iter().map(|row| row.2)),
                columns::ints("orders", rows.iter().map(|row| row.3)),
            ];
            DataFrame::new(rows.len(), columns).unwrap()
        };
        let days = [
            (1, rows(&[(8, 1, 80, 1), (9, 1, 90, 2)])),
            (2, rows(&[(8, 2, 80, 4), (9, 1, 90, 8), (9, 1, 91, 16)])),
        ];
        let key = ["campaign_id", "shop_id", "sub_campaign_id"];
        let (table, columns) = (&SUB_CAMPAIGN_DAILY, [("orders", Adds::Sum)]);
        let periods: [(i64, u32, &[i64]); 2] = [(8, 1, &[1, 2]), (9, 2, &[1, 2])];
        let (found, _) = added((table, &key), &columns, &days, &periods, 9);
        assert_eq!(found, ["0: 1 80 1", "0: 2 80 4", "1: 1 90 8", "1: 1 91 16"]);
    }
}
