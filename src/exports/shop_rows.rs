//! The rows of one shop in a day's exports, each with its place in the files and why it is set aside.
//!
//! The exports are read twice: once like every run, which finds the rows that break a rule, and once
//! more for the rows of the shop.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::Array;
use chrono::NaiveDate;

use super::batch::Batch;
use super::defect::ReadError;
use super::open_export::{OpenExport, RowGroupPlace};
use super::row_sink::Unused;
use super::show::show_value;
use super::stream::{self, Worker};
use super::text_ids::TextIds;
use super::{DayRead, open_all, read_day};
use crate::config::Config;
use crate::contracts::{Dataset, Reason};
use crate::days::calendar::day_of_number;
use crate::days::readiness::DayExports;
use crate::resources::Resources;
use crate::stop::Stop;
use crate::store::Store;

/// One row of an export.
pub(crate) struct ShopRow<'a> {
    pub dataset: &'static Dataset,
    /// The name of its file in the folder.
    pub file: &'a str,
    /// Its position in the file, from 0.
    pub number: u64,
    /// The rule that it breaks; `None`: none.
    pub set_aside: Option<Reason>,
    batch: &'a Batch,
    row: usize,
}

/// Values of columns. Ask for a null only with the methods that give an `Option`.
impl ShopRow<'_> {
    pub(crate) fn int(&self, column: &str) -> i64 {
        self.batch.ints(column).value(self.row)
    }

    pub(crate) fn int_or_null(&self, column: &str) -> Option<i64> {
        self.is_known(column).then(|| self.int(column))
    }

    /// Whole cents.
    pub(crate) fn cents(&self, column: &str) -> i128 {
        self.batch.money(column).value(self.row)
    }

    pub(crate) fn cents_or_null(&self, column: &str) -> Option<i128> {
        self.is_known(column).then(|| self.cents(column))
    }

    pub(crate) fn text(&self, column: &str) -> &str {
        self.batch.text_column(column).value(self.row)
    }

    pub(crate) fn date(&self, column: &str) -> NaiveDate {
        day_of_number(self.batch.dates(column).value(self.row))
    }

    /// A cell as text; `None`: null.
    pub(crate) fn shown(&self, column: &str) -> Option<String> {
        show_value(self.batch, column, self.row)
    }

    fn is_known(&self, column: &str) -> bool {
        self.batch.column(column).is_valid(self.row)
    }
}

/// Reads the exports that `wanted` accepts, and passes on the rows of the shop; of a dataset without
/// shops, all rows. Datasets that decide the scope of others come first.
///
/// A row whose `shop_id` is null belongs to no shop. Rows of an export that breaks its contract or
/// its quarantine budget are not passed on; [`DayRead::defects`] says why.
///
/// # Errors
/// When the store fails.
pub(crate) fn read_shop(
    store: &Store,
    exports: &DayExports,
    config: &Config,
    resources: &Resources,
    shop_id: i64,
    wanted: &dyn Fn(&Dataset) -> bool,
    take: &mut (dyn FnMut(&ShopRow) + Send),
) -> Result<DayRead> {
    let read = read_day(store, exports, config, resources, wanted, &mut Unused)?;
    let is_usable = |dataset: &Dataset| wanted(dataset) && read.snapshots.has(dataset.name);
    let ids = Arc::new(TextIds::known());
    for export in open_all(store, exports, &is_usable, &ids, &mut DayRead::default())? {
        let set_aside = set_aside_rows(&read, export.dataset)?;
        let worker = ShopWorker {
            export: &export,
            shop_id,
            set_aside: &set_aside,
            stop: &resources.stop,
            take,
        };
        match stream::read(store, &export, vec![worker], &resources.counts) {
            Ok(_) => {}
            Err(ReadError::Failed(error)) => return Err(error),
            // The first reading found no fault, so the file was changed in between.
            Err(error) => anyhow::bail!(error.into_defect()?.reason()),
        }
    }
    Ok(read)
}

/// Rows that break a rule, by position of their file and row.
type SetAsideRows = HashMap<(usize, u64), Reason>;

fn set_aside_rows(read: &DayRead, dataset: &Dataset) -> Result<SetAsideRows> {
    let mut of_dataset = read.quarantine.iter();
    let Some((_, rows)) = of_dataset.find(|(d, _)| d.name == dataset.name) else {
        return Ok(SetAsideRows::new());
    };
    let place = |row: Result<super::quarantine::Quarantined>| {
        let row = row?;
        Ok(((row.file as usize, row.row_number as u64), row.reason))
    };
    rows.in_order().map(place).collect()
}

struct ShopWorker<'a, 'b> {
    export: &'a OpenExport,
    shop_id: i64,
    set_aside: &'a SetAsideRows,
    stop: &'a Stop,
    take: &'a mut (dyn FnMut(&ShopRow) + Send + 'b),
}

impl Worker for ShopWorker<'_, '_> {
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()> {
        self.stop.check()?;
        let dataset = self.export.dataset;
        let has_shops = dataset.columns.iter().any(|c| c.name == "shop_id");
        let shops = has_shops.then(|| batch.ints("shop_id"));
        for row in 0..batch.rows {
            let is_wanted =
                shops.is_none_or(|ids| ids.is_valid(row) && ids.value(row) == self.shop_id);
            if is_wanted {
                let number = first_row + row as u64;
                (self.take)(&ShopRow {
                    dataset,
                    file: &self.export.files[group.file].name,
                    number,
                    set_aside: self.set_aside.get(&(group.file, number)).copied(),
                    batch: &batch,
                    row,
                });
            }
        }
        Ok(())
    }

    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        Ok(())
    }
}
