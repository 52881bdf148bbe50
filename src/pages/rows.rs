//! The published rows of one shop and day.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use super::page::Origin;
use super::shown::{Locale, Shown};
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::Table;
use crate::explain::why_unpublished;
use crate::plan::Facts;
use crate::publish::parquet::decode_all;
use crate::report::versions::TableRows;

/// The published rows of one shop and day, by table.
pub(crate) struct ShopRows {
    pub shop_id: i64,
    pub day: NaiveDate,
    pub manifest: Rc<Manifest>,
    tables: BTreeMap<&'static str, TableRows>,
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct PublishedRow<'a> {
    table: &'static Table,
    rows: &'a TableRows,
    number: usize,
}

impl ShopRows {
    /// `manifest`: of the day. `shown`: the tables that are read.
    ///
    /// # Errors
    /// When a file is gone, or is not the one that was published.
    pub(crate) fn load(
        history: &History,
        manifest: &Rc<Manifest>,
        shop_id: i64,
        shown: &[&'static Table],
    ) -> Result<ShopRows> {
        let mut found = BTreeMap::new();
        for table in shown.iter().copied() {
            if let Some(entry) = manifest.tables.get(table.name) {
                let file = history.read(table, manifest.day, manifest.commit_number, entry)?;
                let shop = Some(shop_id).filter(|_| table.key.contains(&"shop_id"));
                let rows = TableRows::new(table, Some(decode_all(file, shop)?), shop)?;
                found.insert(table.name, rows);
            }
        }
        Ok(ShopRows {
            shop_id,
            day: manifest.day,
            manifest: manifest.clone(),
            tables: found,
        })
    }

    /// The rows of a table with these values in columns of its key, in the order of the file.
    pub(crate) fn of(
        &self,
        table: &'static Table,
        known: &[(&str, &str)],
    ) -> Vec<PublishedRow<'_>> {
        let Some(rows) = self.tables.get(table.name) else {
            return vec![];
        };
        let is_wanted = |row: &PublishedRow| {
            known
                .iter()
                .all(|(name, value)| row.raw(name).as_deref() == Some(*value))
        };
        let rows = rows.numbers().map(|number| PublishedRow {
            table,
            rows,
            number,
        });
        rows.filter(is_wanted).collect()
    }

    /// Why a table has no rows here.
    pub(crate) fn why_none(&self, table: &Table) -> String {
        match self.manifest.has(table) {
            true => format!("{} has no row of this shop", table.name),
            false => why_unpublished(&self.manifest, table),
        }
    }
}

impl PublishedRow<'_> {
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

    pub(crate) fn shown(&self, column: &str, locale: &Locale) -> Shown {
        locale.shown(self.table.column(column), self.raw(column))
    }

    /// The key without the shop: `campaign_id=9000;product_id=7`.
    pub(crate) fn key(&self) -> String {
        let names = self.table.key.iter().filter(|name| **name != "shop_id");
        let parts: Vec<String> = names
            .map(|name| format!("{name}={}", self.text(name)))
            .collect();
        parts.join(";")
    }

    pub(crate) fn origin(&self, column: &'static str) -> Origin {
        Origin {
            table: self.table.name,
            column,
            key: self.key(),
        }
    }
}

/// The manifest of a day.
///
/// # Errors
/// `ConfigWrong` when nothing of the day is published.
pub(crate) fn published_day(facts: &Facts, day: NaiveDate) -> Result<Rc<Manifest>> {
    let found = facts.manifest(day)?;
    let none = || crate::messages::not_published("the dashboard", day, "no run published the day");
    Ok(found.ok_or_else(none)?)
}
