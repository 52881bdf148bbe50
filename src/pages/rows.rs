//! The published rows of a day that the pages of some shops show.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;

use super::commands::quoted;
use super::page::{Origin, Picked};
use super::shown::{Locale, Shown};
use crate::catalog::manifest::Manifest;
use crate::contracts::Table;
use crate::explain::{FLAGS, why_unpublished};
use crate::plan::Facts;
use crate::report::versions::TableRows;
use crate::windows::Rows;

/// The rows of some shops on a day, by table.
pub(crate) struct DayRows<'a> {
    manifest: &'a Manifest,
    tables: BTreeMap<&'static str, OfTable>,
}

/// The rows of a table.
struct OfTable {
    table: &'static Table,
    rows: TableRows,
    /// The positions of each shop's rows; `None`: the rows are of no shop.
    by_shop: Option<HashMap<i64, Vec<usize>>>,
}

/// The rows of one shop. They include those of tables without shops.
#[derive(Clone, Copy)]
pub(crate) struct ShopRows<'a> {
    pub shop_id: i64,
    pub manifest: &'a Manifest,
    of_day: &'a DayRows<'a>,
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct PublishedRow<'a> {
    table: &'static Table,
    rows: &'a TableRows,
    number: usize,
}

impl<'a> DayRows<'a> {
    /// `manifest`: the newest one of its day. `shops`: ascending.
    ///
    /// # Errors
    /// When a file is gone, or is not the one that was published.
    pub(crate) fn load(
        facts: &Facts,
        manifest: &'a Manifest,
        tables: &[&'static Table],
        shops: &[i64],
    ) -> Result<DayRows<'a>> {
        let published = facts.tables(manifest.day);
        let mut found = BTreeMap::new();
        for table in tables.iter().copied().filter(|table| manifest.has(table)) {
            let has_shops = table.key.contains(&"shop_id");
            let wanted = Rows {
                campaign_id: None,
                shops: has_shops.then_some(shops),
            };
            let rows = published.published_rows(table, manifest.day, wanted)?;
            let rows = TableRows::new(table, Some(rows), None)?;
            let by_shop = has_shops.then(|| by_shop(&rows));
            let of_table = OfTable {
                table,
                rows,
                by_shop,
            };
            found.insert(table.name, of_table);
        }
        Ok(DayRows {
            manifest,
            tables: found,
        })
    }

    pub(crate) fn of_shop(&'a self, shop_id: i64) -> ShopRows<'a> {
        ShopRows {
            shop_id,
            manifest: self.manifest,
            of_day: self,
        }
    }
}

fn by_shop(rows: &TableRows) -> HashMap<i64, Vec<usize>> {
    let mut by_shop: HashMap<i64, Vec<usize>> = HashMap::new();
    for number in rows.numbers() {
        if let Some(shop) = rows.whole("shop_id", number) {
            by_shop.entry(shop as i64).or_default().push(number);
        }
    }
    by_shop
}

impl<'a> ShopRows<'a> {
    pub(crate) fn day(&self) -> NaiveDate {
        self.manifest.day
    }

    /// The rows of a table with these values in some columns, in the order of the file.
    pub(crate) fn of(
        &self,
        table: &'static Table,
        known: &[(&str, &str)],
    ) -> Vec<PublishedRow<'a>> {
        let Some(of_table) = self.of_day.tables.get(table.name) else {
            return vec![];
        };
        let numbers: Box<dyn Iterator<Item = usize>> = match &of_table.by_shop {
            None => Box::new(of_table.rows.numbers()),
            Some(by_shop) => Box::new(by_shop.get(&self.shop_id).into_iter().flatten().copied()),
        };
        let is_wanted = |row: &PublishedRow| known.iter().all(|(name, value)| row.is(name, value));
        let rows = numbers.map(|number| PublishedRow {
            table: of_table.table,
            rows: &of_table.rows,
            number,
        });
        rows.filter(is_wanted).collect()
    }

    /// Why a table has no rows here.
    pub(crate) fn why_none(&self, table: &Table) -> String {
        match self.manifest.has(table) {
            true => format!("{} has no row of this shop", table.name),
            false => why_unpublished(self.manifest, table),
        }
    }
}

impl PublishedRow<'_> {
    pub(crate) fn is(&self, column: &str, value: &str) -> bool {
        self.rows.is(self.table.column(column), self.number, value)
    }

    /// The table's value as text; `None`: null.
    pub(crate) fn raw(&self, column: &str) -> Option<String> {
        self.rows.shown(self.table.column(column), self.number)
    }

    /// A text, or `""` for null.
    pub(crate) fn text(&self, column: &str) -> String {
        self.raw(column).unwrap_or_default()
    }

    /// A whole number, or money in cents; `None`: null.
    pub(crate) fn whole(&self, column: &str) -> Option<i128> {
        self.rows.whole(column, self.number)
    }

    /// A number as a chart draws it; `None`: null.
    pub(crate) fn double(&self, column: &str) -> Option<f64> {
        self.raw(column)?.parse().ok()
    }

    /// A day; `None`: null.
    pub(crate) fn date(&self, column: &str) -> Option<NaiveDate> {
        self.raw(column)?.parse().ok()
    }

    pub(crate) fn shown(&self, column: &str, locale: &Locale) -> Shown {
        locale.shown(self.table.column(column), self.raw(column))
    }

    /// The key without the shop: `campaign_id=9000;product_id=7`.
    pub(crate) fn key(&self) -> Picked {
        let names = self.table.key.iter().filter(|name| **name != "shop_id");
        let parts: Vec<String> = names
            .map(|name| format!("{name}={}", self.text(name)))
            .collect();
        Picked::Key(parts.join(";"))
    }

    pub(crate) fn origin(&self, column: &'static str) -> Origin {
        Origin {
            table: self.table.name.into(),
            rows: self.key(),
            column: column.into(),
        }
    }

    pub(crate) fn table(&self) -> &'static Table {
        self.table
    }

    /// The command that explains a value of the row.
    pub(crate) fn explain_command(&self, of: ShopRows, column: &str) -> String {
        let (shop, day, table) = (of.shop_id, of.day(), self.table.name);
        let mut command = format!("campaign-etl explain --shop {shop} --day {day} --table {table}");
        command += &match self.table.key.contains(&"metric") {
            true => format!(" --metric {} --column {column}", self.text("metric")),
            false => format!(" --metric {column}"),
        };
        for (name, flag) in FLAGS {
            if self.table.key.contains(&name) {
                command += &format!(" {flag} {}", quoted(&self.text(name)));
            }
        }
        command
    }
}

/// The manifest of a day.
///
/// # Errors
/// `ConfigWrong` when nothing of the day is published.
pub(crate) fn published_day(facts: &Facts, day: NaiveDate) -> Result<Arc<Manifest>> {
    let found = facts.manifest(day)?;
    let none = || crate::messages::not_published("the dashboard", day, "no run published the day");
    Ok(found.ok_or_else(none)?)
}
