//! Published tables that can be read until the run is asked to stop.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::inputs::{PublishedTables, Rows};
use crate::contracts::Table;
use crate::stop::Stop;

/// The same tables; a read ends with `Interrupted` or `Terminated` before the next part of its rows.
pub(super) struct UntilStopped<'a> {
    pub published: &'a dyn PublishedTables,
    pub stop: &'a Stop,
}

impl PublishedTables for UntilStopped<'_> {
    fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>> {
        self.stop.check()?;
        self.published.published_days(table, first, last)
    }

    fn read_days(
        &self,
        table: &'static Table,
        days: &[NaiveDate],
        columns: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
    ) -> Result<()> {
        self.stop.check()?;
        self.published
            .read_days(table, days, columns, rows, &mut |of_day, rows| {
                self.stop.check()?;
                consume(of_day, rows)
            })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::Ordering;

    use polars::prelude::Column;

    use super::*;
    use crate::columns;
    use crate::config::Config;
    use crate::contracts::tables;
    use crate::contracts::{Kind, TableId};
    use crate::days::calendar::days;
    use crate::exports::snapshots::{Campaign, CampaignShop, Snapshots};
    use crate::failure::{Failure, FailureKind};
    use crate::stop::SIGTERM;
    use crate::windows::{
        BenchmarkDay, DaySnapshots, WindowInputs, benchmark_tables, window_table,
    };

    const DAY: &str = "2026-03-10";
    const SHOPS: i64 = 5;

    /// Ten days of five shops, a shop at a time; the run is asked to stop when so many parts were
    /// read or given away.
    struct StoppedAfter<'a> {
        parts: usize,
        seen: Cell<usize>,
        stop: &'a Stop,
    }

    impl StoppedAfter<'_> {
        fn saw_part(&self) {
            self.seen.set(self.seen.get() + 1);
            if self.seen.get() == self.parts {
                self.stop.0.store(SIGTERM, Ordering::Relaxed);
            }
        }
    }

    impl PublishedTables for StoppedAfter<'_> {
        fn published_days(
            &self,
            _: &Table,
            first: NaiveDate,
            last: NaiveDate,
        ) -> Result<Vec<NaiveDate>> {
            let oldest = DAY.parse::<NaiveDate>().unwrap() - chrono::Days::new(9);
            Ok(days(first.max(oldest), last).collect())
        }

        fn read_days(
            &self,
            table: &'static Table,
            days: &[NaiveDate],
            names: &[&str],
            rows: Rows,
            consume: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
        ) -> Result<()> {
            let is_wanted = |shop: i64| rows.shops.is_none_or(|shops| shops.contains(&shop));
            for of_day in 0..days.len() {
                for shop in (1..=SHOPS).filter(|shop| is_wanted(*shop)) {
                    let value = |name: &&str| value(name, table.column(name).kind, shop);
                    self.saw_part();
                    consume(
                        of_day,
                        DataFrame::new(1, names.iter().map(value).collect())?,
                    )?;
                }
            }
            Ok(())
        }
    }

    fn value(name: &str, kind: Kind, shop: i64) -> Column {
        match (name, kind) {
            ("shop_id", _) => columns::ints(name, [shop]),
            ("tier", _) => columns::texts(name, ["T1"]),
            (_, Kind::Int64 | Kind::Int32 | Kind::Instant) => columns::ints(name, [1]),
            (_, Kind::Money) => columns::money(name, [100_i128]),
            (_, Kind::Double) => columns::doubles(name, [0.5]),
            (_, Kind::Text) => columns::texts(name, ["A"]),
            (_, Kind::Boolean) => columns::flags(name, [true]),
            (_, Kind::Date) => columns::days(name, [20_000]),
        }
    }

    /// Computes a table until a stop after so many parts; how that ended, and how many parts there
    /// were.
    fn computed(table: &'static Table, parts: usize) -> (Result<()>, usize) {
        let stop = Stop::default();
        let published = StoppedAfter {
            parts,
            seen: Cell::new(0),
            stop: &stop,
        };
        let (day, config) = (
            DAY.parse().unwrap(),
            Config::parse("baseline = { shops = \"all\" }").unwrap(),
        );
        let registered = |shop_id| CampaignShop {
            campaign_id: 1,
            shop_id,
            target_gmv_cents: None,
        };
        let mut snapshots = Snapshots::default();
        let first_day = "2026-03-01".parse().unwrap();
        snapshots.campaigns = vec![Campaign {
            campaign_id: 1,
            campaign_name: String::new(),
            first_day,
            last_day: day,
        }];
        snapshots.campaign_shops = (1..=SHOPS).map(registered).collect();
        let ended = if let TableId::Window(id) = table.id {
            let (snapshots, config) = (DaySnapshots::new(&snapshots), &config);
            let inputs = WindowInputs {
                day,
                config,
                snapshots,
                published: &published,
                rows_at_once: 1,
                threads: 1,
                stop: &stop,
            };
            window_table(id, &inputs, &mut |_| {
                published.saw_part();
                Ok(())
            })
        } else {
            let benchmark = BenchmarkDay {
                day,
                fallback_reason: None,
            };
            benchmark_tables(&benchmark, &config, &published, 1, 1, &stop, &mut |_, _| {
                published.saw_part();
                Ok(())
            })
        };
        (ended, published.seen.get())
    }

    #[test]
    fn every_window_and_benchmark_table_ends_with_the_part_at_which_the_run_is_asked_to_stop() {
        for table in tables::over_published() {
            let (ended, all) = computed(table, usize::MAX);
            ended.unwrap();
            // Only stock_status reads nothing, as there is no stock.
            assert!(
                all > 2 * SHOPS as usize || table.name == "stock_status",
                "{}: {all} parts",
                table.name
            );
            for parts in [1, all / 3, all / 2, all - 1]
                .into_iter()
                .filter(|parts| (1..all).contains(parts))
            {
                let (ended, seen) = computed(table, parts);
                assert!(
                    ended.is_err_and(
                        |error| Failure::kind_of(&error) == Some(FailureKind::Terminated)
                    ),
                    "{}, part {parts} of {all}",
                    table.name
                );
                // The next one at most: it is read, and nothing is done with it.
                assert!(
                    seen <= parts + 1,
                    "{}: {seen} parts after a stop at {parts} of {all}",
                    table.name
                );
            }
        }
    }
}
