//! What a window table is computed from, and how it gives its rows away.

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::config::Config;
use crate::contracts::Table;
use crate::contracts::arrow::empty;
use crate::exports::snapshots::Snapshots;
use crate::resources::Resources;
use crate::stop::Stop;

/// Which rows of a table are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'a> {
    /// Of a table that has campaigns; `None`: of every campaign.
    pub campaign_id: Option<i64>,
    /// Ascending; `None`: of every shop.
    pub shops: Option<&'a [i64]>,
}

/// What earlier stages have published, and what this run is about to publish for the same day.
pub trait PublishedTables {
    /// The days of `[first, last]` on which the table is published, oldest first.
    fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>>;

    /// Gives `consume` the named columns of the rows of a published day that are asked for, some at
    /// a time, in key order. Nothing else is read than what these columns and rows need.
    fn read(
        &self,
        table: &'static Table,
        day: NaiveDate,
        columns: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(DataFrame) -> Result<()>,
    ) -> Result<()>;

    /// The rows as one table: few columns, or those of few shops.
    fn read_all(
        &self,
        table: &'static Table,
        day: NaiveDate,
        columns: &[&str],
        rows: Rows,
    ) -> Result<DataFrame> {
        let mut all = empty(
            &columns
                .iter()
                .map(|name| table.column(name))
                .collect::<Vec<_>>(),
        )?;
        self.read(table, day, columns, rows, &mut |rows| {
            all.vstack_mut_owned(rows)?;
            Ok(())
        })?;
        all.rechunk_mut();
        Ok(all)
    }
}

/// What the tables of a report day are computed from.
pub struct WindowInputs<'a> {
    pub day: NaiveDate,
    pub config: &'a Config,
    /// Of `day`.
    pub snapshots: &'a Snapshots,
    pub published: &'a dyn PublishedTables,
    /// How many rows may be in memory at a time, at least 1; the tables are the same with any
    /// number. A row counts as [`BYTES_PER_ROW`].
    pub rows_at_once: usize,
    /// Looked at before each part of the rows that are read or given away.
    pub stop: &'a Stop,
}

/// Memory for each row that may be in memory at a time. A row of the widest table takes 400 bytes,
/// and is there as read, as added up, sorted and laid out; the rest is for snapshots and compressed
/// tables. Measured with 200 000 shops (docs/decisions/0008). Too small a value makes a run exceed
/// the limit, too large a one makes it read days more than once.
pub const BYTES_PER_ROW: u64 = 4096;

/// How many rows of window tables may be in memory at a time.
pub fn rows_at_once(resources: &Resources) -> usize {
    usize::try_from(resources.memory_bytes / BYTES_PER_ROW)
        .unwrap_or(usize::MAX)
        .max(1)
}

/// Takes a table's rows, some at a time, in the order of its key.
pub type Emit<'a> = &'a mut dyn FnMut(DataFrame) -> Result<()>;
