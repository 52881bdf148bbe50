//! The day beside the day before, and beside its own earlier version.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::{Night, Summary, heads, text};
use crate::columns::whole_numbers;
use crate::contracts::Kind;
use crate::contracts::tables::{self, SHOP_DAILY};
use crate::pages::page::{Block, Cell, Row, Table};
use crate::report::diff::{self, TableDifference};
use crate::report::verdict::Findings;
use crate::report::versions::ColumnDifference;

/// The totals of the marketplace: columns of `shop_daily`.
const TOTALS: [&str; 6] = [
    "gmv",
    "orders",
    "customers",
    "items_sold",
    "product_impressions",
    "product_clicks",
];

/// The files of two versions are compared row by row up to this size.
const MOST_COMPARED_BYTES: u64 = 64 << 20;

impl Summary<'_> {
    pub(super) fn day_before(&self, _found: &mut Findings) -> Result<Vec<Block>> {
        let Some(before) = self.night.day.pred_opt() else {
            return Ok(vec![]);
        };
        let [of_day, of_before] = [self.night.day, before].map(|day| self.totals(day));
        let (of_day, of_before) = (of_day?, of_before?);
        let mut rows = Vec::new();
        for (day, totals) in [(self.night.day, &of_day), (before, &of_before)] {
            rows.push(Row {
                day: Some(day),
                cells: match totals {
                    None => vec![text(format!("{day}: not published"))],
                    Some(totals) => self.totals_row(day, totals),
                },
                ..Row::default()
            });
        }
        if let (Some(of_day), Some(of_before)) = (&of_day, &of_before) {
            let mut cells = vec![text("Difference")];
            cells.extend(
                of_day
                    .iter()
                    .zip(of_before)
                    .map(|(now, then)| Cell::Number(self.percent(*now, *then))),
            );
            rows.push(Row {
                cells,
                ..Row::default()
            });
        }
        let mut columns = heads(&[("Day", false)]);
        columns.extend(TOTALS.map(|column| self.total_head(SHOP_DAILY.column(column))));
        let table = Table {
            caption: "Sums over all shops".to_owned(),
            columns,
            rows,
            notes: vec![
                "A customer of several shops counts in each of them. docs/checks.md says which earlier days the checks compare with.".to_owned(),
            ],
            ..Table::default()
        };
        Ok(vec![Block::Table(table)])
    }

    fn totals_row(&self, day: NaiveDate, totals: &[i128; TOTALS.len()]) -> Vec<Cell> {
        let mut cells = vec![text(day.to_string())];
        let sums = TOTALS.iter().zip(totals);
        cells.extend(sums.map(|(column, total)| self.sum(&SHOP_DAILY, column, *total)));
        cells
    }

    /// The difference in percent of the earlier value.
    fn percent(&self, now: i128, then: i128) -> String {
        if then == 0 {
            return String::new();
        }
        let percent = (now - then) as f64 / then as f64 * 100.0;
        let shown = self
            .locale
            .of_unit(Kind::Double, "percent", Some(percent.to_string()));
        shown.text
    }

    /// Sums over all shops, money in cents; `None`: the day is not published.
    fn totals(&self, day: NaiveDate) -> Result<Option<[i128; TOTALS.len()]>> {
        let manifest = self.night.facts.manifest(day)?;
        if !manifest.is_some_and(|manifest| manifest.has(&SHOP_DAILY)) {
            return Ok(None);
        }
        let mut sums = [0_i128; TOTALS.len()];
        self.read(&SHOP_DAILY, day, &TOTALS, &mut |rows: DataFrame| {
            for (sum, column) in sums.iter_mut().zip(TOTALS) {
                *sum += whole_numbers(rows.column(column)?)?.flatten().sum::<i128>();
            }
            Ok(())
        })?;
        Ok(Some(sums))
    }

    /// The tables that differ from the day's commit before, with causes.
    pub(super) fn earlier_version(&self, _found: &mut Findings) -> Result<Vec<Block>> {
        let block = match self.night.history.commits(self.night.day) {
            [] => Block::Text("The day was never published.".to_owned()),
            [_] => Block::Text("The day was published once.".to_owned()),
            [.., before, now] => self.versions(*before, *now)?,
        };
        Ok(vec![block])
    }

    fn versions(&self, before: u64, now: u64) -> Result<Block> {
        let Night { day, options, .. } = &self.night;
        let command = format!("campaign-etl diff --day {day} --from {before} --to {now}{options}");
        if self.compared_bytes(before, now)? > MOST_COMPARED_BYTES {
            let large = "The files are too large to be compared for a page. Compare them with:";
            return Ok(Block::Commands(vec![(large.to_owned(), command)]));
        }
        let found = match diff::diff(
            self.night.history,
            self.night.day,
            Some(before),
            Some(now),
            None,
        ) {
            Ok(found) => found,
            Err(why) => {
                let text = format!("Commit {before} cannot be compared with: {why:#}");
                return Ok(Block::Text(text));
            }
        };
        if found.tables.is_empty() {
            let text = format!("No table differs between commit {before} and commit {now}.");
            return Ok(Block::Text(text));
        }
        Ok(Block::Table(Table {
            caption: format!("From commit {before} to commit {now}"),
            columns: heads(&[
                ("Table", false),
                ("Rows added", true),
                ("Rows removed", true),
                ("Rows changed", true),
                ("Totals", false),
                ("Causes", false),
            ]),
            rows: found
                .tables
                .iter()
                .map(|table| self.changed_row(table))
                .collect(),
            notes: vec![format!("Cell by cell, for one shop: {command} --shop SHOP")],
            ..Table::default()
        }))
    }

    /// The bytes of the files that differ between two commits.
    fn compared_bytes(&self, before: u64, now: u64) -> Result<u64> {
        let [before, now] =
            [before, now].map(|commit| self.night.history.manifest(self.night.day, commit));
        let (before, now) = (before?, now?);
        let mut bytes = 0;
        for table in tables::all() {
            let of = [&before, &now].map(|manifest| manifest.as_ref()?.tables.get(table.name));
            if of[0].map(|table| &table.sha256) != of[1].map(|table| &table.sha256) {
                bytes += of.iter().flatten().map(|table| table.bytes).sum::<u64>();
            }
        }
        Ok(bytes)
    }

    fn changed_row(&self, found: &TableDifference) -> Row {
        let rows = &found.differences;
        let table = tables::table(found.table);
        let told = |column: &ColumnDifference| {
            // Only these columns are sums over all rows that mean something.
            let reconciled = table?.reconciled.iter();
            let is_sum = reconciled
                .map(|total| total.column())
                .any(|sum| sum == column.column);
            let totals = column.total_before.clone().zip(column.total_after.clone());
            let (before, after) = totals.filter(|(before, after)| is_sum && before != after)?;
            let described = table?.column(column.column);
            let told = |raw| {
                let shown = self
                    .locale
                    .with_code(described.kind, described.unit, Some(raw));
                shown.text
            };
            Some(match rows.rows_before {
                0 => format!("{}: {}", column.column, told(after)),
                _ => format!("{}: {} to {}", column.column, told(before), told(after)),
            })
        };
        let columns: Vec<String> = rows.columns.iter().filter_map(told).collect();
        let count = |count: u64| Cell::Number(count.to_string());
        Row {
            cells: vec![
                text(found.table),
                count(rows.rows_added),
                count(rows.rows_removed),
                count(rows.rows_changed),
                text(columns.join("; ")),
                text(found.causes.join("; ")),
            ],
            ..Row::default()
        }
    }
}
